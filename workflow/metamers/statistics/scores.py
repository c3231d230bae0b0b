"""One line a model: the numbers that someone comparing models wants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metamers.randomness import numpy_generator
from metamers.recognition.agreement import error_consistencies
from metamers.recognition.panel import PANEL, PEOPLE, panel
from metamers.statistics.answers import HUMAN, Answers, Models, arrange
from metamers.statistics.bootstrap import crossed_means, percentile_interval, resample
from metamers.statistics.depth import area_over_depth, drop_off_depth
from metamers.statistics.recognition_by_stage import (
    mean_recognition,
    related_observers,
)
from metamers.statistics.robustness import middle_and_clean

COLUMNS = (
    "model",
    "modality",
    "group",
    "task",
    "trained",
    "network_area",
    "network_area_lower",
    "network_area_upper",
    "network_drop_off",
    "n_evaluators",
    "people_area",
    "people_drop_off",
    "people_source",
    "accuracy",
    "robustness",
    "robust_accuracy",
    "epsilon",
    "error_consistency",
    "own_match",
    "own_match_minimum",
    "metamers",
    "survivors",
)


def score_table(
    trials: pd.DataFrame,
    models: Models,
    *,
    screening: pd.DataFrame,
    robustness: pd.DataFrame | None,
    published: pd.DataFrame | None,
    accuracy: Mapping[str, float | None] | None = None,
    seed: int,
    draws: int,
    confidence: float,
) -> pd.DataFrame:
    """Score every model of a study.

    Parameters
    ----------
    trials
        Trial table of the study.
    models
        Facts of each model (`metamers.recognition.panel`), with ``stages``, ``group``
        and ``published`` (the model of the published data that it is laid beside).
    screening, robustness
        Rows of ``screening/*.csv`` and ``robustness/*.csv``; None where there is none.
    published
        ``published_recognition.csv``: means over participants; None leaves people out.
    accuracy
        Accuracy of each model on its test set; where it is missing or None, that
        at epsilon zero.
    seed, draws, confidence
        Of the bootstrap crossed over stimuli and evaluators.

    Returns
    -------
    DataFrame
        One row a model. ``network_area`` is the area under recognition by other
        networks relative to natural, over relative depth (1: never falls), on the
        metamers that passed; ``network_drop_off`` the relative depth where
        recognition has halved (missing: never). The same by people, whose
        ``people_source`` says on which model it was measured. ``robustness`` is
        accuracy at the middle ``epsilon`` relative to clean. ``error_consistency``
        is the mean kappa with its other networks, over the metamers of third models.
    """
    answers: dict[str, Answers] = {}
    for _, part in trials.groupby("modality", sort=False):
        answers |= arrange(part, models)
    consistency = consistency_with_panel(trials, models)
    rows = []
    for model, facts in models.items():
        row: dict[str, Any] = {
            "model": model,
            "modality": facts["modality"],
            "group": facts["group"],
            "task": facts["task"],
            "trained": facts["trained"],
            "error_consistency": consistency.get(model, float("nan")),
        }
        if model in answers:
            stream = numpy_generator(seed, "scores", model)
            related = related_observers(answers[model], models)
            row |= _by_networks(answers[model], related, draws, confidence, stream)
            row |= _by_own_people(answers[model], related)
        if "people_area" not in row:
            row |= published_people(published, facts)
        row |= _attack(robustness, model)
        if accuracy is not None and accuracy.get(model) is not None:
            row["accuracy"] = accuracy[model]
        row |= _own_answers(screening[screening["model"] == model])
        rows.append(row)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def published_people(
    published: pd.DataFrame | None, facts: Mapping[str, Any]
) -> dict[str, Any]:
    """Score the published counterpart of a model by the published people.

    Parameters
    ----------
    published
        Means over participants: modality, model, stage, stage_index, observer_kind,
        n, mean.
    facts
        Of the model.

    Returns
    -------
    dict
        ``people_area``, ``people_drop_off``, ``people_source``; empty where there is
        no published counterpart. Experiments are pooled over participants.
    """
    name = facts.get("published")
    if published is None or not name:
        return {}
    rows = published[
        (published["modality"] == facts["modality"])
        & (published["model"] == name)
        & (published["observer_kind"] == HUMAN)
    ]
    if rows.empty:
        return {}
    weighted = rows.assign(total=rows["n"] * rows["mean"])
    pooled = weighted.groupby("stage_index")[["total", "n"]].sum()
    curve = (pooled["total"] / pooled["n"]).to_numpy(float)
    source = f"measured on the published model {name}, not on this one"
    return _people(curve, source)


def consistency_with_panel(trials: pd.DataFrame, models: Models) -> dict[str, float]:
    """Return each network's mean error consistency with its other networks.

    Parameters
    ----------
    trials
        Trial table; only metamers that passed count, each stage by itself, so that
        stages being hard for both is no consistency.
    models
        Facts of each model.

    Returns
    -------
    dict
        {model: mean kappa} over the panel and over the stages of generators that are
        neither of the two nor a seed sibling of one; models without any are absent.
    """
    networks = trials[(trials["observer_kind"] != HUMAN) & (trials["stage_index"] > 0)]
    if networks.empty:
        return {}
    pairs = error_consistencies(networks)
    pairs = pairs[np.isfinite(pairs["kappa"].to_numpy(float))]
    kin = {
        name: {name, *facts["siblings"]}
        | {other for other in models if name in models[other]["siblings"]}
        for name, facts in models.items()
    }
    found = {}
    for model in models:
        mine = pairs[
            (pairs["observer"] == model) & pairs["other"].isin(panel(models, model))
        ]
        third = [
            generator not in kin[model] | kin[other]
            for generator, other in zip(mine["generator"], mine["other"], strict=True)
        ]
        kappas = mine["kappa"].to_numpy(float)[np.array(third, dtype=bool)]
        if kappas.size:
            found[model] = float(kappas.mean())
    return found


def _by_networks(
    answers: Answers,
    related: dict[str, list[str]],
    draws: int,
    confidence: float,
    generator: np.random.Generator,
) -> dict[str, Any]:
    """Score a generator by its panel."""
    names = related.get(PANEL, [])
    if not names:
        return {}
    members = answers.members(names)
    resampling = resample(len(answers.stimuli), members, draws, generator)
    values = answers.screened(answers.correct, only_passed=True)
    areas = area_over_depth(crossed_means(values, resampling))
    lower, upper = percentile_interval(areas, confidence)
    return {
        "network_area": areas[0],
        "network_area_lower": lower,
        "network_area_upper": upper,
        "network_drop_off": drop_off_depth(mean_recognition(answers, names)),
        "n_evaluators": len(names),
    }


def _by_own_people(answers: Answers, related: dict[str, list[str]]) -> dict[str, Any]:
    """Score a generator by the people who judged its metamers in this study."""
    names = related.get(PEOPLE, [])
    if not names:
        return {}
    source = f"{len(names)} participants of this study"
    return _people(mean_recognition(answers, names), source)


def _people(curve: NDArray[np.float64], source: str) -> dict[str, Any]:
    """Score a curve of people's recognition."""
    return {
        "people_area": area_over_depth(curve[None])[0],
        "people_drop_off": drop_off_depth(curve),
        "people_source": source,
    }


def _attack(robustness: pd.DataFrame | None, model: str) -> dict[str, Any]:
    """Return clean accuracy and what is left of it at the middle epsilon."""
    if robustness is None or not (robustness["model"] == model).any():
        return {}
    middle, clean = middle_and_clean(robustness[robustness["model"] == model])
    share = middle["accuracy"] / clean["accuracy"] if clean["accuracy"] > 0 else np.nan
    return {
        "accuracy": clean["accuracy"],
        "robustness": share,
        "robust_accuracy": middle["accuracy"],
        "epsilon": middle["epsilon"],
    }


def _own_answers(screening: pd.DataFrame) -> dict[str, Any]:
    """Return the share of metamers with the reference's answer, and the survivors."""
    if screening.empty:
        return {}
    matches = screening["response_matches"].astype(bool)
    return {
        "own_match": matches.mean(),
        "own_match_minimum": matches.groupby(screening["stage_index"]).mean().min(),
        "metamers": len(screening),
        "survivors": int(screening["passed"].astype(bool).sum()),
    }
