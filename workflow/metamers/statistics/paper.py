"""A study's networks in the place of the published ones, beside the published people.

The tables have the columns of those of `metamers.statistics.published`, so that the
paper's figures are drawn of either. Networks have the names of their published
counterparts, and stages the published names and order: 0 is natural, from 1 the stages
that people judged.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from metamers.recognition.panel import OWN, PANEL, relation
from metamers.recognition.published.transfer import SUMMARY_COLUMNS
from metamers.recognition.tables import recognition_table
from metamers.statistics.published import correlations as correlate
from metamers.statistics.published.adversarial import COLUMNS as ADVERSARIAL_COLUMNS
from metamers.statistics.published.recognition import recognition_by_model

logger = logging.getLogger(__name__)

Models = Mapping[str, Mapping[str, Any]]

# The experiment of what a study's networks answer to their own metamers, and the source
# of the correlations with them. No study and no experiment can have this name.
OWN_EXPERIMENT = "this study"
INPUT = "input_after_preproc"
# What the released code appends to the names of straight-through stages.
STAND_IN = re.compile("_fake_?relu$")


def paper_tables(
    recognition: pd.DataFrame,
    robustness: pd.DataFrame,
    people: pd.DataFrame,
    stages: pd.DataFrame,
    models: Models,
    *,
    study: str,
    classical: tuple[str, ...] = (),
) -> dict[str, pd.DataFrame]:
    """Make the tables of the paper's figures.

    Parameters
    ----------
    recognition
        The study's recognition table; only answers of its networks count.
    robustness
        Rows of ``robustness/{model}.csv``: model, norm, epsilon, n, accuracy.
    people
        Recognition table of the published participants; may be empty.
    stages
        ``resources/published/model_stages.csv``: modality, model and stage, in order.
    models
        Facts of the models that have a published counterpart: those of
        `metamers.recognition.panel`, ``published`` and ``stages``.
    study
        Name of the study, which its rows have as experiment.
    classical
        Published models that are compared with people, but not with other networks.

    Returns
    -------
    dict
        ``people``: participants, for the models of the study, and the networks' answers
        to their own metamers; ``transfer``; ``recognition``; ``correlations``;
        ``adversarial``. A table without data is empty.
    """
    names = counterparts(models)
    known = _named(recognition, names, stages, models, study)
    humans = people[
        (people["observer_kind"] == "human") & people["generator"].isin(names.values())
    ]
    own = known[known["observer"] == known["generating"]]
    own = own.assign(experiment=OWN_EXPERIMENT)
    transfer = _transfer(known, names, models, classical)
    judged = transfer.groupby("generator")["evaluator"].transform("nunique") > 1
    by_model = recognition_by_model(humans, transfer[judged], stages)
    found = [
        correlate.transfer_correlations(by_model, []),
        correlate.depth_by_model(by_model),
    ]
    filled = [table for table in found if len(table)] or found[:1]
    return {
        "people": recognition_table(pd.concat([humans, own])),
        "transfer": transfer,
        "recognition": by_model,
        "correlations": pd.concat(filled, ignore_index=True).assign(
            source=OWN_EXPERIMENT
        ),
        "adversarial": _adversarial(robustness, names),
    }


def counterparts(models: Models) -> dict[str, str]:
    """Return the published counterpart of each model that stands for one.

    Of several models of one counterpart, such as two seeds, the first stands for it.
    """
    found: dict[str, str] = {}
    for name, facts in models.items():
        if facts["published"] and facts["published"] not in found.values():
            found[name] = facts["published"]
    return found


def stage_numbers(stages: pd.DataFrame, model: str) -> dict[str, int]:
    """Return the order of a published model's stages, as people judged them.

    Parameters
    ----------
    stages
        ``resources/published/model_stages.csv``.
    model
        Name of the published model.

    Returns
    -------
    dict
        {stage: place}; ``natural`` is 0. Vision leaves the input out.
    """
    rows = stages[stages["model"] == model]
    kept = rows[(rows["modality"] == "audio") | (rows["stage"] != INPUT)]
    return {name: at for at, name in enumerate(["natural", *kept["stage"]])}


def stage_names(own: list[str], published: list[str], model: str) -> dict[str, str]:
    """Return the published name of each of a model's stages.

    Stages have the published names, or these without what the released code appends to
    straight-through stages. What has neither is left out, with a line in the log.
    """
    known = {STAND_IN.sub("", name): name for name in published}
    known |= {name: name for name in published}
    lacking = [stage for stage in own if stage not in known]
    if lacking:
        logger.warning(
            "%s: %s left out; the published stages are %s",
            model,
            ", ".join(lacking),
            ", ".join(published) or "unknown",
        )
    return {stage: known[stage] for stage in own if stage in known}


def binomial_error(share: pd.Series, count: pd.Series) -> pd.Series:
    """Return the standard error of the share of right answers among `count` answers."""
    counted = count.astype("float64").where(count > 0)
    return np.sqrt(share * (1 - share) / counted)


def _named(
    recognition: pd.DataFrame,
    names: Mapping[str, str],
    stages: pd.DataFrame,
    models: Models,
    study: str,
) -> pd.DataFrame:
    """Return what networks of the study answered, with published names.

    ``generating`` and ``observer`` are names of the study, ``generator`` and the stages
    the published ones. A model without any published stage has no rows.
    """
    rows = recognition[
        (recognition["experiment"] == study)
        & (recognition["observer_kind"] == "network")
        & recognition["observer"].isin(names)
    ]
    parts = []
    for name, published in names.items():
        numbers = stage_numbers(stages, published)
        renamed = stage_names(models[name]["stages"], list(numbers), name)
        mine = rows[rows["generator"] == name].assign(
            generator=published, generating=name
        )
        mine["stage"] = mine["stage"].map(renamed | {"natural": "natural"})
        mine = mine[mine["stage"].notna()] if renamed else mine[:0]
        mine["stage_index"] = mine["stage"].map(numbers)
        parts.append(mine)
    return pd.concat(parts) if parts else rows.assign(generating=rows["generator"])


def _transfer(
    known: pd.DataFrame,
    names: Mapping[str, str],
    models: Models,
    classical: tuple[str, ...],
) -> pd.DataFrame:
    """Return what each network makes of each other's metamers, and of its own."""
    compared = [name for name in names if names[name] not in classical]
    rows = known[known["observer"].isin(compared) & known["generating"].isin(compared)]
    pairs = zip(rows["generating"], rows["observer"], strict=True)
    related = [relation(models, *pair) in (OWN, PANEL) for pair in pairs]
    rows = rows[np.array(related, dtype=bool)].assign(
        evaluator=lambda table: table["observer"].map(names),
        sem=lambda table: binomial_error(table["proportion_correct"], table["n"]),
    )
    order = ["modality", "generator", "evaluator", "stage_index"]
    return rows[SUMMARY_COLUMNS].sort_values(order, ignore_index=True)


def _adversarial(robustness: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """Return accuracy under attack as the published table has it.

    The clean accuracy is left out: no attack of size 0 is on the figure's axis.
    """
    if robustness.empty:
        return pd.DataFrame(columns=ADVERSARIAL_COLUMNS)
    rows = robustness[robustness["model"].isin(names) & (robustness["epsilon"] > 0)]
    table = rows.assign(
        model=rows["model"].map(names),
        eps=rows["epsilon"],
        sem=binomial_error(rows["accuracy"], rows["n"]),
        n_seeds=1,
        n_images=rows["n"],
        origin=OWN_EXPERIMENT,
    )
    order = ["norm", "model", "eps"]
    return table[ADVERSARIAL_COLUMNS].sort_values(order, ignore_index=True)
