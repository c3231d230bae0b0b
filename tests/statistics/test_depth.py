"""Thirds of a network, areas and drop-off against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from metamers.statistics.depth import area_over_depth, choose_stages, drop_off_depth


@pytest.mark.parametrize(
    ("count", "early", "late"),
    [
        (1, [1], [1]),
        (2, [1], [2]),
        (3, [1], [3]),
        (6, [1, 2], [5, 6]),
        (7, [1, 2], [5, 6, 7]),
        (8, [1, 2], [6, 7, 8]),
        (9, [1, 2, 3], [7, 8, 9]),
    ],
)
def test_thirds(count: int, early: list[int], late: list[int]) -> None:
    assert choose_stages(count, "early") == early
    assert choose_stages(count, "late") == late
    assert choose_stages(count, "final") == [count]
    assert choose_stages(count, "all") == list(range(1, count + 1))


def test_unknown_choice_is_refused() -> None:
    with pytest.raises(ValueError, match="allowed are early, late"):
        choose_stages(4, "middle")


def test_area_of_a_straight_fall_is_one_half() -> None:
    curve = np.linspace(0.8, 0.0, 5)[None]
    assert area_over_depth(curve) == pytest.approx([0.5])
    assert area_over_depth(np.full((1, 4), 0.7)) == pytest.approx([1.0])


def test_area_draws_a_line_over_a_missing_stage() -> None:
    curve = np.linspace(0.8, 0.0, 5)
    curve[2] = np.nan
    assert area_over_depth(curve[None]) == pytest.approx([0.5])
    ended = np.array([[1.0, 0.5, np.nan]])
    assert area_over_depth(ended) == pytest.approx([0.375 + 0.25])


def test_area_without_recognized_natural_stimuli_is_unknown() -> None:
    assert np.isnan(area_over_depth(np.array([[0.0, 0.5], [np.nan, 0.5]]))).all()


def test_drop_off_is_interpolated() -> None:
    assert drop_off_depth(np.linspace(0.8, 0.0, 5)) == pytest.approx(0.5)
    assert drop_off_depth(np.array([1.0, 1.0, 0.0])) == pytest.approx(0.75)
    assert drop_off_depth(np.array([1.0, np.nan, 0.0])) == pytest.approx(0.5)


def test_no_drop_off() -> None:
    assert np.isnan(drop_off_depth(np.array([1.0, 0.9, 0.8])))
    assert np.isnan(drop_off_depth(np.array([0.0, 0.0, 0.0])))
