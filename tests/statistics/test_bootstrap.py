"""The crossed bootstrap against explicit resampling, scipy and simulated coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from metamers.statistics.bootstrap import (
    Resampling,
    crossed_means,
    equivalence_p,
    evaluator_means,
    nan_mean,
    percentile_interval,
    resample,
    two_sided_p,
)

EVERYONE = np.ones(4, dtype=bool)


def test_first_draw_is_the_data() -> None:
    counts = resample(7, EVERYONE, 3, np.random.default_rng(0))
    assert (counts.stimuli[0] == 1).all()
    assert (counts.evaluators[0] == 1).all()
    np.testing.assert_array_equal(counts.stimuli.sum(axis=1), 7)
    np.testing.assert_array_equal(counts.evaluators.sum(axis=1), 4)


def test_evaluators_that_are_no_members_are_never_drawn() -> None:
    members = np.array([True, False, True, False])
    counts = resample(5, members, 50, np.random.default_rng(0))
    assert (counts.evaluators[:, ~members] == 0).all()
    np.testing.assert_array_equal(counts.evaluators[:, members].sum(axis=1), 2)


@pytest.mark.parametrize(("stimuli", "members"), [(0, EVERYONE), (3, ~EVERYONE)])
def test_nothing_to_draw_from_is_refused(stimuli: int, members: np.ndarray) -> None:
    with pytest.raises(ValueError, match="needs one of each"):
        resample(stimuli, members, 2, np.random.default_rng(0))


def test_equals_explicit_resampling_with_gaps() -> None:
    random = np.random.default_rng(3)
    values = random.random((2, 4, 9))
    values[random.random(values.shape) < 0.2] = np.nan
    counts = resample(9, EVERYONE, 40, random)
    found = crossed_means(values, counts)
    for draw in range(41):
        stimuli = np.repeat(np.arange(9), counts.stimuli[draw].astype(int))
        judges = np.repeat(np.arange(4), counts.evaluators[draw].astype(int))
        for row in range(2):
            each = [np.nanmean(values[row, judge, stimuli]) for judge in judges]
            assert found[draw, row] == pytest.approx(np.nanmean(each))


def test_spread_equals_that_of_brute_force_resampling() -> None:
    random = np.random.default_rng(4)
    values = (random.random((1, 6, 30)) < random.random((6, 1))).astype(float)
    found = crossed_means(
        values, resample(30, np.ones(6, dtype=bool), 4000, np.random.default_rng(5))
    )[1:, 0]
    brute = []
    for _ in range(4000):
        judges = random.integers(6, size=6)
        stimuli = random.integers(30, size=30)
        brute.append(values[0][np.ix_(judges, stimuli)].mean())
    assert found.mean() == pytest.approx(np.mean(brute), abs=0.005)
    assert found.std() == pytest.approx(np.std(brute), rel=0.06)
    assert stats.ks_2samp(found, brute).pvalue > 0.01


def test_one_evaluator_gives_the_bootstrap_over_stimuli() -> None:
    values = np.zeros((1, 1, 100))
    values[0, 0, :30] = 1.0
    counts = resample(100, np.ones(1, dtype=bool), 5000, np.random.default_rng(6))
    found = crossed_means(values, counts)[:, 0]
    assert found[0] == pytest.approx(0.3)
    assert found[1:].std() == pytest.approx(np.sqrt(0.3 * 0.7 / 100), rel=0.05)


@pytest.mark.parametrize(("between", "within"), [(0.5, 0.5), (1.0, 0.2)])
def test_coverage_is_nominal_or_a_little_above(between: float, within: float) -> None:
    """A 95 % interval over two samples holds the truth about 95 times in 100."""
    random = np.random.default_rng(7)
    studies, judges, stimuli, covered = 300, 25, 40, 0
    for _ in range(studies):
        values = (
            between * random.normal(size=(judges, 1))
            + between * random.normal(size=(1, stimuli))
            + within * random.normal(size=(judges, stimuli))
        )
        counts = resample(stimuli, np.ones(judges, dtype=bool), 300, random)
        lower, upper = percentile_interval(
            crossed_means(values[None], counts)[:, 0], 0.95
        )
        covered += lower <= 0.0 <= upper
    assert 0.90 <= covered / studies <= 0.985


def test_stimuli_alone_would_cover_too_little() -> None:
    """What the crossing is for: evaluators differ, and that counts."""
    random = np.random.default_rng(8)
    covered = 0
    for _ in range(200):
        values = random.normal(size=(20, 1)) + 0.2 * random.normal(size=(20, 40))
        counts = resample(40, np.ones(20, dtype=bool), 200, random)
        fixed = Resampling(counts.stimuli, np.ones_like(counts.evaluators))
        lower, upper = percentile_interval(
            crossed_means(values[None], fixed)[:, 0], 0.95
        )
        covered += lower <= 0.0 <= upper
    assert covered / 200 < 0.5


def test_evaluators_without_an_answer_do_not_count() -> None:
    means = evaluator_means(
        np.array([[1.0, 0.0]]), np.array([[2.0, 0.0]]), np.array([[1.0, 5.0]])
    )
    assert means == pytest.approx([0.5])
    empty = evaluator_means(np.zeros((1, 2)), np.zeros((1, 2)), np.ones((1, 2)))
    assert np.isnan(empty).all()


def test_nan_mean_ignores_gaps_and_says_where_there_is_nothing() -> None:
    values = np.array([[1.0, np.nan, 3.0], [np.nan, np.nan, np.nan]])
    found = nan_mean(values, axis=1)
    assert found[0] == 2.0
    assert np.isnan(found[1])


def test_interval_is_that_of_numpy_without_the_data() -> None:
    draws = np.concatenate([[1e6], np.arange(1000.0)])
    expected = np.quantile(np.arange(1000.0), [0.025, 0.975])
    np.testing.assert_allclose(percentile_interval(draws, 0.95), expected)


def test_p_is_twice_the_smaller_side_and_never_zero() -> None:
    draws = np.concatenate([[0.5], np.full(999, 0.5)])
    assert two_sided_p(draws) == pytest.approx(2 / 1000)
    draws[1:6] = -0.1
    assert two_sided_p(draws) == pytest.approx(2 * 6 / 1000)
    assert two_sided_p(np.zeros(100)) == 1.0
    assert two_sided_p(draws, null=0.7) == pytest.approx(2 / 1000)


def test_p_agrees_with_the_z_test_on_normal_draws() -> None:
    draws = np.random.default_rng(9).normal(2.0, 1.0, size=200_001)
    assert two_sided_p(draws) == pytest.approx(2 * stats.norm.sf(2.0), rel=0.03)


def test_equivalence_p_is_the_larger_of_two_one_sided() -> None:
    draws = np.concatenate([[0.0], np.full(97, 0.0), [0.2, 0.3]])
    assert equivalence_p(draws, 0.1) == pytest.approx(3 / 100)
    assert equivalence_p(-draws, 0.1) == pytest.approx(3 / 100)
    normal = np.random.default_rng(10).normal(0.5, 1.0, size=200_001)
    assert equivalence_p(normal, 2.0) == pytest.approx(stats.norm.sf(1.5), rel=0.03)


def test_mostly_undefined_draws_give_no_answer() -> None:
    draws = np.concatenate([[0.5], np.full(60, np.nan), np.full(39, 0.5)])
    assert np.isnan(percentile_interval(draws, 0.95)).all()
    assert np.isnan(two_sided_p(draws))
    assert np.isnan(equivalence_p(draws, 0.1))
