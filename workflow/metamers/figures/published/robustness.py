"""Figure 6d-h: two networks as robust as each other, unlike in people's recognition."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
from matplotlib.ticker import NullFormatter

from metamers.figures.published.looks import Looks, Tables, place_legend, place_note
from metamers.figures.published.networks import draw_groups
from metamers.figures.published.panels import GROUPS, Panel
from metamers.figures.published.people import draw_people
from metamers.figures.published.source import PUBLISHED, Source
from metamers.figures.style import (
    TWO_COLUMNS,
    axes_at,
    gap,
    letter,
    new_figure,
    styled,
)
from metamers.statistics.published.adversarial import DIGITIZED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME = "figure_6d-h"
MODELS = tuple(GROUPS[NAME])
NORMS = {"l1": "L1", "l2": "L2", "linf": "L∞"}
# The ordinate of the printed figure; where a network is better, it reaches to 1.
PRINTED_TOP = 0.6


@styled
def plot_robustness(
    tables: Tables, name: str, source: Source = PUBLISHED
) -> tuple[Figure, pd.DataFrame]:
    """Plot accuracy under attack, people's recognition, and other networks'.

    Parameters
    ----------
    tables
        ``adversarial``: the columns of `adversarial_table`; ``people``, ``transfer``
        and ``models`` as for the other figures.
    name
        ``figure_6d-h``.
    source
        Whose networks they are.
    """
    figure = new_figure(TWO_COLUMNS, 128.0)
    looks, attacks = Looks(tables["models"]), tables["adversarial"]
    attacks = attacks[attacks["model"].isin(MODELS)]
    parts: list[pd.DataFrame] = []
    for place, norm in enumerate(NORMS):
        axes = axes_at(figure, 12.0 + place * 59.0, 9.0, 50.0, 32.0)
        letter(figure, 5.0 + place * 59.0, 2.0, 3 + place)
        part = attacks[attacks["norm"] == norm]
        _draw_attack(axes, part, norm, looks, source)
        if all(before.empty for before in parts):
            axes.set_ylabel("accuracy under attack")
        parts.append(part.assign(panel="def"[place]))
    people = axes_at(figure, 12.0, 62.0, 79.0, 34.0)
    letter(figure, 5.0, 55.0, 6)
    panel = Panel("vision", 9, MODELS, "")
    drawn = draw_people(people, tables["people"], panel, looks, source)
    parts.append(drawn.assign(panel="g"))
    people.set_ylabel("proportion correct, people")
    networks = axes_at(figure, 103.0, 62.0, 76.0, 34.0)
    letter(figure, 96.0, 55.0, 7)
    shown = {m: (looks.look(m)["color"], looks.look(m)["marker"]) for m in MODELS}
    transfer = tables["transfer"]
    curves = draw_groups(networks, transfer, GROUPS[NAME], shown, "vision", source)
    networks.set_ylabel("proportion correct, networks")
    parts.append(curves.rename(columns={"group": "model"}).assign(panel="h"))
    here = {*attacks["model"], *transfer["generator"], *drawn["model"]}
    entries = [
        looks.entry(model)
        if model in here
        else looks.entry(model, f": {source.absent}", shown=False)
        for model in MODELS
    ]
    place_legend(figure, entries, 12.0, 116.0, ncols=3)
    images = attacks["n_images"].max()
    count = f"{int(images):,}" if pd.notna(images) else "no"
    place_note(figure, 12.0, 121.0, source.robustness_note.format(images=count))
    kept = [part for part in parts if not part.empty]
    return figure, pd.concat(kept, ignore_index=True) if kept else parts[0]


def _draw_attack(
    axes: Axes, part: pd.DataFrame, norm: str, looks: Looks, source: Source
) -> None:
    """Draw accuracy against the size of the attacks of one norm, or a gap."""
    if part.empty:
        gap(axes, source.no_attack.format(norm=NORMS[norm]))
        return
    for model in MODELS:
        line = part[part["model"] == model]
        look = looks.look(model)
        axes.errorbar(line["eps"], line["accuracy"], yerr=line["sem"], **look)
        read = line[line["origin"] == DIGITIZED]
        hollow = look | {"linestyle": "", "markerfacecolor": "white", "zorder": 4}
        axes.plot(read["eps"], read["accuracy"], **hollow)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(0, PRINTED_TOP if part["accuracy"].max() < PRINTED_TOP else 1)
    axes.set_xlabel(f"size of the attack ({NORMS[norm]})")
