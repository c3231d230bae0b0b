"""Holm's correction against statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from metamers.statistics.multiplicity import holm


@pytest.mark.parametrize("seed", range(5))
def test_equals_statsmodels(seed: int) -> None:
    p = np.random.default_rng(seed).random(17) ** 3
    p[3] = p[5]
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1])


def test_what_was_not_tested_does_not_count() -> None:
    p = [0.01, np.nan, 0.04, np.nan]
    np.testing.assert_allclose(holm(p), [0.02, np.nan, 0.04, np.nan])


def test_nothing_tested() -> None:
    assert holm([]).size == 0
    assert np.isnan(holm([np.nan])).all()
