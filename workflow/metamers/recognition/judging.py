"""A network judges the metamers of other networks, and its own.

One call serves one evaluator and one block of generators. Every stimulus is shown once,
as a person would get it; from that one forward pass come the answer and the activation
at the stage whose relative depth in the evaluator is that of the matched stage in the
generator.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import torch
from torch import Tensor

from metamers.errors import StudyError, suggest
from metamers.networks.network import Network
from metamers.recognition.observing import Observation, Observer
from metamers.recognition.tables import trial_table
from metamers.stimuli.files import read_categories, read_split
from metamers.synthesis.loss import matching_loss
from metamers.synthesis.null_files import read_null

# What the natural stimuli of a modality truly are; `correct` is about this label.
REFERENCE_LABEL = {"vision": "category", "audio": "word"}
NATURAL = "natural"


@dataclass(frozen=True)
class GeneratorFiles:
    """Where a generator's metamers are.

    Attributes
    ----------
    metamers
        ``metamers/{generator}.h5``: one group for each stage.
    screening
        ``screening/{generator}.csv``.
    stages
        Names of its stages, from the first to the last.
    task
        Name of its task.
    """

    metamers: Path
    screening: Path
    stages: Sequence[str]
    task: str


@dataclass(frozen=True)
class _Naturals:
    """Some natural stimuli, and what the evaluator made of them."""

    ids: np.ndarray
    labels: np.ndarray
    seen: Observation


def judge_block(
    network: Network,
    entry: Mapping[str, Any],
    stages: Mapping[str, str],
    generators: Mapping[str, GeneratorFiles],
    stimuli_path: str | Path,
    null_path: str | Path,
    *,
    study: str,
    evaluator: str,
    batch_size: int,
    device: str | torch.device = "cpu",
) -> pd.DataFrame:
    """Let one network judge all metamers of a block of generators.

    Parameters
    ----------
    network
        The evaluator, on `device`.
    entry
        Its resolved model entry.
    stages
        Its stages, {name: module path}, from the first to the last.
    generators
        The block: {name: files}, all of the evaluator's modality.
    stimuli_path
        The stimulus file of the modality.
    null_path
        The evaluator's null distributions.
    study, evaluator
        Names of the study and of the evaluator.
    batch_size
        Stimuli in one forward pass.
    device
        Where the network is.

    Returns
    -------
    DataFrame
        Trial table, by generator, stage and stimulus. ``label`` is what the natural
        stimulus truly is (category or word); ``correct`` is missing where the
        evaluator's task is about another label. ``relative_distance`` is
        ``||a - a0|| / ||a0||`` between metamer and natural stimulus at the evaluator's
        stage of the same relative depth, in units of `null_distances`: 0 for natural
        stimuli, about 1 for unrelated ones, missing where a0 is all zero.

    Raises
    ------
    StudyError
        Where a file lacks a stage, a stimulus or a screening result.
    """
    references = read_split(stimuli_path, "reference")
    categories = read_categories(stimuli_path)
    label = REFERENCE_LABEL[entry["modality"]]
    labels = np.array(categories[label])[references.label[label]]
    observer = Observer(network, entry, stages, categories, device)
    for files in generators.values():
        _check_complete(files, references.id)
    own_stages = list(stages)
    units = null_distances(null_path, own_stages)
    parts = []
    for start in range(0, len(references), batch_size):
        chunk = slice(start, start + batch_size)
        seen = observer.observe(references.stimulus[chunk], own_stages)
        naturals = _Naturals(references.id[chunk], labels[chunk], seen)
        for name, files in generators.items():
            found = [_natural_rows(naturals)]
            with h5py.File(files.metamers, "r") as stored:
                for index, stage in enumerate(files.stages):
                    own = stage_of_same_depth(own_stages, index, len(files.stages))
                    rows = _judge_stage(observer, naturals, stored, stage, own)
                    rows["relative_distance"] /= units[own]
                    found.append(rows.assign(stage=stage, stage_index=index + 1))
            block = pd.concat(found, ignore_index=True)
            parts.append(block.assign(generator=name, generator_task=files.task))
    trials = pd.concat(parts, ignore_index=True).assign(
        study=study,
        modality=entry["modality"],
        observer=evaluator,
        observer_kind="network",
        task=entry["task"]["name"],
    )
    trials["correct"] = _correct(trials, entry["task"]["label"] == label)
    trials["passed"] = _passed(trials, generators)
    return _in_order(trial_table(trials), list(generators), references.id)


def stage_of_same_depth(stages: Sequence[str], index: int, total: int) -> str:
    """Return the stage that lies as deep in one network as another's does in it.

    Parameters
    ----------
    stages
        The m stages of the network that is asked, from the first to the last.
    index
        Of the other network's stage, from 0.
    total
        n, how many stages the other network has.

    Returns
    -------
    str
        The stage at index / (n - 1) * (m - 1), halves rounded to the deeper one, so
        that first meets first and last meets last; the last one where n is 1.
    """
    if not 0 <= index < total:
        raise ValueError(f"stage index {index}; it must be from 0 to {total - 1}")
    if total == 1:
        return stages[-1]
    steps = 2 * index * (len(stages) - 1) + total - 1
    return stages[steps // (2 * (total - 1))]


def null_distances(path: str | Path, stages: Iterable[str]) -> dict[str, float]:
    """Return how far apart unrelated stimuli are at each stage of a network.

    Parameters
    ----------
    path
        The network's null distributions.
    stages
        Names of its stages.

    Returns
    -------
    dict
        {stage: median of ||a - b|| / ||a|| over the null's pairs of different natural
        stimuli}. The file holds it as ``db_snr`` = 10 log10(||a|| / ||a - b||), which
        decreases with the distance, so that the median of one gives that of the other.

    Raises
    ------
    StudyError
        Where the file has no null of a stage.
    """
    null = read_null(path)
    medians = {}
    for stage in stages:
        if stage not in null:
            raise StudyError(
                f"{path}: has no null distribution of the stage {stage!r}"
                f"{suggest(stage, null)}; sample the nulls again"
            )
        medians[stage] = float(10 ** (-null[stage]["db_snr"].quantile(0.5) / 10))
    return medians


def _check_complete(files: GeneratorFiles, references: np.ndarray) -> None:
    """Refuse metamers of other natural stimuli than those of the stimulus file."""
    with h5py.File(files.metamers, "r") as stored:
        for stage in files.stages:
            if stage not in stored:
                raise StudyError(
                    f"{files.metamers}: has no metamers of the stage {stage!r}"
                    f"{suggest(stage, stored)}; screen the metamers of this model again"
                )
            ids = list(stored[stage]["stimulus_id"].asstr()[:])
            odd = sorted(set(ids).symmetric_difference(references))
            if odd or len(ids) != len(references):
                example = f", e.g. {odd[0]!r}" if odd else ""
                raise StudyError(
                    f"{files.metamers}, stage {stage!r}: {len(ids)} metamers for "
                    f"{len(references)} natural stimuli, {len(odd)} without a "
                    f"counterpart{example}; synthesize the metamers of this model again"
                )


def _natural_rows(naturals: _Naturals) -> pd.DataFrame:
    """Return the rows of the natural stimuli, which repeat under each generator."""
    return pd.DataFrame(
        {
            "stimulus_id": naturals.ids,
            "label": naturals.labels,
            "response": naturals.seen.answers,
            "natural_response": naturals.seen.answers,
            "relative_distance": 0.0,
            "stage": NATURAL,
            "stage_index": 0,
        }
    )


def _judge_stage(
    observer: Observer, naturals: _Naturals, stored: h5py.File, stage: str, own: str
) -> pd.DataFrame:
    """Judge the metamers that a generator's stage has of some natural stimuli.

    Parameters
    ----------
    observer
        The evaluator.
    naturals
        The natural stimuli.
    stored
        The generator's metamers.
    stage
        The matched stage, of the generator.
    own
        The evaluator's stage at which the distance is taken.

    Returns
    -------
    DataFrame
        One row for each metamer; ``relative_distance`` has no unit yet.
    """
    row_of = {name: row for row, name in enumerate(naturals.ids)}
    ids = stored[stage]["stimulus_id"].asstr()[:]
    here = np.array([row for row, name in enumerate(ids) if name in row_of], dtype=int)
    rows = np.array([row_of[name] for name in ids[here]], dtype=int)
    seen = observer.observe(stored[stage]["metamer"][here], [own])
    target = naturals.seen.activations[own]
    target = target[torch.from_numpy(rows).to(target.device)]
    return pd.DataFrame(
        {
            "stimulus_id": naturals.ids[rows],
            "label": naturals.labels[rows],
            "response": seen.answers,
            "natural_response": naturals.seen.answers[rows],
            "relative_distance": _distance(seen.activations[own], target),
        }
    )


def _distance(activation: Tensor, target: Tensor) -> np.ndarray:
    """Return the matching loss of each stimulus, NaN where the target is all zero."""
    loss = matching_loss(activation.float(), target.float())
    silent = (target.flatten(1) == 0).all(dim=1)
    return loss.masked_fill(silent, float("nan")).cpu().numpy()


def _correct(trials: pd.DataFrame, same_label: bool) -> pd.Series:
    """Say whether answers are true, or missing where they are to another question."""
    if not same_label:
        return pd.Series(pd.NA, index=trials.index, dtype="boolean")
    return (trials["response"] == trials["label"]).astype("boolean")


def _passed(
    trials: pd.DataFrame, generators: Mapping[str, GeneratorFiles]
) -> np.ndarray:
    """Look up which metamers passed the screening; natural stimuli always do."""
    screened: dict[tuple[str, str, str], bool] = {}
    for name, files in generators.items():
        table = pd.read_csv(
            files.screening,
            usecols=["stage", "stimulus_id", "passed"],
            dtype={"stage": "str", "stimulus_id": "str", "passed": "boolean"},
            keep_default_na=False,
            na_values={"passed": [""]},
        )
        if table["passed"].isna().any():
            raise StudyError(f"{files.screening}: a metamer's `passed` is empty")
        for row in table.itertuples(index=False):
            screened[name, str(row.stage), str(row.stimulus_id)] = bool(row.passed)
    passed = np.ones(len(trials), dtype=bool)
    keys = trials[["generator", "stage", "stimulus_id"]].to_numpy()
    for position in np.flatnonzero(trials["stage_index"].to_numpy() > 0):
        name, stage, stimulus = keys[position]
        if (name, stage, stimulus) not in screened:
            raise StudyError(
                f"{generators[name].screening}: has no row for stage {stage!r}, "
                f"stimulus {stimulus!r}; screen the metamers of {name} again"
            )
        passed[position] = screened[name, stage, stimulus]
    return passed


def _in_order(
    trials: pd.DataFrame, generators: Sequence[str], stimuli: np.ndarray
) -> pd.DataFrame:
    """Sort by generator, stage and stimulus, in the orders of the study."""
    ranks = pd.DataFrame(
        {
            "generator": trials["generator"].map(
                {name: rank for rank, name in enumerate(generators)}
            ),
            "stage": trials["stage_index"],
            "stimulus": trials["stimulus_id"].map(
                {name: rank for rank, name in enumerate(stimuli)}
            ),
        }
    )
    order = ranks.sort_values(["generator", "stage", "stimulus"], kind="stable").index
    return trials.loc[order].reset_index(drop=True)
