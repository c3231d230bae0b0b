"""Accuracy under attack of the three networks of figure 6."""

from __future__ import annotations

import numpy as np
import pandas as pd

COLUMNS = [
    "norm",
    "model",
    "eps",
    "accuracy",
    "sem",
    "n_seeds",
    "n_images",
    "origin",
]
COUNTED, DIGITIZED = "counts of five attacks", "read off the published figure"


def adversarial_table(attacks: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """Put the exact counts and the points of the published curves into one table.

    Parameters
    ----------
    attacks
        norm, model, seed, eps, n_correct, n_images: the four strengths of the analysis
        of variance, each attacked with five seeds.
    curves
        curve, model, x, value, error of the published vector graphics, which have the
        other strengths.

    Returns
    -------
    DataFrame
        `COLUMNS`: mean accuracy (0 to 1) and its standard error over seeds (ddof 0);
        ``origin`` says where the point is from. Strengths of both are taken from the
        counts.
    """
    rows = []
    for (norm, model, eps), part in attacks.groupby(["norm", "model", "eps"]):
        share = (part["n_correct"] / part["n_images"]).to_numpy(float)
        error = float(share.std() / np.sqrt(share.size))
        images = int(part["n_images"].iloc[0])
        rows.append(
            (norm, model, eps, share.mean(), error, share.size, images, COUNTED)
        )
    counted = pd.DataFrame(rows, columns=COLUMNS)
    drawn = curves[curves["curve"].str.startswith("adversarial_")]
    read = pd.DataFrame(
        {
            "norm": drawn["curve"].str.removeprefix("adversarial_"),
            "model": drawn["model"],
            "eps": drawn["x"].astype(float),
            "accuracy": drawn["value"],
            "sem": drawn["error"],
            "n_seeds": pd.NA,
            "n_images": pd.NA,
            "origin": DIGITIZED,
        }
    )
    new = [
        not _known(counted, str(row["norm"]), str(row["model"]), float(row["eps"]))
        for row in read.to_dict("records")
    ]
    table = pd.concat([counted, read[new]])
    table = table.astype({"n_seeds": "Int64", "n_images": "Int64"})
    return table.sort_values(["norm", "model", "eps"], ignore_index=True)


def _known(counted: pd.DataFrame, norm: str, model: str, eps: float) -> bool:
    near = np.isclose(counted["eps"].to_numpy(float), eps, rtol=0.01)
    same = (counted["norm"] == norm) & (counted["model"] == model)
    return bool((near & same.to_numpy()).any())
