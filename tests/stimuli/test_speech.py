"""Generated speech: voices, fit and repeatability."""

import numpy as np
import pytest

from metamers.errors import StudyError
from metamers.stimuli.sounds import active_range
from metamers.stimuli.speech import (
    ACCENTS,
    HIGH_SPEAKERS,
    LOW_SPEAKERS,
    Utterance,
    check_words,
    divide_speakers,
    make_speech,
    plan_words,
    speak,
)

WORDS = ["winter", "music", "dollar"]


@pytest.fixture(scope="module")
def speech():
    return make_speech(WORDS, (12, 5), 8000, 0.6, 0.1, 517)


def test_speakers_are_divided_within_both_groups():
    for seed in range(10):
        training, test = divide_speakers(seed)
        assert not set(training) & set(test)
        assert sorted(training + test) == sorted(LOW_SPEAKERS + HIGH_SPEAKERS)
        assert set(test) & set(LOW_SPEAKERS) and set(test) & set(HIGH_SPEAKERS)
    assert divide_speakers(1) == divide_speakers(1) != divide_speakers(2)


def test_no_voice_repeats_a_word_before_all_have_said_it():
    generator = np.random.default_rng(0)
    voices = 2 * len(ACCENTS)
    plan = plan_words(WORDS, voices + 3, ["m1", "f1"], 0.6, generator)
    for word in WORDS:
        said = [utterance.voice for utterance in plan if utterance.text == word]
        assert len(said) == voices + 3
        assert len(set(said[:voices])) == voices


def test_test_speakers_are_never_heard_in_training(speech):
    training, test = speech
    assert not set(training.speakers) & set(test.speakers)
    assert set(test.speakers) <= set(divide_speakers(517)[1])
    for part in speech:
        for source, speaker in zip(part.sources, part.speakers, strict=True):
            assert f"+{speaker} " in source


def test_sounds_have_duration_level_and_labels(speech):
    for part, renditions in zip(speech, (12, 5), strict=True):
        assert part.sounds.shape == (3 * renditions, 4800)
        level = np.sqrt(np.mean(part.sounds.astype(float) ** 2, axis=1))
        np.testing.assert_allclose(level, 0.1, rtol=1e-6)
        assert np.bincount(part.words).tolist() == [renditions] * 3
        assert len(set(part.names)) == len(part.names)
        for name, word in zip(part.names, part.words, strict=True):
            assert name.startswith(f"{WORDS[word]}_en")


def test_words_fill_the_clip_sensibly_and_stand_in_its_middle(speech):
    for part in speech:
        for sound in part.sounds:
            start, stop = active_range(sound)
            assert 0.15 < (stop - start) / 8000 <= 0.55
            assert abs((start + stop) / 2 - 2400) < 200


def test_the_same_seed_gives_the_same_bytes(speech):
    again = make_speech(WORDS, (12, 5), 8000, 0.6, 0.1, 517)
    for part, other in zip(speech, again, strict=True):
        assert part.sounds.tobytes() == other.sounds.tobytes()
        for sentence, repeated in zip(part.sentences, other.sentences, strict=True):
            assert sentence.tobytes() == repeated.tobytes()
    different = make_speech(WORDS, (12, 5), 8000, 0.6, 0.1, 518)
    assert different[0].sources.tolist() != speech[0].sources.tolist()


def test_voices_differ_and_words_are_alike_across_renditions(speech):
    """Average spectra are nearer to the word's own mean than to the other words'."""
    features = []
    for part in speech:
        frames = np.reshape(part.sounds, (len(part.sounds), 30, 160))
        power = np.abs(np.fft.rfft(frames * np.hanning(160), axis=2)) ** 2
        features.append((power**0.15).reshape(len(part.sounds), -1))
    means = np.stack([features[0][speech[0].words == k].mean(axis=0) for k in range(3)])
    distance = np.linalg.norm(features[1][:, np.newaxis] - means, axis=2)
    assert np.mean(distance.argmin(axis=1) == speech[1].words) >= 0.8
    assert len({sound.tobytes() for sound in speech[0].sounds}) == 36


def test_a_word_is_said_faster_until_it_fits():
    slow = Utterance("mountain", "en-us+m1", 120, 50, None)
    fast = Utterance("mountain", "en-us+m1", 120, 50, 0.35)
    recording = speak([slow, fast], 1)
    seconds = [len(sound) / recording.sample_rate for sound in recording.sounds]
    assert seconds[0] > 0.5
    assert seconds[1] <= 0.35
    assert recording.rates[0] == 120 < recording.rates[1]


def test_a_word_that_cannot_fit_is_refused():
    with pytest.raises(StudyError, match=r"'mountain' with .* within 0\.05 s"):
        speak([Utterance("mountain", "en-us+m1", 120, 50, 0.05)], 1)


def test_an_unknown_variant_is_an_error_and_not_another_voice():
    with pytest.raises(RuntimeError, match="no variant nobody"):
        speak([Utterance("mountain", "en-us+nobody", 120, 50, None)], 1)


@pytest.mark.parametrize("speaker", LOW_SPEAKERS + HIGH_SPEAKERS)
def test_every_speaker_is_one_that_espeak_has(speaker):
    from pathlib import Path

    import espeakng_loader

    variants = Path(espeakng_loader.get_data_path()) / "voices" / "!v"
    assert speaker in {path.name for path in variants.iterdir()}


def test_every_accent_can_be_spoken_and_differs():
    plan = [Utterance("water", f"{accent}+m1", 170, 50, None) for accent in ACCENTS]
    recording = speak(plan, 1)
    assert len({sound.tobytes() for sound in recording.sounds}) == len(ACCENTS)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["one"], "at least 2"),
        (["one", "One"], "twice"),
        (["one", "..."], "no letters"),
    ],
)
def test_unusable_words_are_refused(words, message):
    with pytest.raises(StudyError, match=message):
        check_words(words)
