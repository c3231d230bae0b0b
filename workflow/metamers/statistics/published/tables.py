"""The published tables of analysis of variance, each with its permutation tests.

The designs are those of `metamers.statistics.designs`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metamers.errors import StudyError
from metamers.randomness import numpy_generator
from metamers.statistics.bootstrap import Floats
from metamers.statistics.designs import design_table, stack_tables

logger = logging.getLogger(__name__)

KEYS = ["modality", "repo_experiment", "analysis", "label", "models"]
# The published table of this model was computed without its final stage, which is the
# same tensor as the stage before it (DF 6, not 7).
WITHOUT_FINAL = {("network_vs_human", "CLIP_resnet50")}


def published_tables(
    comparisons: pd.DataFrame,
    people: pd.DataFrame,
    attacks: pd.DataFrame,
    *,
    seed: int,
    draws: int,
) -> pd.DataFrame:
    """Compute every table of a list.

    Parameters
    ----------
    comparisons
        `KEYS`, one row a table; ``models`` joined by a bar.
    people
        Recognition table of the published participants and their networks.
    attacks
        Counts of images that networks get right under attack: norm, model, seed,
        eps_index, eps, n_correct, n_images.
    seed
        From which each test derives its randomness.
    draws
        Random rearrangements of each permutation test.

    Returns
    -------
    DataFrame
        `KEYS` and the columns of `design_table`, one row an effect. A table whose data
        are not here is left out, with a line in the log.
    """
    parts = []
    for row in comparisons[KEYS].to_dict("records"):
        keys = {str(key): value for key, value in row.items()}
        generator = numpy_generator(seed, "permutation", *map(str, keys.values()))
        try:
            values, groups = _measures(keys, people, attacks)
        except StudyError as error:
            logger.warning("no table %s: %s", keys["label"], error)
            continue
        table = design_table(keys["analysis"], values, groups, draws, generator)
        parts.append(table.assign(**keys))
    return stack_tables(parts, KEYS)


def stage_measures(
    people: pd.DataFrame, experiment: str, model: str, kind: str, modality: str
) -> Floats:
    """Return proportions correct (participants, stages) of one model and observer.

    Parameters
    ----------
    people
        Recognition table.
    experiment
        As the table names it.
    model
        The generator.
    kind
        ``human`` or ``network``.
    modality
        ``vision`` or ``audio``.

    Raises
    ------
    StudyError
        If there are no such rows, or a participant lacks a stage.
    """
    rows = people[
        (people["modality"] == modality)
        & (people["experiment"] == experiment)
        & (people["generator"] == model)
        & (people["observer_kind"] == kind)
    ]
    table = rows.pivot(
        index="participant", columns="stage_index", values="proportion_correct"
    )
    if table.empty or bool(table.isna().to_numpy().any()):
        raise StudyError(
            f"{modality}, {experiment}, {model}, {kind}: no complete data; fetch the "
            "published data of people again"
        )
    return np.asarray(table.sort_index(axis=1), dtype=float)


def _measures(
    keys: Mapping[str, Any], people: pd.DataFrame, attacks: pd.DataFrame
) -> tuple[Floats, NDArray[np.bool_] | None]:
    """Return the measures of a table's subjects, and which are in the first group."""
    models = str(keys["models"]).split("|")
    if keys["analysis"] == "adversarial_eval":
        norm = str(keys["label"]).rpartition("_")[2]
        return _groups([_accuracy(attacks, norm, model) for model in models])
    experiment = f"published_{keys['repo_experiment']}"

    def of(model: str, kind: str) -> Floats:
        found = stage_measures(people, experiment, model, kind, str(keys["modality"]))
        return found[:, :-1] if (keys["analysis"], model) in WITHOUT_FINAL else found

    if keys["analysis"] == "network_vs_human":
        return _groups([of(models[0], "human"), of(models[0], "network")])
    if keys["analysis"] == "compare_models":
        return np.stack([of(model, "human") for model in models], axis=-1), None
    return of(models[0], "human")[:, :-1], None


def _groups(parts: list[Floats]) -> tuple[Floats, NDArray[np.bool_]]:
    first = [np.full(len(part), index == 0) for index, part in enumerate(parts)]
    return np.concatenate(parts), np.concatenate(first)


def _accuracy(attacks: pd.DataFrame, norm: str, model: str) -> Floats:
    rows = attacks[(attacks["norm"] == norm) & (attacks["model"] == model)]
    share = rows.assign(accuracy=rows["n_correct"] / rows["n_images"])
    table = share.pivot(index="seed", columns="eps_index", values="accuracy")
    return np.asarray(table.sort_index(axis=1), dtype=float)
