"""Recognition of metamers by stage, for each kind of observer; and the transfer table.

Both tables hold every analysis twice: with the metamers that passed the screening only
(``screened`` True), and with all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metamers.randomness import numpy_generator
from metamers.recognition.panel import PEOPLE, RELATIONS, relation
from metamers.statistics.agreement import agreement_draws
from metamers.statistics.answers import Answers, Models, arrange
from metamers.statistics.bootstrap import (
    Resampling,
    crossed_means,
    nan_mean,
    percentile_interval,
    resample,
)

RECOGNITION_COLUMNS = (
    "modality",
    "generator",
    "stage",
    "stage_index",
    "relative_depth",
    "relation",
    "screened",
    "recognition",
    "lower",
    "upper",
    "match",
    "agreement",
    "agreement_lower",
    "agreement_upper",
    "relative_distance",
    "n_stimuli",
    "n_evaluators",
)
TRANSFER_COLUMNS = (
    "modality",
    "generator",
    "evaluator",
    "relation",
    "stage",
    "stage_index",
    "screened",
    "n",
    "recognition",
    "match",
    "agreement",
    "relative_distance",
)


def recognition_by_stage(
    trials: pd.DataFrame,
    models: Models,
    *,
    seed: int,
    draws: int,
    confidence: float,
) -> pd.DataFrame:
    """Summarize who recognizes the metamers of each stage.

    Parameters
    ----------
    trials
        Trial table of one study, any modalities.
    models
        Facts of each model (`metamers.recognition.panel`), with its ``stages``.
    seed
        Seed of the study.
    draws
        Draws of the bootstrap crossed over stimuli and evaluators.
    confidence
        Of the percentile intervals, in (0, 1).

    Returns
    -------
    DataFrame
        One row for each generator, stage (natural first), relation of the observers
        to the generator (own, panel, seed_sibling, untrained, other_task, people) and
        screening. ``recognition`` is the mean proportion correct, ``match`` that of
        the answer to the natural stimulus, ``agreement`` the latter corrected for
        chance (kappa); recognition is missing where the observers answer another
        question. ``n_stimuli`` counts the metamers that are in (the survivors).
    """
    rows = [
        row
        for modality, generator, answers in _generators(trials, models)
        for kind, names in related_observers(answers, models).items()
        for screened in (True, False)
        for row in _relation_rows(
            answers,
            {"modality": modality, "generator": generator, "relation": kind},
            resample(
                len(answers.stimuli),
                answers.members(names),
                draws,
                numpy_generator(seed, "recognition_by_stage", generator, kind),
            ),
            screened,
            confidence,
        )
    ]
    return pd.DataFrame(rows, columns=list(RECOGNITION_COLUMNS))


def transfer_table(trials: pd.DataFrame, models: Models) -> pd.DataFrame:
    """Summarize each pair of generator and evaluator at each stage.

    Parameters
    ----------
    trials, models
        As in `recognition_by_stage`.

    Returns
    -------
    DataFrame
        One row for each generator, evaluator, stage (natural first) and screening;
        ``n`` metamers were answered.
    """
    once = np.random.default_rng(0)  # no draws are taken from it
    rows: list[dict[str, Any]] = []
    for modality, generator, answers in _generators(trials, models):
        for kind, names in related_observers(answers, models).items():
            for name in names:
                observer = {
                    "modality": modality,
                    "generator": generator,
                    "evaluator": name,
                    "relation": kind,
                }
                members = answers.members([name])
                single = resample(len(answers.stimuli), members, 0, once)
                for screened in (True, False):
                    rows += _relation_rows(answers, observer, single, screened, None)
    frame = pd.DataFrame(rows).rename(columns={"n_stimuli": "n"})
    return frame.reindex(columns=list(TRANSFER_COLUMNS))


def related_observers(answers: Answers, models: Models) -> dict[str, list[str]]:
    """Sort the observers of a generator by what they are to it.

    Parameters
    ----------
    answers
        The answers to one generator's metamers.
    models
        Facts of each model.

    Returns
    -------
    dict
        {relation: names}, only of observers that answered at all.
    """
    answered = (answers.response >= 0).any(axis=(0, 2))
    kinds: dict[str, list[str]] = {kind: [] for kind in (*RELATIONS, PEOPLE)}
    for index in np.flatnonzero(answered):
        name = answers.observers[index]
        human = answers.people[index]
        kind = PEOPLE if human else relation(models, answers.generator, name)
        kinds[kind].append(name)
    return {kind: names for kind, names in kinds.items() if names}


def _generators(
    trials: pd.DataFrame, models: Models
) -> Iterator[tuple[str, str, Answers]]:
    """Yield modality, generator and answers, in the order of `models`."""
    for modality, part in trials.groupby("modality", sort=False):
        for generator, answers in arrange(part, models).items():
            yield str(modality), generator, answers


def _relation_rows(
    answers: Answers,
    keys: dict[str, Any],
    resampling: Resampling,
    screened: bool,
    confidence: float | None,
) -> Iterator[dict[str, Any]]:
    """Yield the rows of one group of observers, one for each stage."""
    members = np.flatnonzero(resampling.evaluators.any(axis=0))
    group = Resampling(resampling.stimuli, resampling.evaluators[:, members])
    first = Resampling(group.stimuli[:1], group.evaluators[:1])

    def values(array: NDArray[np.float64]) -> NDArray[np.float64]:
        return answers.screened(array[:, members], only_passed=screened)

    def codes(array: NDArray[np.int16]) -> NDArray[np.int16]:
        return answers.screened_codes(array[:, members], only_passed=screened)

    recognition = crossed_means(values(answers.correct), group)
    match = crossed_means(values(answers.match()), first)[0]
    distance = crossed_means(values(answers.distance), first)[0]
    response, natural = codes(answers.response), codes(answers.natural_response)
    included = (response >= 0).any(axis=1).sum(axis=1)
    for index, stage in enumerate(answers.stages):
        agreement = agreement_draws(response[index], natural[index], group)
        row = keys | {
            "stage": stage,
            "stage_index": index,
            "relative_depth": index / (len(answers.stages) - 1),
            "screened": screened,
            "recognition": recognition[0, index],
            "match": match[index],
            "agreement": agreement[0],
            "relative_distance": distance[index],
            "n_stimuli": int(included[index]),
            "n_evaluators": members.size,
        }
        if confidence is not None:
            bounds = percentile_interval(recognition[:, index], confidence)
            row["lower"], row["upper"] = bounds
            bounds = percentile_interval(agreement, confidence)
            row["agreement_lower"], row["agreement_upper"] = bounds
        yield row


def mean_recognition(
    answers: Answers, names: list[str], *, screened: bool = True
) -> NDArray[np.float64]:
    """Return the mean recognition of each stage by some observers.

    Parameters
    ----------
    answers
        The answers to one generator's metamers.
    names
        Observers.
    screened
        Whether only the metamers that passed are counted.

    Returns
    -------
    ndarray
        (1 + stages,), the natural stimuli first; NaN where there is no answer.
    """
    values = answers.screened(answers.correct, only_passed=screened)
    chosen = values[:, answers.members(names)]
    return nan_mean(nan_mean(chosen, axis=2), axis=1)
