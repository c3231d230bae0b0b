"""What one generator's metamers are worth to some evaluators, in every draw."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from metamers.statistics.agreement import agreement_draws
from metamers.statistics.bootstrap import (
    Floats,
    Resampling,
    crossed_means,
    nan_mean,
)
from metamers.statistics.depth import area_over_depth, choose_stages
from metamers.statistics.evidence import Evidence, NotTestable

# From evidence, stages, generator, evaluators and counts to draws: (1 + draws,).
Value = Callable[[Evidence, str | None, str, list[str], Resampling], Floats]


def stage_rows(evidence: Evidence, stages: str | None, generator: str) -> list[int]:
    """Return the rows of a generator's answers that a claim is about.

    Parameters
    ----------
    evidence
        The tables of the modality.
    stages
        ``early``, ``late``, ``final`` or ``all`` (None: all).
    generator
        Name of the generator.

    Returns
    -------
    list of int
        Stages with enough survivors.

    Raises
    ------
    NotTestable
        Where no stage has enough.
    """
    answers = evidence.of(generator)
    rows = choose_stages(len(answers.stages) - 1, stages or "all")
    return evidence.kept_rows(answers, rows)


def recognition(
    evidence: Evidence,
    stages: str | None,
    generator: str,
    names: list[str],
    resampling: Resampling,
) -> Floats:
    """Return the mean recognition of the stages."""
    rows = stage_rows(evidence, stages, generator)
    return nan_mean(_means(evidence, "correct", rows, generator, names, resampling), 1)


def change(
    evidence: Evidence,
    stages: str | None,
    generator: str,
    names: list[str],
    resampling: Resampling,
) -> Floats:
    """Return the mean recognition of the stages less that of natural stimuli."""
    natural = _means(evidence, "correct", [0], generator, names, resampling)[:, 0]
    return recognition(evidence, stages, generator, names, resampling) - natural


def area(
    evidence: Evidence,
    stages: str | None,
    generator: str,
    names: list[str],
    resampling: Resampling,
) -> Floats:
    """Return the area under recognition relative to natural over relative depth."""
    count = len(evidence.of(generator).stages)
    rows = [0, *stage_rows(evidence, "all", generator)]
    found = np.full((len(resampling.stimuli), count), np.nan)
    found[:, rows] = _means(evidence, "correct", rows, generator, names, resampling)
    return area_over_depth(found)


def distance(
    evidence: Evidence,
    stages: str | None,
    generator: str,
    names: list[str],
    resampling: Resampling,
) -> Floats:
    """Return the mean relative distance to the reference in the evaluators' stages."""
    rows = stage_rows(evidence, stages, generator)
    found = _means(evidence, "distance", rows, generator, names, resampling)
    if not np.isfinite(found[0]).any():
        raise NotTestable(f"the trials hold no distances of metamers of {generator}")
    return nan_mean(found, 1)


def agreement(
    evidence: Evidence,
    stages: str | None,
    generator: str,
    names: list[str],
    resampling: Resampling,
) -> Floats:
    """Return the mean chance-corrected agreement with the answers to natural stimuli.

    Raises
    ------
    NotTestable
        Where the evaluators always give one answer, so that it is undefined.
    """
    answers = evidence.of(generator)
    columns = answers.members(names)
    part = Resampling(resampling.stimuli, resampling.evaluators[:, columns])
    only = evidence.screened
    response = answers.screened_codes(answers.response, only_passed=only)
    natural = answers.screened_codes(answers.natural_response, only_passed=only)
    found = np.stack(
        [
            agreement_draws(response[row][columns], natural[row][columns], part)
            for row in stage_rows(evidence, stages, generator)
        ],
        axis=1,
    )
    if not np.isfinite(found[0]).any():
        raise NotTestable(
            f"{' and '.join(names)} give one answer to everything that {generator} "
            "made, so their agreement beyond chance is undefined"
        )
    return nan_mean(found, 1)


def own_match(
    evidence: Evidence, stages: str | None, generator: str, stimuli: Floats
) -> Floats:
    """Return the smallest share, over stages, of metamers answered as their reference.

    All metamers count: those that pass the screening match by definition.

    Parameters
    ----------
    evidence, stages, generator
        As in `stage_rows`.
    stimuli
        (1 + draws, n_stimuli) counts.

    Returns
    -------
    ndarray
        (1 + draws,).

    Raises
    ------
    NotTestable
        Where the generator did not judge its own metamers.
    """
    answers = evidence.of(generator)
    rows = choose_stages(len(answers.stages) - 1, stages or "all")
    own = answers.members([generator])
    match = answers.match()[rows][:, own]
    if not np.isfinite(match).any(axis=(1, 2)).all():
        raise NotTestable(f"{generator} did not judge its own metamers of all stages")
    single = Resampling(stimuli, np.ones((len(stimuli), 1)))
    return np.asarray(crossed_means(match, single).min(axis=1))


def collapse(
    table: pd.DataFrame,
    stages: str | None,
    count: int,
    stimuli: list[str],
    counts: Floats,
) -> Floats:
    """Return how far noisy speech lies from clean, relative to other clean speech.

    Parameters
    ----------
    table
        Rows of ``collapse/*.csv`` of one model; several backgrounds of a stimulus are
        averaged first.
    stages
        As in `choose_stages`.
    count
        Number of stages of the model.
    stimuli
        Identifiers, in the order of `counts`.
    counts
        (1 + draws, n_stimuli).

    Returns
    -------
    ndarray
        (1 + draws,): the mean over stages of the geometric mean over stimuli of the
        ratio. Below 1, noisy and clean versions are closer than different sounds.
    """
    usable = table[(table["ratio"] > 0) & np.isfinite(table["ratio"])]
    logs = usable.assign(ratio=np.log(usable["ratio"]))
    grid = logs.pivot_table("ratio", "stage_index", "stimulus_id", aggfunc="mean")
    rows = choose_stages(count, stages or "all")
    values = grid.reindex(index=rows, columns=stimuli).to_numpy(float)
    single = Resampling(counts, np.ones((len(counts), 1)))
    return nan_mean(np.exp(crossed_means(values[:, None, :], single)), 1)


def _means(
    evidence: Evidence,
    array: str,
    rows: list[int],
    generator: str,
    names: list[str],
    resampling: Resampling,
) -> Floats:
    """Average one array of a generator's answers, (1 + draws, rows)."""
    answers = evidence.of(generator)
    columns = answers.members(names)
    part = Resampling(resampling.stimuli, resampling.evaluators[:, columns])
    values = answers.screened(getattr(answers, array), only_passed=evidence.screened)
    return crossed_means(values[rows][:, columns], part)
