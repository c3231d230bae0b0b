"""Rank correlations with bootstrap intervals, and what depth alone would give.

Recognition falls with depth in every network, so any two measures that change with
depth correlate over stages. Beside a correlation over stages stand therefore the one
of depth alone and the partial one given depth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metamers.randomness import numpy_generator
from metamers.recognition.panel import PANEL
from metamers.statistics.answers import Models
from metamers.statistics.bootstrap import Floats, percentile_interval, two_sided_p
from metamers.statistics.depth import choose_stages
from metamers.statistics.robustness import relative_robustness

LEAST_POINTS = 4
COLUMNS = (
    "modality",
    "screened",
    "quantity",
    "points",
    "statistic",
    "n",
    "value",
    "lower",
    "upper",
    "p",
)


@dataclass(frozen=True)
class Correlation:
    """A rank correlation: value, percentile interval, bootstrap p, and points."""

    value: float
    lower: float
    upper: float
    p: float
    n: int


def spearman(first: NDArray[Any], second: NDArray[Any]) -> Floats:
    """Return Spearman's rho along the last axis, ties at their mean rank.

    Parameters
    ----------
    first, second
        (..., n) without missing values.

    Returns
    -------
    ndarray
        (...) in [-1, 1]; NaN where one of the two is constant.
    """
    return _pearson(_ranks(first), _ranks(second))


def partial_spearman(
    first: NDArray[Any], second: NDArray[Any], given: NDArray[Any]
) -> Floats:
    """Return Spearman's rho of two variables given a third, along the last axis.

    Parameters
    ----------
    first, second, given
        (..., n) without missing values.

    Returns
    -------
    ndarray
        (...) from the three rank correlations; NaN where one is undefined or `given`
        determines the ranks of one of the two.
    """
    one, two, three = _ranks(first), _ranks(second), _ranks(given)
    both, left, right = _pearson(one, two), _pearson(one, three), _pearson(two, three)
    scale = (1 - left**2) * (1 - right**2)
    determined = ~(scale > 1e-12)
    root = np.sqrt(np.where(determined, 1.0, scale))
    return np.where(determined, np.nan, (both - left * right) / root)


def bootstrap_correlation(
    variables: NDArray[np.float64],
    draws: int,
    confidence: float,
    generator: np.random.Generator,
) -> Correlation:
    """Correlate two variables over points, with points drawn with replacement.

    Parameters
    ----------
    variables
        (2, n), or (3, n) for the correlation of the first two given the third; points
        with a NaN are left out.
    draws
        Draws of the bootstrap.
    confidence
        Of the percentile interval.
    generator
        Source of randomness.

    Returns
    -------
    Correlation
        All NaN where fewer than four points are left.
    """
    points = variables[:, np.isfinite(variables).all(axis=0)]
    n = points.shape[1]
    if n < LEAST_POINTS:
        missing = float("nan")
        return Correlation(missing, missing, missing, missing, n)
    chosen = np.concatenate(
        [np.arange(n)[None], generator.integers(n, size=(draws, n))]
    )
    statistic = spearman if len(points) == 2 else partial_spearman
    values = statistic(*points[:, chosen])
    lower, upper = percentile_interval(values, confidence)
    return Correlation(float(values[0]), lower, upper, two_sided_p(values), n)


def correlation_table(
    recognition: pd.DataFrame,
    robustness: pd.DataFrame | None,
    models: Models,
    *,
    seed: int,
    draws: int,
    confidence: float,
) -> pd.DataFrame:
    """Correlate recognition by other networks with robustness, distance and depth.

    Parameters
    ----------
    recognition
        The table of `recognition_by_stage`.
    robustness
        Rows of ``robustness/*.csv``, or None.
    models
        Facts of each model.
    seed, draws, confidence
        Of the bootstrap over points.

    Returns
    -------
    DataFrame
        One row for each modality, screening, pair of quantities and statistic.
        ``points`` says what the n points are: trained models (recognition is the
        mean of the late stages), or their stages. Over stages each correlation
        stands with the one of depth alone (``depth_only``) and the one given depth
        (``partial_given_depth``). Stages of one model are no independent points, so
        those intervals are too narrow.
    """
    robust = relative_robustness(robustness)
    rows: list[dict[str, Any]] = []
    panel = recognition[
        (recognition["relation"] == PANEL) & (recognition["stage_index"] > 0)
    ].copy()
    panel = panel[[bool(models[name]["trained"]) for name in panel["generator"]]]
    panel["robustness"] = panel["generator"].map(robust).astype(float)
    keys = ["modality", "screened"]
    for (modality, screened), part in panel.groupby(keys, sort=False):
        pairs = {
            (quantity, points): variables
            for quantity, points, variables in _quantities(part, models)
        }
        for (quantity, points), variables in pairs.items():
            for statistic, chosen in _statistics(variables).items():
                stream = numpy_generator(
                    seed, "correlations", str(modality), quantity, points, statistic
                )
                found = bootstrap_correlation(chosen, draws, confidence, stream)
                rows.append(
                    {
                        "modality": modality,
                        "quantity": quantity,
                        "points": points,
                        "statistic": statistic,
                        "n": found.n,
                        "value": found.value,
                        "lower": found.lower,
                        "upper": found.upper,
                        "p": found.p,
                        "screened": screened,
                    }
                )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _quantities(
    part: pd.DataFrame, models: Models
) -> list[tuple[str, str, NDArray[np.float64]]]:
    """List the quantities to correlate: name, kind of points, (2 or 3, n) values."""
    late = [
        index in choose_stages(len(models[name]["stages"]), "late")
        for name, index in zip(part["generator"], part["stage_index"], strict=True)
    ]
    across = part[late].groupby("generator", sort=False)[["recognition", "robustness"]]
    over_models = across.mean().to_numpy(float).T
    depth = ["recognition", "robustness", "relative_depth"]
    over_stages = part[depth].to_numpy(float).T
    depth[1] = "relative_distance"
    distance = part[depth].to_numpy(float).T
    return [
        ("recognition by other networks with robustness", "models", over_models),
        ("recognition by other networks with robustness", "stages", over_stages),
        ("recognition by other networks with distance", "stages", distance),
    ]


def _statistics(
    variables: NDArray[np.float64],
) -> dict[str, NDArray[np.float64]]:
    """Return the variables of each statistic: plain, depth alone, given depth."""
    found = {"spearman": variables[:2]}
    if len(variables) == 3:
        known = variables[:, np.isfinite(variables).all(axis=0)]
        found["depth_only"] = known[[0, 2]]
        found["partial_given_depth"] = variables
    return found


def _ranks(values: NDArray[Any]) -> Floats:
    """Return ranks along the last axis, ties at their mean."""
    from scipy.stats import rankdata

    return np.asarray(rankdata(values, axis=-1), dtype=float)


def _pearson(first: Floats, second: Floats) -> Floats:
    """Return Pearson's r along the last axis; NaN where one is constant."""
    first = first - first.mean(axis=-1, keepdims=True)
    second = second - second.mean(axis=-1, keepdims=True)
    scale = np.sqrt((first**2).sum(-1) * (second**2).sum(-1))
    product = (first * second).sum(-1)
    constant = ~(scale > 0)
    ratio = np.clip(product / np.where(constant, 1.0, scale), -1.0, 1.0)
    return np.where(constant, np.nan, ratio)
