"""Signal-to-noise ratio and level of mixtures, against their definitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metamers.stimuli.mixing import mix, random_excerpts


@pytest.fixture
def parts():
    generator = np.random.default_rng(5)
    speech = generator.normal(0.2, 0.3, size=(4, 4000))
    background = generator.normal(-0.1, 0.01, size=(4, 4000))
    return speech, background


def level(sound):
    return np.sqrt(np.mean(np.square(sound, dtype=float), axis=-1))


def fitted_gains(mixture, speech, background):
    """Return the gains of both parts in a mixture, by least squares."""
    design = np.stack([speech - speech.mean(), background - background.mean()], axis=1)
    return np.linalg.lstsq(design, mixture.astype(float), rcond=None)[0]


def test_the_ratio_of_the_parts_is_the_one_asked_for(parts):
    speech, background = parts
    snr = np.array([-10.0, 0.0, 3.0, 10.0])
    mixture = mix(speech, background, snr)
    for row in range(4):
        gains = fitted_gains(mixture[row], speech[row], background[row])
        levels = gains * [speech[row].std(), background[row].std()]
        assert 20 * np.log10(levels[0] / levels[1]) == pytest.approx(snr[row], abs=1e-4)


@settings(max_examples=30, deadline=None)
@given(
    snr=st.floats(-40, 40),
    rms=st.floats(0.01, 0.5),
    scale=st.floats(0.01, 100),
    offset=st.floats(-1, 1),
)
def test_level_and_mean_are_exact_whatever_the_parts(snr, rms, scale, offset):
    generator = np.random.default_rng(0)
    speech = generator.standard_normal((2, 500)) * 0.1
    background = scale * generator.standard_normal((2, 500)) + offset
    mixture = mix(speech, background, snr, rms)
    assert mixture.dtype == np.float32
    np.testing.assert_allclose(level(mixture), rms, rtol=1e-5)
    np.testing.assert_allclose(mixture.mean(axis=1, dtype=float), 0.0, atol=1e-7)


def test_a_batch_is_mixed_as_its_rows_are(parts):
    speech, background = parts
    snr = np.array([-10.0, 0.0, 3.0, 10.0])
    mixture = mix(speech, background, snr, 0.2)
    for row in range(4):
        alone = mix(speech[row], background[row], snr[row], 0.2)
        np.testing.assert_array_equal(mixture[row], alone)


def test_a_silent_part_leaves_the_other_alone(parts):
    speech, background = parts
    silence = np.full_like(speech, 0.25)
    only_speech = mix(speech, silence, 5.0)
    only_background = mix(silence, background, 5.0)
    for row in range(4):
        for alone, part in (
            (only_speech[row], speech[row]),
            (only_background[row], background[row]),
        ):
            expected = 0.1 * (part - part.mean()) / part.std()
            np.testing.assert_allclose(alone, expected, atol=1e-6)
    assert not mix(silence, silence, 5.0).any()


def test_parts_of_different_length_are_refused():
    with pytest.raises(ValueError, match="random_excerpts"):
        mix(np.zeros((1, 10)), np.zeros((1, 20)), 0.0)


def test_excerpts_are_stretches_of_their_background_and_reach_both_ends():
    backgrounds = np.arange(12)[np.newaxis] + 100 * np.arange(400)[:, np.newaxis]
    excerpts = random_excerpts(backgrounds, 9, np.random.default_rng(0))
    starts = excerpts[:, 0] - 100 * np.arange(400)
    assert set(starts.tolist()) == {0, 1, 2, 3}
    np.testing.assert_array_equal(np.diff(excerpts, axis=1), 1)
    with pytest.raises(ValueError, match="shorter than the 13"):
        random_excerpts(backgrounds, 13, np.random.default_rng(0))
