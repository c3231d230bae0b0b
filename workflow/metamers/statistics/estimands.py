"""The closed set of quantities that a claim can be about.

Every estimand returns draws: the value in the data first, then in each resample. The
contrasts compare two generators through evaluators that judged both, so that neither is
favored by its judges.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from metamers.recognition.panel import OTHER_TASK, SEED_SIBLING, relation
from metamers.statistics import values
from metamers.statistics.bootstrap import Floats, Resampling, nan_mean
from metamers.statistics.claims_file import Claim
from metamers.statistics.estimate import (
    Estimate,
    difference_between_seeds,
    fewest,
    stimulus_counts,
    usable,
)
from metamers.statistics.evidence import Evidence, NotTestable
from metamers.statistics.model_estimands import (
    collapse_contrast,
    robustness_contrast,
    robustness_correlation,
)

VALUES: dict[str, values.Value] = {
    "recognition_change": values.change,
    "recognition_contrast": values.recognition,
    "recognition_area_contrast": values.area,
    "distance_contrast": values.distance,
}


def estimate(claim: Claim, evidence: Evidence) -> Estimate:
    """Measure one claim in one modality.

    Parameters
    ----------
    claim
        The claim.
    evidence
        The tables of the modality; notes are added to its ``notes``.

    Returns
    -------
    Estimate
        The draws and what they rest on.

    Raises
    ------
    NotTestable
        Where the study lacks what the claim needs.
    """
    special: dict[str, Callable[[Claim, Evidence], Estimate]] = {
        "own_match_minimum": _own_match_minimum,
        "recognition_change": _change,
        "transfer_contrast": _transfer_contrast,
        "collapse_contrast": collapse_contrast,
        "robustness_contrast": robustness_contrast,
        "robustness_correlation": robustness_correlation,
    }
    return special.get(claim.estimand, _contrast)(claim, evidence)


def _change(claim: Claim, evidence: Evidence) -> Estimate:
    """Measure what metamers lose relative to natural stimuli, mean over generators."""
    value = VALUES[claim.estimand]

    def prepare(generator: str) -> tuple[str, list[str]]:
        values.stage_rows(evidence, claim.stages, generator)
        return generator, evidence.evaluators(generator, claim.observers)

    prepared = usable(evidence, evidence.select(claim.models), prepare)
    names = {name for _, found in prepared for name in found}
    resampling = evidence.resampling(claim, names)
    draws = [
        value(evidence, claim.stages, generator, found, resampling)
        for generator, found in prepared
    ]
    return Estimate(
        nan_mean(np.stack(draws), 0),
        _seed_difference(claim, evidence),
        fewest(claim, evidence, [generator for generator, _ in prepared]),
        len(names),
    )


def _contrast(claim: Claim, evidence: Evidence) -> Estimate:
    """Measure the difference between two kinds of generators, mean over pairs."""
    value = VALUES[claim.estimand]

    def prepare(pair: tuple[str, str]) -> tuple[tuple[str, str], list[str]]:
        for generator in pair:
            values.stage_rows(evidence, claim.stages, generator)
        return pair, evidence.common_evaluators(*pair, claim.observers)

    prepared = usable(evidence, evidence.pairs(claim), prepare)
    names = {name for _, found in prepared for name in found}
    resampling = evidence.resampling(claim, names)
    draws = [
        value(evidence, claim.stages, one, found, resampling)
        - value(evidence, claim.stages, other, found, resampling)
        for (one, other), found in prepared
    ]
    return Estimate(
        nan_mean(np.stack(draws), 0),
        _seed_difference(claim, evidence),
        fewest(claim, evidence, [name for pair, _ in prepared for name in pair]),
        len(names),
    )


def _seed_difference(claim: Claim, evidence: Evidence) -> float:
    """Return the claim's quantity between two seeds of the standard network."""
    value = VALUES[claim.estimand]
    quiet = replace(evidence, draws=0, notes=[])
    found = []
    for one, other in evidence.seed_pairs():
        try:
            names = quiet.common_evaluators(one, other, claim.observers)
            single = quiet.resampling(claim, set(names))
            first, second = (
                value(quiet, claim.stages, generator, names, single)[0]
                for generator in (one, other)
            )
        except NotTestable:
            continue
        found.append(abs(first - second))
    return float(np.mean(found)) if found else float("nan")


def _own_match_minimum(claim: Claim, evidence: Evidence) -> Estimate:
    """Measure the worst stage of the worst network in matching its own answers."""
    models = evidence.select(claim.models)
    stimuli = stimulus_counts(claim, evidence)

    def matched(generator: str) -> tuple[str, Floats]:
        return generator, values.own_match(evidence, claim.stages, generator, stimuli)

    found = dict(usable(evidence, models, matched))
    draws = np.stack(list(found.values())).min(axis=0)
    worst = min(found, key=lambda name: found[name][0])
    evidence.notes.append(f"{len(found)} networks, the worst is {worst}")
    everything = replace(evidence, screened=False)
    return Estimate(
        draws,
        difference_between_seeds(evidence, found),
        fewest(claim, everything, list(found)),
        None,
    )


def _transfer_contrast(claim: Claim, evidence: Evidence) -> Estimate:
    """Measure agreement of seed siblings less that of networks of another task.

    The networks are the ones that the claim names, no sample: only stimuli are drawn.
    """
    if claim.against is None:
        raise ValueError(f"the claim {claim.id!r} compares nothing")
    models, judges = evidence.select(claim.models), evidence.select(claim.against)
    stimuli = stimulus_counts(claim, evidence)

    def agreement(generator: str, kind: str, candidates: list[str]) -> Floats:
        names = _related(evidence, generator, kind, candidates)
        members = evidence.of(generator).members(names).astype(float)
        fixed = Resampling(stimuli, np.tile(members, (len(stimuli), 1)))
        return values.agreement(evidence, claim.stages, generator, names, fixed)

    def difference(generator: str) -> tuple[str, Floats]:
        siblings = agreement(generator, SEED_SIBLING, list(evidence.models))
        return generator, siblings - agreement(generator, OTHER_TASK, judges)

    found = dict(usable(evidence, models, difference))
    return Estimate(
        nan_mean(np.stack(list(found.values())), 0),
        difference_between_seeds(evidence, found),
        fewest(claim, evidence, list(found)),
        None,
    )


def _related(
    evidence: Evidence, generator: str, kind: str, candidates: list[str]
) -> list[str]:
    """List the trained networks of one relation to a generator that judged it."""
    answers = evidence.of(generator)
    answered = (answers.response >= 0).any(axis=(0, 2))
    judged = set(np.array(answers.observers, dtype=object)[answered])
    names = [
        name
        for name in candidates
        if name in judged
        and evidence.models[name]["trained"]
        and relation(evidence.models, generator, name) == kind
    ]
    if not names:
        words = {SEED_SIBLING: "second seed", OTHER_TASK: "network of another task"}
        raise NotTestable(f"no {words[kind]} judged the metamers of {generator}")
    return names
