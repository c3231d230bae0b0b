"""Scores of models against closed forms of simulated studies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from metamers.statistics.scores import (
    COLUMNS,
    consistency_with_panel,
    published_people,
    score_table,
)

OPTIONS = {"seed": 3, "draws": 200, "confidence": 0.95}


def falling(generator: str, index: int, count: int) -> float:
    slope = 0.4 if generator == "adversarial" else 1.0
    return 0.9 * (1 - slope * index / count)


@pytest.fixture(scope="module")
def tables(models) -> dict[str, Any]:
    screening = pd.DataFrame(
        [
            {
                "model": name,
                "stage": stage,
                "stage_index": place + 1,
                "final_loss": 0.1,
                "response_matches": not (stage == "final" and item == 0),
                "passed": item < 15,
            }
            for name, facts in models.items()
            for place, stage in enumerate(facts["stages"])
            for item in range(20)
        ]
    )
    robustness = pd.DataFrame(
        [
            {"model": name, "epsilon": epsilon, "n": 200, "accuracy": accuracy}
            for name in models
            if name != "places"
            for epsilon, accuracy in ((0.0, 0.9), (0.5, 0.6), (1.0, 0.45), (2.0, 0.1))
        ]
    )
    return {"screening": screening, "robustness": robustness}


@pytest.fixture(scope="module")
def trials(models, simulate) -> pd.DataFrame:
    return simulate(models, falling, n_stimuli=80)


@pytest.fixture(scope="module")
def table(models, trials, tables) -> pd.DataFrame:
    frame = score_table(trials, models, published=None, **tables, **OPTIONS)
    return frame.set_index("model")


def test_one_line_a_model(models, table) -> None:
    assert ("model", *table.columns) == COLUMNS
    assert list(table.index) == list(models)


def test_area_and_drop_off_of_a_straight_fall(table) -> None:
    # Relative recognition falls from 1 to 1 - slope: the area is 1 - slope / 2.
    assert table.loc["random", "network_area"] == pytest.approx(0.5, abs=0.04)
    assert table.loc["random", "network_drop_off"] == pytest.approx(0.5, abs=0.06)
    assert table.loc["adversarial", "network_area"] == pytest.approx(0.8, abs=0.04)
    assert np.isnan(table.loc["adversarial", "network_drop_off"])
    known = table.dropna(subset="network_area")
    assert (known["network_area_lower"] < known["network_area"]).all()
    assert (known["network_area_upper"] > known["network_area"]).all()


def test_a_model_without_other_networks_has_no_score_by_them(table) -> None:
    row = table.loc["places"]
    assert np.isnan(row["network_area"])
    assert np.isnan(row["error_consistency"])
    assert np.isnan(row["robustness"])
    assert row["own_match"] == pytest.approx(1 - 1 / 120)


def test_numbers_of_the_tables(table) -> None:
    row = table.loc["standard"]
    assert row["accuracy"] == 0.9
    assert (row["epsilon"], row["robust_accuracy"]) == (1.0, 0.45)
    assert row["robustness"] == pytest.approx(0.5)
    assert row["own_match"] == pytest.approx(1 - 1 / 120)
    assert row["own_match_minimum"] == pytest.approx(0.95)
    assert (row["metamers"], row["survivors"]) == (120, 90)


def test_accuracy_of_the_test_set_goes_first(models, trials, tables) -> None:
    frame = score_table(
        trials,
        models,
        published=None,
        accuracy={"standard": 0.97, "second": None},
        **tables,
        **OPTIONS,
    )
    assert frame["accuracy"].tolist()[:2] == [0.97, 0.9]


def test_published_people_are_labeled_as_such(root: Path, models, trials, tables):
    published = pd.read_csv(root / "resources" / "published_recognition.csv")
    frame = score_table(trials, models, published=published, **tables, **OPTIONS)
    row = frame.set_index("model").loc["standard"]
    people = published[
        (published["model"] == "alexnet") & (published["observer_kind"] == "human")
    ]
    assert people["repo_experiment"].nunique() > 1
    curve = [
        np.average(part["mean"], weights=part["n"])
        for _, part in people.groupby("stage_index")
    ]
    depth = np.linspace(0, 1, len(curve))
    expected = np.trapezoid(np.array(curve) / curve[0], depth)
    assert row["people_area"] == pytest.approx(expected)
    assert row["people_source"] == (
        "measured on the published model alexnet, not on this one"
    )
    assert frame["people_area"].notna().sum() == 1


def test_no_counterpart_no_people(root: Path) -> None:
    published = pd.read_csv(root / "resources" / "published_recognition.csv")
    facts = {"modality": "vision", "published": "no_such_model"}
    assert published_people(published, facts) == {}
    assert published_people(published, facts | {"published": None}) == {}
    assert published_people(None, facts | {"published": "alexnet"}) == {}
    # A model of the other modality is no counterpart.
    sound = {"modality": "audio", "published": "alexnet"}
    assert published_people(published, sound) == {}


def test_own_participants_go_before_published_ones(
    root: Path, models, simulate, tables
) -> None:
    published = pd.read_csv(root / "resources" / "published_recognition.csv")
    trials = simulate(models, falling, people=4)
    frame = score_table(trials, models, published=published, **tables, **OPTIONS)
    row = frame.set_index("model").loc["standard"]
    assert row["people_source"] == "4 participants of this study"
    assert row["people_area"] == pytest.approx(0.5, abs=0.06)


def test_error_consistency_is_that_of_shared_difficulty(models, simulate) -> None:
    """Independent errors agree by chance; equal errors agree wholly."""
    trials = simulate(models, lambda *_: 0.5, n_stimuli=100)
    apart = consistency_with_panel(trials, models)
    assert abs(apart["standard"]) < 0.06
    assert "places" not in apart
    same = trials.copy()
    keys = ["generator", "stage", "stimulus_id"]
    first = trials[trials["observer"] == "random"].set_index(keys)["correct"]
    scored = same["correct"].notna()
    index = pd.MultiIndex.from_frame(same.loc[scored, keys])
    same.loc[scored, "correct"] = first.loc[index].to_numpy()
    assert consistency_with_panel(same, models)["standard"] == pytest.approx(1.0)


def test_hard_stages_are_no_consistency(models, simulate) -> None:
    """Both failing late and not early is no agreement on stimuli."""
    trials = simulate(models, falling, n_stimuli=100)
    assert abs(consistency_with_panel(trials, models)["standard"]) < 0.06
