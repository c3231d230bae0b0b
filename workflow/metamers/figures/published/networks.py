"""Recognition of published metamers by other networks: figures 8b, 8d and S3."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from metamers.figures.published.looks import Looks, Tables
from metamers.figures.published.people import LEGEND
from metamers.figures.recognition_curves import (
    PUBLISHED_CHANCE,
    draw_chance,
    draw_curve,
    stage_axis,
)
from metamers.figures.style import (
    PEOPLE_COLOR,
    SMALL,
    TWO_COLUMNS,
    axes_at,
    gap,
    new_figure,
    size,
    styled,
    text_at,
)
from metamers.statistics.published.groups import GROUPS, group_curves

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MISSING = "the published answers of networks\nare not here"
# {group: (color, marker)}: the standard networks' color of the study, then its others.
GROUP_LOOKS = {
    "standard": ("#920000", "o"),
    "self-supervised": ("#924900", "D"),
    "adversarial": ("#db6d00", "v"),
    "adversarial, waveform": ("#924900", "v"),
    "adversarial, cochleagram": ("#db6d00", "P"),
}
COLUMNS = 5
# Where a long label of a panel is broken.
TITLE_BREAK = re.compile(" (?=waveform|cochleagram|L[2∞])")


@styled
def plot_groups(tables: Tables, name: str) -> tuple[Figure, pd.DataFrame]:
    """Plot figure 8b or 8d: how other networks recognize groups of generators.

    Parameters
    ----------
    tables
        ``transfer``: published proportions correct of each generator, evaluator and
        stage.
    name
        ``figure_8b`` or ``figure_8d``.
    """
    modality = "vision" if name == "figure_8b" else "audio"
    figure = new_figure(89.0, 78.0)
    axes = axes_at(figure, 15.0, 6.0, 71.0, 34.0)
    curves = group_curves(tables["transfer"], GROUPS[name])
    table = draw_groups(axes, curves, modality, GROUP_LOOKS)
    axes.set_ylabel("proportion correct\nby other networks")
    width, height = size(figure)
    figure.legend(
        handles=axes.get_legend_handles_labels()[0],
        bbox_to_anchor=(15.0 / width, 1 - 57.0 / height),
        **LEGEND,
    )
    text_at(
        figure,
        15.0,
        70.0,
        "Mean ± 1 SEM over the networks that answer, each without its own\n"
        f"metamers. Dotted: chance ({'1/16' if modality == 'vision' else '1/794'}).",
        fontsize=SMALL,
        color="#444444",
    )
    return figure, table


def draw_groups(
    axes: Axes,
    curves: pd.DataFrame,
    modality: str,
    looks: Mapping[str, tuple[str, str]],
    labels: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Draw the curves of groups of generators into one panel."""
    if curves.empty:
        gap(axes, MISSING)
        return curves
    first = curves[curves["group"] == curves["group"].iloc[0]]
    stage_axis(axes, first["stage"].tolist())
    start = int(first["stage_index"].min())
    for group, line in curves.groupby("group", sort=False):
        color, marker = looks[str(group)]
        draw_curve(
            axes,
            line["stage_index"] - start,
            line["mean"],
            line["sem"],
            color=color,
            marker=marker,
            label=(labels or {}).get(str(group), str(group)),
        )
    chance = network_chance(modality)
    draw_chance(axes, chance)
    return curves.assign(modality=modality, chance=chance)


def network_chance(modality: str) -> float:
    """Return the chance of a network: one of 16 categories, or of 794 word classes."""
    return PUBLISHED_CHANCE["vision"] if modality == "vision" else 1 / 794


@styled
def plot_all_pairs(tables: Tables, name: str) -> tuple[Figure, pd.DataFrame]:
    """Plot the supplementary curves: every generator, every network that answers.

    Parameters
    ----------
    tables
        ``transfer`` as in `plot_groups`; ``models``.
    name
        ``figure_s3_vision`` or ``figure_s3_audio``.
    """
    modality = name.rpartition("_")[2]
    looks, transfer = Looks(tables["models"]), tables["transfer"]
    part = transfer[transfer["modality"] == modality]
    generators = [m for m in looks.order(modality) if m in set(part["generator"])]
    rows = max(1, -(-len(generators) // COLUMNS))
    figure = new_figure(TWO_COLUMNS, 10.0 + rows * 50.0)
    if not generators:
        gap(axes_at(figure, 20.0, 12.0, 140.0, 30.0), MISSING)
    width = (TWO_COLUMNS - 12.0 - (COLUMNS - 1) * 6.0) / COLUMNS
    for place, generator in enumerate(generators):
        down, across = divmod(place, COLUMNS)
        left, top = 10.0 + across * (width + 6.0), 10.0 + down * 50.0
        axes = axes_at(figure, left, top, width, 26.0)
        label = TITLE_BREAK.sub("\n", looks.label(generator), count=1)
        text_at(figure, left, top - 1.0, label, fontsize=SMALL, va="bottom")
        _draw_pairs(axes, part[part["generator"] == generator], modality)
        if across == 0:
            axes.set_ylabel("proportion correct")
    text_at(
        figure,
        10.0,
        size(figure)[1] - 4.0,
        "Gray: each other network; black: their mean; dashed: the generating network.",
        fontsize=SMALL,
        color="#444444",
    )
    kept = part[part["generator"].isin(generators)]
    return figure, kept.assign(own=kept["generator"] == kept["evaluator"])


def _draw_pairs(axes: Axes, part: pd.DataFrame, modality: str) -> None:
    own = part["evaluator"] == part["generator"]
    stages = part[own].sort_values("stage_index")
    stage_axis(axes, stages["stage"].tolist())
    for _, line in part[~own].groupby("evaluator"):
        line = line.sort_values("stage_index")
        axes.plot(
            range(len(line)), line["proportion_correct"], color="#BBBBBB", linewidth=0.5
        )
    mean = part[~own].groupby("stage_index")["proportion_correct"].mean()
    axes.plot(range(len(mean)), mean, color=PEOPLE_COLOR, marker="o", markersize=2.0)
    axes.plot(
        range(len(stages)),
        stages["proportion_correct"],
        color="#920000",
        linestyle=(0, (3, 1.5)),
    )
    draw_chance(axes, network_chance(modality))
