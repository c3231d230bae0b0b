"""What an effect and its interval say about a claim: four verdicts, fixed rules.

The rules stand in words at the head of ``resources/claims.yaml``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from metamers.statistics.claims_file import Claim

SUPPORTED = "supported"
CONTRADICTED = "contradicted"
INCONCLUSIVE = "inconclusive"
NOT_TESTABLE = "not testable"


@dataclass(frozen=True)
class Result:
    """What was measured of one claim.

    Attributes
    ----------
    effect, lower, upper
        The estimand and its interval.
    p_adjusted
        After Holm's correction; NaN for checks (``at_least``), which are no tests.
    seed_difference
        The same estimand between two seeds, at least 0; NaN where there are none.
    n_evaluators
        Evaluators that the interval generalizes over; None where it is over none.
    """

    effect: float
    lower: float
    upper: float
    p_adjusted: float
    seed_difference: float
    n_evaluators: int | None


def judge(
    claim: Claim, result: Result, significance: float, least_evaluators: int
) -> tuple[str, str]:
    """Return the verdict on a claim and the reason for it.

    Parameters
    ----------
    claim
        The claim with its direction and numbers.
    result
        What was measured.
    significance
        The level that the adjusted p has to stay below.
    least_evaluators
        Fewer evaluators than this leave a claim about evaluators inconclusive.

    Returns
    -------
    verdict, reason : str
        ``supported``, ``contradicted`` or ``inconclusive``, and why.
    """
    if not all(map(math.isfinite, (result.effect, result.lower, result.upper))):
        return INCONCLUSIVE, "too few draws of the bootstrap are defined"
    if claim.direction == "at_least":
        return _judge_bound(claim, result)
    if result.n_evaluators is not None and result.n_evaluators < least_evaluators:
        return INCONCLUSIVE, (
            f"judged by {result.n_evaluators} evaluator, and the rule asks for "
            f"{least_evaluators}: the interval says nothing about other evaluators"
        )
    if claim.direction == "equivalent":
        return _judge_equivalence(claim, result, significance)
    return _judge_difference(claim, result, significance)


def _judge_bound(claim: Claim, result: Result) -> tuple[str, str]:
    """Judge a check of the method: the value has to reach the bound."""
    bound = claim.bound or 0.0
    if result.effect >= bound:
        return SUPPORTED, f"{result.effect:.3g} is at least {bound:g}"
    if result.upper < bound:
        return CONTRADICTED, f"the interval lies below {bound:g}"
    return INCONCLUSIVE, f"{result.effect:.3g} is below {bound:g}, the interval is not"


def _judge_equivalence(
    claim: Claim, result: Result, significance: float
) -> tuple[str, str]:
    """Judge a claim of no difference."""
    margin = claim.equivalence_margin or 0.0
    if result.lower > margin or result.upper < -margin:
        return CONTRADICTED, f"the interval lies outside ±{margin:g}"
    if not (-margin < result.lower and result.upper < margin):
        return INCONCLUSIVE, f"the interval reaches beyond ±{margin:g}"
    if not result.p_adjusted < significance:
        return INCONCLUSIVE, (
            f"the interval lies within ±{margin:g}, but the adjusted p is "
            f"{result.p_adjusted:.3g}"
        )
    return SUPPORTED, f"the interval lies within ±{margin:g}"


def _judge_difference(
    claim: Claim, result: Result, significance: float
) -> tuple[str, str]:
    """Judge a claim of a difference, in one direction or in either."""
    smallest = claim.smallest_effect or 0.0
    effect, lower, upper = _toward_claim(claim.direction, result)
    if upper <= 0 and claim.direction != "different":
        return CONTRADICTED, "no part of the interval is on the claimed side of zero"
    if upper < smallest:
        return CONTRADICTED, (
            f"the whole interval is short of the smallest effect of interest, "
            f"{smallest:g}"
        )
    shortcomings = []
    if lower <= 0:
        shortcomings.append("the interval reaches zero")
    if effect < smallest:
        shortcomings.append(
            f"the effect is short of the smallest of interest, {smallest:g}"
        )
    if not result.p_adjusted < significance:
        shortcomings.append(f"the adjusted p is {result.p_adjusted:.3g}")
    if math.isfinite(result.seed_difference) and effect <= result.seed_difference:
        shortcomings.append("another seed makes as large a difference")
    if shortcomings:
        return INCONCLUSIVE, "; ".join(shortcomings)
    return SUPPORTED, (
        f"the interval excludes zero and the effect is beyond the smallest of "
        f"interest, {smallest:g}"
    )


def _toward_claim(direction: str, result: Result) -> tuple[float, float, float]:
    """Return effect, lower and upper so that the claimed direction is positive."""
    if direction == "greater":
        return result.effect, result.lower, result.upper
    if direction == "less":
        return -result.effect, -result.upper, -result.lower
    # Either direction: distances from zero; the lower one is 0 if zero is inside.
    nearest = max(result.lower, -result.upper, 0.0)
    return abs(result.effect), nearest, max(abs(result.lower), abs(result.upper))
