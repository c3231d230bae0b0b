"""The published answers of networks to each other's metamers.

One file for each network that answers and each whose metamers they are (released code;
released code, network_network_evaluations). A metamer's position means something only
in one generator and stage: the lists are in the order of the file system and lack the
metamers that failed the study's screening.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from metamers.errors import StudyError
from metamers.recognition.published.unpickling import load_numbers

FILE_PATH = re.compile(
    r".*/(?P<sense>visual|audio)_networks/(?P<evaluator>[A-Za-z0-9_.-]+)/"
    r"network_network_evaluations/accuracy_on_metamers_from_(?P<generator>[^/]+)\.pckl"
)
MODALITIES = {"visual": "vision", "audio": "audio"}
# {modality: what its keys are called}; vision is judged in 16 categories.
KEYS = {
    "vision": {
        "label": "labels_16_way_all_layers",
        "response": "predictions_16_way_all_layers",
        "correct": "correct_incorrect_16",
        "mean": "average_correct_16",
        "sem": "bootstrap_sem_16",
    },
    "audio": {
        "label": "labels_all_layers",
        "response": "predictions__all_layers",
        "correct": "correct_incorrect",
        "mean": "average_correct",
        "sem": "bootstrap_sem",
    },
}
TRIAL_COLUMNS = {
    "modality": "category",
    "observer": "category",
    "observer_kind": "category",
    "generator": "category",
    "stage": "category",
    "stage_index": "int16",
    "position": "int16",
    "label": "category",
    "response": "category",
    "correct": "bool",
}
SUMMARY_COLUMNS = [
    "modality",
    "generator",
    "evaluator",
    "stage",
    "stage_index",
    "n",
    "proportion_correct",
    "sem",
]
# The study's sets have 400 stimuli; what failed its screening is missing.
MOST_METAMERS = 400


def read_transfer_file(path: str | Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read the answers of one network to the metamers of one other.

    Parameters
    ----------
    path
        A published file at its published path.

    Returns
    -------
    trials, summary : DataFrame
        The columns of `TRIAL_COLUMNS` and `SUMMARY_COLUMNS`; the summary has the
        published mean and bootstrap standard error of each stage. ``stage_index`` is 0
        for the input, which vision's human experiments leave out, and counts the
        stages from 1.

    Raises
    ------
    StudyError
        Where the path, a key, a length, a type or a mean is not as published.
    """
    path = Path(path)
    named = FILE_PATH.fullmatch(path.as_posix())
    if named is None:
        raise StudyError(
            f"{path}: not the path of a published file; they are called "
            ".../NETWORK/network_network_evaluations/accuracy_on_metamers_from_X.pckl"
        )
    modality = MODALITIES[named["sense"]]
    content = _checked(path, load_numbers(path), KEYS[modality])
    keys = {
        "modality": modality,
        "evaluator": named["evaluator"],
        "generator": named["generator"],
    }
    trials, summary = [], []
    for stage in content["mean"]:
        correct = np.array(content["correct"][stage], dtype=bool)
        index = list(content["mean"]).index(stage)
        trials.append(
            pd.DataFrame(
                {
                    **keys,
                    "observer": keys["evaluator"],
                    "observer_kind": "network",
                    "stage": stage,
                    "stage_index": index,
                    "position": np.arange(len(correct)),
                    "label": content["label"][stage],
                    "response": content["response"][stage],
                    "correct": correct,
                }
            )
        )
        summary.append(
            {
                **keys,
                "stage": stage,
                "stage_index": index,
                "n": len(correct),
                "proportion_correct": float(content["mean"][stage]),
                "sem": float(content["sem"][stage]),
            }
        )
    frame = pd.concat(trials, ignore_index=True)[list(TRIAL_COLUMNS)]
    return frame, pd.DataFrame(summary, columns=SUMMARY_COLUMNS)


def read_transfer(paths: Sequence[str | Path]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read the answers of all networks; empty tables where there are no files.

    Parameters
    ----------
    paths
        Published files at their published paths.

    Returns
    -------
    trials, summary : DataFrame
        As `read_transfer_file`, by modality, generator, evaluator and stage.
    """
    trials, summaries = [], []
    for path in sorted(map(str, paths)):
        frame, summary = read_transfer_file(path)
        trials.append(_compact(frame))
        summaries.append(summary)
    if not trials:
        empty = pd.DataFrame(columns=list(TRIAL_COLUMNS)).astype(TRIAL_COLUMNS)
        return empty, pd.DataFrame(columns=SUMMARY_COLUMNS)
    table = pd.concat(summaries, ignore_index=True)
    order = ["modality", "generator", "evaluator", "stage_index"]
    return _concatenate(trials), table.sort_values(order, ignore_index=True)


def _compact(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.astype(TRIAL_COLUMNS)


def _concatenate(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """Stack tables of categories without making text of them."""
    columns: dict[str, Any] = {}
    for name, kind in TRIAL_COLUMNS.items():
        parts = [frame[name] for frame in frames]
        if kind == "category":
            columns[name] = pd.api.types.union_categoricals(parts, sort_categories=True)
        else:
            columns[name] = np.concatenate([part.to_numpy() for part in parts])
    return pd.DataFrame(columns)


def _checked(path: Path, content: Any, keys: Mapping[str, str]) -> dict[str, Any]:
    """Return the parts of a file by our names, all of the expected form."""
    absent = [key for key in keys.values() if not isinstance(content, dict)]
    absent += [key for key in keys.values() if not absent and key not in content]
    if absent:
        raise StudyError(f"{path}: has no {', '.join(absent)}; fetch it again")
    parts = {name: content[key] for name, key in keys.items()}
    stages = list(parts["mean"])
    if any(
        not isinstance(part, dict) or list(part) != stages for part in parts.values()
    ):
        raise StudyError(f"{path}: its parts do not have the same stages")
    for stage in stages:
        lists = [parts[name][stage] for name in ("label", "response", "correct")]
        count = len(lists[0])
        text = all(isinstance(item, str) for part in lists[:2] for item in part)
        if not 0 < count <= MOST_METAMERS or not text or len(stage) > 100:
            raise StudyError(
                f"{path}, {stage}: not 1 to {MOST_METAMERS} answers in text"
            )
        if {len(part) for part in lists} != {count}:
            raise StudyError(f"{path}, {stage}: labels and answers differ in number")
        agree = [a == b for a, b in zip(*lists[:2], strict=True)]
        told = [bool(value) for value in lists[2]]
        if agree != told or abs(np.mean(told) - float(parts["mean"][stage])) > 1e-9:
            raise StudyError(
                f"{path}, {stage}: the answers do not give the mean that stands there"
            )
    return parts
