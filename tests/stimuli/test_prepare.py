"""The whole set of generated sounds, as the rule makes it."""

import numpy as np
import pytest

from metamers.errors import StudyError
from metamers.stimuli.files import read_attributes, read_split, write_stimuli
from metamers.stimuli.prepare import add_noise, prepare_stimuli


def espeak_settings(source=None, **changes):
    return {
        "source": {
            "kind": "espeak",
            "words": ["winter", "seven", "music"],
            "training_renditions": 6,
            "test_renditions": 4,
            "backgrounds": ["babble", "speech_shaped_noise", "hum"],
            "training_background_clips": 3,
            "test_background_clips": 2,
            **(source or {}),
        },
        "sample_rate": 8000,
        "duration": 0.6,
        "rms": 0.1,
        "snr": [-5.0, 5.0],
        "references_per_category": 2,
        **changes,
    }


@pytest.fixture(scope="module")
def stimuli():
    return prepare_stimuli("audio", espeak_settings(), 517)


def test_the_set_has_all_splits_and_labels(stimuli):
    assert {name: split.stimulus.shape for name, split in stimuli.splits.items()} == {
        "training": (18, 4800),
        "test": (12, 4800),
        "reference": (6, 4800),
        "training_background": (9, 16000),
        "test_background": (6, 16000),
        "test_noisy": (12, 4800),
    }
    assert stimuli.synthetic and stimuli.modality == "audio"
    labels = {name: set(split.label) for name, split in stimuli.splits.items()}
    assert labels["training"] == labels["test"] == labels["reference"] == {"word"}
    assert labels["training_background"] == {"background"}
    assert labels["test_background"] == {"background"}
    assert labels["test_noisy"] == {"word", "background"}


def test_references_are_two_speakers_of_every_word_from_the_test_clips(stimuli):
    test, reference = stimuli.splits["test"], stimuli.splits["reference"]
    assert reference.label["word"].tolist() == [0, 0, 1, 1, 2, 2]
    rows = [test.id.tolist().index(name) for name in reference.id]
    np.testing.assert_array_equal(test.stimulus[rows], reference.stimulus)
    speakers = reference.details["speaker"].reshape(3, 2)
    assert np.all(speakers[:, 0] != speakers[:, 1])
    assert not set(speakers.ravel()) & set(
        stimuli.splits["training"].details["speaker"]
    )


def test_noisy_clips_are_the_test_clips_at_their_stated_ratio(stimuli):
    noisy, test = stimuli.splits["test_noisy"], stimuli.splits["test"]
    background = stimuli.splits["test_background"]
    np.testing.assert_array_equal(noisy.label["word"], test.label["word"])
    assert np.bincount(noisy.label["background"]).tolist() == [4, 4, 4]
    assert np.all((noisy.snr >= -5) & (noisy.snr <= 5)) and np.ptp(noisy.snr) > 2
    speech, mixture = test.values().astype(float), noisy.values().astype(float)
    for row in range(len(noisy)):
        name = noisy.details["source"][row].partition(" in ")[2]
        other = background.id.tolist().index(name)
        label = background.label["background"][other]
        assert label == noisy.label["background"][row]
        # Where the speech is silent the mixture is the background: find it by
        # correlation, then fit both gains.
        noise = background.values()[other].astype(float)
        residual = mixture[row]
        excerpt = best_excerpt(speech[row], noise, residual)
        design = np.stack([speech[row], excerpt - excerpt.mean()], axis=1)
        gains, error, *_ = np.linalg.lstsq(design, residual, rcond=None)
        assert error[0] < 1e-4 * np.sum(residual**2)
        levels = gains * [speech[row].std(), excerpt.std()]
        measured = 20 * np.log10(levels[0] / levels[1])
        assert measured == pytest.approx(noisy.snr[row], abs=0.05)


def best_excerpt(speech, noise, mixture):
    """Return the stretch of the noise that, with the speech, explains a mixture."""
    rest = mixture - speech * (mixture @ speech) / (speech @ speech)
    products = np.correlate(noise, rest, mode="valid")
    along = np.correlate(noise, speech, mode="valid") ** 2 / (speech @ speech)
    energy = np.cumsum(np.concatenate([[0.0], noise**2]))
    power = energy[len(speech) :] - energy[: -len(speech)]
    start = int(np.argmax(products**2 / (power - along)))
    return noise[start : start + len(speech)]


def test_a_clip_keeps_its_noise_when_the_ratios_change(stimuli):
    splits = stimuli.splits
    settings = espeak_settings(snr=[0.0, 0.0])
    noisy = add_noise(
        splits["test"], splits["test_background"], stimuli.categories, settings, 517
    )
    assert noisy.id.tolist() == splits["test_noisy"].id.tolist()
    assert not noisy.snr.any()


def test_the_same_seed_gives_the_same_bytes(stimuli):
    again = prepare_stimuli("audio", espeak_settings(), 517)
    assert stimuli.table().equals(again.table())


def test_the_set_can_be_written_and_read(stimuli, tmp_path):
    path = tmp_path / "audio.h5"
    write_stimuli(stimuli, path, tmp_path / "audio.csv")
    noisy = read_split(path, "test_noisy")
    np.testing.assert_array_equal(noisy.stimulus, stimuli.splits["test_noisy"].stimulus)
    np.testing.assert_array_equal(noisy.snr, stimuli.splits["test_noisy"].snr)
    assert read_attributes(path)["synthetic"] is True


@pytest.mark.parametrize(
    ("source", "changes", "message"),
    [
        ({"kind": "espaek"}, {}, "did you mean 'espeak'"),
        ({"kind": "mnist"}, {}, "for audio it must be espeak or clip_folder"),
        ({"backgrounds": ["babble", "hmu"]}, {}, "did you mean 'hum'"),
        ({"words": ["one", "one"]}, {}, "twice"),
        ({"test_renditions": 1}, {}, "use a number from 1 to 1"),
        ({"training_renditions": 0}, {}, "at least 1"),
        ({"test_background_clips": None}, {}, "test_background_clips is null"),
        ({}, {"snr": [5.0, -5.0]}, "must not exceed"),
        ({}, {"duration": 0.0}, r"duration is 0\.0 s; it must be above 0"),
        ({}, {"rms": -0.1}, r"rms is -0\.1; it must be above 0"),
        ({}, {"duration": 1e-4}, "less than two samples"),
    ],
)
def test_wrong_settings_are_refused_before_a_word_is_spoken(
    source, changes, message, monkeypatch
):
    def fail(*arguments):
        raise AssertionError("eSpeak NG was started")

    monkeypatch.setattr("metamers.stimuli.speech.speak", fail)
    with pytest.raises(StudyError, match=message):
        prepare_stimuli("audio", espeak_settings(source, **changes), 1)


def test_an_unknown_modality_is_refused():
    with pytest.raises(StudyError, match="did you mean 'vision'"):
        prepare_stimuli("visoin", {}, 1)
