"""Recognition of a group of generators by other networks, as the study plots it.

For each network that answers, the mean over the generators of the group other than
itself; then the mean over the networks (the study's released code,
VisualNetworkNetworkPredictions.ipynb). Figures 6h, 8b and 8d.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

COLUMNS = ["group", "stage", "stage_index", "mean", "sem", "n_networks"]


def group_curves(
    transfer: pd.DataFrame, groups: dict[str, tuple[str, ...]]
) -> pd.DataFrame:
    """Return the curve of each group.

    Parameters
    ----------
    transfer
        Published proportions correct of each generator, evaluator and stage.
    groups
        Generators by group, all with the same stages.

    Returns
    -------
    DataFrame
        `COLUMNS`; ``sem`` is the standard deviation over networks (ddof 0) divided by
        the root of their number less one, as published. Both are missing where a stage
        has no answers.
    """
    rows = []
    for group, generators in groups.items():
        part = transfer[transfer["generator"].isin(generators)]
        others = part[part["evaluator"] != part["generator"]]
        for index, cell in others.groupby("stage_index"):
            means = cell.groupby("evaluator")["proportion_correct"].mean()
            values = means.dropna().to_numpy(float)
            networks = part["evaluator"].nunique()
            rows.append(
                (
                    group,
                    cell["stage"].iloc[0],
                    index,
                    float(values.mean()) if len(values) else np.nan,
                    float(values.std() / np.sqrt(networks - 1))
                    if len(values)
                    else np.nan,
                    len(values),
                )
            )
    return pd.DataFrame(rows, columns=COLUMNS)
