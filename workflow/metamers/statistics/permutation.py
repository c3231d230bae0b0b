"""Permutation tests of the repeated-measures designs of the study.

Each null distribution shuffles what its hypothesis says is exchangeable (released code,
matlab_statistics_functions). A draw that equals the data up to rounding counts as at
least as large, and the data themselves count as one draw, so that p is never zero and
never too small; where all rearrangements can be listed, p is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from math import comb
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from metamers.statistics.bootstrap import Floats

# Two statistics that differ by less than this share are the same in exact arithmetic.
TIE = 1e-9
# Values that are held at once, 8 bytes each.
CHUNK_VALUES = 4_000_000
MOST_REARRANGEMENTS = 1 << 25

Statistic = Callable[[Floats], Floats]


def p_value(null: Floats, observed: float) -> float:
    """Return (count + 1) / (draws + 1) of the draws that reach the observed value."""
    return (int((null >= observed - TIE * abs(observed)).sum()) + 1) / (null.size + 1)


class ExactP(NamedTuple):
    """The share of all rearrangements that reach the data.

    Attributes
    ----------
    p
        With those whose statistic equals that of the data, the data among them.
    strict
        Without them.
    """

    p: float
    strict: float


def exact_p_value(null: Floats, observed: float) -> ExactP:
    """Compare the statistic of every rearrangement with that of the data."""
    margin = TIE * abs(observed)
    return ExactP(
        float((null >= observed - margin).mean()),
        float((null > observed + margin).mean()),
    )


def stage_f(values: Floats) -> Floats:
    """Return F of one within-subject factor.

    Parameters
    ----------
    values
        (..., subjects, levels).

    Returns
    -------
    ndarray
        (...).
    """
    subjects = values.shape[-2]
    values = values - values.mean(axis=-1, keepdims=True)
    effect = subjects * (values.mean(axis=-2) ** 2).sum(axis=-1)
    error = (values**2).sum(axis=(-2, -1)) - effect
    return np.asarray(effect / (error / (subjects - 1)), dtype=float)


def interaction_f(values: Floats) -> Floats:
    """Return F of the interaction of two within-subject factors.

    Parameters
    ----------
    values
        (..., subjects, levels of the first, levels of the second).

    Returns
    -------
    ndarray
        (...).
    """
    subjects = values.shape[-3]
    values = values - values.mean(axis=-1, keepdims=True)
    values = values - values.mean(axis=-2, keepdims=True)
    effect = subjects * (values.mean(axis=-3) ** 2).sum(axis=(-2, -1))
    error = (values**2).sum(axis=(-3, -2, -1)) - effect
    return np.asarray(effect / (error / (subjects - 1)), dtype=float)


def group_f(values: Floats, groups: NDArray[np.bool_]) -> Floats:
    """Return F of the difference between two groups in one measure.

    Parameters
    ----------
    values
        (..., subjects).
    groups
        (..., subjects): whether a subject is in the first group.
    """
    return group_interaction_f(values[..., None], groups, center=False)


def group_interaction_f(
    values: Floats, groups: NDArray[np.bool_], *, center: bool = True
) -> Floats:
    """Return F of the interaction of two groups with a within-subject factor.

    Parameters
    ----------
    values
        (..., subjects, levels).
    groups
        (..., subjects): whether a subject is in the first group.
    center
        Whether to take out each subject's mean, as the interaction needs.

    Returns
    -------
    ndarray
        (...).
    """
    if center:
        values = values - values.mean(axis=-1, keepdims=True)
    first = groups.astype(float)[..., None]
    sizes = np.stack([first.sum(axis=-2), (1 - first).sum(axis=-2)])
    means = np.stack([(values * first).sum(-2), (values * (1 - first)).sum(-2)]) / sizes
    grand = (sizes * means).sum(axis=0) / sizes.sum(axis=0)
    effect = (sizes * (means - grand) ** 2).sum(axis=(0, -1))
    error = (values**2).sum(axis=(-2, -1)) - (sizes * means**2).sum(axis=(0, -1))
    return np.asarray(effect / (error / (values.shape[-2] - 2)), dtype=float)


def stage_test(
    values: NDArray[Any], draws: int, generator: np.random.Generator
) -> float:
    """Test a within-subject factor by shuffling its levels in each subject.

    Parameters
    ----------
    values
        (subjects, levels).
    draws
        Random rearrangements.
    generator
        Source of randomness.

    Returns
    -------
    float
        p in (0, 1].
    """
    null = _null(values, draws, generator, stage_f)
    return p_value(null, float(stage_f(values)))


def interaction_test(
    values: NDArray[Any], draws: int, generator: np.random.Generator
) -> float:
    """Test an interaction by shuffling all cells of the two factors in each subject.

    Parameters
    ----------
    values
        (subjects, levels of the first factor, levels of the second).
    draws, generator
        As in `stage_test`.
    """
    null = _null(values, draws, generator, interaction_f)
    return p_value(null, float(interaction_f(values)))


def group_test(
    values: NDArray[Any],
    groups: NDArray[np.bool_],
    draws: int,
    generator: np.random.Generator,
) -> tuple[float, float]:
    """Test two groups, and their interaction with a within-subject factor.

    The groups are tested on each subject's mean, with the labels shuffled over
    subjects; the interaction with the labels shuffled and, in each subject, the levels.

    Parameters
    ----------
    values
        (subjects, levels).
    groups
        (subjects,): whether a subject is in the first group.
    draws, generator
        As in `stage_test`.

    Returns
    -------
    main, interaction : float
    """
    means = values.mean(axis=1)
    labels = _shuffled(groups, draws, generator)
    main = p_value(group_f(means, labels), float(group_f(means, groups)))
    null = np.concatenate(
        [
            group_interaction_f(part, _shuffled(groups, len(part), generator))
            for part in _rearranged(values, draws, generator)
        ]
    )
    return main, p_value(null, float(group_interaction_f(values, groups)))


def exact_group_test(values: NDArray[Any], groups: NDArray[np.bool_]) -> ExactP | None:
    """Test two groups over all ways of splitting the subjects; None if too many.

    Parameters
    ----------
    values
        (subjects,).
    groups
        (subjects,): whether a subject is in the first group.
    """
    subjects, size = len(values), int(groups.sum())
    if comb(subjects, size) * subjects > MOST_REARRANGEMENTS:
        return None
    chosen = np.array(list(combinations(range(subjects), size)))
    splits = np.zeros((len(chosen), subjects), dtype=bool)
    np.put_along_axis(splits, chosen, True, axis=1)
    # F grows with the squared distance of a group's sum from its expectation.
    centered = np.asarray(values, dtype=float) - np.mean(values)
    return exact_p_value((splits @ centered) ** 2, float(centered[groups].sum() ** 2))


def exact_swap_test(
    differences: NDArray[Any], *, one_sided: bool = False
) -> ExactP | None:
    """Test paired differences over all ways of swapping the pairs; None if too many.

    Parameters
    ----------
    differences
        (pairs,) first minus second.
    one_sided
        Whether only a larger mean counts, not a smaller one.
    """
    if 1 << len(differences) > MOST_REARRANGEMENTS:
        return None
    sums = np.zeros(1)
    for difference in np.asarray(differences, dtype=float):
        sums = np.concatenate([sums + difference, sums - difference])
    observed = float(np.sum(differences))
    if not one_sided:
        sums, observed = np.abs(sums, out=sums), abs(observed)
    return exact_p_value(sums, observed)


def _null(
    values: NDArray[Any], draws: int, generator: np.random.Generator, of: Statistic
) -> Floats:
    parts = [of(part) for part in _rearranged(values, draws, generator)]
    return np.concatenate(parts)


def _rearranged(
    values: NDArray[Any], draws: int, generator: np.random.Generator
) -> Iterator[Floats]:
    """Yield draws with the measures of each subject shuffled, in bounded memory."""
    subjects = len(values)
    flat = np.asarray(values, dtype=float).reshape(subjects, -1)
    step = max(1, CHUNK_VALUES // flat.size)
    for start in range(0, draws, step):
        count = min(step, draws - start)
        copies = np.broadcast_to(flat, (count, *flat.shape))
        yield generator.permuted(copies, axis=-1).reshape(count, *values.shape)


def _shuffled(
    groups: NDArray[np.bool_], draws: int, generator: np.random.Generator
) -> NDArray[np.bool_]:
    return generator.permuted(np.broadcast_to(groups, (draws, len(groups))), axis=-1)
