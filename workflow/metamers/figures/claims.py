"""The claims of a study: effect, interval and verdict of each, as a forest plot."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from metamers.figures.style import (
    CHANCE_COLOR,
    SMALL,
    TEXT,
    TWO_COLUMNS,
    axes_at,
    gap,
    new_figure,
    readable,
    records,
    styled,
    text_at,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

VERDICTS: dict[str, dict[str, Any]] = {
    "supported": {"color": "#0072B2", "marker": "o"},
    "contradicted": {"color": "#D55E00", "marker": "s"},
    "inconclusive": {"color": "#7F7F7F", "marker": "D"},
    "not testable": {"color": "#B0B0B0", "marker": ""},
}
LINE = 2.9
LETTERS_ACROSS = 62
REASON_ACROSS = 34
LEFT, PLOT_LEFT, PLOT_WIDTH, RIGHT = 1.0, 86.0, 46.0, 134.0
WIDEST = 1.25


@styled
def plot_claims(claims: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Plot the effect of each claim with its interval and verdict.

    Parameters
    ----------
    claims
        ``statistics/claims.csv``: claim, statement, observer, estimand, effect,
        lower, upper, seed_difference, p_adjusted, verdict, reason; and, where they
        are given, modality, effect_unscreened, n_stimuli and n_evaluators.

    Returns
    -------
    figure, table
        The table has a row for each claim, in the order of the figure.
    """
    blocks = [_words(row) for row in records(claims)]
    notes = [_numbers(row) for row in records(claims)]
    lines = [
        max(2, text.count("\n") + 1, note.count("\n") + 1)
        for text, note in zip(blocks, notes, strict=True)
    ]
    heights = [count * LINE + 2.6 for count in lines]
    top, bottom = 8.0, 17.0
    total = max(sum(heights), 12.0)
    figure = new_figure(TWO_COLUMNS, top + total + bottom)
    axes = axes_at(figure, PLOT_LEFT, top, PLOT_WIDTH, total)
    if claims.empty:
        gap(axes, "no claims were tested")
        return figure, claims.copy()
    header = {"fontweight": "bold"}
    text_at(figure, LEFT, 3.0, "claim (observer; estimand)", **header)
    text_at(figure, PLOT_LEFT, 3.0, "effect", **header)
    text_at(figure, RIGHT, 3.0, "effect [95 % interval], verdict", **header)
    middles = np.cumsum(heights) - np.asarray(heights) / 2
    limit = _limit(claims)
    axes.set_ylim(total, 0)
    axes.set_xlim(-limit, limit)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.axvline(0, color=CHANCE_COLOR, linewidth=0.7)
    rows = records(claims)
    for place, (row, middle, text) in enumerate(
        zip(rows, middles, blocks, strict=True)
    ):
        if place % 2:
            half = heights[place] / 2
            axes.axhspan(middle - half, middle + half, color="#F4F4F4", lw=0, zorder=0)
        _draw_claim(axes, row, float(middle), limit)
        place_text = {"va": "center", "linespacing": 1.15}
        text_at(figure, LEFT, top + middle, text, **place_text, fontsize=SMALL + 0.5)
        text_at(figure, RIGHT, top + middle, notes[place], **place_text)
    axes.set_xlabel("effect, in units of its estimand")
    _legend(figure, top + total + 9.0)
    order = [column for column in COLUMNS if column in claims]
    return figure, claims[order].reset_index(drop=True)


COLUMNS = (
    "claim",
    "statement",
    "modality",
    "observer",
    "estimand",
    "effect",
    "lower",
    "upper",
    "seed_difference",
    "effect_unscreened",
    "n_stimuli",
    "n_evaluators",
    "p",
    "p_adjusted",
    "verdict",
    "reason",
)


def _words(row: dict[str, Any]) -> str:
    """Wrap the statement of a claim and say of whom and of what it speaks."""
    statement = textwrap.wrap(str(row["statement"]), LETTERS_ACROSS)
    facts = [row.get("modality"), row["observer"], readable(row["estimand"])]
    kind = f"({'; '.join(str(fact) for fact in facts if fact)})"
    return "\n".join([*statement, *textwrap.wrap(kind, LETTERS_ACROSS)])


def _limit(claims: pd.DataFrame) -> float:
    """Return a symmetric limit that holds most intervals but not wild ones."""
    bounds = claims[["effect", "lower", "upper"]].to_numpy(float)
    finite = np.abs(bounds[np.isfinite(bounds)])
    inside = finite[finite <= WIDEST]
    return float(np.clip(inside.max(initial=0.0) * 1.1, 0.2, WIDEST))


def _draw_claim(axes: Axes, row: dict[str, Any], middle: float, limit: float) -> None:
    """Draw one effect; what lies outside the axes is an arrow at its edge."""
    look = VERDICTS.get(str(row["verdict"]), VERDICTS["inconclusive"])
    effect = float(row["effect"])
    if not np.isfinite(effect):
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
        look = {"ha": "center", "va": "center", "color": "#8A8A8A", "bbox": box}
        axes.text(0, middle, "not testable", **look)
        return
    seed = float(row.get("seed_difference", np.nan))
    if np.isfinite(seed):
        width = min(abs(seed), limit)
        axes.plot([-width, width], [middle] * 2, color="#DDCC77", lw=4.5, alpha=0.6)
    lower, upper = float(row["lower"]), float(row["upper"])
    if np.isfinite([lower, upper]).all():
        ends = np.clip([lower, upper], -limit, limit)
        axes.plot(ends, [middle] * 2, color=look["color"], linewidth=1.2)
    beyond = abs(effect) > limit
    marker = (">" if effect > 0 else "<") if beyond else look["marker"]
    axes.plot(
        [np.clip(effect, -limit, limit)],
        [middle],
        marker=marker,
        color=look["color"],
        markersize=4.5,
        clip_on=False,
    )


def _numbers(row: dict[str, Any]) -> str:
    """Write effect, interval, adjusted p and verdict."""
    verdict = str(row["verdict"])
    if not np.isfinite(float(row["effect"])):
        reason = textwrap.wrap(str(row.get("reason") or ""), REASON_ACROSS)
        return "\n".join([verdict, *reason])
    line = f"{row['effect']:+.2f} [{row['lower']:+.2f}, {row['upper']:+.2f}]"
    p = row.get("p_adjusted")
    if p is not None and np.isfinite(float(p)):
        line += ", p " + (f"= {p:.3f}" if p >= 0.001 else "< 0.001")
    return f"{line}\n{verdict}".replace("-", "\N{MINUS SIGN}")


def _legend(figure: Figure, top: float) -> None:
    """Explain the marks below the plot."""
    handles = [
        Line2D([], [], **look, linestyle="-", label=verdict)
        for verdict, look in VERDICTS.items()
        if look["marker"]
    ]
    seed = Line2D(
        [], [], color="#DDCC77", lw=4.5, alpha=0.6, label="two-seed yardstick"
    )
    figure.legend(
        handles=[*handles, seed],
        loc="upper center",
        ncols=4,
        bbox_to_anchor=(0.5, 1 - top / (figure.get_size_inches()[1] * 25.4)),
        fontsize=TEXT,
    )
