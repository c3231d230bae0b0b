"""Sounds read from their files, against signals that are known at every instant."""

import numpy as np
import pytest
import soundfile

from metamers.errors import StudyError
from metamers.stimuli.listed import Listing, as_paths
from metamers.stimuli.sound_files import (
    BackgroundFiles,
    MixtureFiles,
    SpeechFiles,
    open_sound,
    read_excerpt,
    read_segment,
)

RATE = 20000


def chord(time):
    """Tones that every sample rate of the tests holds."""
    return 0.2 * np.sin(2 * np.pi * 440 * time) + 0.1 * np.cos(2 * np.pi * 1234 * time)


def write(path, rate, seconds=3.0, signal=chord, subtype="PCM_24", channels=1):
    time = np.arange(round(seconds * rate)) / rate
    sound = np.tile(signal(time)[:, None], (1, channels))
    soundfile.write(path, sound, rate, subtype=subtype)
    return path


@pytest.mark.parametrize("rate", [8000, 16000, 20000, 22050, 44100, 48000])
@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_a_segment_is_the_signal_at_its_time(tmp_path, rate, suffix):
    path = write(tmp_path / f"a{suffix}", rate, channels=2)
    start = 4321 / rate
    with open_sound(path) as sound:
        segment = read_segment(sound, start, RATE, RATE)
    expected = chord(start + np.arange(RATE) / RATE)
    assert segment.shape == (RATE,)
    # The filter leaves a ripple of a thousandth near its cut-off only.
    np.testing.assert_allclose(segment, expected, atol=2e-3)


def test_outside_the_recording_is_silence_without_a_click(tmp_path):
    path = write(tmp_path / "a.wav", RATE, seconds=1.0)
    with open_sound(path) as sound:
        before = read_segment(sound, -0.5, RATE, RATE)
        beyond = read_segment(sound, 0.5, RATE, RATE)
        nowhere = read_segment(sound, 7.0, RATE, RATE)
    half, ramp = RATE // 2, 100
    assert not before[:half].any() and not beyond[half:].any() and not nowhere.any()
    inside = chord(np.arange(half - ramp) / RATE)[ramp:]
    np.testing.assert_allclose(before[half + ramp : -ramp], inside, atol=1e-3)
    assert np.abs(before[half : half + 5]).max() < 0.01


def test_excerpts_lie_between_the_ends_of_a_recording(tmp_path):
    # The signal is its own time, so that an excerpt says where it is from.
    path = write(tmp_path / "a.wav", RATE, signal=lambda time: time / 4)
    samples = RATE
    for place, start in ((0.0, 0.0), (0.25, 0.5), (1.0 - 1e-9, 2.0)):
        excerpt = read_excerpt(path, place, samples, RATE)
        assert 4 * excerpt[0] == pytest.approx(start, abs=1e-3)
        assert len(excerpt) == samples


def test_a_shorter_recording_is_repeated(tmp_path):
    path = write(tmp_path / "a.wav", RATE, seconds=0.1, signal=lambda time: time)
    excerpt = read_excerpt(path, 0.5, 5000, RATE)
    expected = (1000 + np.arange(5000)) % 2000 / RATE
    np.testing.assert_allclose(excerpt, expected, atol=1e-5)


def listing(folder, kind, paths, columns=None, **changes):
    return Listing(
        kind=kind,
        root=folder,
        path=as_paths(paths),
        label={},
        columns=columns or {},
        settings={"sample_rate": RATE, "samples": 4000, "rms": 0.1, **changes},
    )


def test_the_word_is_in_the_middle_at_one_level(tmp_path):
    def click(time):
        return np.where(np.abs(time - 1.25) < 1e-6, 0.5, 0.0)

    write(tmp_path / "a.wav", RATE, signal=click)
    write(tmp_path / "b.wav", RATE)
    onsets = {"onset": np.array([1.25, 0.4, 0.0])}
    speech = SpeechFiles(
        listing(tmp_path, "speech", ["a.wav", "b.wav", "b.wav"], onsets)
    )
    assert len(speech) == 3
    values = speech.values(np.array([1, 0, 2]))
    assert values.dtype == np.float32 and values.shape == (3, 4000)
    np.testing.assert_allclose(np.sqrt((values.astype(float) ** 2).mean(1)), 0.1, 1e-5)
    np.testing.assert_allclose(values.mean(axis=1), 0, atol=1e-6)
    assert np.argmax(values[1]) == 2000
    # A click has a peak beyond 1, which only what is stored is cut off at.
    assert values[1].max() > 2
    assert speech.stored(np.array([0]))[0, 2000] == 32767
    # Before the recording begins is silence, but for the mean that was taken away.
    assert np.abs(values[2, :1900]).max() < 1e-3


def test_silent_clips_are_zero(tmp_path):
    write(tmp_path / "a.wav", RATE, signal=np.zeros_like)
    onsets = {"onset": np.array([1.0])}
    speech = SpeechFiles(listing(tmp_path, "speech", ["a.wav"], onsets))
    assert not speech.values(np.array([0])).any()


def test_mixtures_have_their_ratio_and_are_16_bit(tmp_path):
    write(tmp_path / "speech.wav", RATE)
    write(tmp_path / "noise.wav", RATE, signal=lambda time: 0.3 * np.sin(5000 * time))
    columns = {
        "onset": np.array([1.5, 1.5]),
        "background": as_paths(["noise.wav", str(tmp_path / "noise.wav")]),
        "place": np.array([0.3, 0.7]),
        "snr": np.array([-6.0, 4.0], dtype=np.float32),
    }
    mixtures = MixtureFiles(listing(tmp_path, "mixtures", ["speech.wav"] * 2, columns))
    values = mixtures.values(np.arange(2)).astype(float)
    stored = mixtures.stored(np.arange(2))
    assert stored.dtype == np.int16
    np.testing.assert_allclose(values, stored / 32767, rtol=1e-6)
    np.testing.assert_allclose(np.sqrt((values**2).mean(axis=1)), 0.1, rtol=1e-3)
    clean = SpeechFiles(mixtures.listing).values(np.arange(2)).astype(float)
    noise = np.stack(
        [read_excerpt(tmp_path / "noise.wav", p, 4000, RATE) for p in (0.3, 0.7)]
    )
    noise -= noise.mean(axis=1, keepdims=True)
    for mixed, one, other, snr in zip(values, clean, noise, (-6.0, 4.0), strict=True):
        gains = np.linalg.lstsq(np.stack([one, other], axis=1), mixed, rcond=None)[0]
        ratio = 20 * np.log10(gains[0] * one.std() / (gains[1] * other.std()))
        assert ratio == pytest.approx(snr, abs=0.02)


def test_backgrounds_give_excerpts_as_recorded_and_loud_stretches(tmp_path):
    def late(time):
        return np.where(time > 2.5, 0.4 * np.sin(300 * time), 0.01 * np.sin(300 * time))

    write(tmp_path / "a.wav", RATE, signal=late)
    backgrounds = BackgroundFiles(listing(tmp_path, "backgrounds", ["a.wav"]))
    excerpt = backgrounds.excerpts(np.array([0]), np.array([0.0]), 1000)
    np.testing.assert_allclose(excerpt[0], late(np.arange(1000) / RATE), atol=1e-6)
    loud = backgrounds.values(np.array([0]))
    assert loud.shape == (1, 4000)
    assert np.sqrt((loud**2).mean()) == pytest.approx(0.1, rel=1e-4)
    assert np.abs(loud).min(axis=0).max() < 0.2


def test_files_that_cannot_be_read_say_what_to_do(tmp_path):
    with pytest.raises(StudyError, match=r"none\.flac cannot be read as a sound"):
        read_excerpt(tmp_path / "none.flac", 0.0, 10, RATE)
    (tmp_path / "a.wav").write_text("not a sound")
    onsets = {"onset": np.array([1.0])}
    speech = SpeechFiles(listing(tmp_path, "speech", ["a.wav"], onsets))
    with pytest.raises(StudyError, match="prepare the stimuli again"):
        speech.values(np.array([0]))
