"""Networks judge the controls of one stage: longer metamers, noise of their size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from metamers.networks.network import Network
from metamers.recognition.decisions import answer_names
from metamers.recognition.judging import (
    NATURAL,
    REFERENCE_LABEL,
    null_distances,
    stage_of_same_depth,
)
from metamers.recognition.observing import Observer
from metamers.recognition.tables import trial_table
from metamers.stimuli.files import Split
from metamers.synthesis.controls import longer_synthesis, noise_control
from metamers.synthesis.loss import matching_loss
from metamers.synthesis.null_files import read_null
from metamers.synthesis.screening import screen_stage
from metamers.synthesis.shards import MetamerShard, read_metamers


@dataclass(frozen=True)
class ControlStimuli:
    """The stimuli of one control, in the order of the references.

    Attributes
    ----------
    stimulus
        (n, ...), in stimulus units.
    passed
        (n,) bool: whether each passed the screening.
    """

    stimulus: np.ndarray
    passed: np.ndarray


@dataclass(frozen=True)
class ControlledStage:
    """The stage that the controls are about.

    Attributes
    ----------
    study, generator, generator_task
        The study, the model whose stage it is, and the name of its task.
    stage, index, total
        Name, place (from 1) and number of stages of the model.
    """

    study: str
    generator: str
    generator_task: str
    stage: str
    index: int
    total: int


def judge_controls(
    network: Network,
    entry: Mapping[str, Any],
    stages: Mapping[str, str],
    controls: Mapping[str, ControlStimuli],
    references: Split,
    categories: Mapping[str, Sequence[str]],
    null_path: str | Path,
    about: ControlledStage,
    *,
    evaluator: str,
    batch_size: int = 100,
    device: str | torch.device = "cpu",
) -> pd.DataFrame:
    """Let one network answer to the stimuli of all controls.

    Parameters
    ----------
    network, entry, stages
        The evaluator, its resolved entry and its stages {name: path}.
    controls
        {standard, longer, noise: stimuli}.
    references
        The natural stimuli.
    categories
        {label: names} of the stimulus file.
    null_path
        The evaluator's null distributions.
    about
        The stage that the controls are about.
    evaluator
        Name of the evaluator.
    batch_size
        Stimuli in one forward pass.
    device
        Where the network is.

    Returns
    -------
    DataFrame
        The trial table with the column ``control``; the natural stimuli stand in it
        once, as control ``natural`` of stage 0. ``relative_distance`` is that of
        `metamers.recognition.judging.judge_block`.
    """
    own = stage_of_same_depth(list(stages), about.index - 1, about.total)
    unit = null_distances(null_path, [own])[own]
    observer = Observer(network, entry, {own: stages[own]}, categories, device)
    shown = {
        NATURAL: ControlStimuli(references.stimulus, np.ones(len(references), bool))
    }
    shown |= controls
    parts: dict[str, list[pd.DataFrame]] = {name: [] for name in shown}
    for start in range(0, len(references), batch_size):
        chunk = slice(start, start + batch_size)
        target = observer.observe(references.stimulus[chunk], [own])
        for name, control in shown.items():
            seen = observer.observe(control.stimulus[chunk], [own])
            distance = matching_loss(
                seen.activations[own].float(), target.activations[own].float()
            )
            rows = {
                "stimulus_id": references.id[chunk],
                "response": seen.answers,
                "natural_response": target.answers,
                "passed": control.passed[chunk],
                "relative_distance": distance.cpu().numpy() / unit,
            }
            parts[name].append(pd.DataFrame(rows))
    tables = [
        _trials(
            pd.concat(found, ignore_index=True),
            name,
            references,
            categories,
            entry,
            about,
            evaluator,
        )
        for name, found in parts.items()
    ]
    return pd.concat(tables, ignore_index=True)


def _trials(
    answers: pd.DataFrame,
    control: str,
    references: Split,
    categories: Mapping[str, Sequence[str]],
    entry: Mapping[str, Any],
    about: ControlledStage,
    evaluator: str,
) -> pd.DataFrame:
    """Complete the answers to one control into rows of the trial table."""
    label = REFERENCE_LABEL[entry["modality"]]
    natural = control == NATURAL
    names = np.array(categories[label])[references.label[label]]
    table = answers.assign(
        study=about.study,
        modality=entry["modality"],
        observer=evaluator,
        observer_kind="network",
        generator=about.generator,
        stage=NATURAL if natural else about.stage,
        stage_index=0 if natural else about.index,
        label=names,
        task=entry["task"]["name"],
        generator_task=about.generator_task,
    )
    correct = (table["response"] == table["label"]).astype("boolean")
    if entry["task"]["label"] != label:
        # The evaluator answers another question.
        correct = correct.mask(correct.notna())
    table["correct"] = correct
    return trial_table(table, f"control {control}").assign(control=control)


def make_controls(
    network: Network,
    settings: Mapping[str, Any],
    references: Split,
    categories: Mapping[str, Sequence[str]],
    *,
    metamers_path: str | Path,
    null_path: str | Path,
    device: str | torch.device = "cpu",
    state_path: str | Path | None = None,
    fingerprint: str = "",
    save_seconds: float = 60.0,
) -> dict[str, ControlStimuli]:
    """Make the stimuli of the controls of one stage.

    Parameters
    ----------
    network
        The generator, on `device`.
    settings
        ``entry``, ``model``, ``stage``, ``path``, ``straight_through``, ``synthesis``,
        ``step_factor``, ``screening`` and ``seed``.
    references, categories
        As in `judge_controls`.
    metamers_path
        The generator's metamers; those of the stage are the standard.
    null_path
        The generator's null distributions, by which all metamers are screened.
    device, state_path, fingerprint, save_seconds
        As in `metamers.synthesis.controls.longer_synthesis`.

    Returns
    -------
    dict
        standard: the metamers there are; longer: with ``step_factor`` times the steps;
        noise: the references with noise of the standard metamers' error, all of which
        count as passed.
    """
    stage, entry, seed = settings["stage"], settings["entry"], settings["seed"]
    standard = read_metamers(metamers_path, [stage])[stage]
    shards = longer_synthesis(
        network,
        entry,
        stage,
        settings["path"],
        settings["straight_through"],
        references,
        settings["synthesis"],
        settings["step_factor"],
        seed,
        device,
        state_path,
        fingerprint,
        save_seconds,
        settings["model"],
    )
    null, answers = read_null(null_path), answer_names(entry["task"], categories)

    def passed(shard: MetamerShard) -> np.ndarray:
        table = screen_stage(shard, null, stage, settings, answers)
        return table["passed"].to_numpy(bool)

    noisy = noise_control(
        references.values(), standard.metamer, references.id, entry["modality"], seed
    )
    return {
        "standard": ControlStimuli(standard.metamer, passed(standard)),
        "longer": ControlStimuli(
            np.concatenate([shard.metamer for shard in shards]),
            np.concatenate([passed(shard) for shard in shards]),
        ),
        "noise": ControlStimuli(noisy, np.ones(len(references), bool)),
    }
