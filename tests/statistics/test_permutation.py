"""Permutation tests, against the analysis of variance and against enumeration."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest

from metamers.statistics.anova import repeated_measures_anova
from metamers.statistics.permutation import (
    exact_group_test,
    exact_swap_test,
    group_f,
    group_interaction_f,
    group_test,
    interaction_f,
    interaction_test,
    p_value,
    stage_f,
    stage_test,
)


@pytest.fixture
def generator():
    return np.random.default_rng(3)


def f_of(table, effect):
    return float(table.set_index("effect").loc[effect, "F"])


def test_statistics_are_those_of_the_analysis_of_variance(generator):
    values = generator.standard_normal((9, 4, 3))
    table = repeated_measures_anova(values, ["layer", "model"])
    assert interaction_f(values) == pytest.approx(
        f_of(table, "(Intercept):layer:model")
    )
    means = values.mean(axis=1)
    assert stage_f(means) == pytest.approx(f_of(table, "(Intercept):model"))
    groups = np.arange(9) < 4
    flat = values[:, :, 0]
    table = repeated_measures_anova(flat, ["layer"], groups, "group")
    assert group_f(flat.mean(axis=1), groups) == pytest.approx(f_of(table, "group"))
    assert group_interaction_f(flat, groups) == pytest.approx(
        f_of(table, "group:layer")
    )


def test_statistics_of_many_draws_are_those_of_each(generator):
    values = generator.standard_normal((5, 7, 4))
    labels = generator.permuted(np.tile(np.arange(7) < 3, (5, 1)), axis=1)
    together = group_interaction_f(values, labels)
    apart = [group_interaction_f(v, g) for v, g in zip(values, labels, strict=True)]
    np.testing.assert_allclose(together, apart)


def test_shuffled_stages_come_near_the_enumerated_p(generator):
    values = np.add(generator.standard_normal((4, 3)), [0, 0.6, 1.0])
    observed = stage_f(values)
    orders = list(permutations(range(3)))
    every = [
        stage_f(np.stack([row[list(o)] for row, o in zip(values, choice, strict=True)]))
        for choice in product(orders, repeat=4)
    ]
    exact = np.mean(np.array(every) >= observed * (1 - 1e-9))
    found = stage_test(values, 20_000, generator)
    assert found == pytest.approx(exact, abs=4 * np.sqrt(exact / 20_000))


def test_swaps_are_those_of_a_list(generator):
    differences = generator.standard_normal(9) + 0.4
    sums = np.array([np.dot(s, differences) for s in product((1, -1), repeat=9)])
    observed = differences.sum()
    two = exact_swap_test(differences)
    assert two.p == np.mean(np.abs(sums) >= abs(observed) - 1e-9)
    assert two.strict == two.p - 2 / 512
    assert exact_swap_test(differences, one_sided=True).p == np.mean(
        sums >= observed - 1e-9
    )
    drawn = stage_test(
        np.column_stack([differences, 0 * differences]), 20_000, generator
    )
    assert drawn == pytest.approx(two.p, abs=4 * np.sqrt(two.p / 20_000))


def test_separated_groups_have_the_smallest_p_that_there_is(generator):
    values = np.arange(10.0)[:, None] + generator.standard_normal((10, 4)) / 100
    groups = np.arange(10) < 5
    exact = exact_group_test(values.mean(axis=1), groups)
    assert exact == (2 / 252, 0.0)
    main, interaction = group_test(values, groups, 5_000, generator)
    assert main == pytest.approx(2 / 252, abs=0.005)
    assert interaction > 0.01


def test_too_many_rearrangements_are_not_listed():
    assert exact_group_test(np.arange(40.0), np.arange(40) < 20) is None
    assert exact_swap_test(np.ones(26)) is None


def test_ties_count_and_p_is_never_zero():
    assert p_value(np.array([1.0, 1.0 + 1e-12, 2.0]), 1.0 + 1e-12) == 1.0
    assert p_value(np.zeros(99), 1.0) == 0.01


def test_an_interaction_is_found_where_there_is_one(generator):
    values = generator.standard_normal((8, 3, 2))
    assert interaction_test(values, 999, generator) > 0.05
    crossed = np.array([[3.0, 0.0], [0.0, 3.0], [0.0, 0.0]])
    assert interaction_test(values + crossed, 999, generator) < 0.01


def test_memory_is_bounded_and_draws_are_all_there(monkeypatch, generator):
    from metamers.statistics import permutation

    monkeypatch.setattr(permutation, "CHUNK_VALUES", 50)
    values = generator.standard_normal((5, 4))
    parts = list(permutation._rearranged(values, 23, generator))
    assert [len(part) for part in parts] == [2] * 11 + [1]
    np.testing.assert_allclose(np.sort(parts[0][1]), np.sort(values))
