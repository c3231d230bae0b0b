"""The trial table as arrays: stage x observer x stimulus for each generator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metamers.errors import StudyError, suggest
from metamers.statistics.agreement import MISSING
from metamers.statistics.bootstrap import Floats

NATURAL = "natural"
HUMAN = "human"
Models = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Answers:
    """All answers to the metamers of one generator, and to its natural stimuli.

    The generators of a modality share the axes of observers and stimuli.

    Attributes
    ----------
    generator
        The model that made the metamers.
    stages
        ``natural``, then the generator's stages in order: the rows.
    observers
        Networks and people, (n_observers,).
    people
        Which observers are people, (n_observers,).
    stimuli
        Identifiers of the natural stimuli, (n_stimuli,).
    correct
        1, 0, or NaN where there is no answer or the tasks differ.
    response, natural_response
        Category codes; -1 where there is no answer.
    distance
        Relative distance of the metamer to its reference; NaN where there is none.
    passed
        (n_stages, n_stimuli) whether the metamer passed the screening; the natural
        stimuli always do.

    The arrays are (n_stages, n_observers, n_stimuli) where nothing else is said.
    """

    generator: str
    stages: tuple[str, ...]
    observers: tuple[str, ...]
    people: NDArray[np.bool_]
    stimuli: tuple[str, ...]
    correct: Floats
    response: NDArray[np.int16]
    natural_response: NDArray[np.int16]
    distance: Floats
    passed: NDArray[np.bool_]

    def members(self, names: list[str]) -> NDArray[np.bool_]:
        """Return which observers are named in `names`, (n_observers,)."""
        return np.isin(np.array(self.observers, dtype=object), names)

    def screened(self, values: Floats, *, only_passed: bool) -> Floats:
        """Return `values` with NaN where the metamer failed the screening."""
        if not only_passed:
            return values
        return np.where(self.passed[:, None, :], values, np.nan)

    def screened_codes(
        self, codes: NDArray[np.int16], *, only_passed: bool
    ) -> NDArray[np.int16]:
        """Return category `codes` with -1 where the metamer failed the screening."""
        if not only_passed:
            return codes
        return np.where(self.passed[:, None, :], codes, np.int16(MISSING))

    def scored(self) -> NDArray[np.bool_]:
        """Return which observers gave an answer that is right or wrong."""
        return np.asarray(np.isfinite(self.correct).any(axis=(0, 2)))

    def answered(self) -> NDArray[np.bool_]:
        """Return which stimuli anybody answered to, (n_stages, n_stimuli)."""
        return np.asarray((self.response != MISSING).any(axis=1))

    def match(self) -> Floats:
        """Return whether the answer is that to the natural stimulus, else NaN."""
        answered = (self.response != MISSING) & (self.natural_response != MISSING)
        same = (self.response == self.natural_response).astype(float)
        return np.where(answered, same, np.nan)


def arrange(trials: pd.DataFrame, models: Models) -> dict[str, Answers]:
    """Arrange the trial table of one modality into arrays, one set a generator.

    Parameters
    ----------
    trials
        Trial table of one modality.
    models
        Facts of each model; ``stages`` gives the order of the generator's stages.

    Returns
    -------
    dict
        {generator: Answers}, in the order of `models`.

    Raises
    ------
    StudyError
        Where a generator or a stage of the table is not in the study, or an observer
        answers twice to one stimulus.
    """
    unknown = sorted(set(trials["generator"]) - set(models))
    if unknown:
        raise StudyError(
            f"the trials hold metamers of {unknown[0]!r}, which is no model of the "
            f"study; it has {', '.join(models)}{suggest(unknown[0], models)}"
        )
    kinds = trials.drop_duplicates("observer").set_index("observer")["observer_kind"]
    observers = tuple(sorted(kinds.index))
    people = np.array([kinds[name] == HUMAN for name in observers], dtype=bool)
    stimuli = tuple(sorted(trials["stimulus_id"].unique()))
    names = sorted(
        set(trials["response"].dropna()) | set(trials["natural_response"].dropna())
    )
    groups = dict(tuple(trials.groupby("generator", sort=False)))
    return {
        generator: _arrange_one(
            groups[generator],
            generator,
            (NATURAL, *models[generator]["stages"]),
            observers,
            people,
            stimuli,
            names,
        )
        for generator in models
        if generator in groups
    }


def _arrange_one(
    trials: pd.DataFrame,
    generator: str,
    stages: tuple[str, ...],
    observers: tuple[str, ...],
    people: NDArray[np.bool_],
    stimuli: tuple[str, ...],
    names: list[str],
) -> Answers:
    """Arrange the trials of one generator."""
    row = _codes(trials["stage"], stages)
    if (row < 0).any():
        wrong = trials["stage"].to_numpy()[row < 0][0]
        raise StudyError(
            f"the trials of {generator} hold the stage {wrong!r}; the study has "
            f"{', '.join(stages)}{suggest(wrong, stages)}: judge its metamers again"
        )
    column = _codes(trials["observer"], observers)
    item = _codes(trials["stimulus_id"], stimuli)
    shape = (len(stages), len(observers), len(stimuli))
    cell = (row, column, item)
    flat = np.ravel_multi_index(cell, shape)
    if np.unique(flat).size < flat.size:
        raise StudyError(
            f"an observer answers twice to one stimulus of {generator}; put each "
            "generator into one block of the study and judge again"
        )
    correct = np.full(shape, np.nan)
    correct[cell] = boolean_values(trials["correct"])
    distance = np.full(shape, np.nan)
    distance[cell] = trials["relative_distance"].to_numpy(float, na_value=np.nan)
    response = np.full(shape, MISSING, dtype=np.int16)
    response[cell] = _codes(trials["response"], names)
    natural = np.full(shape, MISSING, dtype=np.int16)
    natural[cell] = _codes(trials["natural_response"], names)
    passed = np.zeros((shape[0], shape[2]), dtype=bool)
    passed[cell[0], cell[2]] = boolean_values(trials["passed"]) == 1.0
    passed[0] = True
    return Answers(
        generator,
        stages,
        observers,
        people,
        stimuli,
        correct,
        response,
        natural,
        distance,
        passed,
    )


def _codes(column: pd.Series, names: tuple[str, ...] | list[str]) -> NDArray[np.int64]:
    """Return the position of each value in `names`, -1 where it is not there."""
    values = pd.Index(column.to_numpy(object), dtype=object)
    found = pd.Index(names, dtype=object).get_indexer(values)
    return np.asarray(found, dtype=np.int64)


def boolean_values(column: pd.Series) -> Floats:
    """Return a nullable boolean column as 1, 0 and NaN."""
    values = column.astype("boolean").astype("Float64")
    return np.asarray(values.to_numpy(float, na_value=np.nan))
