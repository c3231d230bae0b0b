"""Lists of stimuli that stay in their files."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from metamers.errors import StudyError
from metamers.stimuli.files import (
    StimulusSet,
    read_attributes,
    read_split,
    write_stimuli,
)
from metamers.stimuli.listed import (
    Listing,
    MultiHot,
    as_paths,
    read_listing,
    write_listing,
)

CATEGORIES = {
    "word": ["null", "one", "two"],
    "background": [f"b{k}" for k in range(11)],
}


@pytest.fixture
def listing():
    return Listing(
        kind="speech",
        root=Path("/recordings"),
        path=as_paths(["a/ü.flac", "/elsewhere/b.flac", "a/ü.flac"]),
        label={
            "word": np.array([1, -1, 2]),
            "background": MultiHot.of([[0, 10], [], [3, 8, 9]], 11),
        },
        columns={"onset": np.array([0.5, 1.25, 2.0])},
        settings={"sample_rate": 20000, "samples": 40000, "rms": 0.1},
    )


def test_several_labels_are_rows_of_zeros_and_ones():
    generator = np.random.default_rng(0)
    rows = (generator.random((20, 517)) < 0.01).astype(np.uint8)
    label = MultiHot.of([np.flatnonzero(row).tolist() for row in rows], 517)
    assert len(label) == 20
    np.testing.assert_array_equal(label[:], rows)
    np.testing.assert_array_equal(label[np.array([7, 7, 0])], rows[[7, 7, 0]])
    assert label.packed.nbytes == 20 * 65


def test_a_list_comes_back_as_it_was_written(listing, tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        write_listing(listing, file.create_group("training"))
    with h5py.File(tmp_path / "a.h5") as file:
        read = read_listing(file["training"])
    assert (read.kind, read.root) == (listing.kind, listing.root)
    assert read.settings == listing.settings
    np.testing.assert_array_equal(read.path, listing.path)
    np.testing.assert_array_equal(read.columns["onset"], listing.columns["onset"])
    assert read.label["word"].tolist() == [1, -1, 2]
    assert read.label["word"].dtype == np.int64
    np.testing.assert_array_equal(
        read.label["background"][:], listing.label["background"][:]
    )


def test_stimuli_are_named_by_path_and_onset(listing):
    assert listing.ids().tolist() == [
        "a/ü.flac@0.500",
        "/elsewhere/b.flac@1.250",
        "a/ü.flac@2.000",
    ]
    assert listing.file(0) == Path("/recordings/a/ü.flac")
    assert listing.file(1) == Path("/elsewhere/b.flac")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "films"}, "kind is films"),
        ({"columns": {"onset": np.zeros(2)}}, "onset has 2 rows for 3 paths"),
        ({"label": {"word": np.array([0, 1, 3])}}, r"indices in \[-1, 3\)"),
        ({"label": {"word": np.array([0, 1, -2])}}, r"indices in \[-1, 3\)"),
        ({"label": {"background": MultiHot.of([[0]] * 3, 5)}}, "of 5, not 11"),
    ],
)
def test_wrong_lists_are_refused(listing, change, message):
    listing.check(CATEGORIES)
    with pytest.raises(ValueError, match=message):
        Listing(**{**vars(listing), **change}).check(CATEGORIES)


def test_a_stimulus_file_holds_lists_beside_stored_splits(listing, tmp_path):
    from metamers.stimuli.files import Split

    reference = Split(
        stimulus=np.zeros((1, 4), dtype=np.int16),
        id=np.array(["one"]),
        label={"word": np.array([1])},
        details={"source": np.array(["a"])},
    )
    stimuli = StimulusSet(
        "audio", {"reference": reference}, CATEGORIES, 20000, False, {"test": listing}
    )
    path = tmp_path / "audio.h5"
    write_stimuli(stimuli, path, tmp_path / "audio.csv")
    assert read_attributes(path)["splits"] == ["reference", "test"]
    assert len(read_split(path, "reference")) == 1
    assert len(stimuli.table()) == 1
    with pytest.raises(StudyError, match="'test' lists files and stores no stimuli"):
        read_split(path, "test")
