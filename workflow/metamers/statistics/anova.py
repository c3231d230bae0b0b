"""Repeated-measures analysis of variance, as MATLAB's fitrm and ranova compute it.

The study's tables were made with those functions (released code,
matlab_statistics_functions). A multivariate linear model is fitted to the repeated
measures; each within-subject term is tested on orthonormal contrasts of the measures,
each between-subject term on its row of the design. Sphericity corrections are those
that MATLAB prints, Huynh-Feldt in the form of Lecoutre (1991).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metamers.statistics.bootstrap import Floats

INTERCEPT = "(Intercept)"
COLUMNS = (
    "effect",
    "SumSq",
    "DF",
    "MeanSq",
    "F",
    "pValue",
    "pValueGG",
    "pValueHF",
    "pValueLB",
    "partial_etaSquared",
)


def repeated_measures_anova(
    values: NDArray[np.floating],
    within: Sequence[str],
    groups: NDArray[Any] | None = None,
    between: str = "group",
) -> pd.DataFrame:
    """Return the table of a design with within-subject factors and up to two groups.

    Parameters
    ----------
    values
        (subjects, levels of the first factor, levels of the second, ...), without
        missing values.
    within
        Names of the within-subject factors, in the order of the axes.
    groups
        (subjects,) with two different values, the group of each subject; None for one
        group.
    between
        Name of the between-subject factor.

    Returns
    -------
    DataFrame
        `COLUMNS`; for each term first the intercept, then the group, then the error
        term that both are tested against. Errors have no F; the first intercept has no
        partial eta squared, as the study prints it.

    Raises
    ------
    ValueError
        If shapes do not fit, a value is missing, a factor has fewer than two levels,
        or there are not two groups with more subjects than groups.
    """
    measures: Floats = np.asarray(values, dtype=float)
    _check(measures, within, groups)
    count = len(measures)
    design: Floats = np.ones((count, 1))
    effects = [INTERCEPT]
    if groups is not None:
        first = np.unique(groups)[0]
        sign = np.where(np.asarray(groups) == first, 1.0, -1.0)
        design = np.column_stack([design, sign])
        effects.append(between)
    rows: list[dict[str, Any]] = []
    flat = measures.reshape(count, -1)
    for term, contrasts in _terms(within, measures.shape[1:]):
        rows += _term_rows(flat @ contrasts, design, effects, term)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def epsilons(residuals: Floats, error_freedom: int) -> dict[str, float]:
    """Return the sphericity corrections of one term.

    Parameters
    ----------
    residuals
        (subjects, contrasts) of the fitted contrasts.
    error_freedom
        Subjects less the columns of the design.

    Returns
    -------
    dict
        ``GG`` (Greenhouse-Geisser), ``HF`` (Huynh-Feldt, Lecoutre's form) and ``LB``
        (the lower bound), each in (0, 1].
    """
    size = residuals.shape[1]
    covariance = residuals.T @ residuals / error_freedom
    trace, squares = float(np.trace(covariance)), float((covariance**2).sum())
    greenhouse = trace**2 / (size * squares) if squares > 0 else 1.0
    room = size * (error_freedom - size * greenhouse)
    huynh = ((error_freedom + 1) * size * greenhouse - 2) / room if room > 0 else 1.0
    return {"GG": greenhouse, "HF": min(1.0, huynh), "LB": 1 / size}


def _terms(
    within: Sequence[str], levels: Sequence[int]
) -> Iterator[tuple[str, Floats]]:
    """Yield each within-subject term and its orthonormal contrasts of the measures.

    The term without factors comes first, then each factor, then their interactions.
    """
    for size in range(len(within) + 1):
        for chosen in combinations(range(len(within)), size):
            contrasts: Floats = np.ones((1, 1))
            for axis, count in enumerate(levels):
                basis = _basis(count, axis in chosen)
                contrasts = np.asarray(np.kron(contrasts, basis), dtype=float)
            yield ":".join(within[axis] for axis in chosen), contrasts


def _basis(count: int, tested: bool) -> Floats:
    """Return contrasts (count, count - 1), or the average (count, 1), of unit norm."""
    from scipy.linalg import helmert

    full = np.asarray(helmert(count, full=True), dtype=float)
    return (full[1:] if tested else full[:1]).T


def _term_rows(
    contrasts: Floats, design: Floats, effects: Sequence[str], term: str
) -> Iterator[dict[str, Any]]:
    """Yield the rows of one within-subject term, each effect and then the error."""
    size = contrasts.shape[1]
    inverse = np.linalg.inv(design.T @ design)
    coefficients = inverse @ design.T @ contrasts
    residuals = contrasts - design @ coefficients
    freedom = len(design) - design.shape[1]
    error = {"SumSq": float((residuals**2).sum()), "DF": size * freedom}
    error["MeanSq"] = error["SumSq"] / error["DF"]
    corrections = epsilons(residuals, freedom)
    for index, effect in enumerate(effects):
        square = float((coefficients[index] ** 2).sum()) / inverse[index, index]
        row = {
            "effect": f"{effect}:{term}" if term else effect,
            **_tested(square, size, error, corrections),
        }
        if not term and effect == INTERCEPT:
            row["partial_etaSquared"] = np.nan
        yield row
    yield {"effect": f"Error({term})" if term else "Error", **error}


def _tested(
    square: float,
    freedom: int,
    error: Mapping[str, float],
    corrections: Mapping[str, float],
) -> dict[str, float]:
    """Return F and its probabilities for one effect."""
    from scipy.stats import f as f_distribution

    mean = square / freedom
    ratio = mean / error["MeanSq"] if error["MeanSq"] > 0 else np.nan
    tails = {
        f"pValue{name}": float(
            f_distribution.sf(ratio, freedom * epsilon, error["DF"] * epsilon)
        )
        for name, epsilon in {"": 1.0, **corrections}.items()
    }
    eta = square / (square + error["SumSq"])
    return {
        "SumSq": square,
        "DF": freedom,
        "MeanSq": mean,
        "F": ratio,
        **tails,
        "partial_etaSquared": eta,
    }


def _check(values: Floats, within: Sequence[str], groups: NDArray[Any] | None) -> None:
    if values.ndim != len(within) + 1 or not within:
        raise ValueError(
            f"values of shape {values.shape} for the factors {', '.join(within)}: one "
            "axis of subjects and one for each factor are needed"
        )
    if min(values.shape[1:]) < 2:
        raise ValueError(
            f"values of shape {values.shape}: each factor needs at least two levels"
        )
    if not np.isfinite(values).all():
        raise ValueError("a measure is missing; leave out subjects without all of them")
    names = [None] if groups is None else list(np.unique(groups))
    if groups is not None and (len(names) != 2 or len(groups) != len(values)):
        raise ValueError(
            f"{len(names)} groups of {len(groups)} subjects, for values of "
            f"{len(values)}; exactly two groups are needed, or none"
        )
    if len(values) <= len(names):
        raise ValueError(
            f"{len(values)} subjects; at least {len(names) + 1} are needed"
        )
