"""Recorded speech and backgrounds from folders."""

import numpy as np
import pandas as pd
import pytest
import soundfile

from metamers.errors import StudyError
from metamers.stimuli.clips import (
    loudest,
    plan_clips,
    read_backgrounds,
    read_clips,
    read_sound,
)
from metamers.stimuli.prepare import prepare_stimuli


def audio_settings(source, **changes):
    return {
        "source": {"kind": "clip_folder", **source},
        "sample_rate": 8000,
        "duration": 0.5,
        "rms": 0.1,
        "snr": [-10.0, 10.0],
        "references_per_category": 1,
        **changes,
    }


@pytest.fixture
def lab(shared):
    return {
        "clips": str(shared / "lab" / "spoken_digits"),
        "backgrounds": str(shared / "lab" / "backgrounds"),
        "test_speakers": ["theo", "lucas"],
        "words": ["zero", "seven", "three"],
        "training_per_word": 5,
        "test_per_word": 4,
        "background_classes": ["rain", "dog_bark"],
        "training_background_clips": 3,
        "test_background_clips": 2,
    }


def test_a_folder_of_recordings_becomes_stimuli(lab, shared):
    settings = audio_settings(lab)
    stimuli = prepare_stimuli("audio", settings, 517)
    assert stimuli.categories == {
        "word": ["zero", "seven", "three"],
        "background": ["rain", "dog_bark"],
    }
    assert {name: len(split) for name, split in stimuli.splits.items()} == {
        "training": 15,
        "test": 12,
        "reference": 3,
        "training_background": 6,
        "test_background": 4,
        "test_noisy": 12,
    }
    assert not stimuli.synthetic and stimuli.sample_rate == 8000
    table = stimuli.table()
    listed = pd.read_csv(shared / "lab" / "spoken_digits" / "clips.csv")
    listed.index = str(shared / "lab" / "spoken_digits") + "/" + listed["path"]
    for split in ("training", "test"):
        rows = table[table["split"] == split]
        known = listed.loc[rows["source"]]
        assert rows["word"].tolist() == known["word"].tolist()
        assert rows["speaker"].tolist() == known["speaker"].tolist()
        assert set(rows["speaker"]) <= {"theo", "lucas"} or split == "training"
        assert not set(rows["speaker"]) & {"theo", "lucas"} or split == "test"
    backgrounds = table[table["split"].str.endswith("_background")]
    assert backgrounds["source"].is_unique
    assert all(
        f"/{name}/" in source
        for name, source in zip(
            backgrounds["background"], backgrounds["source"], strict=True
        )
    )
    assert table.equals(prepare_stimuli("audio", settings, 517).table())
    values = stimuli.splits["test"].values()
    level = np.sqrt(np.mean(values.astype(float) ** 2, axis=1))
    unclipped = stimuli.splits["test"].details["clipped_samples"] == 0
    assert np.mean(unclipped) > 0.5
    np.testing.assert_allclose(level[unclipped], 0.1, rtol=1e-3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"clips": "nowhere"}, r"there is no nowhere/clips\.csv"),
        ({"backgrounds": "nowhere"}, "nowhere, which is not a folder"),
        ({"test_speakers": ["teo"]}, "did you mean 'theo'"),
        ({"test_speakers": []}, "some but not all of george"),
        ({"words": ["zero", "sevn"]}, "did you mean 'seven'"),
        ({"test_per_word": 101}, "'zero' of the test speakers .* holds 100"),
        ({"training_background_clips": 39}, "rain, which holds 40"),
        ({"background_classes": ["rain", "brain"]}, "did you mean 'rain'"),
    ],
)
def test_impossible_recordings_are_refused_before_one_is_read(
    lab, changes, message, monkeypatch
):
    def fail(*arguments):
        raise AssertionError("a recording was read")

    monkeypatch.setattr("metamers.stimuli.clips.read_sound", fail)
    with pytest.raises(StudyError, match=message):
        prepare_stimuli("audio", audio_settings({**lab, **changes}), 1)


@pytest.fixture
def recorded(tmp_path):
    """Two words by two speakers, and two classes of backgrounds."""
    generator = np.random.default_rng(0)
    rows = []
    for word in ("yes", "no"):
        for speaker in ("ann", "bob"):
            name = f"{speaker}_{word}.wav"
            soundfile.write(tmp_path / name, generator.normal(0, 0.1, 800), 8000)
            rows.append({"path": name, "word": word, "speaker": speaker})
    pd.DataFrame(rows).to_csv(tmp_path / "clips.csv", index=False)
    for name in ("rain", "wind"):
        (tmp_path / "noise" / name).mkdir(parents=True)
        for number in range(2):
            path = tmp_path / "noise" / name / f"{number}.wav"
            soundfile.write(path, generator.normal(0, 0.1, 4000), 16000)
    return {
        "clips": str(tmp_path),
        "backgrounds": str(tmp_path / "noise"),
        "test_speakers": ["bob"],
    }


def test_optional_fields_may_be_absent(recorded):
    plan = plan_clips(audio_settings(recorded), 1)
    assert plan.words == ["no", "yes"]
    assert plan.backgrounds == ["rain", "wind"]
    assert plan.clips["training"]["speaker"].tolist() == ["ann", "ann"]
    assert [len(files) for files in plan.background_files.values()] == [2, 2]


def test_wrong_tables_are_refused(recorded, tmp_path):
    table = pd.read_csv(tmp_path / "clips.csv")
    table.rename(columns={"speaker": "speakr"}).to_csv(
        tmp_path / "clips.csv", index=False
    )
    with pytest.raises(StudyError, match=r"no column 'speaker'; .*'speakr'"):
        plan_clips(audio_settings(recorded), 1)
    table.to_csv(tmp_path / "clips.csv", index=False)
    (tmp_path / "bob_yes.wav").unlink()
    with pytest.raises(StudyError, match=r"1 files that are not there.*bob_yes\.wav"):
        plan_clips(audio_settings(recorded), 1)


def test_a_word_that_a_split_lacks_is_refused(recorded, tmp_path):
    table = pd.read_csv(tmp_path / "clips.csv")
    table[table["path"] != "ann_no.wav"].to_csv(tmp_path / "clips.csv", index=False)
    with pytest.raises(StudyError, match="'no' of the training speakers"):
        plan_clips(audio_settings(recorded), 1)


def test_recordings_are_mixed_to_one_channel_and_resampled(tmp_path):
    tone = np.sin(2 * np.pi * 300 * np.arange(16000) / 16000)
    soundfile.write(
        tmp_path / "a.wav", np.stack([tone, 0 * tone], axis=1), 16000, subtype="FLOAT"
    )
    sound = read_sound(tmp_path / "a.wav", 8000)
    expected = 0.5 * np.sin(2 * np.pi * 300 * np.arange(8000) / 8000)
    np.testing.assert_allclose(sound[100:-100], expected[100:-100], atol=2e-3)


def test_the_middle_of_a_recording_stays_the_middle(tmp_path):
    sound = np.zeros(9000)
    sound[4480:4520] = np.tile([0.5, -0.5], 20)
    soundfile.write(tmp_path / "a.wav", sound, 8000)
    clip = read_clips([tmp_path / "a.wav"], 8000, 4000, 0.1)[0]
    assert np.flatnonzero(np.abs(clip) > 0.1).tolist() == list(range(1980, 2020))


def test_silent_empty_and_broken_recordings_are_named(tmp_path):
    soundfile.write(tmp_path / "silent.wav", np.zeros(900), 8000)
    with pytest.raises(StudyError, match=r"silent\.wav is silent"):
        read_clips([tmp_path / "silent.wav"], 8000, 400, 0.1)
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 8000)
    with pytest.raises(StudyError, match="empty recording"):
        read_sound(tmp_path / "empty.wav", 8000)
    (tmp_path / "broken.wav").write_text("no sound")
    with pytest.raises(StudyError, match="cannot be read as a sound"):
        read_sound(tmp_path / "broken.wav", 8000)


def test_the_loudest_stretch_is_taken_and_short_ones_repeat(tmp_path):
    sound = np.zeros(1000)
    sound[700:800] = 1.0
    np.testing.assert_array_equal(loudest(sound, 100), 1.0)
    np.testing.assert_array_equal(loudest(np.arange(3.0), 7), [0, 1, 2, 0, 1, 2, 0])
    soundfile.write(tmp_path / "a.wav", np.tile([0.2, -0.2], 100), 8000)
    backgrounds = read_backgrounds([tmp_path / "a.wav"], 8000, 500, 0.1)
    np.testing.assert_allclose(np.abs(backgrounds), 0.1, rtol=1e-5)
