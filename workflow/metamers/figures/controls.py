"""Whether it is the invariance, the optimization or the error in the pixels.

Two controls: metamers of one late stage made with several times the steps, and natural
stimuli with white noise of the metamers' own error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from metamers.figures.recognition_by_stage import RELATIONS
from metamers.figures.style import (
    CHANCE_COLOR,
    SMALL,
    TWO_COLUMNS,
    axes_at,
    gap,
    letter,
    new_figure,
    readable,
    records,
    styled,
    text_at,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CONTROLS = {
    "standard": "metamers\n",
    "longer": "metamers,\nmore steps",
    "noise": "natural + noise\nof equal error",
}
ORDER = ("own", "panel")
NAMES = {"own": "the generating network", "panel": "panel of other networks"}


@styled
def plot_controls(
    controls: pd.DataFrame,
    *,
    chance: dict[str, float | None],
    screened: bool = True,
    note: str = "",
) -> tuple[Figure, pd.DataFrame]:
    """Plot recognition of the control stimuli, one panel a modality.

    Parameters
    ----------
    controls
        ``statistics/controls.csv``: modality, generator, stage, control (standard,
        longer, noise), relation (own, panel), screened, recognition, lower, upper,
        difference (from standard) with difference_lower and difference_upper,
        n_stimuli, n_evaluators.
    chance
        Proportion correct by chance for each modality.
    screened
        Whether only stimuli whose metamers passed screening are counted.
    note
        A sentence set below the figure.

    Returns
    -------
    figure, table
        The rows that are plotted.
    """
    figure = new_figure(TWO_COLUMNS, 76.0)
    tables = []
    for place, modality in enumerate(("vision", "audio")):
        left = 13.0 + place * 92.0
        letter(figure, left - 12.0, 1.0, place)
        axes = axes_at(figure, left, 9.0, 76.0, 38.0)
        part = controls
        if len(controls):
            kept = controls["screened"].astype(bool) == screened
            part = controls[kept & (controls["modality"] == modality)]
        if part.empty:
            gap(axes, f"no controls of {modality}")
            continue
        generator, stage = str(part["generator"].iloc[0]), str(part["stage"].iloc[0])
        title = f"{modality}: {readable(generator, 28)}, {readable(stage, 18)}"
        text_at(figure, left - 6.0, 1.6, title, fontweight="bold")
        _draw(axes, part)
        by_chance = chance.get(modality)
        if by_chance is not None:
            axes.axhline(by_chance, color=CHANCE_COLOR, ls=":", linewidth=0.8)
        tables.append(part.assign(chance=by_chance))
    shown = {kind for table in tables for kind in table["relation"]}
    _legend(figure, shown, note)
    return figure, pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _draw(axes: Axes, table: pd.DataFrame) -> None:
    """Draw recognition with its interval; the change from standard is written."""
    found = table["control"].unique().tolist()
    controls = [name for name in CONTROLS if name in found]
    controls += [name for name in found if name not in CONTROLS]
    kinds = [kind for kind in ORDER if (table["relation"] == kind).any()]
    for place, kind in enumerate(kinds):
        shift = (place - (len(kinds) - 1) / 2) * 0.3
        rows = {
            row["control"]: row for row in records(table[table["relation"] == kind])
        }
        side = 1 if place else -1
        for at, control in enumerate(controls):
            if control not in rows:
                continue
            row = rows[control]
            bounds = [[row["recognition"] - row["lower"]]]
            bounds += [[row["upper"] - row["recognition"]]]
            axes.errorbar(
                [at + shift],
                [row["recognition"]],
                yerr=np.clip(np.array(bounds, dtype=float), 0, None),
                color=RELATIONS[kind]["color"],
                marker=RELATIONS[kind]["marker"],
                markersize=4.5,
                elinewidth=0.9,
                clip_on=False,
            )
            if control != "standard" and np.isfinite(row["difference"]):
                change = f"{row['difference']:+.2f}".replace("-", "\N{MINUS SIGN}")
                axes.text(
                    at + shift + 0.05 * side,
                    row["recognition"] - 0.02,
                    change,
                    fontsize=SMALL,
                    va="top",
                    ha="left" if side > 0 else "right",
                    color=RELATIONS[kind]["color"],
                )
    counts = table.groupby("control")["n_stimuli"].max()
    labels = [
        f"{CONTROLS.get(name, readable(name))}\nn = {counts[name]}" for name in controls
    ]
    axes.set_xticks(range(len(controls)), labels)
    axes.set_xlim(-0.5, len(controls) - 0.5)
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.set_ylabel("proportion correct")


def _legend(figure: Figure, shown: set[str], note: str) -> None:
    """Explain the marks below both panels."""
    handles = [
        Line2D(
            [],
            [],
            linestyle="",
            color=RELATIONS[kind]["color"],
            marker=RELATIONS[kind]["marker"],
            label=NAMES[kind],
        )
        for kind in ORDER
        if kind in shown
    ]
    handles.append(
        Line2D([], [], color=CHANCE_COLOR, linestyle=":", label="chance"),
    )
    figure.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0.01, 0.06),
        ncols=3,
        columnspacing=3.0,
    )
    text = "Bars: 95 % interval. Written: change from the metamers. " + note
    text_at(figure, 2.0, 75.0, text, va="bottom", fontsize=SMALL)
