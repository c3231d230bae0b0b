"""Claims about what networks are, not about who recognizes their metamers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from metamers.statistics import values
from metamers.statistics.bootstrap import Floats, multinomial_counts, nan_mean
from metamers.statistics.claims_file import Claim
from metamers.statistics.correlation import partial_spearman, spearman
from metamers.statistics.estimate import Estimate, fewest, usable
from metamers.statistics.evidence import Evidence, NotTestable
from metamers.statistics.recognition_by_stage import mean_recognition
from metamers.statistics.robustness import relative_robustness, robustness_draws


def collapse_contrast(claim: Claim, evidence: Evidence) -> Estimate:
    """Measure the difference in how noisy and clean speech collapse."""
    table = evidence.collapse
    if table.empty:
        raise NotTestable("the study has no collapse of noisy and clean stimuli")
    stimuli = sorted(table["stimulus_id"].unique())
    counts = np.ones((evidence.draws + 1, len(stimuli)))
    counts[1:] = multinomial_counts(
        len(stimuli), evidence.draws, evidence.generator(claim.id)
    )

    def value(model: str) -> Floats:
        rows = table[table["model"] == model]
        if rows.empty:
            raise NotTestable(f"the collapse of {model} was not measured")
        count = len(evidence.models[model]["stages"])
        return values.collapse(rows, claim.stages, count, stimuli, counts)

    return _paired(claim, evidence, value, len(stimuli))


def robustness_contrast(claim: Claim, evidence: Evidence) -> Estimate:
    """Measure the difference in accuracy at the middle epsilon relative to clean."""
    table = evidence.robustness

    def value(model: str) -> Floats:
        curve = table[table["model"] == model]
        if curve.empty:
            raise NotTestable(f"the robustness of {model} was not measured")
        stream = evidence.generator(claim.id, model)
        return robustness_draws(curve, evidence.draws, stream)

    smallest = int(table["n"].min()) if len(table) else 0
    return _paired(claim, evidence, value, smallest)


def _paired(
    claim: Claim, evidence: Evidence, value: Callable[[str], Floats], n_stimuli: int
) -> Estimate:
    """Average the difference of a model's own value over pairs of models."""
    pairs = usable(
        evidence, evidence.pairs(claim), lambda pair: value(pair[0]) - value(pair[1])
    )
    seeds = []
    for one, other in evidence.seed_pairs():
        try:
            seeds.append(abs(value(one)[0] - value(other)[0]))
        except NotTestable:
            continue
    return Estimate(
        nan_mean(np.stack(pairs), 0),
        float(np.mean(seeds)) if seeds else float("nan"),
        n_stimuli,
        None,
    )


def robustness_correlation(claim: Claim, evidence: Evidence) -> Estimate:
    """Correlate robustness with recognition over models, models drawn too."""
    robust = relative_robustness(evidence.robustness)

    def prepare(generator: str) -> tuple[str, list[str]]:
        if generator not in robust:
            raise NotTestable(f"the robustness of {generator} was not measured")
        values.stage_rows(evidence, claim.stages, generator)
        return generator, evidence.evaluators(generator, claim.observers)

    prepared = usable(evidence, evidence.select(claim.models), prepare)
    least = evidence.rules.least_models
    if len(prepared) < least:
        raise NotTestable(
            f"{len(prepared)} models have both numbers; a correlation over models "
            f"takes {least} or more"
        )
    names = {name for _, found in prepared for name in found}
    resampling = evidence.resampling(claim, names)
    recognized = np.stack(
        [
            values.recognition(evidence, claim.stages, generator, found, resampling)
            for generator, found in prepared
        ],
        axis=1,
    )
    ratios = np.array([robust[generator] for generator, _ in prepared])
    _note_depth(evidence, prepared, robust)
    draws = _correlation_draws(
        ratios, recognized, evidence.generator(claim.id, "models")
    )
    generators = [generator for generator, _ in prepared]
    return Estimate(
        draws, float("nan"), fewest(claim, evidence, generators), len(names)
    )


def _correlation_draws(
    ratios: Floats, recognized: Floats, generator: np.random.Generator
) -> Floats:
    """Correlate over models drawn with replacement, (1 + draws,)."""
    draws, size = recognized.shape
    chosen = generator.integers(size, size=(draws, size))
    chosen[0] = np.arange(size)
    recognized = np.take_along_axis(recognized, chosen, axis=1)
    defined = np.isfinite(recognized).all(axis=1)
    found = np.full(draws, np.nan)
    found[defined] = spearman(ratios[chosen[defined]], recognized[defined])
    return found


def _note_depth(
    evidence: Evidence, prepared: list[tuple[str, list[str]]], robust: dict[str, float]
) -> None:
    """Note what depth alone explains over the stages of all models."""
    points = []
    for generator, names in prepared:
        recognition = mean_recognition(
            evidence.of(generator), names, screened=evidence.screened
        )[1:]
        depth = np.arange(1, recognition.size + 1) / recognition.size
        ratio = np.full(recognition.size, robust[generator])
        points.append(np.stack([recognition, ratio, depth]))
    joined = np.concatenate(points, axis=1)
    recognition, ratio, depth = joined[:, np.isfinite(joined).all(axis=0)]
    evidence.notes.append(
        f"over the {recognition.size} stages of all models rho is "
        f"{float(spearman(ratio, recognition)):.2f}, of depth alone "
        f"{float(spearman(depth, recognition)):.2f}, given depth "
        f"{float(partial_spearman(ratio, recognition, depth)):.2f}"
    )
