"""Labels, colors and markers of the published models, as the study plots them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
from matplotlib.lines import Line2D

from metamers.figures.recognition_curves import stage_axis
from metamers.figures.style import CHANCE_COLOR, SMALL, size, text_at

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# What a figure reads, by the names of the catalogue.
Tables = Mapping[str, pd.DataFrame]

# The study's plots give these none of their own; the colors are of the same palette.
SPARE = {
    "alexnet_early_checkpoint": ("#004949", "o"),
    "alexnet_reduced_aliasing_early_checkpoint": ("#b66dff", "s"),
    "vonealexnet_gaussian_noise_std4_fixed": ("#db6d00", "^"),
    "hmax_standard": ("#490092", "o"),
    "spectemp_filters": ("#490092", "o"),
}
# A point of the study's plots is a filled circle here, which prints better.
MARKERS = {".": "o"}
# Networks trained with random perturbations share the color of the standard one: the
# study's markers of three strokes are hard to tell at this size, so their lines differ.
STROKES = ("1", "2", "4")
GRAY = "#444444"
NO_LINE: dict[str, Any] = {"linestyle": "", "color": CHANCE_COLOR}


class Looks:
    """How each published model is shown.

    Parameters
    ----------
    models
        ``resources/published/plot_models.csv``.
    """

    def __init__(self, models: pd.DataFrame) -> None:
        self._rows = models.set_index("model")

    def label(self, model: str) -> str:
        """Return the name of a model for readers."""
        return str(self._rows.loc[model, "label"])

    def look(self, model: str) -> dict[str, Any]:
        """Return the color and marker of a model as options of a line."""
        row = self._rows.loc[model]
        color, marker = row["color"], row["marker"]
        if pd.isna(color):
            color, marker = SPARE[model]
        marker = MARKERS.get(str(marker), str(marker))
        strokes = marker in STROKES
        return {
            "color": color,
            "marker": marker,
            "markersize": 5.0 if strokes else 3.0,
            "linestyle": (0, (5, 1, 1, 1)) if strokes else "-",
        }

    def entry(self, model: str, remark: str = "", *, shown: bool = True) -> Line2D:
        """Return a model's entry in a legend.

        Parameters
        ----------
        model
            Name of the model.
        remark
            Written right behind its label.
        shown
            Whether the model has a line, or only its label.
        """
        label = f"{self.label(model)}{remark}"
        return Line2D([], [], **(self.look(model) if shown else NO_LINE), label=label)

    def order(self, modality: str) -> list[str]:
        """Return the models of a modality in the order of the study's plots."""
        rows = self._rows[self._rows["modality"] == modality]
        return [str(name) for name in rows.sort_values("order").index]


def place_legend(
    figure: Figure, handles: Sequence[Any], left: float, top: float, **options: Any
) -> None:
    """Put a legend at a place in millimeters from the top left corner.

    Entries without a line or marker, which say what is missing, are gray.
    """
    width, height = size(figure)
    legend = figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(left / width, 1 - top / height),
        borderpad=0.0,
        labelspacing=0.3,
        **options,
    )
    for handle, text in zip(handles, legend.get_texts(), strict=True):
        if isinstance(handle, Line2D) and handle.get_color() == CHANCE_COLOR:
            text.set_color(CHANCE_COLOR)


def place_note(figure: Figure, left: float, top: float, note: str) -> None:
    """Write small gray text at a place in millimeters from the top left corner."""
    text_at(figure, left, top, note, fontsize=SMALL, color=GRAY)


def stage_places(axes: Axes, rows: pd.DataFrame) -> dict[int, int]:
    """Lay out the stages of rows side by side, and return the place of each.

    Parameters
    ----------
    axes
        Whose abscissa it is.
    rows
        ``stage_index`` orders the stages; the first ``stage`` that has it names it.
    """
    stages = rows.drop_duplicates("stage_index").sort_values("stage_index")
    stage_axis(axes, stages["stage"].tolist())
    return {int(index): place for place, index in enumerate(stages["stage_index"])}
