"""How well the synthesis converged: losses, own answers and survivors by stage."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import pandas as pd

from metamers.statistics.answers import boolean_values

COLUMNS = (
    "model",
    "stage",
    "stage_index",
    "n",
    "median_loss",
    "maximum_loss",
    "own_match",
    "own_match_lower",
    "own_match_upper",
    "survivors",
    "survivor_share",
)


def convergence_table(screening: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Summarize the screening tables by model and stage.

    Parameters
    ----------
    screening
        Rows of ``screening/*.csv``: model, stage, stage_index, final_loss,
        response_matches, passed.
    confidence
        Of Wilson's interval of the own match, in (0, 1).

    Returns
    -------
    DataFrame
        One row for each model and stage, in the order of the table.
    """
    rows: list[dict[str, Any]] = []
    keys = ["model", "stage", "stage_index"]
    for (model, stage, index), part in screening.groupby(keys, sort=False):
        matches = int((boolean_values(part["response_matches"]) == 1.0).sum())
        survivors = int((boolean_values(part["passed"]) == 1.0).sum())
        lower, upper = wilson_interval(matches, len(part), confidence)
        rows.append(
            {
                "model": model,
                "stage": stage,
                "stage_index": index,
                "n": len(part),
                "median_loss": part["final_loss"].median(),
                "maximum_loss": part["final_loss"].max(),
                "own_match": matches / len(part),
                "own_match_lower": lower,
                "own_match_upper": upper,
                "survivors": survivors,
                "survivor_share": survivors / len(part),
            }
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def wilson_interval(count: int, n: int, confidence: float) -> tuple[float, float]:
    """Return Wilson's score interval of a proportion (Wilson 1927).

    Parameters
    ----------
    count, n
        Successes of trials, n 1 or more.
    confidence
        In (0, 1).

    Returns
    -------
    lower, upper : float
        In [0, 1].
    """
    deviate = NormalDist().inv_cdf((1.0 + confidence) / 2.0)
    share, scale = count / n, 1.0 + deviate**2 / n
    center = (share + deviate**2 / (2 * n)) / scale
    variance = share * (1 - share) / n + deviate**2 / (4 * n**2)
    half = deviate * math.sqrt(variance) / scale
    return max(0.0, center - half), min(1.0, center + half)
