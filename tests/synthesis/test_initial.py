"""The initial noise depends on the stimulus and the seed, and on nothing else."""

import numpy as np

from metamers.synthesis.initial import BOUNDS, initial_noise

IMAGE = {"initial_mean": 0.5, "initial_deviation": 0.05}
SOUND = {"initial_mean": 0.0, "initial_deviation": 1e-7}


def test_noise_has_the_mean_and_deviation_of_the_settings():
    noise = initial_noise(["a", "b"], (3, 100, 100), IMAGE, 517, BOUNDS["vision"])
    assert noise.dtype == np.float32
    assert noise.shape == (2, 3, 100, 100)
    np.testing.assert_allclose(noise.mean(), 0.5, atol=1e-3)
    np.testing.assert_allclose(noise.std(), 0.05, rtol=0.02)
    sound = initial_noise(["a"], (40000,), SOUND, 517, BOUNDS["audio"])
    np.testing.assert_allclose(sound.std(), 1e-7, rtol=0.02)
    np.testing.assert_allclose(sound.mean(), 0, atol=2e-9)


def test_noise_of_a_stimulus_does_not_depend_on_its_shard():
    together = initial_noise(["a", "b", "c"], (2, 4, 4), IMAGE, 1, BOUNDS["vision"])
    alone = initial_noise(["c"], (2, 4, 4), IMAGE, 1, BOUNDS["vision"])
    np.testing.assert_array_equal(together[2], alone[0])
    assert not np.array_equal(together[0], together[1])
    other_seed = initial_noise(["c"], (2, 4, 4), IMAGE, 2, BOUNDS["vision"])
    assert not np.array_equal(other_seed, alone)


def test_noise_stays_within_the_bounds():
    wide = {"initial_mean": 0.5, "initial_deviation": 2.0}
    noise = initial_noise(["a"], (1, 50, 50), wide, 1, (0.0, 1.0))
    assert noise.min() == 0.0
    assert noise.max() == 1.0
