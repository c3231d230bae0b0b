"""Rank correlations against scipy and against regression on ranks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from metamers.statistics.correlation import (
    bootstrap_correlation,
    correlation_table,
    partial_spearman,
    spearman,
)
from metamers.statistics.recognition_by_stage import recognition_by_stage


def variables(seed: int, n: int = 30) -> np.ndarray:
    random = np.random.default_rng(seed)
    depth = random.integers(8, size=n) / 8
    return np.stack([random.random(n) - depth, random.random(n) - depth, depth])


@pytest.mark.parametrize("seed", range(4))
def test_spearman_equals_scipy_with_ties(seed: int) -> None:
    first, _, depth = variables(seed)
    assert spearman(first, depth) == pytest.approx(
        stats.spearmanr(first, depth).statistic
    )


def test_spearman_of_a_constant_is_undefined() -> None:
    assert np.isnan(spearman(np.ones(5), np.arange(5)))


@pytest.mark.parametrize("seed", range(4))
def test_partial_is_the_correlation_of_residual_ranks(seed: int) -> None:
    ranks = stats.rankdata(variables(seed), axis=1)
    design = np.stack([np.ones(ranks.shape[1]), ranks[2]], axis=1)
    left, right = (
        ranks[i] - design @ np.linalg.lstsq(design, ranks[i], rcond=None)[0]
        for i in range(2)
    )
    found = partial_spearman(*variables(seed))
    assert found == pytest.approx(np.corrcoef(left, right)[0, 1])


def test_partial_given_the_variable_itself_is_undefined() -> None:
    first, second, _ = variables(1)
    assert np.isnan(partial_spearman(first, second, first))


def test_bootstrap_is_about_the_points() -> None:
    found = bootstrap_correlation(
        variables(2, 200)[:2], 2000, 0.95, np.random.default_rng(0)
    )
    assert found.value == pytest.approx(
        stats.spearmanr(*variables(2, 200)[:2]).statistic
    )
    # Fisher's z with the variance of rank correlations.
    half = 1.96 * np.sqrt(1.06 / (200 - 3))
    lower, upper = np.tanh(np.arctanh(found.value) + np.array([-half, half]))
    assert found.lower == pytest.approx(lower, abs=0.03)
    assert found.upper == pytest.approx(upper, abs=0.03)
    assert found.p < 0.01


def test_too_few_points() -> None:
    points = np.array([[1.0, 2.0, 3.0, np.nan], [1.0, 3.0, 2.0, 4.0]])
    found = bootstrap_correlation(points, 50, 0.95, np.random.default_rng(0))
    assert np.isnan(found.value)
    assert found.n == 3


def test_depth_alone_stands_beside_every_correlation_over_stages(
    models, simulate
) -> None:
    """Everything falls with depth, and nothing is left once depth is given."""
    trials = simulate(models, lambda _, index, count: 0.95 - 0.85 * index / count)
    trials["relative_distance"] = np.random.default_rng(1).normal(
        trials["stage_index"], 0.5
    )
    recognition = recognition_by_stage(
        trials, models, seed=1, draws=10, confidence=0.95
    )
    robustness = pd.DataFrame(
        [
            {"model": name, "epsilon": epsilon, "n": 100, "accuracy": accuracy}
            for place, name in enumerate(models)
            for epsilon, accuracy in ((0.0, 1.0), (1.0, 0.1 * place))
        ]
    )
    table = correlation_table(
        recognition, robustness, models, seed=1, draws=200, confidence=0.95
    )
    rows = table[table["screened"]].set_index(["quantity", "points", "statistic"])
    rows = rows.sort_index()
    distance = rows.loc["recognition by other networks with distance", "stages"]
    assert distance.loc["spearman", "value"] < -0.8
    assert distance.loc["depth_only", "value"] < -0.8
    assert abs(distance.loc["partial_given_depth", "value"]) < 0.45
    robust = rows.loc["recognition by other networks with robustness"]
    # The network of another task has no panel, the untrained one is no trained model.
    assert robust.loc[("models", "spearman"), "n"] == 6
    assert robust.loc[("stages", "spearman"), "n"] == 5 * 6 + 4


def test_no_robustness_gives_empty_rows(models, simulate) -> None:
    trials = simulate(models, lambda *_: 0.5, n_stimuli=10)
    recognition = recognition_by_stage(trials, models, seed=1, draws=5, confidence=0.9)
    table = correlation_table(
        recognition, None, models, seed=1, draws=5, confidence=0.9
    )
    robust = table[table["quantity"].str.endswith("robustness")]
    assert len(robust) > 0
    assert (robust["n"] == 0).all()
