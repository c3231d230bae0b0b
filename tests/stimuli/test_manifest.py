"""Tables of recordings: what is listed, what is stored, what is refused."""

import numpy as np
import pandas as pd
import pytest
import soundfile

from metamers.errors import StudyError
from metamers.stimuli.files import read_split, write_stimuli
from metamers.stimuli.listed import NULL_NAME
from metamers.stimuli.manifest import held_out
from metamers.stimuli.prepare import prepare_stimuli
from metamers.stimuli.sound_files import MixtureFiles

RATE = 4000
WORDS = ["cat", "dog", "owl"]


def write_sound(path, pitch, seconds=1.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(round(seconds * RATE)) / RATE
    soundfile.write(path, 0.2 * np.sin(2 * np.pi * pitch * time), RATE)


def write_tables(folder, clips, backgrounds):
    pd.DataFrame(clips, columns=["path", "word", "onset", "source"]).to_csv(
        folder / "clips.csv", index=False
    )
    pd.DataFrame(backgrounds, columns=["path", "labels"]).to_csv(
        folder / "backgrounds.csv", index=False
    )


@pytest.fixture
def tables(tmp_path):
    """Three words, each eight times read and twice in each of four long articles."""
    clips = []
    for k, word in enumerate(WORDS):
        for take in range(8):
            path = f"read/{word}_{take}.wav"
            write_sound(tmp_path / path, 200 + 150 * k)
            clips.append((path, word, 0.5, "WSJ"))
        clips += [(f"wiki/{a}.wav", word, 0.4 + k, "wiki") for a in range(4)] * 2
    for article in range(4):
        write_sound(tmp_path / f"wiki/{article}.wav", 300, seconds=4.0)
    clips.append(("wiki/0.wav", "", 3.5, "wiki"))
    backgrounds = []
    labels = ["rain;wind", "rain", "", "traffic ; horn", "horn"]
    for number in range(10):
        path = f"noise/{number}.wav"
        write_sound(tmp_path / path, 600 + 40 * number, seconds=3.0)
        backgrounds.append((path, labels[number % 5]))
    write_tables(tmp_path, clips, backgrounds)
    return tmp_path


def settings(folder, source=None, **changes):
    return {
        "source": {
            "kind": "manifest",
            "clips": str(folder / "clips.csv"),
            "backgrounds": str(folder / "backgrounds.csv"),
            "vocabulary": None,
            "background_labels": None,
            "test_fraction": 0.2,
            "reference_sources": ["WSJ"],
            "references": 3,
            **(source or {}),
        },
        "sample_rate": RATE,
        "duration": 0.5,
        "rms": 0.1,
        "snr": [-10.0, 10.0],
        "references_per_category": 1,
        **changes,
    }


def recordings(listing):
    return {path.decode() for path in listing.path.tolist()}


def test_clips_and_backgrounds_are_listed_with_a_null_class(tables):
    stimuli = prepare_stimuli("audio", settings(tables), 517)
    assert stimuli.categories == {
        "word": [NULL_NAME, "cat", "dog", "owl"],
        "background": [NULL_NAME, "horn", "rain", "traffic", "wind"],
    }
    training, test = stimuli.listed["training"], stimuli.listed["test"]
    # Of 28 recordings 6 are for test, of 10 backgrounds 2.
    assert len(recordings(test)) == 6
    assert not recordings(training) & recordings(test)
    assert len(training) + len(test) == 49
    words = np.concatenate([training.label["word"], test.label["word"]])
    assert np.bincount(words).tolist() == [1, 16, 16, 16]
    quiet = stimuli.listed["test_background"]
    assert len(quiet) == 2
    assert not recordings(quiet) & recordings(stimuli.listed["training_background"])
    table = pd.read_csv(tables / "backgrounds.csv", keep_default_na=False)
    for row, path in enumerate(quiet.path.tolist()):
        text = table.set_index("path").loc[path.decode(), "labels"]
        given = {part.strip() for part in text.split(";") if part.strip()}
        marked = np.flatnonzero(quiet.label["background"][np.array([row])][0])
        named = {stimuli.categories["background"][k] for k in marked}
        assert named == (given or {NULL_NAME})
    assert stimuli.sample_rate == RATE and not stimuli.synthetic


def test_references_are_clean_clips_of_different_words_kept_for_test(tables, tmp_path):
    stimuli = prepare_stimuli("audio", settings(tables), 517)
    reference = stimuli.splits["reference"]
    assert reference.id.tolist() == WORDS
    assert reference.label["word"].tolist() == [1, 2, 3]
    assert set(reference.details["corpus"]) == {"WSJ"}
    values = reference.values().astype(float)
    np.testing.assert_allclose(np.sqrt((values**2).mean(axis=1)), 0.1, rtol=1e-3)
    for row, source in enumerate(reference.details["source"]):
        path, _, onset = source.partition(" at ")
        assert path in recordings(stimuli.listed["test"])
        assert onset == "0.500 s"
        spectrum = np.abs(np.fft.rfft(values[row]))
        assert np.argmax(spectrum) * 2 == 200 + 150 * row
    write_stimuli(stimuli, tmp_path / "a.h5", tmp_path / "a.csv")
    assert read_split(tmp_path / "a.h5", "reference").id.tolist() == WORDS


def test_every_test_clip_is_once_in_noise(tables):
    stimuli = prepare_stimuli("audio", settings(tables), 517)
    noisy, test = stimuli.listed["test_noisy"], stimuli.listed["test"]
    np.testing.assert_array_equal(noisy.path, test.path)
    np.testing.assert_array_equal(noisy.label["word"], test.label["word"])
    assert np.all((noisy.columns["snr"] >= -10) & (noisy.columns["snr"] <= 10))
    assert np.ptp(noisy.columns["snr"]) > 5
    background = stimuli.listed["test_background"]
    files = [str(background.file(k)) for k in range(len(background))]
    chosen = [files.index(path.decode()) for path in noisy.columns["background"]]
    np.testing.assert_array_equal(
        noisy.label["background"][:], background.label["background"][np.array(chosen)]
    )
    mixed = MixtureFiles(noisy).values(np.arange(len(noisy)))
    assert mixed.shape == (len(test), 2000)
    np.testing.assert_allclose(np.sqrt((mixed**2).mean(axis=1)), 0.1, rtol=1e-3)


def test_the_seed_fixes_everything(tables):
    def listed(seed):
        stimuli = prepare_stimuli("audio", settings(tables), seed)
        columns = stimuli.listed["test_noisy"].columns
        return stimuli.table(), {name: list(column) for name, column in columns.items()}

    (table, columns), again, other = listed(1), listed(1), listed(2)
    assert table.equals(again[0]) and columns == again[1]
    assert columns != other[1]


def test_a_vocabulary_orders_the_outputs(tables):
    (tables / "words.txt").write_text("owl\ncat\nrat\ndog\n")
    (tables / "labels.txt").write_text(f"{NULL_NAME}\nwind\nrain\nhorn\ntraffic\n")
    source = {
        "vocabulary": str(tables / "words.txt"),
        "background_labels": str(tables / "labels.txt"),
    }
    stimuli = prepare_stimuli("audio", settings(tables, source), 517)
    assert stimuli.categories == {
        "word": [NULL_NAME, "owl", "cat", "rat", "dog"],
        "background": [NULL_NAME, "wind", "rain", "horn", "traffic"],
    }
    reference = stimuli.splits["reference"]
    assert reference.label["word"].tolist() == [1, 2, 4]
    assert reference.id.tolist() == ["owl", "cat", "dog"]


def test_fewer_references_than_words_are_drawn_by_the_seed(tables):
    found = {
        tuple(
            prepare_stimuli("audio", settings(tables, {"references": 2}), seed)
            .splits["reference"]
            .id
        )
        for seed in range(8)
    }
    assert all(len(set(pair)) == 2 and list(pair) == sorted(pair) for pair in found)
    assert len(found) > 1


def test_silent_clips_are_passed_over_as_references(tables):
    table = pd.read_csv(tables / "clips.csv", keep_default_na=False)
    owls = table["word"] == "owl"
    table.loc[owls & (table["path"] != "read/owl_5.wav"), "onset"] = 99.0
    table.to_csv(tables / "clips.csv", index=False)
    reference = prepare_stimuli("audio", settings(tables), 517).splits["reference"]
    assert reference.details["source"][2] == "read/owl_5.wav at 0.500 s"
    table.loc[owls, "onset"] = 99.0
    table.to_csv(tables / "clips.csv", index=False)
    with pytest.raises(StudyError, match=r"all 8 clips of 'owl' .* are silent"):
        prepare_stimuli("audio", settings(tables), 517)


def test_recordings_are_kept_whole():
    paths = pd.Series(["a", "b", "a", "c", "d", "b"])
    kept = held_out(paths, ["d"], 0.5, 0, "clips")
    assert kept[4] and kept.sum() in (2, 3)
    assert kept[0] == kept[2] and kept[1] == kept[5]
    with pytest.raises(StudyError, match="all of which are kept"):
        held_out(paths, ["a", "b", "c", "d"], 0.1, 0, "clips")


@pytest.mark.parametrize(
    ("source", "changes", "message"),
    [
        ({"clips": "none.csv"}, {}, r"source\.clips is none\.csv"),
        ({"backgrounds": "none.csv"}, {}, r"source\.backgrounds is none\.csv"),
        ({"vocabulary": "none.txt"}, {}, r"source\.vocabulary is none\.txt"),
        ({"reference_sources": ["WJS"]}, {}, "did you mean 'WSJ'"),
        ({"references": 4}, {}, "are of 3 words; lower it to at most 3"),
        ({}, {"references_per_category": 2}, "give 1, and their number"),
        ({}, {"duration": 0.0}, r"duration is 0\.0 s"),
    ],
)
def test_wrong_settings_are_refused(tables, source, changes, message, monkeypatch):
    def fail(*arguments):
        raise AssertionError("a sound was read")

    monkeypatch.setattr("metamers.stimuli.manifest.read_clip", fail)
    with pytest.raises(StudyError, match=message):
        prepare_stimuli("audio", settings(tables, source, **changes), 517)


def test_wrong_tables_are_refused(tables):
    table = pd.read_csv(tables / "clips.csv", keep_default_na=False)

    def refused(changed, message):
        changed.to_csv(tables / "clips.csv", index=False)
        with pytest.raises(StudyError, match=message):
            prepare_stimuli("audio", settings(tables), 517)

    refused(table.rename(columns={"onset": "onsets"}), "did you mean 'onsets'")
    refused(table.assign(onset=["soon", *table["onset"][1:]]), "line 2: .* 'soon'")
    refused(table.assign(onset=-1.0), r"'-1\.0'; .*49 such lines")
    refused(table[:0], "has no rows")
    gone = table["path"].str.replace("read", "gone")
    refused(
        table.assign(path=gone),
        r"24 files that are not there: gone/cat_0\.wav, .*gone/cat_4\.wav, \.\.\.",
    )


def test_unknown_words_and_labels_are_refused(tables):
    (tables / "words.txt").write_text("owls\ncat\ndog\n")
    source = {"vocabulary": str(tables / "words.txt")}
    with pytest.raises(StudyError, match="'owl'; did you mean 'owls'"):
        prepare_stimuli("audio", settings(tables, source), 517)
    (tables / "words.txt").write_text("owl\ncat\ndog\ncat\n")
    with pytest.raises(StudyError, match="names 'cat' twice"):
        prepare_stimuli("audio", settings(tables, source), 517)
    table = pd.read_csv(tables / "backgrounds.csv", keep_default_na=False)
    table.loc[1, "path"] = table.loc[0, "path"]
    table.to_csv(tables / "backgrounds.csv", index=False)
    with pytest.raises(StudyError, match=r"names noise/0\.wav twice"):
        prepare_stimuli("audio", settings(tables), 517)


def test_recorded_digits_in_recorded_backgrounds_fit_the_source(shared, tmp_path):
    digits = shared / "lab" / "spoken_digits"
    table = pd.read_csv(digits / "clips.csv")
    chosen = table[table["take"] < 4]
    clips = pd.DataFrame(
        {
            "path": [str(digits / path) for path in chosen["path"]],
            "word": chosen["word"],
            "onset": chosen["seconds"] / 2,
            "source": chosen["speaker"],
        }
    )
    noises = shared / "lab" / "backgrounds"
    listed = pd.read_csv(noises / "labels.csv")[::20]
    backgrounds = pd.DataFrame(
        {
            "path": [str(noises / p) for p in listed["path"]],
            "labels": listed["category"],
        }
    )
    write_tables(tmp_path, clips.to_numpy(), backgrounds.to_numpy())
    given = settings(
        tmp_path, {"references": 10, "reference_sources": ["theo"]}, sample_rate=8000
    )
    stimuli = prepare_stimuli("audio", given, 517)
    assert len(stimuli.categories["word"]) == 11
    assert stimuli.splits["reference"].stimulus.shape == (10, 4000)
    noisy = MixtureFiles(stimuli.listed["test_noisy"]).values(np.arange(5))
    np.testing.assert_allclose(np.sqrt((noisy**2).mean(axis=1)), 0.1, rtol=0.05)
