"""The tables of a study, arranged for measuring claims, and what can be lacking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from metamers.errors import StudyError, suggest
from metamers.randomness import numpy_generator
from metamers.recognition.panel import OTHER_TASK, PANEL, panel, relation
from metamers.statistics.answers import Answers, Models, arrange
from metamers.statistics.bootstrap import Resampling, resample
from metamers.statistics.claims_file import Claim, Rules, Selector

STANDARD = "standard"
SECOND_SEED = "second_seed"


class NotTestable(Exception):
    """A claim that a study cannot decide; the message says what it lacks."""


def same_layout(one: Sequence[str], other: Sequence[str]) -> bool:
    """Say whether two models have as many stages, most of them of the same names.

    A change of architecture may rename a stage in its place: where pooling is reduced,
    ``conv_0`` becomes ``pool_0_0``.
    """
    if len(one) != len(other):
        return False
    same = sum(first == second for first, second in zip(one, other, strict=True))
    return 2 * same > len(one)


@dataclass
class Evidence:
    """One modality of a study.

    Attributes
    ----------
    models
        Facts of the models of the modality (`metamers.recognition.panel`), with
        ``stages`` and ``group``.
    answers
        {generator: answers}.
    robustness
        Rows of ``robustness/*.csv``: model, epsilon, n, accuracy.
    collapse
        Rows of ``collapse/*.csv``: model, stage, stage_index, stimulus_id, ratio.
    rules
        The shared rules of the claims.
    seed, draws
        Of the bootstrap.
    screened
        Whether only the metamers that passed are counted.
    """

    models: Models
    answers: Mapping[str, Answers]
    robustness: pd.DataFrame
    collapse: pd.DataFrame
    rules: Rules
    seed: int
    draws: int
    screened: bool = True
    notes: list[str] = field(default_factory=list)

    def generator(self, *parts: str) -> np.random.Generator:
        """Return the random stream of one claim."""
        return numpy_generator(self.seed, "claims", *parts)

    def select(self, selector: Selector) -> list[str]:
        """List the models that a selector means, or say that there are none.

        Raises
        ------
        NotTestable
            Where there is no such model.
        """
        names = [
            name
            for name, facts in self.models.items()
            if (selector.models is None or name in selector.models)
            and (selector.groups is None or facts["group"] in selector.groups)
            and (selector.trained is None or facts["trained"] == selector.trained)
            and facts["group"] not in selector.without
        ]
        if not names:
            raise NotTestable(f"the study has no model {selector.text()}")
        return names

    def of(self, generator: str) -> Answers:
        """Return the answers to a generator's metamers.

        Raises
        ------
        NotTestable
            Where nobody judged them.
        """
        if generator not in self.answers:
            raise NotTestable(f"nobody judged the metamers of {generator}")
        return self.answers[generator]

    def pairs(self, claim: Claim) -> list[tuple[str, str]]:
        """List the pairs of models that a contrast compares.

        With the pairing ``layout`` only models of one layout are compared
        (`same_layout`).

        Raises
        ------
        NotTestable
            Where there is no such pair.
        """
        if claim.against is None:
            raise ValueError(f"the claim {claim.id!r} compares nothing")
        first, second = self.select(claim.models), self.select(claim.against)
        found = [
            (one, other)
            for one in first
            for other in second
            if one != other
            and (
                claim.pairing == "all"
                or same_layout(
                    list(self.models[one]["stages"]), list(self.models[other]["stages"])
                )
            )
        ]
        if not found:
            raise NotTestable(
                f"no model {claim.models.text()} has the stages of a model "
                f"{claim.against.text()}"
            )
        return found

    def seed_pairs(self) -> list[tuple[str, str]]:
        """List the standard networks with their second seeds."""
        return [
            (name, other)
            for name, facts in self.models.items()
            if facts["group"] == STANDARD
            for other in self.models
            if self.models[other]["group"] == SECOND_SEED
            and (other in facts["siblings"] or name in self.models[other]["siblings"])
        ]

    def evaluators(self, generator: str, observers: str) -> list[str]:
        """List who judges a generator in a claim: its panel, or people.

        Raises
        ------
        NotTestable
            Where nobody of them answered.
        """
        answers = self.of(generator)
        answered = answers.scored()
        if observers == "people":
            wanted = set(np.array(answers.observers, dtype=object)[answers.people])
        else:
            wanted = set(panel(self.models, generator))
        names = [
            name
            for name, has in zip(answers.observers, answered, strict=True)
            if has and name in wanted
        ]
        if not names:
            kind = "person" if observers == "people" else "other trained network"
            raise NotTestable(f"no {kind} judged the metamers of {generator}")
        return names

    def common_evaluators(self, one: str, other: str, observers: str) -> list[str]:
        """List who judges both of two generators, so that the two are compared fairly.

        For networks: the panel of `other` without `one` and its seed siblings.

        Raises
        ------
        NotTestable
            Where nobody judged both.
        """
        names = self.evaluators(other, observers)
        answers = self.of(one)
        also = set(np.array(answers.observers, dtype=object)[answers.scored()])
        names = [name for name in names if name in also]
        if observers == "networks":
            fair = (PANEL, OTHER_TASK)
            names = [n for n in names if relation(self.models, one, n) in fair]
        if not names:
            kind = "person" if observers == "people" else "other trained network"
            raise NotTestable(f"no {kind} judged both {one} and {other}")
        return names

    def resampling(self, claim: Claim, names: set[str]) -> Resampling:
        """Draw stimuli and evaluators for one claim, the same for all its models."""
        answers = next(iter(self.answers.values()))
        return resample(
            len(answers.stimuli),
            answers.members(sorted(names)),
            self.draws,
            self.generator(claim.id),
        )

    def kept_rows(self, answers: Answers, rows: list[int]) -> list[int]:
        """Return the stages with enough survivors; the others are noted.

        Raises
        ------
        NotTestable
            Where no stage has enough.
        """
        counts = answers.passed.sum(axis=1)
        if not self.screened:
            counts = answers.answered().sum(axis=1)
        kept = [row for row in rows if counts[row] >= self.rules.least_stimuli]
        lost = [answers.stages[row] for row in rows if row not in kept]
        reason = (
            f"fewer than {self.rules.least_stimuli} metamers of {answers.generator} "
            f"are left at {', '.join(lost)}"
        )
        if not kept:
            raise NotTestable(reason)
        if lost and reason not in self.notes:
            self.notes.append(reason)
        return kept

    def survivors(self, answers: Answers, rows: list[int]) -> int:
        """Return the fewest metamers that are in at any of the stages."""
        there = answers.answered()
        if self.screened:
            there = there & answers.passed
        return int(there[rows].sum(axis=1).min())


def arrange_evidence(
    models: Models,
    trials: pd.DataFrame,
    robustness: pd.DataFrame | None,
    collapse: pd.DataFrame | None,
    rules: Rules,
    *,
    modality: str,
    seed: int,
    draws: int,
) -> Evidence:
    """Arrange the tables of a study for the claims of one modality.

    Parameters
    ----------
    models, trials, robustness, collapse
        Of the whole study; None where there is no such table.
    rules
        The shared rules of the claims.
    modality
        ``vision`` or ``audio``.
    seed, draws
        Of the bootstrap.

    Returns
    -------
    Evidence
        Only the rows and models of the modality.

    Raises
    ------
    StudyError
        Where a table is about a model that the study does not have.
    """
    facts = {
        name: model for name, model in models.items() if model["modality"] == modality
    }
    tables = []
    for name, table in (("robustness", robustness), ("collapse", collapse)):
        if table is None:
            tables.append(pd.DataFrame({"model": []}))
            continue
        unknown = sorted(set(table["model"]) - set(models))
        if unknown:
            raise StudyError(
                f"the {name} table holds the model {unknown[0]!r}; the study has "
                f"{', '.join(models)}{suggest(unknown[0], models)}"
            )
        tables.append(table[table["model"].isin(list(facts))])
    part = trials[trials["modality"] == modality]
    return Evidence(
        facts,
        arrange(part, facts) if len(part) else {},
        tables[0],
        tables[1],
        rules,
        seed,
        draws,
    )
