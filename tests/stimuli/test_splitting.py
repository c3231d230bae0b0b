"""Division of pools, choice of references and ids."""

import numpy as np
import pytest

from metamers.errors import StudyError
from metamers.stimuli.splitting import (
    choose_names,
    choose_references,
    class_folders,
    draw,
    draw_split,
    identifiers,
    split_counts,
    take,
)


@pytest.mark.parametrize(
    ("training", "test", "expected"),
    [
        (None, None, (80, 20)),
        (None, 10, (90, 10)),
        (70, None, (70, 30)),
        (5, 6, (5, 6)),
    ],
)
def test_what_is_not_said_is_the_rest_or_a_fifth(training, test, expected):
    assert split_counts(100, training, test, "a", "per_category") == expected


@pytest.mark.parametrize(
    ("training", "test"), [(90, 11), (100, None), (None, 100), (101, 1)]
)
def test_more_than_there_are_is_refused(training, test):
    with pytest.raises(StudyError, match="bears, which holds 100; lower them"):
        split_counts(100, training, test, "bears", "per_category")


def test_a_pool_is_divided_without_overlap_and_by_the_seed():
    training, test = draw_split(50, 30, 15, 1, "images", "bear")
    assert len(training) == 30 and len(test) == 15
    assert not set(training) & set(test)
    assert set(training) | set(test) <= set(range(50))
    again = draw_split(50, 30, 15, 1, "images", "bear")
    np.testing.assert_array_equal(training, again[0])
    np.testing.assert_array_equal(test, again[1])
    assert draw_split(50, 30, 15, 2, "images", "bear")[1].tolist() != test.tolist()
    assert draw_split(50, 30, 15, 1, "images", "cat")[1].tolist() != test.tolist()


def test_fewer_training_items_leave_the_test_items_as_they_were():
    np.testing.assert_array_equal(
        draw_split(50, 30, 15, 1, "a")[1], draw_split(50, 10, 15, 1, "a")[1]
    )


def test_a_draw_has_no_repeats():
    chosen = draw(20, 12, 3, "a")
    assert len(set(chosen.tolist())) == 12
    assert chosen.tolist() == sorted(chosen.tolist())


def test_taking_more_than_there_are_names_the_number():
    assert take(5, None, "bears", "limit") == 5
    assert take(5, 3, "bears", "limit") == 3
    with pytest.raises(StudyError, match="limit is 6, but bears holds 5"):
        take(5, 6, "bears", "limit")
    with pytest.raises(StudyError, match="holds no stimuli"):
        take(0, None, "bears", "limit")
    with pytest.raises(StudyError, match="at least 1, or null"):
        take(5, 0, "bears", "limit")


def test_references_are_of_every_category_and_of_different_speakers():
    labels = np.repeat([0, 1, 2], 12)
    speakers = np.tile(["ann", "ann", "ann", "bob", "cat", "ann"], 6)
    for seed in range(20):
        chosen = choose_references(labels, ["x", "y", "z"], 3, seed, speakers)
        assert labels[chosen].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
        for row in range(0, 9, 3):
            assert set(speakers[chosen[row : row + 3]]) == {"ann", "bob", "cat"}


def test_references_of_a_category_do_not_depend_on_the_others():
    labels = np.array([0] * 10 + [1] * 10)
    both = choose_references(labels, ["x", "y"], 4, 1)
    alone = choose_references(labels[10:] - 1, ["y"], 4, 1)
    np.testing.assert_array_equal(both[4:] - 10, alone)


def test_wrong_names_are_refused_with_the_nearest():
    with pytest.raises(StudyError, match="did you mean 'bear'"):
        choose_names(["beer"], ["bear", "cat"], "folder", "categories")
    with pytest.raises(StudyError, match="'cat' twice"):
        choose_names(["cat", "bear", "cat"], ["bear", "cat"], "folder", "categories")
    with pytest.raises(StudyError, match="at least 2"):
        choose_names(None, ["bear"], "folder", "categories")
    assert choose_names(["cat", "bear"], ["bear", "cat"], "f", "n") == ["cat", "bear"]


def test_class_folders_lists_the_files_that_count(tmp_path):
    (tmp_path / "bear").mkdir()
    (tmp_path / ".hidden").mkdir()
    for name in ("b.JPG", "a.jpg", "notes.txt", ".c.jpg"):
        (tmp_path / "bear" / name).touch()
    found = class_folders(tmp_path, "path", (".jpg",))
    assert {name: [p.name for p in paths] for name, paths in found.items()} == {
        "bear": ["a.jpg", "b.JPG"]
    }
    with pytest.raises(StudyError, match="not a folder"):
        class_folders(tmp_path / "none", "path", (".jpg",))
    with pytest.raises(StudyError, match="holds no folders"):
        class_folders(tmp_path / "bear", "path", (".jpg",))


def test_ids_are_file_names_and_unique_ignoring_case():
    assert identifiers(["a b/c", "A-b.c", "a-b-c-2", "ü"]).tolist() == [
        "a-b-c",
        "A-b-c-2",
        "a-b-c-2-2",
        "stimulus",
    ]
