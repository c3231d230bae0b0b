"""Figure 6d-h: two networks as robust as each other, unlike in people's recognition."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
from matplotlib.ticker import NullFormatter

from metamers.figures.published.looks import Looks, Tables
from metamers.figures.published.networks import draw_groups
from metamers.figures.published.people import LEGEND, Panel, draw_people
from metamers.figures.style import (
    SMALL,
    TWO_COLUMNS,
    axes_at,
    letter,
    new_figure,
    size,
    styled,
    text_at,
)
from metamers.statistics.published.adversarial import COUNTED
from metamers.statistics.published.groups import GROUPS, group_curves

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME = "figure_6d-h"
MODELS = tuple(GROUPS[NAME])
NORMS = {"l1": "L1", "l2": "L2", "linf": "L∞"}


@styled
def plot_robustness(tables: Tables, name: str) -> tuple[Figure, pd.DataFrame]:
    """Plot accuracy under attack, people's recognition, and other networks'.

    Parameters
    ----------
    tables
        ``adversarial``: the table of `adversarial_table`; ``people``, ``transfer`` and
        ``models`` as for the other figures.
    name
        ``figure_6d-h``.
    """
    figure = new_figure(TWO_COLUMNS, 128.0)
    looks = Looks(tables["models"])
    parts = []
    for place, (norm, label) in enumerate(NORMS.items()):
        axes = axes_at(figure, 12.0 + place * 59.0, 9.0, 50.0, 32.0)
        letter(figure, 5.0 + place * 59.0, 2.0, 3 + place)
        part = tables["adversarial"]
        part = part[part["norm"] == norm]
        for model in MODELS:
            line = part[part["model"] == model]
            look = looks.look(model)
            axes.errorbar(line["eps"], line["accuracy"], yerr=line["sem"], **look)
            read = line[line["origin"] != COUNTED]
            hollow = look | {"linestyle": "", "markerfacecolor": "white", "zorder": 4}
            axes.plot(read["eps"], read["accuracy"], **hollow)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_ylim(0, 0.6)
        axes.set_xlabel(f"size of the attack ({label})")
        if place == 0:
            axes.set_ylabel("accuracy under attack")
        parts.append(part.assign(panel="def"[place]))
    people = axes_at(figure, 12.0, 62.0, 79.0, 34.0)
    letter(figure, 5.0, 55.0, 6)
    drawn = draw_people(people, tables["people"], Panel("vision", 9, MODELS, ""), looks)
    if drawn is not None:
        parts.append(drawn.assign(panel="g"))
    people.set_ylabel("proportion correct, people")
    networks = axes_at(figure, 103.0, 62.0, 76.0, 34.0)
    letter(figure, 96.0, 55.0, 7)
    curves = group_curves(tables["transfer"], GROUPS[NAME])
    shown = {m: (looks.look(m)["color"], looks.look(m)["marker"]) for m in MODELS}
    labels = {model: looks.label(model) for model in MODELS}
    table = draw_groups(networks, curves, "vision", shown, labels)
    networks.set_ylabel("proportion correct, networks")
    parts.append(table.rename(columns={"group": "model"}).assign(panel="h"))
    _explain(figure, looks)
    kept = [part for part in parts if not part.empty]
    return figure, pd.concat(kept, ignore_index=True)


def _explain(figure: Figure, looks: Looks) -> None:
    from matplotlib.lines import Line2D

    width, height = size(figure)
    figure.legend(
        handles=[
            Line2D([], [], **looks.look(model), label=looks.label(model))
            for model in MODELS
        ],
        ncols=3,
        bbox_to_anchor=(12.0 / width, 1 - 116.0 / height),
        **LEGEND,
    )
    text_at(
        figure,
        12.0,
        121.0,
        "d-f: filled: mean of five attacks on 1,024 images; open: read off the "
        "published figure. g: dashed: the generating network.\n"
        "h: mean over the other published networks. Bars: ± 1 SEM.",
        fontsize=SMALL,
        color="#444444",
    )
