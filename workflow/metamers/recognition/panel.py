"""Which networks count as "other networks": the one definition of the project.

A generator's metamers are judged by one fixed panel: the networks of its modality that
were trained, answer the same task, are not the generator and are not its seed sibling
(the same entry but for the seed). Siblings, untrained networks and networks of other
tasks judge too, but are shown apart.

The facts of each model come from the study: ``{"modality", "task", "trained": bool,
"siblings": [names]}``; further keys are ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from metamers.errors import StudyError, suggest

if TYPE_CHECKING:
    import pandas as pd

Models = Mapping[str, Mapping[str, Any]]

OWN = "own"
PANEL = "panel"
SEED_SIBLING = "seed_sibling"
UNTRAINED = "untrained"
OTHER_TASK = "other_task"
PEOPLE = "people"
RELATIONS = (OWN, PANEL, SEED_SIBLING, UNTRAINED, OTHER_TASK)


def relation(models: Models, generator: str, evaluator: str) -> str:
    """Say what an evaluator is to a generator.

    Parameters
    ----------
    models
        Facts of each model.
    generator, evaluator
        Names of two models of one modality.

    Returns
    -------
    str
        ``own``, ``seed_sibling``, ``untrained``, ``other_task`` or ``panel``: the
        first of these that applies.

    Raises
    ------
    StudyError
        Where a model is unknown or the two are of different modalities.
    """
    generating, judging = _facts(models, generator), _facts(models, evaluator)
    if generating["modality"] != judging["modality"]:
        raise StudyError(
            f"{evaluator} ({judging['modality']}) cannot judge metamers of {generator} "
            f"({generating['modality']}); choose two models of one modality"
        )
    if generator == evaluator:
        return OWN
    # Kinship is mutual, even if only one of the two entries states it.
    if evaluator in generating["siblings"] or generator in judging["siblings"]:
        return SEED_SIBLING
    if not judging["trained"]:
        return UNTRAINED
    return PANEL if generating["task"] == judging["task"] else OTHER_TASK


def panel(models: Models, generator: str) -> list[str]:
    """List the "other networks" of a generator.

    Parameters
    ----------
    models
        Facts of each model.
    generator
        Name of the model that made the metamers.

    Returns
    -------
    list of str
        Names in the order of `models`; empty where there is no other network.
    """
    modality = _facts(models, generator)["modality"]
    return [
        name
        for name, facts in models.items()
        if facts["modality"] == modality and relation(models, generator, name) == PANEL
    ]


def relations(trials: pd.DataFrame, models: Models) -> pd.Series:
    """Say of each row of a table what its observer is to its generator.

    Parameters
    ----------
    trials
        A trial or recognition table: observer, observer_kind, generator.
    models
        Facts of each model.

    Returns
    -------
    Series of str
        Aligned with `trials`: a value of `relation`, or ``people`` for human observers.
    """
    import pandas as pd

    pairs = trials[["observer", "observer_kind", "generator"]].drop_duplicates()
    named = {
        (observer, kind, generator): PEOPLE
        if kind == "human"
        else relation(models, generator, observer)
        for observer, kind, generator in pairs.itertuples(index=False)
    }
    keys = zip(
        trials["observer"], trials["observer_kind"], trials["generator"], strict=True
    )
    return pd.Series(
        [named[key] for key in keys], index=trials.index, name="relation", dtype="str"
    )


def _facts(models: Models, name: str) -> Mapping[str, Any]:
    """Return the facts of a model, or say that there is none of that name."""
    if name not in models:
        raise StudyError(
            f"no model is named {name!r}; the study has {', '.join(models)}"
            + suggest(name, models)
        )
    return models[name]
