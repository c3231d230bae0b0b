"""Every claim with its effect, interval, yardstick, adjusted p and verdict."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pandas as pd

from metamers.statistics.answers import Models
from metamers.statistics.bootstrap import (
    equivalence_p,
    percentile_interval,
    two_sided_p,
)
from metamers.statistics.claims_file import Claim, ClaimsFile
from metamers.statistics.estimands import Estimate, estimate
from metamers.statistics.evidence import Evidence, NotTestable, arrange_evidence
from metamers.statistics.multiplicity import holm
from metamers.statistics.verdicts import NOT_TESTABLE, Result, judge

COLUMNS = (
    "claim",
    "statement",
    "modality",
    "observer",
    "estimand",
    "effect",
    "lower",
    "upper",
    "seed_difference",
    "p_adjusted",
    "verdict",
    "reason",
    "p",
    "effect_unscreened",
    "n_stimuli",
    "n_evaluators",
)


@dataclass(frozen=True)
class _Measured:
    """One claim in one modality: what was measured, or why it could not be."""

    claim: Claim
    modality: str
    estimate: Estimate | None
    p: float
    unscreened: float
    notes: str


def evaluate_claims(
    claims: ClaimsFile,
    trials: pd.DataFrame,
    models: Models,
    *,
    robustness: pd.DataFrame | None = None,
    collapse: pd.DataFrame | None = None,
    seed: int,
    draws: int,
    confidence: float,
) -> pd.DataFrame:
    """Measure and judge every claim, by the rules that were fixed before.

    Parameters
    ----------
    claims
        The validated file of claims.
    trials
        Trial table of the study.
    models
        Facts of each model (`metamers.recognition.panel`), with ``stages`` and
        ``group``.
    robustness, collapse
        Rows of ``robustness/*.csv`` and ``collapse/*.csv``; None where there are none.
    seed
        Seed of the study.
    draws
        Draws of the bootstrap.
    confidence
        Of the intervals, in (0, 1).

    Returns
    -------
    DataFrame
        One row for each claim and modality, in the order of the file. ``effect`` is
        measured on the metamers that passed the screening, ``effect_unscreened`` on
        all; ``p_adjusted`` is Holm's over all testable claims but the checks
        (``at_least``), whose p is missing.
    """
    modalities = sorted({name for claim in claims.claims for name in claim.modalities})
    evidence = {
        modality: arrange_evidence(
            models,
            trials,
            robustness,
            collapse,
            claims.rules,
            modality=modality,
            seed=seed,
            draws=draws,
        )
        for modality in modalities
    }
    measured = [
        _measure(claim, modality, evidence[modality])
        for claim in claims.claims
        for modality in claim.modalities
    ]
    adjusted = holm([one.p for one in measured])
    tested = sum(math.isfinite(one.p) for one in measured)
    rows = [
        _row(one, float(p), claims, confidence)
        for one, p in zip(measured, adjusted, strict=True)
    ]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    # With few draws even an effect in every draw stays above the level.
    if tested * 2 / (draws + 1) >= claims.rules.significance:
        lacking = frame["verdict"] == "inconclusive"
        frame.loc[lacking, "reason"] += (
            f"; {draws} draws are too few for {tested} tests, so set "
            "statistics.bootstrap higher"
        )
    return frame


def _measure(claim: Claim, modality: str, evidence: Evidence) -> _Measured:
    """Measure one claim in one modality, with screening and without."""
    evidence = replace(evidence, notes=[])
    try:
        found = estimate(claim, evidence)
    except NotTestable as reason:
        missing = float("nan")
        return _Measured(claim, modality, None, missing, missing, str(reason))
    everything = replace(evidence, notes=[], draws=0, screened=False)
    try:
        unscreened = float(estimate(claim, everything).draws[0])
    except NotTestable:
        unscreened = float("nan")
    if claim.direction == "at_least":
        p = float("nan")
    elif claim.direction == "equivalent":
        p = equivalence_p(found.draws, claim.equivalence_margin or 0.0)
    else:
        p = two_sided_p(found.draws)
    notes = "; ".join(evidence.notes)
    return _Measured(claim, modality, found, p, unscreened, notes)


def _row(
    measured: _Measured, p_adjusted: float, claims: ClaimsFile, confidence: float
) -> dict[str, object]:
    """Judge one measured claim and word its row."""
    claim = measured.claim
    row: dict[str, object] = {
        "claim": claim.id,
        "statement": claim.statement,
        "modality": measured.modality,
        "observer": claim.observers,
        "estimand": claim.estimand,
    }
    if measured.estimate is None:
        return row | {"verdict": NOT_TESTABLE, "reason": measured.notes}
    found = measured.estimate
    lower, upper = percentile_interval(found.draws, confidence)
    effect = float(found.draws[0])
    result = Result(
        effect, lower, upper, p_adjusted, found.seed_difference, found.n_evaluators
    )
    rules = claims.rules
    verdict, reason = judge(claim, result, rules.significance, rules.least_evaluators)
    return row | {
        "effect": effect,
        "lower": lower,
        "upper": upper,
        "seed_difference": found.seed_difference,
        "p_adjusted": p_adjusted,
        "verdict": verdict,
        "reason": "; ".join(filter(None, [reason, measured.notes])),
        "p": measured.p,
        "effect_unscreened": measured.unscreened,
        "n_stimuli": found.n_stimuli,
        "n_evaluators": found.n_evaluators,
    }
