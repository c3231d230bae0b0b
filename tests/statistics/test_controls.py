"""Controls: recognition and its difference to the standard metamers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from metamers.errors import StudyError
from metamers.statistics.controls import COLUMNS, control_table

OPTIONS = {"seed": 3, "draws": 500, "confidence": 0.95}
CHANCE = {"standard": 0.3, "longer": 0.3, "noise": 0.9}


@pytest.fixture(scope="module")
def trials(models, simulate) -> pd.DataFrame:
    parts = []
    for place, (control, chance) in enumerate(CHANCE.items()):
        part = simulate(
            models,
            lambda *_, chance=chance: chance,
            n_stimuli=50,
            seed=place,
            failed=0.2,
        )
        chosen = (part["generator"] == "standard") & (part["stage"] == "fc1")
        parts.append(part[chosen].assign(control=control))
    natural = part[(part["generator"] == "standard") & (part["stage"] == "natural")]
    return pd.concat([*parts, natural.assign(control="natural")], ignore_index=True)


@pytest.fixture(scope="module")
def table(models, trials) -> pd.DataFrame:
    return control_table(trials, models, **OPTIONS)


def test_rows(table) -> None:
    assert tuple(table.columns) == COLUMNS
    assert len(table) == 3 * 2 * 2
    assert set(table["n_evaluators"][table["relation"] == "panel"]) == {4}
    assert set(table["n_stimuli"][~table["screened"]]) == {50}


def test_values_are_means_of_the_trials(trials, table) -> None:
    panel = ["adversarial", "random", "lowpass", "residual"]
    for row in table[table["relation"] == "panel"].itertuples():
        part = trials[
            (trials["control"] == row.control) & trials["observer"].isin(panel)
        ]
        if row.screened:
            part = part[part["passed"]]
        each = part.assign(correct=part["correct"].astype(float))
        expected = each.groupby("observer")["correct"].mean().mean()
        assert row.recognition == pytest.approx(expected)
        assert row.lower <= row.recognition <= row.upper


def test_differences_are_over_the_stimuli_of_both(trials, table) -> None:
    row = table.set_index(["control", "relation", "screened"]).loc[
        ("noise", "own", True)
    ]
    own = trials[(trials["observer"] == "standard") & trials["passed"]]
    own = own[own["control"] != "natural"]
    grid = own.assign(correct=own["correct"].astype(float)).pivot(
        index="stimulus_id", columns="control", values="correct"
    )
    both = grid[["noise", "standard"]].dropna()
    expected = (both["noise"] - both["standard"]).mean()
    assert row["difference"] == pytest.approx(expected)


def test_what_differs_and_what_does_not(table) -> None:
    rows = table[table["relation"] == "panel"].set_index(["control", "screened"])
    assert rows.loc[("noise", True), "difference"] == pytest.approx(0.6, abs=0.1)
    assert rows.loc[("noise", True), "difference_p"] < 0.01
    longer = rows.loc[("longer", False)]
    assert longer["difference_lower"] < 0 < longer["difference_upper"]
    standard = rows.loc["standard"]
    assert (standard["difference"] == 0).all()
    assert (standard["difference_p"] == 1).all()


def test_no_panel_gives_no_rows(models, trials) -> None:
    alone = trials[trials["observer"] == "standard"]
    table = control_table(alone, models, **OPTIONS)
    assert set(table["relation"]) == {"own"}


def test_a_control_without_survivors_has_no_value(models, trials) -> None:
    failed = trials.assign(passed=trials["passed"] & (trials["control"] != "longer"))
    table = control_table(failed, models, **OPTIONS)
    gone = table[(table["control"] == "longer") & table["screened"]]
    assert gone[["recognition", "difference", "lower"]].isna().all(axis=None)
    assert (gone["n_stimuli"] == 0).all()


def test_unknown_control_is_named(models, trials) -> None:
    wrong = trials.replace({"control": {"noise": "noises"}})
    with pytest.raises(StudyError, match=r"'noises'.*did you mean 'noise'"):
        control_table(wrong, models, **OPTIONS)


def test_missing_standard_is_named(models, trials) -> None:
    lacking = trials[trials["control"] != "standard"]
    with pytest.raises(StudyError, match="lack the standard metamers"):
        control_table(lacking, models, **OPTIONS)


def test_same_seed_same_table(models, trials, table) -> None:
    again = control_table(trials.sample(frac=1, random_state=1), models, **OPTIONS)
    pd.testing.assert_frame_equal(again, table)
    assert np.isfinite(table["lower"]).all()
