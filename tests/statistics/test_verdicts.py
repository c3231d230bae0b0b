"""Every branch of the rules of verdicts, on numbers chosen for it."""

from __future__ import annotations

from typing import Any

import pytest

from metamers.statistics.claims_file import Claim
from metamers.statistics.verdicts import Result, judge

NAN = float("nan")


def claim(direction: str, number: float) -> Claim:
    fields: dict[str, Any] = {
        "id": "one",
        "statement": "A claim of a test.",
        "modalities": ["vision"],
        "observers": "networks",
        "estimand": "recognition_change",
        "models": {"trained": True},
        "stages": "late",
        "direction": direction,
    }
    key = {"equivalent": "equivalence_margin", "at_least": "bound"}
    fields[key.get(direction, "smallest_effect")] = number
    if direction == "at_least":
        fields["estimand"] = "own_match_minimum"
    return Claim.model_validate(fields)


def verdict(
    direction: str,
    number: float,
    effect: tuple[float, float, float],
    p: float = 0.001,
    seeds: float = NAN,
    evaluators: int | None = 5,
) -> str:
    result = Result(*effect, p, seeds, evaluators)
    return judge(claim(direction, number), result, 0.05, 2)[0]


@pytest.mark.parametrize(
    ("effect", "expected"),
    [
        ((0.3, 0.2, 0.4), "supported"),
        ((0.15, 0.05, 0.3), "supported"),
        ((0.08, 0.02, 0.3), "inconclusive"),  # too small, but may be larger
        ((0.15, -0.01, 0.3), "inconclusive"),  # reaches zero
        ((0.05, 0.01, 0.09), "contradicted"),  # there, but all too small
        ((0.0, -0.05, 0.05), "contradicted"),
        ((-0.3, -0.4, -0.2), "contradicted"),
        ((NAN, NAN, NAN), "inconclusive"),
    ],
)
def test_greater_and_its_mirror(
    effect: tuple[float, float, float], expected: str
) -> None:
    assert verdict("greater", 0.1, effect) == expected
    mirrored = (-effect[0], -effect[2], -effect[1])
    assert verdict("less", 0.1, mirrored) == expected


@pytest.mark.parametrize(
    ("effect", "expected"),
    [
        ((0.3, 0.2, 0.4), "supported"),
        ((-0.3, -0.4, -0.2), "supported"),
        ((0.02, -0.05, 0.09), "contradicted"),
        ((0.05, 0.01, 0.09), "contradicted"),
        ((0.15, -0.05, 0.35), "inconclusive"),
        ((-0.08, -0.2, -0.01), "inconclusive"),
    ],
)
def test_different(effect: tuple[float, float, float], expected: str) -> None:
    assert verdict("different", 0.1, effect) == expected


@pytest.mark.parametrize(
    ("effect", "expected"),
    [
        ((0.0, -0.05, 0.05), "supported"),
        ((0.05, 0.02, 0.09), "supported"),  # not zero, but too small to matter
        ((0.05, -0.05, 0.15), "inconclusive"),
        ((0.3, 0.2, 0.4), "contradicted"),
        ((-0.3, -0.4, -0.2), "contradicted"),
    ],
)
def test_equivalent(effect: tuple[float, float, float], expected: str) -> None:
    assert verdict("equivalent", 0.1, effect) == expected


@pytest.mark.parametrize(
    ("effect", "expected"),
    [
        ((1.0, 1.0, 1.0), "supported"),
        ((0.96, 0.85, 1.0), "supported"),
        ((0.92, 0.85, 0.97), "inconclusive"),
        ((0.80, 0.70, 0.90), "contradicted"),
    ],
)
def test_at_least(effect: tuple[float, float, float], expected: str) -> None:
    assert verdict("at_least", 0.95, effect, p=NAN, evaluators=None) == expected


def test_significance_after_correction_is_needed() -> None:
    assert verdict("greater", 0.1, (0.3, 0.2, 0.4), p=0.06) == "inconclusive"
    assert verdict("equivalent", 0.1, (0.0, -0.05, 0.05), p=0.06) == "inconclusive"


def test_another_seed_must_not_make_as_large_a_difference() -> None:
    assert verdict("greater", 0.1, (0.3, 0.2, 0.4), seeds=0.1) == "supported"
    assert verdict("greater", 0.1, (0.3, 0.2, 0.4), seeds=0.3) == "inconclusive"


def test_one_evaluator_decides_nothing_about_others() -> None:
    assert verdict("greater", 0.1, (0.3, 0.2, 0.4), evaluators=1) == "inconclusive"
    assert verdict("greater", 0.1, (0.3, 0.2, 0.4), evaluators=2) == "supported"
    assert verdict("greater", 0.1, (0.3, 0.2, 0.4), evaluators=None) == "supported"
