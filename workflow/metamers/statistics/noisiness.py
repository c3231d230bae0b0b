"""How noise-like metamers are beside their references.

The poster of 2019 remarks that speech metamers of a network trained on AudioSet sound
less noisy than those of one trained on words; `metamers.stimuli.flatness` measures it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from metamers.randomness import numpy_generator
from metamers.statistics.bootstrap import percentile_interval

COLUMNS = (
    "modality",
    "model",
    "stage",
    "stage_index",
    "n",
    "natural_flatness",
    "flatness",
    "difference",
    "difference_lower",
    "difference_upper",
)


def noisiness_table(
    screening: pd.DataFrame,
    models: Mapping[str, Mapping[str, Any]],
    *,
    seed: int,
    draws: int,
    confidence: float,
) -> pd.DataFrame:
    """Compare the spectral flatness of metamers with that of their references.

    Parameters
    ----------
    screening
        Rows of ``screening/*.csv``: model, stage, stage_index, stimulus_id, flatness
        and natural_flatness (dB).
    models
        The models of the study by name, each with its modality.
    seed, draws, confidence
        Of the bootstrap over stimuli; all models of a modality share its draws.

    Returns
    -------
    DataFrame
        A row for each model and stage: means over all metamers, whether they pass or
        not, their difference (above 0: noisier than natural) and its interval, in dB.
    """
    rows = []
    keys = ["model", "stage", "stage_index"]
    for (model, stage, index), part in screening.groupby(keys, sort=False):
        modality = models[str(model)]["modality"]
        difference = (part["flatness"] - part["natural_flatness"]).to_numpy()
        generator = numpy_generator(seed, "noisiness", modality)
        chosen = generator.integers(0, len(part), (draws, len(part)))
        means = np.append(difference.mean(), difference[chosen].mean(axis=1))
        values = (
            modality,
            model,
            stage,
            index,
            len(part),
            part["natural_flatness"].mean(),
            part["flatness"].mean(),
            difference.mean(),
            *percentile_interval(means, confidence),
        )
        rows.append(dict(zip(COLUMNS, values, strict=True)))
    return pd.DataFrame(rows, columns=list(COLUMNS))
