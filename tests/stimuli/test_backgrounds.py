"""Spectra and envelopes of the generated backgrounds."""

import numpy as np
import pytest
from scipy.signal import butter, hilbert, sosfiltfilt, welch

from metamers.errors import StudyError
from metamers.stimuli.backgrounds import (
    GENERATED_BACKGROUNDS,
    Scene,
    check_backgrounds,
    make_backgrounds,
)

RATE = 8000


@pytest.fixture(scope="module")
def scene():
    """Eight seconds, with "speech" that is noise around 500 Hz, 4 bursts a second."""
    generator = np.random.default_rng(0)
    band = butter(2, [300, 800], "bandpass", fs=RATE, output="sos")
    bursts = 0.5 + 0.5 * np.sin(2 * np.pi * 4 * np.arange(2 * RATE) / RATE)
    sentences = [
        bursts * sosfiltfilt(band, generator.standard_normal(2 * RATE))
        for _ in range(8)
    ]
    return Scene(8 * RATE, RATE, sentences)


def background(name, scene, seed=0):
    return GENERATED_BACKGROUNDS[name](scene, np.random.default_rng(seed))


def spectrum(sound, length=1024):
    return welch(sound, RATE, nperseg=length)


@pytest.mark.parametrize(
    ("name", "slope"), [("pink_noise", -3.01), ("white_noise", 0.0)]
)
def test_noise_falls_by_so_many_decibels_an_octave(name, slope, scene):
    frequency, power = spectrum(background(name, scene), 4096)
    band = (frequency > 100) & (frequency < 3500)
    fitted = np.polyfit(np.log2(frequency[band]), 10 * np.log10(power[band]), 1)[0]
    assert fitted == pytest.approx(slope, abs=0.25)


def test_speech_shaped_noise_has_the_spectrum_of_the_speech_and_is_steady(scene):
    noise = background("speech_shaped_noise", scene)
    power = spectrum(noise)[1]
    expected = np.mean([spectrum(s)[1] for s in scene.sentences], axis=0)
    audible = expected > 1e-3 * expected.max()
    ratio = 10 * np.log10(power[audible] / expected[audible])
    assert np.std(ratio) < 1.5
    # Bursts of the speech are gone: the power of 50 ms blocks varies as noise does.
    blocks = np.mean(np.reshape(noise, (-1, 400)) ** 2, axis=1)
    speech = np.mean(np.reshape(np.concatenate(scene.sentences), (-1, 400)) ** 2, 1)
    assert np.std(blocks) / np.mean(blocks) < 0.5 * np.std(speech) / np.mean(speech)


def test_a_babble_is_made_of_the_speech(scene):
    power = spectrum(background("babble", scene))[1]
    frequency = spectrum(scene.sentences[0])[0]
    inside = (frequency > 200) & (frequency < 1000)
    assert power[inside].sum() > 0.95 * power.sum()


def test_a_babble_sums_six_talkers(scene):
    single = Scene(1000, RATE, [np.ones(500)])
    np.testing.assert_array_equal(background("babble", single), 6.0)


@pytest.mark.parametrize("seed", range(3))
def test_modulated_noise_vanishes_4_to_12_times_a_second(scene, seed):
    noise = background("modulated_noise", scene, seed)
    smooth = butter(2, 30, fs=RATE, output="sos")
    envelope = sosfiltfilt(smooth, np.abs(hilbert(noise)))
    assert envelope.min() < 0.12 * envelope.max()
    modulation = np.abs(np.fft.rfft(envelope - envelope.mean()))
    peak = np.fft.rfftfreq(len(envelope), 1 / RATE)[modulation.argmax()]
    assert 4.0 <= peak <= 12.0


def test_tones_are_pure_most_of_the_time(scene):
    frames = np.reshape(background("tones", scene), (-1, 400)) * np.hanning(400)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    power = power[power.sum(axis=1) > 0.05 * power.sum(axis=1).max()]
    around = np.lib.stride_tricks.sliding_window_view(power, 5, axis=1).sum(axis=2)
    share = around.max(axis=1) / power.sum(axis=1)
    assert np.mean(share > 0.95) > 0.5


def test_clicks_are_sparse(scene):
    sound = background("clicks", scene)
    kurtosis = np.mean(sound**4) / np.mean(sound**2) ** 2
    assert kurtosis > 10
    assert np.mean(np.abs(sound) < 0.05 * np.abs(sound).max()) > 0.5


def test_hum_is_harmonic_and_low(scene):
    sound = background("hum", scene)
    power = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2
    frequency = np.fft.rfftfreq(len(sound), 1 / RATE)
    assert power[frequency < 1010].sum() > 0.999 * power.sum()
    fundamental = frequency[power.argmax()]
    assert 50 <= fundamental <= 130
    off = np.abs(frequency / fundamental - np.round(frequency / fundamental))
    assert power[off < 0.03].sum() > 0.95 * power.sum()


@pytest.mark.parametrize("name", GENERATED_BACKGROUNDS)
def test_backgrounds_have_the_level_fit_the_range_and_repeat(name, scene):
    short = Scene(2 * RATE, RATE, scene.sentences)
    sounds = make_backgrounds([name], 3, short, 0.1, 1, "training")
    assert sounds.shape == (3, 2 * RATE)
    peak = np.abs(sounds).max(axis=1)
    level = np.sqrt(np.mean(sounds.astype(float) ** 2, axis=1))
    assert np.all(peak <= 1.0)
    assert np.all(np.isclose(level, 0.1, rtol=1e-5) | np.isclose(peak, 1.0))
    again = make_backgrounds([name], 3, short, 0.1, 1, "training")
    np.testing.assert_array_equal(sounds, again)
    # Test backgrounds and other clips are others.
    test = make_backgrounds([name], 3, short, 0.1, 1, "test")
    together = np.concatenate([sounds, test])
    correlation = np.corrcoef(together) - np.eye(6)
    assert np.abs(correlation).max() < 0.9


def test_more_classes_leave_a_class_as_it_was(scene):
    short = Scene(RATE, RATE, scene.sentences)
    both = make_backgrounds(["hum", "clicks"], 2, short, 0.1, 1, "test")
    alone = make_backgrounds(["clicks"], 2, short, 0.1, 1, "test")
    np.testing.assert_array_equal(both[2:], alone)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["hum", "bable"], "may hold .*pink_noise.*did you mean 'babble'"),
        (["hum", "hum"], "twice"),
        (["hum"], "at least 2"),
    ],
)
def test_unknown_classes_are_refused_with_what_is_allowed(names, message):
    with pytest.raises(StudyError, match=message):
        check_backgrounds(names)
