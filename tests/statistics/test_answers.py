"""The trial table as arrays."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from metamers.errors import StudyError
from metamers.statistics.answers import arrange


@pytest.fixture
def trials(models, simulate) -> pd.DataFrame:
    return simulate(models, lambda *_: 0.6, n_stimuli=10, failed=0.3, people=2)


def test_every_answer_stands_in_its_cell(models, trials) -> None:
    shuffled = trials.sample(frac=1, random_state=1)
    found = arrange(shuffled, models)
    assert list(found) == list(models)
    for row in trials.sample(300, random_state=2).itertuples():
        answers = found[row.generator]
        cell = (
            row.stage_index,
            answers.observers.index(row.observer),
            answers.stimuli.index(row.stimulus_id),
        )
        if row.correct is pd.NA:
            assert np.isnan(answers.correct[cell])
        else:
            assert answers.correct[cell] == float(row.correct)
        assert answers.distance[cell] == row.relative_distance
        assert answers.match()[cell] == float(row.response == row.natural_response)
        assert answers.passed[cell[0], cell[2]] == row.passed


def test_people_are_told_from_networks(models, trials) -> None:
    answers = arrange(trials, models)["standard"]
    people = [name for name in answers.observers if name.startswith("person")]
    assert list(answers.people) == [name in people for name in answers.observers]


def test_missing_answers_are_missing(models, trials) -> None:
    gone = (trials["observer"] == "random") & (trials["stage"] == "relu1")
    answers = arrange(trials[~gone], models)["standard"]
    row, column = answers.stages.index("relu1"), answers.observers.index("random")
    assert np.isnan(answers.correct[row, column]).all()
    assert np.isnan(answers.match()[row, column]).all()
    assert (answers.response[row, column] == -1).all()


def test_screening_blanks_the_failed(models, trials) -> None:
    answers = arrange(trials, models)["standard"]
    kept = np.isfinite(answers.screened(answers.correct, only_passed=True))
    expected = np.isfinite(answers.correct) & answers.passed[:, None, :]
    np.testing.assert_array_equal(kept, expected)
    codes = answers.screened_codes(answers.response, only_passed=True)
    np.testing.assert_array_equal((codes >= 0).any(axis=1), answers.passed)
    assert answers.screened(answers.correct, only_passed=False) is answers.correct


def test_unknown_generator_is_named(models, trials) -> None:
    trials["generator"] = trials["generator"].replace("random", "randon")
    with pytest.raises(StudyError, match=r"'randon'.*did you mean 'random'"):
        arrange(trials, models)


def test_unknown_stage_is_named(models, trials) -> None:
    trials["stage"] = trials["stage"].replace("relu1", "relu11")
    with pytest.raises(StudyError, match=r"'relu11'.*judge its metamers again"):
        arrange(trials, models)


def test_two_answers_to_one_stimulus_are_refused(models, trials) -> None:
    with pytest.raises(StudyError, match="answers twice"):
        arrange(pd.concat([trials, trials.iloc[:1]]), models)


def test_columns_without_types_are_read_too(models, trials) -> None:
    plain = trials.assign(
        correct=trials["correct"].astype(object).where(trials["correct"].notna(), None)
    )
    typed, untyped = arrange(trials, models), arrange(plain, models)
    np.testing.assert_array_equal(
        typed["standard"].correct, untyped["standard"].correct
    )
