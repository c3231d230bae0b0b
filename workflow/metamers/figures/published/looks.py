"""Labels, colors and markers of the published models, as the study plots them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

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

    def order(self, modality: str) -> list[str]:
        """Return the models of a modality in the order of the study's plots."""
        rows = self._rows[self._rows["modality"] == modality]
        return [str(name) for name in rows.sort_values("order").index]
