"""The stimulus file and the table beside it."""

import hashlib

import h5py
import numpy as np
import pandas as pd
import pytest

from metamers.errors import StudyError
from metamers.stimuli.files import (
    Split,
    StimulusSet,
    read_attributes,
    read_categories,
    read_split,
    write_stimuli,
)


@pytest.fixture
def stimuli():
    speech = Split(
        stimulus=np.array([[0, 32767, -32767], [100, -100, 5]], dtype=np.int16),
        id=np.array(["seven_a", "sieben_ü"]),
        label={"word": np.array([1, 0])},
        details={"source": np.array(["a.wav", "b.wav"])},
    )
    noisy = Split(
        stimulus=np.array([[1, 2, 3]], dtype=np.int16),
        id=np.array(["seven_a"]),
        label={"word": np.array([1]), "background": np.array([0])},
        snr=np.array([-3.25]),
        details={"source": np.array(["seven_a in hum"])},
    )
    return StimulusSet(
        modality="audio",
        splits={"test": speech, "test_noisy": noisy},
        categories={"word": ["sieben", "seven"], "background": ["hum", "rain"]},
        sample_rate=8000,
        synthetic=True,
    )


@pytest.fixture
def written(stimuli, tmp_path):
    path = tmp_path / "audio.h5"
    write_stimuli(stimuli, path, tmp_path / "audio.csv", {"settings_hash": "abc"})
    return path


def test_a_split_comes_back_as_it_was_written(stimuli, written):
    for name, split in stimuli.splits.items():
        read = read_split(written, name)
        assert read.stimulus.dtype == np.int16
        np.testing.assert_array_equal(read.stimulus, split.stimulus)
        assert read.id.tolist() == split.id.tolist()
        assert set(read.label) == set(split.label)
        for label in split.label:
            np.testing.assert_array_equal(read.label[label], split.label[label])
    assert read_split(written, "test").snr is None
    assert read_split(written, "test_noisy").snr.tolist() == [-3.25]


def test_the_file_has_the_layout_that_other_programs_read(written):
    with h5py.File(written) as file:
        assert file["test/label/word"].dtype == np.int16
        assert file["test_noisy/snr"].dtype == np.float32
        assert h5py.check_string_dtype(file["test/id"].dtype).encoding == "utf-8"
        assert file.attrs["format_version"] == 1
    attributes = read_attributes(written)
    assert attributes["sample_rate"] == 8000
    assert attributes["synthetic"] is True
    assert attributes["modality"] == "audio"
    assert attributes["provenance"] == {"settings_hash": "abc"}
    assert attributes["splits"] == ["test", "test_noisy"]
    assert read_categories(written)["word"] == ["sieben", "seven"]


def test_values_are_in_stimulus_units(stimuli):
    sound = stimuli.splits["test"].values()
    assert sound.dtype == np.float32
    np.testing.assert_array_equal(sound[0], [0.0, 1.0, -1.0])
    image = Split(np.full((1, 1, 1, 2), [0, 255], np.uint8), np.array(["a"]), {})
    np.testing.assert_array_equal(image.values().ravel(), [0.0, 1.0])


def test_the_table_names_labels_and_the_checksum_of_the_stored_bytes(written, stimuli):
    table = pd.read_csv(written.with_suffix(".csv"), keep_default_na=False)
    assert table["id"].tolist() == ["seven_a", "sieben_ü", "seven_a"]
    assert table["word"].tolist() == ["seven", "sieben", "seven"]
    assert table["background"].tolist() == ["", "", "hum"]
    assert table["split"].tolist() == ["test", "test", "test_noisy"]
    assert table["source"].tolist() == ["a.wav", "b.wav", "seven_a in hum"]
    stored = read_split(written, "test").stimulus[1].tobytes()
    assert table["checksum"][1] == hashlib.sha256(stored).hexdigest()


def test_a_subset_keeps_everything_in_step(stimuli):
    second = stimuli.splits["test"].subset(np.array([1]))
    assert len(second) == 1
    assert second.id.tolist() == ["sieben_ü"]
    assert second.label["word"].tolist() == [0]
    assert second.details["source"].tolist() == ["b.wav"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": np.array(["a", "a"])}, "1 different ids"),
        ({"label": {"word": np.array([0, 2])}}, r"indices in \[0, 2\)"),
        ({"stimulus": np.zeros((2, 3))}, "stored as int16"),
    ],
)
def test_wrong_stimuli_are_refused_and_nothing_is_left(
    stimuli, tmp_path, change, message
):
    fields = {**vars(stimuli.splits["test"]), **change}
    wrong = StimulusSet("audio", {"test": Split(**fields)}, stimuli.categories, 8000)
    with pytest.raises(ValueError, match=message):
        write_stimuli(wrong, tmp_path / "a.h5", tmp_path / "a.csv")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_split_names_the_nearest(written):
    with pytest.raises(StudyError, match="did you mean 'test'"):
        read_split(written, "tests")


def test_unusable_files_say_what_to_do(written, tmp_path):
    with pytest.raises(StudyError, match="prepare_stimuli"):
        read_split(tmp_path / "none.h5", "test")
    broken = tmp_path / "broken.h5"
    broken.write_text("not HDF5")
    with pytest.raises(StudyError, match="not a readable HDF5"):
        read_categories(broken)
    with h5py.File(written, "r+") as file:
        file.attrs["format_version"] = 99
    with pytest.raises(StudyError, match="format version 99"):
        read_attributes(written)
