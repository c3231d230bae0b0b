"""Recognition by stage and transfer against plain means of the trial table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from metamers.recognition.agreement import kappa
from metamers.recognition.panel import relations
from metamers.statistics.recognition_by_stage import (
    RECOGNITION_COLUMNS,
    TRANSFER_COLUMNS,
    recognition_by_stage,
    transfer_table,
)

OPTIONS = {"seed": 5, "draws": 300, "confidence": 0.95}


def falling(generator: str, index: int, count: int) -> float:
    return 0.95 - 0.8 * index / count


@pytest.fixture(scope="module")
def trials(models, simulate) -> pd.DataFrame:
    return simulate(models, falling, n_stimuli=40, failed=0.2, people=3, own=0.9)


@pytest.fixture(scope="module")
def table(models, trials) -> pd.DataFrame:
    return recognition_by_stage(trials, models, **OPTIONS)


def test_values_are_means_over_evaluators_of_their_means(models, trials, table) -> None:
    assert tuple(table.columns) == RECOGNITION_COLUMNS
    trials = trials.assign(relation=relations(trials, models))
    scored = trials[trials["correct"].notna()]
    keys = ["generator", "stage", "relation"]
    for screened in (True, False):
        part = scored[scored["passed"]] if screened else scored
        each = part.assign(correct=part["correct"].astype(float))
        each = each.groupby([*keys, "observer"])["correct"].mean()
        expected = each.groupby(keys).mean()
        found = table[table["screened"] == screened].set_index(keys)["recognition"]
        assert len(expected) == found.notna().sum()
        pd.testing.assert_series_equal(
            found[expected.index], expected, check_names=False
        )


def test_intervals_hold_the_value_and_are_crossed(table) -> None:
    known = table.dropna(subset="recognition")
    assert (known["lower"] <= known["recognition"] + 1e-12).all()
    assert (known["upper"] >= known["recognition"] - 1e-12).all()
    panel = known[known["relation"] == "panel"]
    assert (panel["upper"] - panel["lower"]).mean() > 0.05


def test_survivors_and_evaluators_are_counted(models, trials, table) -> None:
    metamers = trials[trials["observer"] == "standard"]
    counts = metamers.groupby(["generator", "stage"])["passed"].sum()
    for row in table.itertuples():
        expected = counts[row.generator, row.stage] if row.screened else 40
        assert row.n_stimuli == expected
    sizes = table[table["generator"] == "standard"]
    sizes = sizes.drop_duplicates("relation").set_index("relation")["n_evaluators"]
    assert sizes.to_dict() == {
        "own": 1,
        "panel": 4,
        "seed_sibling": 1,
        "untrained": 1,
        "other_task": 1,
        "people": 3,
    }


def test_other_tasks_have_agreement_and_no_recognition(models, trials, table) -> None:
    rows = table[
        (table["generator"] == "standard") & (table["relation"] == "other_task")
    ]
    assert rows["recognition"].isna().all()
    row = rows[(rows["stage"] == "relu1") & ~rows["screened"]].iloc[0]
    part = trials[
        (trials["generator"] == "standard")
        & (trials["observer"] == "places")
        & (trials["stage"] == "relu1")
    ]
    answers = (
        part["response"].to_numpy(str),
        part["natural_response"].to_numpy(str),
    )
    assert row["agreement"] == pytest.approx(kappa(*answers)[2])
    assert row["agreement_lower"] < row["agreement"] < row["agreement_upper"]
    assert row["match"] == pytest.approx(np.mean(answers[0] == answers[1]))


def test_a_stage_without_survivors_is_there_with_no_value(models, trials) -> None:
    trials = trials.assign(passed=trials["passed"] & (trials["stage"] != "final"))
    table = recognition_by_stage(trials, models, **OPTIONS)
    gone = table[(table["stage"] == "final") & table["screened"]]
    assert len(gone) > 0
    assert gone[["recognition", "lower", "upper", "match"]].isna().all(axis=None)
    assert (gone["n_stimuli"] == 0).all()


def test_same_seed_same_table_whatever_the_order(models, trials, table) -> None:
    shuffled = trials.sample(frac=1, random_state=3)
    again = recognition_by_stage(shuffled, models, **OPTIONS)
    pd.testing.assert_frame_equal(again, table)
    other = recognition_by_stage(trials, models, **(OPTIONS | {"seed": 6}))
    assert not other["lower"].equals(table["lower"])


def test_transfer_is_a_plain_mean_of_each_pair(models, trials) -> None:
    table = transfer_table(trials, models)
    assert tuple(table.columns) == TRANSFER_COLUMNS
    assert len(table) == 11 * 2 * sum(len(m["stages"]) + 1 for m in models.values())
    kept = trials[trials["passed"]]
    keys = ["generator", "observer", "stage"]
    expected = kept.groupby(keys).agg(
        n=("correct", "size"),
        distance=("relative_distance", "mean"),
        correct=("correct", lambda column: column.astype("Float64").mean()),
    )
    for row in table[table["screened"]].itertuples():
        want = expected.loc[(row.generator, row.evaluator, row.stage)]
        assert row.n == want["n"]
        assert row.relative_distance == pytest.approx(want["distance"])
        if pd.isna(want["correct"]):
            assert np.isnan(row.recognition)
        else:
            assert row.recognition == pytest.approx(want["correct"])
