"""Recognition by stage as the study draws it: one axis of stages, curves with errors.

Natural stimuli and the stages on the abscissa, the proportion correct on the ordinate
(Feather et al. 2023, Figs. 2-6).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from metamers.figures.style import CHANCE_COLOR, SMALL, readable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# People choose among 16 categories, or type one of 793 words.
PUBLISHED_CHANCE = {"vision": 1 / 16, "audio": 1 / 793}
LONGEST_NAME = 16
# What the released code appends to names of stages: the stand-in of straight-through
# stages, and the layout of what HMAX returns.
SUFFIXES = re.compile("(_fake_?relu|_no_reshape|_reshape_to_list)$")


def stage_name(stage: str) -> str:
    """Write a stage without the released code's suffixes, short enough for an axis."""
    if stage == "input_after_preproc":
        return "input"
    return readable(SUFFIXES.sub("", stage), LONGEST_NAME)


def stage_axis(axes: Axes, stages: Sequence[str]) -> None:
    """Lay out the abscissa by stage and the ordinate from 0 to 1."""
    axes.set_xlim(-0.4, len(stages) - 0.6)
    axes.set_xticks(range(len(stages)))
    axes.set_xticklabels(
        [stage_name(stage) for stage in stages],
        rotation=60,
        ha="right",
        rotation_mode="anchor",
        fontsize=SMALL + 0.5,
    )
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])


def draw_curve(axes: Axes, at: Any, values: Any, errors: Any, **look: Any) -> None:
    """Draw a curve over stages with its standard errors."""
    axes.errorbar(at, values, yerr=errors, elinewidth=0.8, clip_on=False, **look)


def draw_chance(axes: Axes, chance: float) -> None:
    """Draw the dotted line of chance."""
    axes.axhline(chance, color=CHANCE_COLOR, linestyle=":", linewidth=0.8)
