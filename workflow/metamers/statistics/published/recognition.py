"""Published recognition of each model's metamers: by people, and by other networks.

A person's and a network's value of a model and stage are those of the study's scatter
plots: the mean over all participants of all experiments that held the
model, and the mean over the networks that answered.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from metamers.statistics.depth import drop_off_depth

COLUMNS = [
    "modality",
    "model",
    "stage",
    "stage_index",
    "relative_depth",
    "people",
    "people_sem",
    "n_participants",
    "other_networks",
    "other_networks_sem",
    "all_networks",
    "own_network",
    "n_networks",
]
# Network means that are equal in exact arithmetic differ in their last digits.
DIGITS = 12


def pooled_people(people: pd.DataFrame) -> pd.DataFrame:
    """Pool the participants of all experiments, by model and stage.

    Parameters
    ----------
    people
        Recognition table of the published participants.

    Returns
    -------
    DataFrame
        modality, model, stage, stage_index (0 is natural), people, people_sem
        (standard deviation with ddof 0 over the root of n) and n_participants.
    """
    rows = people[people["observer_kind"] == "human"]
    keys = ["modality", "generator", "stage", "stage_index"]
    groups = rows.groupby(keys, sort=False, observed=True)["proportion_correct"]
    table = groups.agg(
        people="mean",
        people_sem=lambda values: values.std(ddof=0) / np.sqrt(len(values)),
        n_participants="size",
    ).reset_index()
    return table.rename(columns={"generator": "model"})


def recognition_by_model(
    people: pd.DataFrame, transfer: pd.DataFrame, stages: pd.DataFrame
) -> pd.DataFrame:
    """Lay people and networks side by side, for each model and stage.

    Parameters
    ----------
    people
        Recognition table of the published participants.
    transfer
        Published proportions correct of each generator, evaluator and stage; may be
        empty.
    stages
        modality, model, stage_index, stage of all models, in order.

    Returns
    -------
    DataFrame
        `COLUMNS`. Networks have no natural row, people of vision none for the input;
        ``stage_index`` is that of people, so that the input of vision has none.
    """
    human = pooled_people(people)
    last = human.groupby(["modality", "model"])["stage_index"].transform("max")
    human["relative_depth"] = human["stage_index"] / last
    networks = network_means(transfer)
    merged = human.merge(networks, on=["modality", "model", "stage"], how="outer")
    listed = stages.assign(order=range(len(stages)))
    merged = merged.merge(
        listed[["modality", "model", "stage", "order"]],
        on=["modality", "model", "stage"],
        how="left",
    )
    first = merged.groupby(["modality", "model"])["order"].transform("min")
    merged["order"] = merged["order"].fillna(first - 0.5)
    merged = merged.sort_values(["modality", "order"], kind="stable")
    types = {"stage_index": "Int64", "n_participants": "Int64", "n_networks": "Int64"}
    return merged.reset_index(drop=True)[COLUMNS].astype(types)


def network_means(transfer: pd.DataFrame) -> pd.DataFrame:
    """Return the mean recognition of each generator's metamers by the networks.

    Returns
    -------
    DataFrame
        modality, model, stage, other_networks (without the generator) with its
        standard error (ddof 0), all_networks, own_network, n_networks (the others).
    """
    rows = []
    for (modality, model, stage), part in transfer.groupby(
        ["modality", "generator", "stage"], sort=False
    ):
        own = part["evaluator"] == model
        values = part["proportion_correct"].to_numpy(float)
        others = values[~own.to_numpy()]
        rows.append(
            {
                "modality": modality,
                "model": model,
                "stage": stage,
                "other_networks": round(float(others.mean()), DIGITS),
                "other_networks_sem": float(others.std() / np.sqrt(others.size)),
                "all_networks": round(float(values.mean()), DIGITS),
                "own_network": float(values[own].mean()) if own.any() else np.nan,
                "n_networks": int(others.size),
            }
        )
    names = ["modality", "model", "stage", *COLUMNS[8:]]
    return pd.DataFrame(rows, columns=names)


def drop_offs(recognition: pd.DataFrame) -> pd.DataFrame:
    """Find where recognition of each model's metamers falls to half.

    Parameters
    ----------
    recognition
        The table of `recognition_by_model`.

    Returns
    -------
    DataFrame
        One row for each model and observers (``people``, ``other_networks``): the first
        stage at which recognition is at most half of where it starts, and the depth at
        which the line between stages crosses it; both missing where it never does.
        People start at natural stimuli; networks, whose answers to those are not
        published, at the metamers of the input.
    """
    rows = []
    for (modality, model), part in recognition.groupby(
        ["modality", "model"], sort=False
    ):
        for observers in ("people", "other_networks"):
            line = part.dropna(subset=[observers])
            if len(line) < 2:
                continue
            values = line[observers].to_numpy(float)
            fallen = np.flatnonzero(values <= values[0] / 2)
            rows.append(
                {
                    "modality": modality,
                    "model": model,
                    "observers": observers,
                    "first": line["stage"].iloc[0],
                    "drop_off_stage": line["stage"].iloc[fallen[0]]
                    if fallen.size
                    else None,
                    "drop_off_depth": drop_off_depth(values),
                    "n_stages": len(line) - 1,
                }
            )
    return pd.DataFrame(rows)
