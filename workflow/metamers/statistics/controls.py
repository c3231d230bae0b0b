"""The controls of the method: longer synthesis, and noise of the metamers' size.

If recognition of metamers that were optimized longer differs, the standard ones had not
converged. If natural stimuli with white noise of the same pixel error are as hard to
recognize, it is the size of the error that matters and not the invariance.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metamers.errors import StudyError, suggest
from metamers.randomness import numpy_generator
from metamers.recognition.panel import OWN, PANEL
from metamers.statistics.answers import NATURAL, Answers, Models, arrange
from metamers.statistics.bootstrap import (
    Floats,
    crossed_means,
    percentile_interval,
    resample,
    two_sided_p,
)
from metamers.statistics.recognition_by_stage import related_observers

CONTROLS = ("standard", "longer", "noise")
COLUMNS = (
    "modality",
    "generator",
    "stage",
    "control",
    "relation",
    "screened",
    "recognition",
    "lower",
    "upper",
    "difference",
    "difference_lower",
    "difference_upper",
    "difference_p",
    "n_stimuli",
    "n_evaluators",
)


def control_table(
    trials: pd.DataFrame,
    models: Models,
    *,
    seed: int,
    draws: int,
    confidence: float,
) -> pd.DataFrame:
    """Compare each control with the standard metamers of the same stage.

    Parameters
    ----------
    trials
        Rows of ``controls/*.parquet``: the trial table and ``control`` (standard,
        longer, noise; natural rows are left out).
    models
        Facts of each model.
    seed, draws, confidence
        Of the bootstrap crossed over stimuli and evaluators; a control and the
        standard share their draws.

    Returns
    -------
    DataFrame
        One row for each modality, stage, control, relation (own, panel) and
        screening. ``difference`` is recognition less that of the standard, over the
        stimuli that are in both; zero for the standard itself.

    Raises
    ------
    StudyError
        Where a control is of no known kind, or the standard is missing.
    """
    made = trials[trials["stage"] != NATURAL]
    wrong = sorted(set(made["control"]) - set(CONTROLS))
    if wrong:
        raise StudyError(
            f"control is {wrong[0]!r}; allowed are {', '.join(CONTROLS)}"
            + suggest(wrong[0], CONTROLS)
        )
    rows: list[dict[str, Any]] = []
    keys = ["modality", "generator", "stage"]
    for (modality, generator, stage), part in made.groupby(keys, sort=False):
        if "standard" not in set(part["control"]):
            raise StudyError(
                f"the controls of {generator}, {stage}, lack the standard metamers "
                "that the others are compared with; make them again"
            )
        place = {"modality": modality, "generator": generator, "stage": stage}
        for relation in (OWN, PANEL):
            for screened in (True, False):
                stream = numpy_generator(seed, "controls", str(generator), relation)
                rows += _compare(
                    part,
                    models,
                    place | {"relation": relation, "screened": screened},
                    draws,
                    confidence,
                    stream,
                )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _compare(
    trials: pd.DataFrame,
    models: Models,
    place: dict[str, Any],
    draws: int,
    confidence: float,
    generator: np.random.Generator,
) -> list[dict[str, Any]]:
    """Return the rows of one stage for one group of observers."""
    grids = _grids(trials, models, place)
    if not grids:
        return []
    first = next(iter(grids.values()))
    members: NDArray[np.bool_] = np.ones(first.shape[0], dtype=bool)
    resampling = resample(first.shape[1], members, draws, generator)
    rows = []
    for control, grid in grids.items():
        both = np.isfinite(grid) & np.isfinite(grids["standard"])
        means = crossed_means(
            np.stack(
                [
                    grid,
                    np.where(both, grid, np.nan),
                    np.where(both, grids["standard"], np.nan),
                ]
            ),
            resampling,
        )
        difference = means[:, 1] - means[:, 2]
        lower, upper = percentile_interval(means[:, 0], confidence)
        low, high = percentile_interval(difference, confidence)
        rows.append(
            place
            | {
                "control": control,
                "recognition": means[0, 0],
                "lower": lower,
                "upper": upper,
                "difference": difference[0],
                "difference_lower": low,
                "difference_upper": high,
                "difference_p": two_sided_p(difference),
                "n_stimuli": int(np.isfinite(grid).any(axis=0).sum()),
                "n_evaluators": first.shape[0],
            }
        )
    return rows


def _grids(
    trials: pd.DataFrame, models: Models, place: dict[str, Any]
) -> dict[str, Floats]:
    """Return {control: (n_evaluators, n_stimuli) correct} of a group of observers."""
    generator, stage = str(place["generator"]), str(place["stage"])
    found: dict[str, Answers] = {}
    kinds = [name for name in CONTROLS if name in set(trials["control"])]
    for control in kinds:
        part = trials[trials["control"] == control]
        found[control] = arrange(part, models)[generator]
    names = sorted(
        {
            name
            for answers in found.values()
            for name in related_observers(answers, models).get(place["relation"], [])
        }
    )
    stimuli = sorted(trials["stimulus_id"].unique())
    if not names:
        return {}
    # One order of observers and stimuli for all controls: absent answers become NaN.
    grids = {}
    for control, answers in found.items():
        row = answers.stages.index(stage)
        values = answers.screened(answers.correct, only_passed=place["screened"])
        frame = pd.DataFrame(
            values[row], index=list(answers.observers), columns=list(answers.stimuli)
        )
        grids[control] = frame.reindex(index=names, columns=stimuli).to_numpy(float)
    return grids
