"""Scatter plots against people's recognition: figures 7b, 7d, 8e and 8f."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from metamers.figures.published.looks import Looks, Tables, place_legend, place_note
from metamers.figures.published.panels import COMPARED
from metamers.figures.published.source import PUBLISHED, Source
from metamers.figures.style import (
    SMALL,
    TWO_COLUMNS,
    axes_at,
    gap,
    new_figure,
    styled,
    text_at,
)
from metamers.statistics.published.correlations import AREAS, scatter
from metamers.statistics.published.cortex import REGIONS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

REGION_NAMES = {"all_aud_voxels": "all auditory voxels"}
CORTEX_NOTE = (
    "Six of the paper's seventeen networks, whose regressions are published; the "
    "correlations are of these six. SpecTemp, the baseline, is shown apart."
)
# Rank correlations of the printed figures 8e and 8f.
PRINTED = {"vision": "0.938", "audio": "0.863"}
LINE = 3.3


@styled
def plot_brain_scores(
    tables: Tables, name: str, source: Source = PUBLISHED
) -> tuple[Figure, pd.DataFrame]:
    """Plot figure 7b: Brain-Scores against people's recognition.

    Parameters
    ----------
    tables
        ``brain_scores``: points of `brain_score_points`; ``correlations``; ``models``.
    name
        ``figure_7b``.
    source
        Whose networks they are.
    """
    points = tables["brain_scores"]
    figure = new_figure(TWO_COLUMNS, 92.0 if len(points) else 55.0)
    looks = Looks(tables["models"])
    for place, area in enumerate(AREAS):
        left = 15.0 + place * 43.0
        axes = axes_at(figure, left, 13.0, 34.0, 34.0)
        text_at(figure, left, 2.0, area, fontweight="bold")
        part = points[points["area"] == area] if len(points) else points
        if part.empty:
            gap(axes, source.no_brain_scores)
            continue
        _draw_points(axes, part, "score", None, looks)
        axes.set_xlabel(f"Brain-Score {area}")
        found = _statistics(tables["correlations"], f"Brain-Score {area} ", "7b")
        if found:
            given = f"given depth ρ = {found['rho_given_depth']:.2f}"
            p = f"ρ = {found['rho']:.2f}, p = {found['p_rho_bonferroni4']:.2f}"
            text_at(figure, left, 6.0, f"{p}\n{given}", fontsize=SMALL)
        if place == 0:
            axes.set_ylabel("recognition by people at\nthe stage Brain-Score chose")
    names = [m for m in looks.order("vision") if m in set(points["model"])]
    _legend(figure, looks, names, 15.0, 60.0, 3)
    return figure, points


@styled
def plot_cortex(
    tables: Tables, name: str, source: Source = PUBLISHED
) -> tuple[Figure, pd.DataFrame]:
    """Plot figure 7d: prediction of auditory cortex against people's recognition.

    Parameters
    ----------
    tables
        ``best_stages``, ``correlations``, ``models``.
    name
        ``figure_7d``.
    source
        Whose networks they are.
    """
    points = tables["best_stages"].dropna(subset=["people"])
    figure = new_figure(TWO_COLUMNS, 77.0 if len(points) else 46.0)
    looks = Looks(tables["models"])
    for place, region in enumerate(REGIONS):
        left = 15.0 + place * 34.0
        axes = axes_at(figure, left, 11.0, 27.0, 27.0)
        title = REGION_NAMES.get(region, region)
        text_at(figure, left, 2.0, title, fontweight="bold")
        part = points[points["roi"] == region]
        if part.empty:
            gap(axes, source.no_cortex)
            continue
        _draw_points(axes, part, "score", "sem", looks)
        found = _statistics(tables["correlations"], f", {region} ", "7d")
        if found:
            p = f"ρ = {found['rho']:.2f}, p = {found['p_rho_bonferroni5']:.2f}"
            text_at(figure, left, 6.0, p, fontsize=SMALL)
        axes.set_xlabel("variance explained")
        if place == 0:
            axes.set_ylabel("recognition by people\nat the best stage")
    names = [m for m in looks.order("audio") if m in set(points["model"])]
    _legend(figure, looks, names, 15.0, 52.0, 2)
    if len(points):
        place_note(figure, 15.0, 72.0, CORTEX_NOTE)
    return figure, points


@styled
def plot_transfer(
    tables: Tables, name: str, source: Source = PUBLISHED
) -> tuple[Figure, pd.DataFrame]:
    """Plot figure 8e or 8f: people against other networks, all stages of all models.

    Parameters
    ----------
    tables
        ``recognition``: the table of `recognition_by_model`; ``correlations``;
        ``models``.
    name
        ``figure_8e`` (vision) or ``figure_8f`` (audio).
    source
        Whose networks they are.
    """
    modality = "vision" if name == "figure_8e" else "audio"
    points = scatter(tables["recognition"], modality)
    looks = Looks(tables["models"])
    names = [m for m in looks.order(modality) if m in set(points["model"])]
    figure = new_figure(140.0, 66.0 + LINE * -(-len(names) // 2))
    axes = axes_at(figure, 12.0, 6.0, 44.0, 44.0)
    if points.empty:
        gap(axes, source.no_transfer)
        return figure, points
    for model in names:
        part = points[points["model"] == model]
        look = looks.look(model) | {"linestyle": "", "markersize": 3.0}
        axes.plot(part["people"], part["other_networks"], **look, clip_on=False)
    axes.plot([0, 1], [0, 1], color="#BBBBBB", linewidth=0.6, zorder=0)
    _unit_axes(axes)
    axes.set_xlabel("recognition by people")
    axes.set_ylabel("recognition by other networks")
    lines = [f"{len(points)} stages of {len(names)} models"]
    lines += _correlation_lines(tables["correlations"], modality)
    count, paper = len(names), COMPARED[modality]
    printed = f"(paper: ρ = {PRINTED[modality]})"
    lines += ["", f"{count} of the paper's {paper} networks", printed]
    if count < paper:
        lines[-2:] = [f"{lines[-2]};", f"{source.others} {printed}"]
    text_at(figure, 62.0, 8.0, "\n".join(lines), linespacing=1.4)
    _legend(figure, looks, names, 12.0, 61.0, 2)
    return figure, points


def _correlation_lines(correlations: pd.DataFrame, modality: str) -> list[str]:
    """Write the correlations of figure 8e or 8f, where there are points enough."""
    sense = "audio" if modality == "audio" else "visual"
    quantity = correlations["quantity"].astype("str")
    chosen = correlations[quantity.str.startswith(f"human vs other networks, {sense}")]
    if chosen.empty:
        return ["too few for a correlation"]
    values = chosen.set_index("statistic")["value"]
    lines = [
        f"R² = {values['R2']:.3f}",
        f"Spearman's ρ = {values['rho']:.3f}",
        f"Kendall's τ = {values['tau']:.3f}",
        "",
        f"depth alone: ρ = {values['rho_depth_only']:.3f}",
        f"given depth: ρ = {values['rho_given_depth']:.3f}",
    ]
    return [line.replace("-", "\N{MINUS SIGN}") for line in lines]


def _draw_points(
    axes: Axes, part: pd.DataFrame, across: str, error: str | None, looks: Looks
) -> None:
    for row in part.to_dict("records"):
        look = looks.look(str(row["model"])) | {"linestyle": ""}
        axes.errorbar(
            row[across],
            row["people"],
            xerr=row[error] if error else None,
            yerr=row["people_sem"],
            elinewidth=0.5,
            clip_on=False,
            **look,
        )
    _unit_axes(axes)


def _unit_axes(axes: Axes) -> None:
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])


def _statistics(
    correlations: pd.DataFrame, within: str, figure: str
) -> dict[str, float]:
    """Return the values of one quantity of a figure by statistic."""
    chosen = correlations[
        correlations["quantity"].str.contains(within, regex=False)
        & (correlations["figure"] == figure)
    ]
    return {
        str(name): float(value)
        for name, value in zip(chosen["statistic"], chosen["value"], strict=True)
    }


def _legend(
    figure: Figure,
    looks: Looks,
    names: list[str],
    left: float,
    top: float,
    columns: int,
) -> None:
    if not names:
        return
    handles = []
    for name in names:
        entry = looks.entry(name)
        entry.set_linestyle("")
        handles.append(entry)
    place_legend(
        figure,
        handles,
        left,
        top,
        ncols=columns,
        fontsize=SMALL,
        handletextpad=0.3,
        columnspacing=1.5,
    )
