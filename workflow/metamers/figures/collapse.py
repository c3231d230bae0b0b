"""Whether a network brings clean and noisy versions of a sound together.

After the 2019 predecessor of the study: a trained network should map a clean word and
the same word in noise near to each other, an untrained one should not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from metamers.figures.style import (
    CHANCE_COLOR,
    axes_at,
    gap,
    model_looks,
    new_figure,
    readable,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 140.0, 62.0
NORMAL_95 = 1.959964


@styled
def plot_collapse(
    collapse: pd.DataFrame, models: dict[str, dict[str, Any]], note: str = ""
) -> tuple[Figure, pd.DataFrame]:
    """Plot the noisy distance relative to the distance of other words, by stage.

    Parameters
    ----------
    collapse
        Rows of ``collapse/{model}.csv``: model, stage, stage_index, stimulus_id,
        ratio (distance of clean and noisy over distance of two clean sounds).
    models
        Models of the study by name: group, stages. One line each, in this order.
    note
        A sentence set below the figure.

    Returns
    -------
    figure, table
        Mean, 95 % interval (normal, over stimuli) and n of each point.
    """
    names = [name for name in models if (collapse["model"] == name).any()]
    figure = new_figure(WIDTH, HEIGHT)
    axes = axes_at(figure, 14.0, 5.0, 76.0, 38.0)
    if not names:
        gap(axes, "no model's collapse was measured")
        return figure, pd.DataFrame()
    looks = model_looks(models)
    longest = max((models[name]["stages"] for name in names), key=len)
    table = summarize(collapse)
    for place, name in enumerate(names):
        line = table[table["model"] == name].sort_values("stage_index")
        own = len(models[name]["stages"])
        scale = (len(longest) - 1) / max(own - 1, 1)
        shift = (place - (len(names) - 1) / 2) * 0.05
        axes.errorbar(
            (line["stage_index"] - 1) * scale + shift,
            line["mean"],
            yerr=np.stack([line["mean"] - line["lower"], line["upper"] - line["mean"]]),
            **looks[name],
            elinewidth=0.7,
            label=readable(name, 28),
        )
    axes.axhline(1, color=CHANCE_COLOR, linestyle=":", linewidth=0.8)
    axes.set_ylim(bottom=0)
    axes.set_xticks(range(len(longest)), [readable(stage, 14) for stage in longest])
    for label in axes.get_xticklabels():
        label.set(rotation=60, ha="right", rotation_mode="anchor")
    axes.set_ylabel("distance clean to noisy /\ndistance to other sounds")
    axes.legend(loc="upper left", bbox_to_anchor=(1.03, 1.0))
    if note:
        figure.text(0.995, 0.02, note, ha="right", va="bottom", fontstyle="italic")
    return figure, table[table["model"].isin(names)].reset_index(drop=True)


def summarize(collapse: pd.DataFrame) -> pd.DataFrame:
    """Average the ratio over stimuli: model, stage, stage_index, mean, bounds, n."""
    rows = []
    keys = ["model", "stage", "stage_index"]
    for key, part in collapse.groupby(keys, sort=False):
        model, stage, index = key if isinstance(key, tuple) else (key, "", 0)
        # several noisy versions of one stimulus are one observation
        ratio = part.groupby("stimulus_id")["ratio"].mean().to_numpy(float)
        ratio = ratio[np.isfinite(ratio)]
        mean = float(ratio.mean()) if ratio.size else np.nan
        spread = ratio.std(ddof=1) / np.sqrt(ratio.size) if ratio.size > 1 else np.nan
        rows.append(
            {
                "model": model,
                "stage": stage,
                "stage_index": index,
                "mean": mean,
                "lower": mean - NORMAL_95 * spread,
                "upper": mean + NORMAL_95 * spread,
                "n": int(ratio.size),
            }
        )
    return pd.DataFrame(rows)
