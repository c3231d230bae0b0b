"""Relative robustness of a curve over epsilon."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from metamers.errors import StudyError
from metamers.statistics.robustness import (
    middle_and_clean,
    relative_robustness,
    robustness_draws,
)


def curve(model: str, accuracy: list[float], n: int = 200) -> pd.DataFrame:
    epsilon = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0][: len(accuracy)]
    return pd.DataFrame(
        {"model": model, "epsilon": epsilon, "n": n, "accuracy": accuracy}
    )


def test_middle_epsilon() -> None:
    middle, clean = middle_and_clean(curve("m", [1.0, 0.9, 0.8, 0.7, 0.6, 0.5]))
    assert (middle["epsilon"], clean["epsilon"]) == (1.5, 0.0)
    middle, _ = middle_and_clean(curve("m", [1.0, 0.9, 0.8]).iloc[::-1])
    assert middle["epsilon"] == 0.5


def test_ratio_of_each_model() -> None:
    table = pd.concat([curve("a", [0.8, 0.4]), curve("b", [0.0, 0.0])])
    assert relative_robustness(table) == {"a": pytest.approx(0.5)}
    assert relative_robustness(None) == {}


def test_curve_without_clean_accuracy_is_refused() -> None:
    with pytest.raises(StudyError, match="give zero and at least one above"):
        relative_robustness(curve("a", [0.8, 0.4]).iloc[1:])


def test_draws_have_the_spread_of_two_proportions() -> None:
    draws = robustness_draws(curve("a", [0.8, 0.4]), 20_000, np.random.default_rng(1))
    assert draws[0] == pytest.approx(0.5)
    # The delta method for a ratio of independent proportions.
    variance = 0.25 * (0.6 / (0.4 * 200) + 0.2 / (0.8 * 200))
    assert draws[1:].std() == pytest.approx(np.sqrt(variance), rel=0.05)
