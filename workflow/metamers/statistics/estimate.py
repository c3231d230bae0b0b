"""A measured claim, and what all estimands do with their models and stimuli."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from metamers.statistics import values
from metamers.statistics.bootstrap import Floats, multinomial_counts
from metamers.statistics.claims_file import Claim
from metamers.statistics.evidence import Evidence, NotTestable

Item = TypeVar("Item")
Prepared = TypeVar("Prepared")


@dataclass(frozen=True)
class Estimate:
    """A measured claim: draws (the data first), what they rest on, and the yardstick.

    Attributes
    ----------
    draws
        (1 + draws,).
    seed_difference
        The same estimand between two seeds, at least 0; NaN where it cannot be had.
    n_stimuli
        Stimuli (or answers) at the stage where fewest are left.
    n_evaluators
        Evaluators drawn; None where the interval is not over evaluators.
    """

    draws: Floats
    seed_difference: float
    n_stimuli: int
    n_evaluators: int | None


def difference_between_seeds(evidence: Evidence, found: dict[str, Floats]) -> float:
    """Return how far apart the measured values of two seeds are, NaN without two."""
    apart = [
        abs(found[one][0] - found[other][0])
        for one, other in evidence.seed_pairs()
        if one in found and other in found
    ]
    return float(np.mean(apart)) if apart else float("nan")


def usable(
    evidence: Evidence, items: list[Item], prepare: Callable[[Item], Prepared]
) -> list[Prepared]:
    """Prepare the items that can be measured; note the others.

    Raises
    ------
    NotTestable
        With the first reason, where none can be.
    """
    prepared: list[Prepared] = []
    reasons: list[str] = []
    for item in items:
        try:
            prepared.append(prepare(item))
        except NotTestable as reason:
            reasons.append(str(reason))
    if not prepared:
        raise NotTestable(reasons[0])
    evidence.notes.extend(f"left out: {reason}" for reason in dict.fromkeys(reasons))
    return prepared


def stimulus_counts(claim: Claim, evidence: Evidence) -> Floats:
    """Draw stimuli only, (1 + draws, n_stimuli)."""
    if not evidence.answers:
        raise NotTestable("the study has no answers to metamers")
    size = len(next(iter(evidence.answers.values())).stimuli)
    counts = np.ones((evidence.draws + 1, size))
    counts[1:] = multinomial_counts(size, evidence.draws, evidence.generator(claim.id))
    return counts


def fewest(claim: Claim, evidence: Evidence, generators: list[str]) -> int:
    """Return the fewest stimuli that are in at any stage of the claim."""
    quiet = replace(evidence, notes=[])
    return min(
        quiet.survivors(quiet.of(name), values.stage_rows(quiet, claim.stages, name))
        for name in generators
    )
