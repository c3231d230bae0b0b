"""The distances against scipy and their closed forms."""

import numpy as np
import pytest
import torch
from scipy import stats

from metamers.synthesis.distances import average_ranks, correlation, distances


def example(seed: int, decimals: int | None) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    target = generator.normal(size=(6, 3, 5, 7))
    activation = 0.5 * target + generator.normal(size=target.shape)
    if decimals is not None:  # many ties, as after a ReLU
        target, activation = (x.round(decimals).clip(0) for x in (target, activation))
    return activation, target


@pytest.mark.parametrize("decimals", [None, 0, 1])
def test_distances_are_those_of_scipy(decimals):
    activation, target = example(3, decimals)
    measured = distances(torch.from_numpy(activation), torch.from_numpy(target))
    assert measured.dtype == torch.float64
    for row, (first, second) in enumerate(zip(activation, target, strict=True)):
        first, second = first.ravel(), second.ravel()
        ratio = np.linalg.norm(second) / np.linalg.norm(second - first)
        expected = [
            stats.spearmanr(first, second).statistic,
            stats.pearsonr(first, second).statistic,
            10 * np.log10(ratio),
        ]
        np.testing.assert_allclose(measured[row], expected, rtol=1e-12, atol=1e-12)


def test_ranks_are_those_of_scipy():
    values = np.random.default_rng(0).integers(0, 5, size=(4, 40)).astype(float)
    ranks = average_ranks(torch.from_numpy(values))
    np.testing.assert_array_equal(ranks, stats.rankdata(values, axis=1))
    single = average_ranks(torch.ones(2, 1, dtype=torch.float64))
    np.testing.assert_array_equal(single, np.ones((2, 1)))


def test_levels_use_unsquared_norms():
    target = torch.tensor([[10.0, 0.0]])
    measured = distances(torch.tensor([[10.0, 1.0]]), target)
    assert measured[0, 2].item() == pytest.approx(10.0)  # and not the usual 20 dB
    assert distances(target, target)[0, 2] == torch.inf


def test_a_silent_member_makes_all_three_zero():
    some, silent = torch.tensor([[1.0, 2.0, 4.0]]), torch.zeros(1, 3)
    for first, second in ((some, silent), (silent, some), (silent, silent)):
        np.testing.assert_array_equal(distances(first, second), np.zeros((1, 3)))


def test_a_constant_member_has_no_correlation():
    constant = torch.full((1, 101), 0.1)
    other = torch.linspace(0, 1, 101)[None]
    measured = distances(constant, other)
    np.testing.assert_array_equal(measured[0, :2], [0.0, 0.0])
    assert measured[0, 2].isfinite()


@pytest.mark.parametrize("wrong", [torch.nan, torch.inf])
def test_what_is_not_finite_is_not_a_number(wrong):
    target = torch.tensor([[1.0, 2.0, 4.0], [1.0, 2.0, 4.0]])
    activation = target.clone()
    activation[0, 1] = wrong
    measured = distances(activation, target)
    assert measured[0].isnan().all()
    np.testing.assert_allclose(measured[1, :2], [1.0, 1.0], rtol=1e-12)


def test_no_pair_enters_the_distances_of_another(monkeypatch):
    activation, target = (torch.from_numpy(x) for x in example(5, 1))
    together = distances(activation, target)
    alone = torch.cat(
        [distances(activation[i : i + 1], target[i : i + 1]) for i in range(6)]
    )
    np.testing.assert_allclose(together, alone, rtol=1e-12)
    monkeypatch.setattr("metamers.synthesis.distances.VALUES_AT_ONCE", 250)
    np.testing.assert_allclose(distances(activation, target), alone, rtol=1e-12)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="cannot be compared"):
        distances(torch.zeros(2, 3), torch.zeros(2, 4))


def test_correlation_is_at_most_one():
    values = torch.from_numpy(np.random.default_rng(1).normal(size=(50, 3)))
    assert correlation(values, 3 * values).max() <= 1.0
