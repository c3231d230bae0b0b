"""The scores of every model: one row a model, one panel a score."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from metamers.figures.style import (
    SMALL,
    TALLEST,
    TWO_COLUMNS,
    axes_at,
    gap,
    letter,
    model_looks,
    new_figure,
    readable,
    records,
    styled,
    text_at,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TOP, BOTTOM, GUTTER, BLOCK = 16.0, 20.0, 4.0, 9.0
# A row is lower, and the names have more room, where there are many.
TALLEST_ROW, LETTER_WIDTH = 5.0, 1.2
LEAST_LEFT, MOST_LEFT = 40.0, 50.0

SCORES = {
    "accuracy": "accuracy",
    "robustness": "accuracy under\nattack / clean",
    "network_area": "recognition by\nother networks*",
    "people_area": "recognition\nby people*†",
    "error_consistency": "error\nconsistency (κ)",
    "own_match": "own answer\nto metamers",
}
OF_THE_COUNTERPART = ("people_area",)
FOOTNOTE = (
    "Bars: 95 % interval. Dashes: cannot be had for this model.\n"
    "* Area under recognition by stage relative to natural stimuli, over relative "
    "depth; 1: never falls.\n"
    "† Measured on the published counterpart, not on this network, unless "
    "people_source in scores.csv names participants of this study."
)


@styled
def plot_scores(
    scores: pd.DataFrame,
    models: dict[str, dict[str, Any]],
    columns: dict[str, str] | None = None,
) -> tuple[Figure, pd.DataFrame]:
    """Plot the scores of all models as dots, a panel each score.

    Parameters
    ----------
    scores
        ``statistics/scores.csv``: model and one column a score; where there are
        columns ``{score}_lower`` and ``{score}_upper``, they are the interval.
    models
        Models of the study by name: modality, group. One row each, in this order.
    columns
        The scores to show and what they are called (a line feed breaks the line), by
        default `SCORES`; a score that the table lacks is left out.

    Returns
    -------
    figure, table
        model, score, value, lower, upper for each place in the figure; missing values
        are dashes there and empty here.
    """
    shown = {
        name: label
        for name, label in (columns or SCORES).items()
        if name in scores and scores[name].notna().any()
    }
    order = [name for kind in ("vision", "audio") for name in _of(models, kind)]
    breaks = bool(_of(models, "vision")) and bool(_of(models, "audio"))
    between = BLOCK if breaks else 0.0
    room = TALLEST - TOP - BOTTOM - between
    row_height = min(TALLEST_ROW, room / max(len(order), 1))
    height = len(order) * row_height + between
    figure = new_figure(TWO_COLUMNS, TOP + height + BOTTOM)
    if not shown or not order:
        gap(axes_at(figure, LEAST_LEFT, TOP, 100.0, max(height, 10.0)), "no scores")
        return figure, pd.DataFrame()
    at = _places(models, order, row_height)
    start = _write_names(figure, at)
    for kind in ("vision", "audio"):
        names = _of(models, kind)
        if names:
            first = TOP + at[names[0]] - max(row_height, 4.0)
            text_at(figure, 1.0, first, kind, fontweight="bold", va="center")
    rows = scores.set_index("model")
    width = (TWO_COLUMNS - start - 1.0) / len(shown) - GUTTER
    tables = []
    for column, (score, label) in enumerate(shown.items()):
        left = start + column * (width + GUTTER)
        letter(figure, left - 2.0, 1.0, column)
        text_at(figure, left + 1.5, 1.6, label, fontsize=SMALL)
        axes = axes_at(figure, left, TOP, width, height)
        table = _values(rows, score, order)
        _draw(axes, table, models, at, height)
        tables.append(table)
    text_at(figure, 1.0, TOP + height + 8.5, FOOTNOTE, fontsize=SMALL)
    return figure, pd.concat(tables, ignore_index=True)


def _of(models: dict[str, dict[str, Any]], modality: str) -> list[str]:
    """Return the models of a modality in their order."""
    return [name for name, model in models.items() if model["modality"] == modality]


def _write_names(figure: Figure, at: dict[str, float]) -> float:
    """Write the models' names and return where the panels begin, in millimeters."""
    longest = max(len(readable(name)) for name in at)
    left = min(max(4.0 + LETTER_WIDTH * longest, LEAST_LEFT), MOST_LEFT)
    for name, place in at.items():
        shown = readable(name, int((left - 4.0) / LETTER_WIDTH))
        where = {"ha": "right", "va": "center", "fontsize": SMALL}
        text_at(figure, left - 2, TOP + place, shown, **where)
    return left


def _places(
    models: dict[str, dict[str, Any]], order: list[str], row_height: float
) -> dict[str, float]:
    """Return the distance of each row from the top in millimeters."""
    places: dict[str, float] = {}
    place, before = row_height / 2, None
    for name in order:
        modality = models[name]["modality"]
        if before not in (None, modality):
            place += BLOCK
        places[name], before = place, modality
        place += row_height
    return places


def _values(rows: pd.DataFrame, score: str, order: list[str]) -> pd.DataFrame:
    """Collect one score of all models with its interval, where there is one."""
    picked = rows.reindex(order)
    table = pd.DataFrame({"model": order, "score": score})
    for name, column in (
        ("value", score),
        ("lower", f"{score}_lower"),
        ("upper", f"{score}_upper"),
    ):
        missing = pd.Series(np.nan, index=picked.index)
        values = picked.get(column, missing)
        table[name] = pd.to_numeric(values).to_numpy(float)
    return table


def _draw(
    axes: Axes,
    table: pd.DataFrame,
    models: dict[str, dict[str, Any]],
    at: dict[str, float],
    height: float,
) -> None:
    """Draw one score of all models, and its number at the right."""
    looks = model_looks(models)
    bounds = table[["value", "lower", "upper"]].to_numpy(float)
    finite = bounds[np.isfinite(bounds)]
    low = min(0.0, float(finite.min(initial=0.0)))
    high = max(1.0, float(finite.max(initial=1.0)))
    span = high - low
    for row in records(table):
        place = at[row["model"]]
        axes.axhline(place, color="#E6E6E6", linewidth=0.5, zorder=0)
        text = "–"
        if np.isfinite(row["value"]):
            look = looks[row["model"]] | {"linestyle": ""}
            if row["score"] in OF_THE_COUNTERPART:
                look["markerfacecolor"] = "white"
            text = f"{row['value']:.2f}".replace("-", "\N{MINUS SIGN}")
            if np.isfinite([row["lower"], row["upper"]]).all():
                axes.plot(
                    [row["lower"], row["upper"]],
                    [place, place],
                    color=look["color"],
                    linewidth=1.0,
                )
            axes.plot(
                [row["value"]],
                [place],
                **look,
                markersize=4.0,
                clip_on=False,
            )
        axes.text(
            high + 0.5 * span, place, text, ha="right", va="center", fontsize=SMALL
        )
    axes.set_ylim(height, 0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlim(low - 0.04 * span, high + 0.52 * span)
    axes.set_xticks([0, 0.5, 1], ["0", ".5", "1"])
    axes.spines["bottom"].set_bounds(low, high)
