"""Recognition of published metamers by other networks: figures 8b, 8d and S3."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd
from matplotlib.lines import Line2D

from metamers.figures.published.looks import (
    NO_LINE,
    Looks,
    Tables,
    place_legend,
    place_note,
    stage_places,
)
from metamers.figures.published.panels import CLASSICAL, GROUPS
from metamers.figures.published.source import PUBLISHED, Source, one_in
from metamers.figures.recognition_curves import draw_chance, draw_curve
from metamers.figures.style import (
    PEOPLE_COLOR,
    SMALL,
    TWO_COLUMNS,
    axes_at,
    gap,
    new_figure,
    styled,
    text_at,
)
from metamers.statistics.published.groups import group_curves

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# {group: (color, marker)}: the standard networks' color of the study, then its others.
GROUP_LOOKS = {
    "standard": ("#920000", "o"),
    "self-supervised": ("#924900", "D"),
    "adversarial": ("#db6d00", "v"),
    "adversarial, waveform": ("#924900", "v"),
    "adversarial, cochleagram": ("#db6d00", "P"),
}
# Panels in a row, of few or of many generators, so that all fit on a page.
COLUMNS, MANY, MANY_COLUMNS = 5, 20, 6
ROW = 52.0
# Where a long label of a panel is broken, and how long a line of the note is.
TITLE_BREAK = re.compile(r" (?=waveform|cochleagram|Stylized|\(early|L[2∞])")
NOTE_LETTERS = 150
OWN_COLOR = "#920000"


@styled
def plot_groups(
    tables: Tables, name: str, source: Source = PUBLISHED
) -> tuple[Figure, pd.DataFrame]:
    """Plot figure 8b or 8d: how other networks recognize groups of generators.

    Parameters
    ----------
    tables
        ``transfer``: proportions correct of each generator, evaluator and stage.
    name
        ``figure_8b`` or ``figure_8d``.
    source
        Whose networks they are.
    """
    modality = "vision" if name == "figure_8b" else "audio"
    figure = new_figure(89.0, 78.0)
    axes = axes_at(figure, 15.0, 6.0, 71.0, 34.0)
    transfer, groups = tables["transfer"], GROUPS[name]
    table = draw_groups(axes, transfer, groups, GROUP_LOOKS, modality, source)
    axes.set_ylabel("proportion correct\nby other networks")
    lines = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    here = set(transfer["generator"])
    handles = []
    for group, generators in groups.items():
        count = len(here.intersection(generators))
        entry = lines.get(group)
        label = f"{group} ({count} of {len(generators)} networks)"
        if entry is None or not count:
            entry = Line2D([], [], **NO_LINE)
            label = f"{group}: {source.absent}"
        entry.set_label(group if count == len(generators) else label)
        handles.append(entry)
    place_legend(figure, handles, 15.0, 57.0)
    place_note(
        figure,
        15.0,
        70.0,
        "Mean ± 1 SEM over the networks that answer, each without its own\n"
        f"metamers. Dotted: chance ({one_in(source.chance[modality])}).",
    )
    return figure, table


def draw_groups(
    axes: Axes,
    transfer: pd.DataFrame,
    groups: Mapping[str, tuple[str, ...]],
    looks: Mapping[str, tuple[str, str]],
    modality: str,
    source: Source,
) -> pd.DataFrame:
    """Draw the curves of groups of generators into one panel, or a gap.

    Parameters
    ----------
    axes
        The panel.
    transfer
        As in `plot_groups`.
    groups
        Generators by group.
    looks
        Color and marker of each group.
    modality
        ``vision`` or ``audio``.
    source
        Whose networks they are.

    Returns
    -------
    DataFrame
        What `group_curves` returns, with modality and chance.
    """
    chance = source.chance[modality]
    curves = group_curves(transfer, dict(groups))
    curves = curves.assign(modality=modality, chance=chance)
    if curves.empty:
        gap(axes, source.no_transfer)
        return curves
    places = stage_places(axes, curves)
    for group, line in curves.groupby("group", sort=False):
        color, marker = looks[str(group)]
        draw_curve(
            axes,
            line["stage_index"].map(places),
            line["mean"],
            line["sem"],
            color=color,
            marker=marker,
            label=str(group),
        )
    draw_chance(axes, chance)
    return curves


@styled
def plot_all_pairs(
    tables: Tables, name: str, source: Source = PUBLISHED
) -> tuple[Figure, pd.DataFrame]:
    """Plot the supplementary curves: every generator, every network that answers.

    Parameters
    ----------
    tables
        ``transfer`` as in `plot_groups`; ``models``.
    name
        ``figure_s3_vision`` or ``figure_s3_audio``.
    source
        Whose networks they are.
    """
    modality = name.rpartition("_")[2]
    looks, transfer = Looks(tables["models"]), tables["transfer"]
    part = transfer[transfer["modality"] == modality]
    compared = [m for m in looks.order(modality) if m not in CLASSICAL]
    generators = [m for m in compared if m in set(part["generator"])]
    note = _pairs_note(looks, compared, generators, source)
    columns = MANY_COLUMNS if len(generators) > MANY else COLUMNS
    rows = max(1, -(-len(generators) // columns))
    top = 10.0 + rows * ROW
    figure = new_figure(TWO_COLUMNS, top + 3.0 * len(note.splitlines()))
    if not generators:
        gap(axes_at(figure, 20.0, 12.0, 140.0, 30.0), source.no_transfer)
    width = (TWO_COLUMNS - 12.0 - (columns - 1) * 6.0) / columns
    for place, generator in enumerate(generators):
        down, across = divmod(place, columns)
        left, upper = 10.0 + across * (width + 6.0), 10.0 + down * ROW
        axes = axes_at(figure, left, upper, width, 26.0)
        label = TITLE_BREAK.sub("\n", looks.label(generator), count=1)
        text_at(figure, left, upper - 1.0, label, fontsize=SMALL, va="bottom")
        _draw_pairs(axes, part[part["generator"] == generator], source.chance[modality])
        if across == 0:
            axes.set_ylabel("proportion correct")
    place_note(figure, 10.0, top - 2.0, note)
    kept = part[part["generator"].isin(generators)]
    return figure, kept.assign(own=kept["generator"] == kept["evaluator"])


def _pairs_note(
    looks: Looks, compared: list[str], generators: list[str], source: Source
) -> str:
    """Explain the lines, and name the paper's networks that are not drawn."""
    note = (
        "Gray: each other network; black: their mean; dashed: the generating network."
    )
    lacking = [looks.label(model) for model in compared if model not in generators]
    if not lacking or not generators:
        return note
    # Lines are broken between names, not inside them.
    names = "; ".join(name.replace(" ", "\N{NO-BREAK SPACE}") for name in lacking)
    text = f"Of the paper's {len(compared)} networks, {source.absent}: {names}"
    return f"{note}\n{textwrap.fill(text, NOTE_LETTERS)}"


def _draw_pairs(axes: Axes, part: pd.DataFrame, chance: float) -> None:
    places = stage_places(axes, part)
    part = part.assign(place=part["stage_index"].map(places)).sort_values("place")
    own = part["evaluator"] == part["generator"]
    for _, line in part[~own].groupby("evaluator"):
        axes.plot(
            line["place"], line["proportion_correct"], color="#BBBBBB", linewidth=0.5
        )
    mean = part[~own].groupby("place")["proportion_correct"].mean()
    axes.plot(mean.index, mean, color=PEOPLE_COLOR, marker="o", markersize=2.0)
    axes.plot(
        part[own]["place"],
        part[own]["proportion_correct"],
        color=OWN_COLOR,
        linestyle=(0, (3, 1.5)),
    )
    draw_chance(axes, chance)
