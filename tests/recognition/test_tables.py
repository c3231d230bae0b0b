"""The trial table and the recognition table."""

import pandas as pd
import pytest

from metamers.errors import StudyError
from metamers.files import write_parquet
from metamers.recognition.tables import (
    RECOGNITION_COLUMNS,
    TRIAL_COLUMNS,
    collect,
    published_recognition,
    recognition_from_trials,
    trial_table,
)


def trial(stage_index, stimulus, correct, passed=True, **changes):
    return {
        "study": "tiny",
        "modality": "vision",
        "observer": "resnet",
        "observer_kind": "network",
        "generator": "alexnet",
        "stage": ["natural", "relu0", "final"][stage_index],
        "stage_index": stage_index,
        "stimulus_id": stimulus,
        "label": "seven",
        "response": "seven" if correct else "one",
        "natural_response": "seven",
        "correct": correct,
        "passed": passed,
        "relative_distance": 0.5,
        "task": "digits",
        "generator_task": "digits",
    } | changes


def make_trials(**changes):
    return trial_table(
        pd.DataFrame(
            [
                trial(0, "d0", True, **changes),
                trial(0, "d1", True, **changes),
                trial(1, "d0", True, **changes),
                trial(1, "d1", False, **changes),
                trial(2, "d0", False, passed=False, **changes),
                trial(2, "d1", True, passed=False, **changes),
            ]
        )
    )


def test_the_trial_table_has_its_columns_and_types():
    shuffled = make_trials()[sorted(TRIAL_COLUMNS)].astype({"correct": "object"})
    table = trial_table(shuffled)
    assert {name: str(kind) for name, kind in table.dtypes.items()} == TRIAL_COLUMNS


def test_recognition_counts_the_passed():
    table = recognition_from_trials(make_trials())
    assert list(table.columns) == list(RECOGNITION_COLUMNS)
    assert table["stage"].tolist() == ["natural", "relu0", "final"]
    assert table["n"].tolist() == [2, 2, 0]
    assert table["proportion_correct"].tolist()[:2] == [1.0, 0.5]
    assert pd.isna(table["proportion_correct"][2])
    assert set(table["experiment"]) == {"tiny"}
    assert set(table["participant"]) == set(table["observer"]) == {"resnet"}


def test_recognition_without_screening():
    table = recognition_from_trials(make_trials(), passed_only=False)
    assert table["n"].tolist() == [2, 2, 2]
    assert table["proportion_correct"].tolist() == [1.0, 0.5, 0.5]


def test_another_task_is_not_scored():
    other = make_trials(observer="backgrounds", task="backgrounds")
    other["correct"] = pd.Series(pd.NA, index=other.index, dtype="boolean")
    assert recognition_from_trials(other).empty
    both = pd.concat([make_trials(), other], ignore_index=True)
    assert set(recognition_from_trials(both)["observer"]) == {"resnet"}


def test_people_are_one_observer_and_many_participants():
    people = [make_trials(observer=name, observer_kind="human") for name in ("1", "2")]
    table = recognition_from_trials(pd.concat(people, ignore_index=True))
    assert set(table["observer"]) == {"human"}
    assert sorted(set(table["participant"])) == ["1", "2"]
    assert len(table) == 6


def write_blocks(folder):
    paths = []
    for observer in ("resnet", "alexnet"):
        for generator in ("resnet", "alexnet"):
            path = folder / f"{generator}_{observer}.parquet"
            write_parquet(make_trials(observer=observer, generator=generator), path)
            paths.append(path)
    return paths


def write_published(path):
    columns = (
        "modality,repo_experiment,model,stage,stage_index,observer_kind,n,mean,sem"
    )
    rows = [
        "vision,4,alexnet,natural,0,human,20,0.9,0.01",
        "vision,4,alexnet,relu0,1,human,20,0.8,0.01",
        "vision,4,alexnet,relu0,1,network,20,0.95,0.01",
    ]
    path.write_text("\n".join([columns, *rows]) + "\n")


def test_collect_does_not_depend_on_the_order_of_files(tmp_path):
    paths = write_blocks(tmp_path)
    trials, recognition = collect(paths, None)
    again, same = collect(reversed(paths), None)
    pd.testing.assert_frame_equal(trials, again)
    pd.testing.assert_frame_equal(recognition, same)
    assert len(trials) == 24
    assert len(recognition) == 12


def test_collected_tables_survive_parquet(tmp_path):
    _, recognition = collect(write_blocks(tmp_path), None)
    write_parquet(recognition, tmp_path / "recognition.parquet")
    pd.testing.assert_frame_equal(
        published_recognition(tmp_path / "recognition.parquet"), recognition
    )


def test_published_people_stand_beside(tmp_path):
    write_published(tmp_path / "published.csv")
    _, recognition = collect(write_blocks(tmp_path), tmp_path / "published.csv")
    added = recognition[recognition["experiment"] == "published_4"]
    assert len(recognition) == 12 + 3
    assert set(added["participant"]) == {"all"}
    assert added["n"].isna().all()
    means = added.set_index(["observer", "stage"])["proportion_correct"]
    assert means.to_dict() == {
        ("human", "natural"): 0.9,
        ("human", "relu0"): 0.8,
        ("alexnet", "relu0"): 0.95,
    }


def test_wrong_tables_are_refused(tmp_path):
    paths = write_blocks(tmp_path)
    with pytest.raises(StudyError, match="stands twice"):
        collect([*paths, paths[0]], None)
    with pytest.raises(StudyError, match="no trials"):
        collect([], None)
    write_parquet(make_trials().drop(columns="passed"), tmp_path / "old.parquet")
    with pytest.raises(StudyError, match=r"old\.parquet: the columns passed"):
        collect([tmp_path / "old.parquet"], None)
