"""Curves that exist only as pictures: the 2019 poster, and the linear read-outs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from metamers.figures.published.looks import (
    Looks,
    Tables,
    place_legend,
    place_note,
)
from metamers.figures.published.source import one_in
from metamers.figures.recognition_curves import (
    PUBLISHED_CHANCE,
    draw_chance,
    draw_curve,
    stage_axis,
)
from metamers.figures.style import TWO_COLUMNS, axes_at, new_figure, size, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLORS = {
    "word network": "#006ddb",
    "aliased": "#006ddb",
    "reduced aliasing": "#b66dff",
    "VGG-19": "#6db6ff",
    "Inception-V3": "#920000",
    "ResNet-101-V2": "#004949",
}
PROBES = {
    "linear_probe_EXP5": "ResNet50",
    "linear_probe_EXP16": "AlexNetGN",
}
POSTER = "Read by eye off the pictures of the 2019 study (± 0.02)"


@styled
def plot_poster(tables: Tables, name: str) -> tuple[Figure, pd.DataFrame]:
    """Plot a panel of the 2019 poster from values read off its pictures.

    Parameters
    ----------
    tables
        ``poster``: ``resources/published/poster_recognition.csv``.
    name
        ``figure_poster_2``, ``_3`` or ``_4``.
    """
    rows = tables["poster"]
    rows = rows[rows["panel"] == f"P{name.rpartition('_')[2]}"]
    modality = "vision" if "VGG-19" in set(rows["model"]) else "audio"
    groups = dict(list(rows.groupby("model", sort=False)))
    apart = modality == "vision"
    count = len(groups) if apart else 1
    width = 50.0 if apart else 70.0
    figure = new_figure(max(14.0 + count * (width + 8.0), 92.0), 74.0)
    axes = None
    for place, (model, line) in enumerate(groups.items()):
        if axes is None or apart:
            left = 12.0 + place * (width + 8.0)
            axes = axes_at(figure, left, 9.0, width, 34.0)
            stage_axis(axes, line["stage"].tolist())
            draw_chance(axes, PUBLISHED_CHANCE[modality])
            axes.set_title(str(model) if apart else "", fontweight="bold", loc="left")
        draw_curve(
            axes,
            line["stage_index"],
            line["proportion_correct"],
            None,
            color=COLORS[str(model)],
            marker="o",
            markerfacecolor="white",
            label=str(model),
        )
        if place == 0:
            axes.set_ylabel("proportion correct, people")
    if axes is not None and not apart:
        axes.legend(loc="lower left")
    chance = one_in(PUBLISHED_CHANCE[modality])
    note = (
        f"{POSTER}, as open symbols;\n16 people a network. Dotted: chance ({chance})."
    )
    place_note(figure, 12.0, size(figure)[1] - 8.0, note)
    return figure, rows.assign(origin="digitized")


@styled
def plot_linear_probes(tables: Tables, name: str) -> tuple[Figure, pd.DataFrame]:
    """Plot accuracy of linear read-outs by stage, from the published vector graphics.

    Parameters
    ----------
    tables
        ``curves``: ``resources/published/figure_curves.csv``; ``models``.
    name
        ``figure_linear_probes``.
    """
    looks, curves = Looks(tables["models"]), tables["curves"]
    figure = new_figure(TWO_COLUMNS, 84.0)
    for place, (curve, title) in enumerate(PROBES.items()):
        left = 12.0 + place * 88.0
        axes = axes_at(figure, left, 9.0, 78.0, 34.0)
        part = curves[curves["curve"] == curve]
        stage_axis(axes, part.drop_duplicates("x")["x"].tolist())
        axes.set_title(title, fontweight="bold", loc="left")
        for model, line in part.groupby("model", sort=False):
            if model == "chance":
                draw_chance(axes, float(line["value"].iloc[0]))
                continue
            draw_curve(
                axes,
                range(len(line)),
                line["value"],
                line["error"],
                label=looks.label(str(model)),
                **looks.look(str(model)),
            )
        place_legend(figure, axes.get_legend_handles_labels()[0], left, 60.0)
    place_note(
        figure,
        12.0,
        77.0,
        "Top-1 accuracy on ImageNet of a linear read-out of each stage, read off the "
        "published vector graphics with their error bars. Dotted: chance (1/1000).",
    )
    drawn = curves[curves["curve"].isin(PROBES)]
    return figure, drawn.assign(origin="read off the published figure")
