"""Convergence of the synthesis against statsmodels and plain counting."""

from __future__ import annotations

import pandas as pd
import pytest
from statsmodels.stats.proportion import proportion_confint

from metamers.statistics.convergence import convergence_table, wilson_interval


@pytest.mark.parametrize(("count", "n"), [(0, 40), (1, 40), (39, 40), (40, 40), (5, 9)])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_wilson_equals_statsmodels(count: int, n: int, confidence: float) -> None:
    expected = proportion_confint(count, n, alpha=1 - confidence, method="wilson")
    found = wilson_interval(count, n, confidence)
    assert found == pytest.approx(expected, abs=1e-12)


def test_counts_by_model_and_stage() -> None:
    screening = pd.DataFrame(
        {
            "model": ["b", "b", "b", "a"],
            "stage": ["relu", "relu", "final", "final"],
            "stage_index": [1, 1, 2, 1],
            "final_loss": [0.1, 0.3, 0.5, 0.7],
            "response_matches": [True, False, True, False],
            "passed": [True, False, True, False],
        }
    )
    table = convergence_table(screening, 0.95).set_index(["model", "stage"])
    assert list(table.index) == [("b", "relu"), ("b", "final"), ("a", "final")]
    row = table.loc[("b", "relu")]
    assert row[["n", "survivors"]].tolist() == [2, 1]
    assert row["median_loss"] == pytest.approx(0.2)
    assert row["maximum_loss"] == pytest.approx(0.3)
    assert row["own_match"] == row["survivor_share"] == 0.5
    assert row["own_match_lower"] < 0.5 < row["own_match_upper"]
    assert table.loc[("a", "final"), "survivors"] == 0
