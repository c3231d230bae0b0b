"""Chance-corrected agreement of answers to metamers with answers to their references.

Networks of different tasks share no correct answer. What they share is the question
whether a metamer gets the answer that its natural stimulus gets, beyond what the two
distributions of answers give by chance (Cohen 1960).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from metamers.statistics.bootstrap import Floats, Resampling, evaluator_means

MISSING = -1
# Below this share of agreement left to chance, kappa is 0/0 up to rounding.
LEAST_DISAGREEMENT = 1e-9


def agreement_draws(
    response: NDArray[np.integer],
    natural_response: NDArray[np.integer],
    resampling: Resampling,
) -> Floats:
    """Return kappa of each observer's two answers, averaged over observers.

    Parameters
    ----------
    response, natural_response
        (n_evaluators, n_stimuli) category codes from 0; -1 where there is no answer
        or the metamer is left out.
    resampling
        Counts of the same evaluators and stimuli.

    Returns
    -------
    ndarray
        (1 + draws,). 1 is perfect agreement, 0 what chance gives; NaN where kappa is
        undefined for all evaluators, because both answers are always one category.
    """
    counted = resampling.evaluators.any(axis=0)
    numerator = np.zeros(resampling.evaluators.shape)
    denominator = np.zeros(resampling.evaluators.shape)
    for evaluator in np.flatnonzero(counted):
        above_chance, possible = _kappa_parts(
            response[evaluator], natural_response[evaluator], resampling.stimuli
        )
        numerator[:, evaluator] = above_chance
        denominator[:, evaluator] = possible
    return evaluator_means(numerator, denominator, resampling.evaluators)


def _kappa_parts(
    first: NDArray[np.integer], second: NDArray[np.integer], weights: Floats
) -> tuple[Floats, Floats]:
    """Return the agreement above chance and the possible one, (draws,) each."""
    present = (first != MISSING) & (second != MISSING)
    if not present.any():
        return np.zeros(len(weights)), np.zeros(len(weights))
    weights, first, second = weights[:, present], first[present], second[present]
    total = weights.sum(axis=1)
    scale = np.divide(1.0, total, out=np.zeros_like(total), where=total > 0)
    categories = np.arange(max(first.max(), second.max()) + 1)
    share_first = weights @ (first[:, None] == categories) * scale[:, None]
    share_second = weights @ (second[:, None] == categories) * scale[:, None]
    observed = weights @ (first == second) * scale
    expected = (share_first * share_second).sum(axis=1)
    possible = np.where(total > 0, 1.0 - expected, 0.0)
    possible[possible < LEAST_DISAGREEMENT] = 0.0
    return observed - expected, possible
