"""Does the synthesis converge? The matching loss over the steps, by model and stage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.colors import LogNorm
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from metamers.figures.style import (
    TWO_COLUMNS,
    axes_at,
    gap,
    letter,
    new_figure,
    readable,
    styled,
    text_at,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 4
WIDTH, HEIGHT = 36.0, 28.0
LEFT, TOP, GUTTER, ROW = 13.0, 9.0, 6.0, 46.0


@styled
def plot_convergence(
    losses: pd.DataFrame, models: dict[str, dict[str, Any]], *, modality: str
) -> tuple[Figure, pd.DataFrame]:
    """Plot the loss over steps, a panel each model and a line each stage.

    Parameters
    ----------
    losses
        What `metamers.figures.inputs.read_losses` gives, of all models.
    models
        Models of the study by name: modality, stages.
    modality
        ``vision`` or ``audio``.

    Returns
    -------
    figure, table
        Median and quartiles over metamers at each logged step.
    """
    names = [name for name, model in models.items() if model["modality"] == modality]
    rows = max(1, -(-len(names) // COLUMNS))
    figure = new_figure(TWO_COLUMNS, TOP + rows * ROW + 6.0)
    kept = losses[losses["model"].isin(names)] if len(losses) else losses
    limits = _limits(kept)
    for place, name in enumerate(names):
        row, column = divmod(place, COLUMNS)
        left = LEFT + column * (WIDTH + GUTTER)
        top = TOP + row * ROW
        letter(figure, left - 6.0, top - 7.5, place)
        text_at(figure, left - 1.5, top - 6.6, readable(name, 22), fontweight="bold")
        axes = axes_at(figure, left, top, WIDTH, HEIGHT)
        part = kept[kept["model"] == name] if len(kept) else kept
        draw_losses(axes, part, models[name]["stages"])
        if part.empty:
            continue
        axes.set_ylim(*limits)
        if column == 0:
            axes.set_ylabel("matching loss")
        else:
            axes.tick_params(labelleft=False)
    text_at(
        figure,
        LEFT,
        TOP + rows * ROW - 2.0,
        "Line: median over metamers; band: quartiles. "
        "Color: stage, from the first (dark) to the last (bright).",
    )
    return figure, kept.reset_index(drop=True)


def draw_losses(axes: Axes, part: pd.DataFrame, stages: list[str]) -> None:
    """Draw the losses of one model into axes; shared with the model's page."""
    if part.empty:
        gap(axes, "no metamers of this model")
        return
    shades = mpl.colormaps["viridis"](np.linspace(0.0, 0.92, max(len(stages), 1)))
    for index, stage in enumerate(stages):
        line = part[part["stage"] == stage].sort_values("step")
        if line.empty:
            continue
        # a loss of exactly zero has no place on a logarithmic axis
        shown = line[["lower", "median", "upper"]].clip(lower=np.finfo(float).tiny)
        axes.fill_between(
            line["step"], shown["lower"], shown["upper"], color=shades[index], alpha=0.2
        )
        axes.plot(
            line["step"], shown["median"], color=shades[index], label=readable(stage)
        )
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(numticks=6))
    axes.yaxis.set_major_formatter(FuncFormatter(power_of_ten))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_xlim(left=0)
    axes.locator_params(axis="x", nbins=4)
    axes.set_xlabel("step")


def power_of_ten(value: float, place: int | None = None) -> str:
    """Write a power of ten with a raised exponent and without math markup."""
    raised = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
    return f"10{str(round(np.log10(value))).translate(raised)}" if value > 0 else "0"


def _limits(losses: pd.DataFrame) -> tuple[float, float]:
    """Return limits of the loss that hold every quartile, common to all panels."""
    if losses.empty:
        return 1e-3, 1.0
    values = losses[["lower", "median", "upper"]].to_numpy(float)
    values = values[np.isfinite(values) & (values > 0)]
    if not values.size:
        return 1e-3, 1.0
    norm = LogNorm(values.min(), max(values.max(), values.min() * 1.01))
    return float(norm.inverse(-0.05)), float(norm.inverse(1.05))
