"""Which metamers count: the network's answer and the match at the stage.

A metamer passes if the network that generated it answers as it does to the natural
reference and if each measure of likeness at the matched stage exceeds its null
distribution (Feather et al. 2023, Methods; the study's released code,
analysis_scripts/optimization_analysis_scripts.py). A failed metamer stays, marked with
the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from metamers.errors import StudyError, suggest
from metamers.stimuli.flatness import flatness
from metamers.synthesis.measures import MEASURES, NO_RESPONSE
from metamers.synthesis.null_files import Null, threshold
from metamers.synthesis.shards import MetamerShard


def screen(
    metamers: Mapping[str, MetamerShard],
    null: Null,
    settings: Mapping[str, Any],
    answers: Sequence[str],
) -> pd.DataFrame:
    """Say of each metamer of a model whether it passes, and if not why.

    Parameters
    ----------
    metamers
        All metamers of each stage (`metamers.synthesis.shards.read_metamers`).
    null
        The model's null distributions.
    settings
        ``model``; ``stages``, in order; ``screening`` with ``rule`` and ``quantile``,
        and ``any_answer`` if the response does not count.
    answers
        Name of each answer index of the model's task.

    Returns
    -------
    DataFrame
        A row for each metamer. A measure whose threshold is empty is at its ceiling at
        that stage and was not used there.

    Raises
    ------
    StudyError
        If a stage has no metamers or no null distribution, or an answer no name.
    """
    tables = []
    for index, stage in enumerate(settings["stages"], start=1):
        for kind, found in (("metamers", metamers), ("null distribution", null)):
            if stage not in found:
                raise StudyError(
                    f"model {settings['model']!r}: stage {stage!r} has no {kind}; "
                    f"there are those of {', '.join(found)}{suggest(stage, found)}"
                )
        table = screen_stage(metamers[stage], null, stage, settings, answers)
        table.insert(0, "model", settings["model"])
        table.insert(1, "stage", stage)
        table.insert(2, "stage_index", index)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def add_flatness(
    table: pd.DataFrame,
    metamers: Mapping[str, MetamerShard],
    natural: np.ndarray,
    sample_rate: int | None,
) -> pd.DataFrame:
    """Add how noise-like each metamer and its reference are.

    Parameters
    ----------
    table
        Of `screen`.
    metamers
        All metamers of each stage, stages as in the table.
    natural
        The references (n, ...), in the order of the metamers.
    sample_rate
        Of sounds, in Hz; None for images.

    Returns
    -------
    DataFrame
        The table with the columns flatness and natural_flatness, in dB.
    """
    stages = list(dict.fromkeys(table["stage"]))
    flat = [flatness(metamers[stage].metamer, sample_rate) for stage in stages]
    return table.assign(
        flatness=np.concatenate(flat),
        natural_flatness=np.tile(flatness(natural, sample_rate), len(stages)),
    )


def screen_stage(
    metamers: MetamerShard,
    null: Null,
    stage: str,
    settings: Mapping[str, Any],
    answers: Sequence[str],
) -> pd.DataFrame:
    """Return the screening table of one stage, without the columns that name it."""
    thresholds = {
        measure: threshold(null[stage][measure], measure, settings["screening"])
        for measure in MEASURES
    }
    response = answer_column(metamers.response, answers)
    natural = answer_column(metamers.natural_response, answers)
    final_loss = metamers.loss[:, -1].astype(float)
    matches = (metamers.response == metamers.natural_response) & (
        metamers.response != NO_RESPONSE
    )
    answered = matches | bool(settings["screening"].get("any_answer"))
    reasons = [
        "; ".join(failures(bool(answer), float(loss), values, thresholds))
        for answer, loss, values in zip(
            answered, final_loss, metamers.distances, strict=True
        )
    ]
    columns: dict[str, Any] = {
        "stimulus_id": metamers.stimulus_id,
        "final_loss": final_loss,
    }
    for column, measure in enumerate(MEASURES):
        columns[measure] = metamers.distances[:, column]
    for measure, value in thresholds.items():
        columns[f"null_{measure}"] = np.nan if value is None else value
    columns |= {
        "response": response,
        "natural_response": natural,
        "response_matches": matches,
        "passed": [reason == "" for reason in reasons],
        "reason": reasons,
        "pairs": null[stage][MEASURES[0]].pairs,
        "units": null[stage][MEASURES[0]].units,
        "rule": settings["screening"]["rule"],
    }
    return pd.DataFrame(columns)


def failures(
    matches: bool,
    final_loss: float,
    distances: np.ndarray,
    thresholds: Mapping[str, float | None],
) -> list[str]:
    """Return why a metamer fails; nothing if it passes.

    Parameters
    ----------
    matches
        Whether the response to the metamer is that to the reference, if it must be.
    final_loss
        Its matching loss.
    distances
        (3,): spearman, pearson, db_snr.
    thresholds
        What each measure must exceed; None leaves it out.
    """
    reasons = [] if matches else ["response differs from the natural one"]
    if not np.isfinite(final_loss):
        reasons.append("loss is not finite")
    for measure, value in zip(MEASURES, distances, strict=True):
        least = thresholds[measure]
        if np.isnan(value):
            reasons.append(f"{measure} is not a number")
        elif least is not None and not value > least:
            reasons.append(f"{measure} {value:.4g} <= null {least:.4g}")
    return reasons


def answer_column(index: np.ndarray, answers: Sequence[str]) -> list[str]:
    """Return the names of answers; an empty one where there is no response."""
    outside = (index != NO_RESPONSE) & ((index < 0) | (index >= len(answers)))
    if outside.any():
        raise StudyError(
            f"a metamer file holds the answer {index[outside][0]}, but the task has "
            f"{len(answers)} answers; make the metamers again with the present task"
        )
    return ["" if one == NO_RESPONSE else answers[one] for one in index]
