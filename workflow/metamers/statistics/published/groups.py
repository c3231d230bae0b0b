"""Recognition of a group of generators by other networks (PAPER.md E.10).

For each network that answers, the mean over the generators of the group other than
itself; then the mean over the networks. Figures 6h, 8b and 8d.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

COLUMNS = ["group", "stage", "stage_index", "mean", "sem", "n_networks"]
COCHLEAGRAM = "_robust_cochleagram"
WAVEFORM = "_robust_waveform"
# {figure: {group: its generators}}
GROUPS: dict[str, dict[str, tuple[str, ...]]] = {
    "figure_8b": {
        "standard": ("resnet50",),
        "self-supervised": ("resnet50_simclr", "resnet50_moco_v2", "resnet50_byol"),
        "adversarial": (
            "resnet50_l2_3_robust",
            "resnet50_linf_4_robust",
            "resnet50_linf_8_robust",
        ),
    },
    "figure_8d": {
        "standard": ("cochresnet50",),
        "adversarial, waveform": (
            f"cochresnet50_l2_1{WAVEFORM}",
            f"cochresnet50_l2_p5{WAVEFORM}",
            f"cochresnet50_linf_p002{WAVEFORM}",
        ),
        "adversarial, cochleagram": (
            f"cochresnet50_l2_1{COCHLEAGRAM}",
            f"cochresnet50_l2_p5{COCHLEAGRAM}",
        ),
    },
    "figure_6d-h": {
        name: (name,)
        for name in (
            "alexnet_early_checkpoint",
            "alexnet_reduced_aliasing_early_checkpoint",
            "vonealexnet_gaussian_noise_std4_fixed",
        )
    },
}


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
        the root of their number less one, as published.
    """
    rows = []
    for group, generators in groups.items():
        part = transfer[transfer["generator"].isin(generators)]
        others = part[part["evaluator"] != part["generator"]]
        for index, cell in others.groupby("stage_index"):
            means = cell.groupby("evaluator")["proportion_correct"].mean()
            values = means.to_numpy(float)
            networks = part["evaluator"].nunique()
            rows.append(
                (
                    group,
                    cell["stage"].iloc[0],
                    index,
                    float(values.mean()),
                    float(values.std() / np.sqrt(networks - 1)),
                    len(values),
                )
            )
    return pd.DataFrame(rows, columns=COLUMNS)
