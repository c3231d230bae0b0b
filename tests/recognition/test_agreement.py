"""Agreement corrected for chance, against scikit-learn and closed forms."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

from metamers.recognition.agreement import (
    agreement,
    error_consistencies,
    error_consistency,
    kappa,
)

WORDS = np.array(["river", "winter", "seven", "paper"])


def make_trials(seed=0, stimuli=30, observers=("a", "b", "c")):
    generator = np.random.default_rng(seed)
    rows = []
    for stage_index, stage in enumerate(["natural", "early", "late"]):
        passed = generator.random(stimuli) > 0.2 * (stage_index > 0)
        for observer in observers:
            for stimulus in range(stimuli):
                rows.append(
                    {
                        "modality": "audio",
                        "observer": observer,
                        "observer_kind": "network",
                        "generator": "g",
                        "stage": stage,
                        "stage_index": stage_index,
                        "stimulus_id": f"s{stimulus:02d}",
                        "response": generator.choice(WORDS, p=[0.5, 0.3, 0.1, 0.1]),
                        "natural_response": generator.choice(WORDS),
                        "correct": bool(generator.random() < 0.6),
                        "passed": bool(passed[stimulus]),
                        "task": "words",
                        "generator_task": "words",
                    }
                )
    return pd.DataFrame(rows).astype({"correct": "boolean"})


def test_kappa_is_that_of_scikit_learn():
    generator = np.random.default_rng(1)
    first = generator.choice(WORDS, 80, p=[0.6, 0.2, 0.1, 0.1])
    second = np.where(generator.random(80) < 0.5, first, generator.choice(WORDS, 80))
    observed, expected, value = kappa(first, second)
    assert value == pytest.approx(cohen_kappa_score(first, second), abs=1e-12)
    assert observed == np.mean(first == second)
    assert value == pytest.approx((observed - expected) / (1 - expected))


def test_kappa_of_a_hand_made_table():
    # Cohen (1960): 20 + 15 of 50 agree, .5 * .6 + .5 * .4 = .5 are expected.
    first = np.array(["yes"] * 25 + ["no"] * 25)
    second = np.array(["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15)
    assert kappa(first, second) == pytest.approx((0.7, 0.5, 0.4))


def test_kappa_where_nothing_can_be_told():
    same = np.array(["river"] * 7)
    assert kappa(same, same)[:2] == (1, 1)
    assert np.isnan(kappa(same, same)[2])
    assert np.isnan(kappa(same[:0], same[:0])).all()
    assert kappa(same, np.array(["paper"] * 7)) == (0, 0, 0)
    with pytest.raises(ValueError, match="equal length"):
        kappa(same, same[:3])


def test_error_consistency_is_kappa_of_errors():
    generator = np.random.default_rng(2)
    first, second = generator.random((2, 60)) < 0.7
    expected = cohen_kappa_score(first, second)
    assert error_consistency(first, second) == pytest.approx(expected, abs=1e-12)
    assert error_consistency(first, first) == 1
    assert np.isnan(error_consistency(first | True, second | True))


@pytest.mark.parametrize("passed_only", [True, False])
def test_agreement_per_generator_stage_and_observer(passed_only):
    trials = make_trials()
    table = agreement(trials, passed_only=passed_only)
    assert sorted(set(table["stage"])) == ["early", "late"]
    assert len(table) == 6
    for row in table.itertuples():
        part = trials[
            (trials["stage"] == row.stage) & (trials["observer"] == row.observer)
        ]
        part = part[part["passed"] | (not passed_only)]
        assert row.n == len(part)
        assert row.observed == np.mean(part["response"] == part["natural_response"])
        assert row.kappa == pytest.approx(
            cohen_kappa_score(part["response"], part["natural_response"])
        )


def test_a_stage_without_survivors_is_shown():
    trials = make_trials()
    trials.loc[trials["stage"] == "late", "passed"] = False
    table = agreement(trials).set_index(["stage", "observer"])
    assert (table.loc["late", "n"] == 0).all()
    assert table.loc["late", "kappa"].isna().all()
    assert (table.loc["early", "n"] > 0).all()


def test_error_consistencies_of_all_pairs():
    trials = make_trials()
    # An observer that did not answer to everything, and one of another task.
    trials = trials[~((trials["observer"] == "b") & (trials["stimulus_id"] > "s20"))]
    other = trials[trials["observer"] == "c"].assign(observer="d", correct=pd.NA)
    other = other.astype({"correct": "boolean"})
    table = error_consistencies(pd.concat([trials, other], ignore_index=True))
    assert set(table["observer"]) == {"a", "b", "c"}
    assert len(table) == 3 * 6
    for row in table.itertuples():
        stage = trials[(trials["stage"] == row.stage) & trials["passed"]]
        wide = stage.pivot(index="stimulus_id", columns="observer", values="correct")
        both = wide[[row.observer, row.other]].dropna().astype(bool)
        assert row.n == len(both)
        expected = cohen_kappa_score(both[row.observer], both[row.other])
        assert row.kappa == pytest.approx(expected, abs=1e-12)


def test_error_consistencies_of_nothing():
    trials = make_trials().assign(correct=pd.NA).astype({"correct": "boolean"})
    assert error_consistencies(trials).empty
