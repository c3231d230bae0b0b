"""Bootstrap crossed over stimuli and evaluators.

Recognition varies over the stimuli that metamers were made of and over the networks or
people that judge them. Both are samples, so both are drawn again, independently of each
other (the pigeonhole bootstrap of Owen 2007, Annals of Applied Statistics 1:386). A
draw is a set of multinomial counts, which makes every resampled mean a matrix product.

Every array of draws has the data themselves as its first entry (all counts one), then
the resampled ones: ``draws[0]`` is the effect, ``draws[1:]`` its distribution.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
LEAST_FINITE_SHARE = 0.5


@dataclass(frozen=True)
class Resampling:
    """How often each stimulus and each evaluator is counted in each draw.

    Attributes
    ----------
    stimuli
        (1 + draws, n_stimuli) counts; the first row is ones.
    evaluators
        (1 + draws, n_evaluators) counts; the first row is ones for the members and
        zeros for evaluators that are never drawn.
    """

    stimuli: Floats
    evaluators: Floats


def resample(
    n_stimuli: int,
    members: NDArray[np.bool_],
    draws: int,
    generator: np.random.Generator,
) -> Resampling:
    """Draw stimuli and evaluators with replacement.

    Parameters
    ----------
    n_stimuli
        Number of stimuli, 1 or more.
    members
        (n_evaluators,) which evaluators are drawn; the others get no weight.
    draws
        Number of draws, 0 or more.
    generator
        Source of randomness.

    Returns
    -------
    Resampling
        Counts that sum to the number of stimuli, and of members, in each draw.

    Raises
    ------
    ValueError
        Where there is no stimulus or no member.
    """
    size = int(members.sum())
    if n_stimuli < 1 or size < 1:
        raise ValueError(
            f"{n_stimuli} stimuli and {size} evaluators; a bootstrap needs one of each"
        )
    stimuli = np.ones((draws + 1, n_stimuli))
    evaluators = np.zeros((draws + 1, members.size))
    stimuli[1:] = multinomial_counts(n_stimuli, draws, generator)
    evaluators[0, members] = 1.0
    evaluators[1:, members] = multinomial_counts(size, draws, generator)
    return Resampling(stimuli, evaluators)


def multinomial_counts(
    size: int, draws: int, generator: np.random.Generator
) -> NDArray[np.int64]:
    """Return (draws, size) counts of a sample of `size` drawn with replacement."""
    return generator.multinomial(size, np.full(size, 1.0 / size), size=draws)


def crossed_means(values: NDArray[Any], resampling: Resampling) -> Floats:
    """Average over stimuli, then over evaluators, in every draw.

    Parameters
    ----------
    values
        (rows, n_evaluators, n_stimuli); NaN where there is no answer or the metamer
        is left out.
    resampling
        Counts of the same evaluators and stimuli.

    Returns
    -------
    ndarray
        (1 + draws, rows). The mean over evaluators of each one's mean over stimuli,
        evaluators without an answer left out; NaN where nothing was drawn.
    """
    present = np.isfinite(values)
    filled = np.where(present, values, 0.0)
    columns = [
        evaluator_means(
            resampling.stimuli @ filled[row].T,
            resampling.stimuli @ present[row].T.astype(float),
            resampling.evaluators,
        )
        for row in range(values.shape[0])
    ]
    return np.stack(columns, axis=1)


def evaluator_means(numerator: Floats, denominator: Floats, weights: Floats) -> Floats:
    """Average ratios over evaluators, leaving out those that are undefined.

    Parameters
    ----------
    numerator, denominator
        (draws, n_evaluators); a ratio is undefined where the denominator is 0 or NaN.
    weights
        (draws, n_evaluators).

    Returns
    -------
    ndarray
        (draws,), NaN where no evaluator with a weight is defined.
    """
    defined = denominator > 0
    ratio = np.divide(
        numerator, denominator, out=np.zeros_like(numerator), where=defined
    )
    counted = weights * defined
    total = counted.sum(axis=1)
    summed = (counted * ratio).sum(axis=1)
    return np.divide(summed, total, out=np.full_like(total, np.nan), where=total > 0)


def nan_mean(values: Floats, axis: int) -> Floats:
    """Average the finite values along an axis; NaN where there are none."""
    finite = np.isfinite(values)
    count = finite.sum(axis=axis)
    total = np.where(finite, values, 0.0).sum(axis=axis)
    empty = np.full(total.shape, np.nan)
    return np.divide(total, count, out=empty, where=count > 0)


def percentile_interval(draws: Floats, confidence: float) -> tuple[float, float]:
    """Return the percentile interval of resampled values.

    Parameters
    ----------
    draws
        (1 + draws,), the data themselves first.
    confidence
        In (0, 1).

    Returns
    -------
    lower, upper : float
        NaN where fewer than half of the draws are defined.
    """
    resampled = _usable(draws)
    if resampled.size == 0:
        return float("nan"), float("nan")
    tail = (1.0 - confidence) / 2.0
    lower, upper = np.quantile(resampled, [tail, 1.0 - tail])
    return float(lower), float(upper)


def two_sided_p(draws: Floats, null: float = 0.0) -> float:
    """Return the two-sided bootstrap p of "the effect is `null`".

    Parameters
    ----------
    draws
        (1 + draws,), the data themselves first.
    null
        The value that is tested.

    Returns
    -------
    float
        Twice the smaller of (count + 1) / (draws + 1) on each side, ties on both
        sides, at most 1 and never 0; NaN where fewer than half are defined.
    """
    resampled = _usable(draws)
    if resampled.size == 0:
        return float("nan")
    below = (np.count_nonzero(resampled <= null) + 1) / (resampled.size + 1)
    above = (np.count_nonzero(resampled >= null) + 1) / (resampled.size + 1)
    return float(min(1.0, 2.0 * min(below, above)))


def equivalence_p(draws: Floats, margin: float) -> float:
    """Return the bootstrap p of "the effect is at least `margin` away from zero".

    Two one-sided tests: the larger of the two shares of draws at or beyond each
    margin, (count + 1) / (draws + 1). A small value speaks for equivalence.

    Parameters
    ----------
    draws
        (1 + draws,), the data themselves first.
    margin
        Above zero, in the units of the effect.

    Returns
    -------
    float
        In (0, 1]; NaN where fewer than half of the draws are defined.
    """
    resampled = _usable(draws)
    if resampled.size == 0:
        return float("nan")
    beyond = max(
        np.count_nonzero(resampled >= margin), np.count_nonzero(resampled <= -margin)
    )
    return float((beyond + 1) / (resampled.size + 1))


def _usable(draws: Floats) -> Floats:
    """Return the resampled values that are defined, or none if those are too few."""
    resampled = draws[1:]
    finite = resampled[np.isfinite(resampled)]
    if finite.size < LEAST_FINITE_SHARE * resampled.size:
        return finite[:0]
    return finite
