"""Spectral flatness of noise, tones and smooth images, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from metamers.stimuli.flatness import flatness

# Expected logarithm of an exponential variable: power of one bin of white noise.
WHITE_NOISE = -10 * 0.5772156649 / np.log(10)


def test_white_noise_has_the_flatness_of_its_periodogram():
    generator = np.random.default_rng(0)
    sounds = generator.standard_normal((3, 16000)).astype(np.float32)
    np.testing.assert_allclose(flatness(sounds, 16000), WHITE_NOISE, atol=0.1)
    images = generator.standard_normal((10, 3, 64, 64)).astype(np.float32)
    np.testing.assert_allclose(flatness(images).mean(), WHITE_NOISE, atol=0.1)


def test_order_is_tone_speech_like_noise():
    time = np.arange(8000) / 8000
    tone = np.sin(2 * np.pi * 500 * time)
    generator = np.random.default_rng(1)
    noise = generator.standard_normal(8000)
    smooth = np.convolve(noise, np.ones(8) / 8, mode="same")
    found = flatness(np.stack([tone, smooth, noise]), 8000)
    assert found[0] < -30
    assert found[0] < found[1] < found[2] < 0


def test_level_does_not_matter():
    sound = np.random.default_rng(2).standard_normal((1, 4000))
    np.testing.assert_allclose(flatness(sound, 8000), flatness(0.01 * sound, 8000))


def test_gradient_image_is_less_flat_than_noise():
    ramp = np.linspace(0, 1, 32)[None, None, :, None] * np.ones((1, 3, 1, 32))
    noise = np.random.default_rng(3).uniform(size=(1, 3, 32, 32))
    assert flatness(ramp)[0] < flatness(noise)[0] - 10
    np.testing.assert_allclose(flatness(ramp + 0.5), flatness(ramp), rtol=1e-6)


@pytest.mark.parametrize("stimulus", [np.zeros((2, 1, 8, 8)), np.zeros((2, 800))])
def test_silence_is_a_number(stimulus):
    assert np.isfinite(flatness(stimulus, 8000)).all()


def test_sounds_need_a_sample_rate():
    with pytest.raises(ValueError, match="sample_rate"):
        flatness(np.zeros((1, 100)))
