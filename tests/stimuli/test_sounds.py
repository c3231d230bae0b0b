"""Sample rate, duration, level and 16 bits."""

import numpy as np
import pytest
import torch
import torchaudio

from metamers.stimuli.sounds import (
    active_range,
    center,
    limit_peak,
    normalize,
    ramp_edges,
    resample,
    root_mean_square,
    to_int16,
)


def test_normalized_sounds_have_the_level_and_no_mean():
    sounds = np.random.default_rng(0).normal(0.3, [[2.0], [1e-3]], size=(2, 4800))
    normalized = normalize(sounds, 0.1)
    assert normalized.dtype == np.float32
    assert np.sqrt(np.mean(normalized.astype(float) ** 2, axis=1)) == pytest.approx(
        0.1, rel=1e-6
    )
    assert np.abs(normalized.mean(axis=1, dtype=float)).max() < 1e-7


def test_silence_with_an_offset_stays_silent():
    quiet = 0.5 + 1e-6 * np.random.default_rng(0).standard_normal((1, 100))
    assert not normalize(quiet, 0.1).any()


def test_root_mean_square_of_a_sine_is_its_amplitude_over_root_two():
    sine = 0.7 * np.sin(2 * np.pi * np.arange(8000) * 100 / 8000)
    assert root_mean_square(sine)[0] == pytest.approx(0.7 / np.sqrt(2), rel=1e-12)


def test_resampling_keeps_a_tone():
    tone = np.sin(2 * np.pi * 440 * np.arange(22050) / 22050)
    resampled = resample(tone, 22050, 8000)
    expected = np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)
    assert len(resampled) == 8000
    np.testing.assert_allclose(resampled[200:-200], expected[200:-200], atol=2e-3)


def test_resampling_agrees_with_torchaudio():
    generator = np.random.default_rng(1)
    time = np.arange(16000) / 16000
    sound = sum(
        generator.normal() * np.sin(2 * np.pi * hertz * time + generator.uniform(0, 6))
        for hertz in (120.0, 530.0, 1210.0, 2500.0)
    )
    theirs = torchaudio.functional.resample(
        torch.from_numpy(sound), 16000, 8000, lowpass_filter_width=64
    ).numpy()
    ours = resample(sound, 16000, 8000)
    np.testing.assert_allclose(ours[100:-100], theirs[100:-100], atol=0.01)


def test_the_active_range_is_what_exceeds_the_threshold():
    sound = np.zeros(100)
    sound[20:60] = 1.0
    sound[10] = 0.009  # below -40 dB
    sound[80] = -0.011  # above
    assert active_range(sound) == (20, 81)
    assert active_range(np.zeros(7)) == (0, 7)


def test_short_sounds_stand_in_the_middle_of_exact_silence():
    sound = 0.4 + np.sin(np.arange(100))
    placed = center(sound, 301, 8000)
    assert placed.shape == (301,)
    assert not placed[:100].any() and not placed[200:].any()
    # The middle, away from the ramps of 25 samples, is the sound without its mean.
    np.testing.assert_allclose(placed[125:175], (sound - sound.mean())[25:75])


def test_long_sounds_lose_the_same_on_both_sides():
    np.testing.assert_array_equal(center(np.arange(10.0), 4, 8000), [3, 4, 5, 6])
    np.testing.assert_array_equal(center(np.arange(4.0), 4, 8000), [0, 1, 2, 3])


def test_ramps_start_at_nothing_and_leave_the_rest():
    ramped = ramp_edges(np.ones(1000), 8000)
    assert ramped[0] < 0.001 and ramped[-1] < 0.001
    np.testing.assert_array_equal(ramped[40:-40], 1.0)
    np.testing.assert_allclose(ramped, ramped[::-1])
    assert ramp_edges(np.ones(2), 8000).tolist() == [1.0, 1.0]


def test_peaks_are_limited_by_turning_down_only_loud_sounds():
    limited = limit_peak(np.array([[0.5, -2.0], [0.5, -0.25]]))
    np.testing.assert_array_equal(limited, [[0.25, -1.0], [0.5, -0.25]])


def test_16_bit_storage_rounds_and_counts_what_it_clips():
    stored, clipped = to_int16(np.array([[1.0, -1.0, 1.5, -1.2], [0, 0.5, 1e-5, -0.9]]))
    assert stored.dtype == np.int16
    assert stored[0].tolist() == [32767, -32767, 32767, -32767]
    assert stored[1].tolist() == [0, 16384, 0, -29490]
    assert clipped.tolist() == [2, 0]
