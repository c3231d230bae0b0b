"""People's recognition of published metamers by stage: figures 2 to 6 of the paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from metamers.figures.published.looks import (
    GRAY,
    Looks,
    Tables,
    place_legend,
    place_note,
    stage_places,
)
from metamers.figures.published.panels import PANELS, Panel
from metamers.figures.published.source import PUBLISHED, Source, one_in
from metamers.figures.recognition_curves import (
    PUBLISHED_CHANCE,
    draw_chance,
    draw_curve,
)
from metamers.figures.style import (
    SMALL,
    TWO_COLUMNS,
    axes_at,
    gap,
    new_figure,
    size,
    styled,
    text_at,
)
from metamers.statistics.paper import OWN_EXPERIMENT, binomial_error

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


LEFT, TOP, GUTTER, RIGHT = 10.0, 12.0, 7.0, 2.0
HEIGHT, LABELS, LINE = 34.0, 18.0, 3.4
NOTE_LINE = 3.5
DASHED = (0, (3, 1.5))
MOST_COLUMNS = 5


@styled
def plot_people(
    tables: Tables, name: str, source: Source = PUBLISHED
) -> tuple[Figure, pd.DataFrame]:
    """Plot a figure of people: people solid, the generating networks dashed.

    Parameters
    ----------
    tables
        ``people``: recognition table of the published participants and of networks;
        ``models``: ``resources/published/plot_models.csv``.
    name
        Of the figure, one of `PANELS`.
    source
        Whose networks they are.

    Returns
    -------
    figure, table
        The table has a row for each plotted point: mean and standard error, as
        `summarize` gives them.
    """
    panels = PANELS[name]
    overlaid = max(len(panel.models) for panel in panels)
    columns = min(len(panels), 2 if overlaid > 1 else MOST_COLUMNS)
    width = (TWO_COLUMNS - LEFT - RIGHT - (columns - 1) * GUTTER) / max(columns, 2)
    legend = (overlaid if overlaid > 1 else 0) * LINE + 2.0
    row = HEIGHT + LABELS + legend + 6.0
    rows = -(-len(panels) // columns)
    chance = one_in(PUBLISHED_CHANCE[panels[0].modality])
    note = source.people_note.format(chance=chance)
    foot = NOTE_LINE * len(note.splitlines())
    figure = new_figure(
        LEFT + RIGHT + columns * width + (columns - 1) * GUTTER,
        TOP + rows * row - 4.0 + foot,
    )
    looks, parts = Looks(tables["models"]), []
    for place, panel in enumerate(panels):
        down, across = divmod(place, columns)
        left = LEFT + across * (width + GUTTER)
        top = TOP + down * row
        axes = axes_at(figure, left, top, width, HEIGHT)
        title = panel.title or looks.label(panel.models[0])
        text_at(figure, left, top - 7.0, title, fontweight="bold")
        drawn = draw_people(axes, tables["people"], panel, looks, source)
        if overlaid > 1 and not drawn.empty:
            _legend(figure, left, top + HEIGHT + LABELS, panel, looks, drawn, source)
        if across == 0:
            axes.set_ylabel("proportion correct")
        parts.append(drawn)
    # The notes below all panels explain the lines once.
    place_note(figure, LEFT, size(figure)[1] - foot, note)
    table = [part for part in parts if not part.empty]
    return figure, pd.concat(table, ignore_index=True) if table else parts[0]


def draw_people(
    axes: Axes,
    people: pd.DataFrame,
    panel: Panel,
    looks: Looks,
    source: Source = PUBLISHED,
) -> pd.DataFrame:
    """Draw the curves of one panel, or a gap; return what is drawn."""
    summary = summarize(people, panel).assign(chance=PUBLISHED_CHANCE[panel.modality])
    if summary.empty:
        gap(axes, source.no_model)
        return summary
    stages = stage_places(axes, summary)
    for model in panel.models:
        look = looks.look(model)
        faint = look | {"marker": "", "linestyle": DASHED, "linewidth": 0.7}
        for kind, style in (("network", faint), ("human", look)):
            line = summary[
                (summary["model"] == model) & (summary["observer_kind"] == kind)
            ]
            at = line["stage_index"].map(stages)
            draw_curve(axes, at, line["mean"], line["sem"], **style)
    draw_chance(axes, PUBLISHED_CHANCE[panel.modality])
    title = _above(summary, panel, source)
    axes.set_title(title, loc="right", fontsize=SMALL, color=GRAY)
    return summary


def _above(summary: pd.DataFrame, panel: Panel, source: Source) -> str:
    """Write how many people there are, and what the panel or its legend lacks."""
    counts = summary.loc[summary["observer_kind"] == "human", "n"]
    parts = [f"n = {int(counts.iloc[0])}" if len(counts) else source.no_people]
    if len(panel.models) == 1:
        parts += [missing(summary, panel.models[0], source)]
    else:
        lacking = {missing(summary, model, source) for model in panel.models}
        parts += [f"gray: {source.absent}" if source.absent in lacking else ""]
        parts += [f"†: {source.unanswered}" if source.unanswered in lacking else ""]
    return "; ".join(part for part in parts if part)


def missing(summary: pd.DataFrame, model: str, source: Source) -> str:
    """Say what of a model is not in a summary; nothing if all is there."""
    kinds = set(summary.loc[summary["model"] == model, "observer_kind"])
    if not kinds:
        return source.absent
    return "" if "network" in kinds else source.unanswered


def summarize(people: pd.DataFrame, panel: Panel) -> pd.DataFrame:
    """Return mean and standard error of each model, stage and observer of a panel.

    Returns
    -------
    DataFrame
        modality, experiment, model, observer_kind, observer, stage, stage_index, n,
        mean and sem, models in the order of the panel. They are over participants (sem
        with ddof 0); of a study's network, n is its stimuli and sem the binomial
        standard error.
    """
    experiments = (f"published_{panel.experiment}", OWN_EXPERIMENT)
    rows = people[
        (people["modality"] == panel.modality)
        & people["experiment"].isin(experiments)
        & people["generator"].isin(panel.models)
    ]
    keys = ["modality", "experiment", "generator", "observer_kind", "observer"]
    groups = rows.groupby([*keys, "stage", "stage_index"], sort=False, observed=True)
    table = groups.agg(
        n=("proportion_correct", "size"),
        mean=("proportion_correct", "mean"),
        sem=("proportion_correct", lambda v: v.std(ddof=0) / np.sqrt(len(v))),
        stimuli=("n", "first"),
    )
    table = table.reset_index().rename(columns={"generator": "model"})
    own = table["experiment"] == OWN_EXPERIMENT
    stimuli = table.pop("stimuli").astype("float64")
    table["n"] = table["n"].mask(own, stimuli).astype("int64")
    table["sem"] = table["sem"].mask(own, binomial_error(table["mean"], stimuli))
    order = {model: place for place, model in enumerate(panel.models)}
    return table.sort_values("model", key=lambda m: m.map(order), kind="stable")


def _legend(
    figure: Figure,
    left: float,
    top: float,
    panel: Panel,
    looks: Looks,
    drawn: pd.DataFrame,
    source: Source,
) -> None:
    handles = []
    for model in panel.models:
        lacking = missing(drawn, model, source)
        mark = " †" if lacking == source.unanswered else ""
        handles.append(looks.entry(model, mark, shown=lacking != source.absent))
    place_legend(figure, handles, left, top)
