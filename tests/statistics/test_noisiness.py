"""The table of how noise-like metamers are."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from metamers.statistics.noisiness import COLUMNS, noisiness_table


def screening(difference):
    n = len(difference)
    return pd.DataFrame(
        {
            "model": "net",
            "stage": "relu0",
            "stage_index": 1,
            "stimulus_id": [f"s{i}" for i in range(n)],
            "natural_flatness": np.linspace(-20, -10, n),
            "flatness": np.linspace(-20, -10, n) + difference,
        }
    )


def table(frame):
    models = {"net": {"modality": "audio"}}
    return noisiness_table(frame, models, seed=1, draws=500, confidence=0.95)


def test_difference_is_paired():
    found = table(screening(np.full(30, 3.0))).iloc[0]
    assert list(found.index) == list(COLUMNS)
    assert found["difference"] == pytest.approx(3.0)
    # The same difference in every stimulus leaves nothing to chance.
    assert found["difference_lower"] == pytest.approx(3.0)
    assert found["difference_upper"] == pytest.approx(3.0)
    assert found["natural_flatness"] == pytest.approx(-15.0)
    assert (found["modality"], found["n"]) == ("audio", 30)


def test_interval_is_that_of_a_mean():
    difference = np.random.default_rng(0).normal(1.0, 2.0, 400)
    found = table(screening(difference)).iloc[0]
    half = 1.96 * difference.std() / np.sqrt(400)
    assert found["difference_lower"] == pytest.approx(
        difference.mean() - half, abs=0.05
    )
    assert found["difference_upper"] == pytest.approx(
        difference.mean() + half, abs=0.05
    )
