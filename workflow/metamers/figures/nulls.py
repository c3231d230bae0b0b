"""Metamers against the null distribution of pairs of natural stimuli."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from metamers.figures.style import (
    SMALL,
    TWO_COLUMNS,
    axes_at,
    gap,
    new_figure,
    readable,
    styled,
    text_at,
)
from metamers.synthesis.measures import MEASURES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMES = {
    "spearman": "Spearman's rho",
    "pearson": "Pearson's r",
    "db_snr": "SNR (dB)",
}
NULL_COLOR, METAMER_COLOR = "#9A9A9A", "#0072B2"
LEFT, TOP, HEIGHT, ROW = 9.0, 14.0, 22.0, 33.0
LARGEST_DECIBELS = 120.0
BINS = 30


@styled
def plot_nulls(
    nulls: pd.DataFrame, screening: pd.DataFrame, *, model: str, stages: list[str]
) -> tuple[Figure, pd.DataFrame]:
    """Plot the null histograms of one model with its metamers' similarities.

    Parameters
    ----------
    nulls
        What `metamers.figures.inputs.read_nulls` gives.
    screening
        ``screening/{model}.csv``: model, stage, spearman, pearson, db_snr and the
        thresholds null_spearman, null_pearson, null_db_snr (missing where the
        measure's null is at its ceiling and the measure is not used).
    model
        Name of the model.
    stages
        Its stages in order; one column each.

    Returns
    -------
    figure, table
        Rows of kind ``null`` (bins), ``metamer`` (values) and ``threshold``.
    """
    figure = new_figure(TWO_COLUMNS, TOP + len(MEASURES) * ROW + 8.0)
    text_at(figure, 1.0, 1.5, readable(model), fontweight="bold")
    gutter = 2.5
    width = (TWO_COLUMNS - LEFT - 2.0 + gutter) / max(len(stages), 1) - gutter
    tables = []
    for row, measure in enumerate(MEASURES):
        top = TOP + row * ROW
        text_at(
            figure,
            1.5,
            top + HEIGHT / 2,
            NAMES[measure],
            rotation=90,
            va="center",
            ha="left",
        )
        for column, stage in enumerate(stages):
            axes = axes_at(figure, LEFT + column * (width + gutter), top, width, HEIGHT)
            if row == 0:
                axes.set_title(readable(stage, max(8, int(width * 0.75))), pad=9.0)
            tables.append(_draw(axes, nulls, screening, stage, measure))
    figure.legend(
        handles=[
            Patch(color=NULL_COLOR, label="pairs of natural stimuli (null)"),
            Patch(color=METAMER_COLOR, label="metamer and its reference"),
            Line2D([], [], color="black", linestyle="--", label="threshold"),
        ],
        loc="lower center",
        ncols=3,
    )
    kept = [table for table in tables if not table.empty]
    return figure, pd.concat(kept, ignore_index=True) if kept else pd.DataFrame()


def _draw(
    axes: Axes, nulls: pd.DataFrame, screening: pd.DataFrame, stage: str, measure: str
) -> pd.DataFrame:
    """Draw one stage and measure: both distributions, each scaled to its own peak."""
    null = _rows(nulls, stage)
    null = null[null["measure"] == measure] if len(null) else null
    own = _rows(screening, stage)
    if null.empty and own.empty:
        gap(axes, "none")
        return pd.DataFrame()
    values = own[measure].to_numpy(float) if len(own) else np.empty(0)
    finite = values[np.isfinite(values)]
    # an exact match has an infinite SNR: it is drawn at the largest finite value
    top = finite.max() if finite.size else LARGEST_DECIBELS
    shown = np.clip(values[~np.isnan(values)], None, top)
    tables = []
    if len(null):
        counts = null["count"].to_numpy(float)
        edges = [*null["lower_edge"], null["upper_edge"].iloc[-1]]
        axes.stairs(counts / max(counts.max(), 1), edges, fill=True, color=NULL_COLOR)
        tables.append(
            null[["model", "stage", "measure", "lower_edge", "upper_edge"]].assign(
                kind="null", value=counts
            )
        )
    if shown.size:
        low = min(shown.min(), null["lower_edge"].min() if len(null) else shown.min())
        bins = np.linspace(low - 1e-6, shown.max() + 1e-6, BINS + 1)
        height = np.histogram(shown, bins=bins)[0]
        axes.stairs(
            height / height.max(), bins, fill=True, color=METAMER_COLOR, alpha=0.75
        )
        part = own[["model", "stage", "stimulus_id"]]
        tables.append(part.assign(measure=measure, kind="metamer", value=values))
    tables.append(_threshold(axes, null, own, stage, measure))
    axes.set_ylim(0, 1.05)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.locator_params(axis="x", nbins=3)
    axes.tick_params(axis="x", labelsize=SMALL)
    return pd.concat(tables, ignore_index=True)


def _threshold(
    axes: Axes, null: pd.DataFrame, own: pd.DataFrame, stage: str, measure: str
) -> pd.DataFrame:
    """Draw the threshold and write how many metamers lie above it."""
    used = own[f"null_{measure}"].dropna() if len(own) else pd.Series(dtype=float)
    note: dict[str, Any] = {
        "transform": axes.transAxes,
        "fontsize": SMALL,
        "ha": "center",
    }
    if used.empty:
        if len(null) and bool(null["ceiling"].iloc[0]):
            units = int(null["units"].iloc[0])
            axes.text(0.5, 1.03, f"not used: {units} units", **note, color="#D55E00")
        return pd.DataFrame()
    threshold = float(used.iloc[0])
    axes.axvline(threshold, color="black", linestyle="--", linewidth=0.8)
    above = int((own[measure] > threshold).sum())
    axes.text(0.5, 1.03, f"{above} of {len(own)} above", **note, color="#444444")
    return pd.DataFrame(
        {
            "model": [own["model"].iloc[0]],
            "stage": [stage],
            "measure": [measure],
            "kind": ["threshold"],
            "value": [threshold],
        }
    )


def _rows(table: pd.DataFrame, stage: str) -> pd.DataFrame:
    """Return the rows of a stage; an empty table has no columns to choose by."""
    return table[table["stage"] == stage] if len(table) else table
