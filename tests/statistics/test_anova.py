"""The analysis of variance, against statsmodels, t-tests and closed forms."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.anova import AnovaRM

from metamers.statistics.anova import epsilons, repeated_measures_anova


def measures(*shape, seed=0):
    generator = np.random.default_rng(seed)
    people = generator.standard_normal((shape[0], *[1] * (len(shape) - 1)))
    return people + generator.standard_normal(shape)


def long_table(values, names):
    index = np.indices(values.shape).reshape(values.ndim, -1)
    columns = dict(zip(["subject", *names], index, strict=True))
    return pd.DataFrame({**columns, "value": values.ravel()})


@pytest.mark.parametrize("names", [["stage"], ["stage", "model"]])
def test_within_designs_are_those_of_statsmodels(names):
    values = measures(12, *(5, 3)[: len(names)])
    ours = repeated_measures_anova(values, names).set_index("effect")
    theirs = (
        AnovaRM(long_table(values, names), "value", "subject", within=names)
        .fit()
        .anova_table
    )
    for term, row in theirs.iterrows():
        found = ours.loc[f"(Intercept):{term}"]
        assert found["F"] == pytest.approx(row["F Value"], rel=1e-9)
        assert found["DF"] == row["Num DF"]
        assert ours.loc[f"Error({term})", "DF"] == row["Den DF"]
        assert found["pValue"] == pytest.approx(row["Pr > F"], rel=1e-9)


@pytest.mark.parametrize("sizes", [(8, 8), (5, 9)])
def test_two_groups_are_tested_as_by_a_t_test_on_means(sizes):
    values = measures(sum(sizes), 4)
    groups = np.repeat(["a", "b"], sizes)
    table = repeated_measures_anova(values, ["stage"], groups, "observer")
    table = table.set_index("effect")
    means = values.mean(axis=1)
    t, p = stats.ttest_ind(means[: sizes[0]], means[sizes[0] :])
    assert table.loc["observer", "F"] == pytest.approx(t**2)
    assert table.loc["observer", "pValue"] == pytest.approx(p)
    # With two stages, the interaction is the t-test of the differences.
    two = repeated_measures_anova(values[:, :2], ["stage"], groups, "observer")
    differences = values[:, 0] - values[:, 1]
    t, p = stats.ttest_ind(differences[: sizes[0]], differences[sizes[0] :])
    found = two.set_index("effect").loc["observer:stage"]
    assert found["F"] == pytest.approx(t**2)
    assert found["pValueGG"] == pytest.approx(p)


def test_rows_and_shares_add_up():
    values = measures(10, 4, 3)
    table = repeated_measures_anova(values, ["layer", "model"]).set_index("effect")
    assert list(table.index) == [
        "(Intercept)",
        "Error",
        "(Intercept):layer",
        "Error(layer)",
        "(Intercept):model",
        "Error(model)",
        "(Intercept):layer:model",
        "Error(layer:model)",
    ]
    assert table["SumSq"].sum() == pytest.approx((values**2).sum())
    assert table["DF"].sum() == values.size
    row, error = table.loc["(Intercept):layer"], table.loc["Error(layer)"]
    share = row["SumSq"] / (row["SumSq"] + error["SumSq"])
    assert row["partial_etaSquared"] == pytest.approx(share)
    assert np.isnan(table.loc["(Intercept)", "partial_etaSquared"])


def test_sphericity_of_known_covariances():
    generator = np.random.default_rng(1)
    # Whitened residuals have exactly the identity as their covariance.
    raw = generator.standard_normal((20, 4))
    white = np.linalg.qr(raw - raw.mean(axis=0))[0]
    assert epsilons(white, 19) == pytest.approx({"GG": 1.0, "HF": 1.0, "LB": 0.25})
    # One direction only: the lower bound.
    line = np.outer(raw[:, 0], np.ones(4))
    assert epsilons(line, 19)["GG"] == pytest.approx(0.25)
    # Lecoutre's form, by hand for d = 2, N - r = 10 and eigenvalues 3 and 1.
    wide = np.linalg.qr(generator.standard_normal((12, 2)))[0] * np.sqrt([30, 10])
    greenhouse = 4**2 / (2 * (9 + 1))
    huynh = (11 * 2 * greenhouse - 2) / (2 * (10 - 2 * greenhouse))
    found = epsilons(wide, 10)
    assert found["GG"] == pytest.approx(greenhouse)
    assert found["HF"] == pytest.approx(huynh)


@pytest.mark.parametrize(
    ("values", "names", "groups", "message"),
    [
        (np.zeros((3, 2)), ["a", "b"], None, "one axis of subjects"),
        (np.zeros((3, 1)), ["a"], None, "at least two levels"),
        (np.array([[1.0, np.nan], [1, 2]]), ["a"], None, "a measure is missing"),
        (np.zeros((1, 2)), ["a"], None, "1 subjects; at least 2"),
        (np.zeros((4, 2)), ["a"], np.array([0, 1, 2, 0]), "3 groups"),
        (np.zeros((4, 2)), ["a"], np.array([0, 1]), "2 groups of 2 subjects"),
    ],
)
def test_designs_that_cannot_be_tested_are_refused(values, names, groups, message):
    with pytest.raises(ValueError, match=message):
        repeated_measures_anova(values, names, groups)
