"""Chance-corrected agreement against two other implementations."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from metamers.recognition.agreement import kappa
from metamers.statistics.agreement import agreement_draws
from metamers.statistics.bootstrap import resample


def answers(seed: int, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return two lists of answers that agree in half of the cases."""
    random = np.random.default_rng(seed)
    first = random.integers(4, size=shape).astype(np.int16)
    other = random.integers(4, size=shape).astype(np.int16)
    return first, np.where(random.random(shape) < 0.5, first, other)


def test_one_evaluator_is_cohens_kappa() -> None:
    first, second = answers(1, (1, 200))
    counts = resample(200, np.ones(1, dtype=bool), 0, np.random.default_rng(0))
    found = agreement_draws(first, second, counts)
    assert found[0] == pytest.approx(cohen_kappa_score(first[0], second[0]))
    assert found[0] == pytest.approx(kappa(first[0], second[0])[2])


def test_draws_are_kappas_of_resampled_answers() -> None:
    first, second = answers(2, (3, 50))
    first[1, :10] = -1
    counts = resample(50, np.ones(3, dtype=bool), 20, np.random.default_rng(0))
    found = agreement_draws(first, second, counts)
    for draw in range(21):
        expected = []
        for judge in np.repeat(np.arange(3), counts.evaluators[draw].astype(int)):
            chosen = np.repeat(np.arange(50), counts.stimuli[draw].astype(int))
            chosen = chosen[first[judge, chosen] >= 0]
            expected.append(
                cohen_kappa_score(first[judge, chosen], second[judge, chosen])
            )
        assert found[draw] == pytest.approx(np.mean(expected))


def test_one_answer_throughout_says_nothing() -> None:
    same = np.zeros((2, 30), dtype=np.int16)
    counts = resample(30, np.ones(2, dtype=bool), 5, np.random.default_rng(0))
    assert np.isnan(agreement_draws(same, same, counts)).all()


def test_no_answers_say_nothing() -> None:
    none = np.full((2, 30), -1, dtype=np.int16)
    counts = resample(30, np.ones(2, dtype=bool), 5, np.random.default_rng(0))
    assert np.isnan(agreement_draws(none, none, counts)).all()
