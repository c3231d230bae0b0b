"""Noise collapse, against networks whose distances are known."""

import numpy as np
import pytest
import torch
from conftest import SAMPLES

from metamers.errors import StudyError
from metamers.networks.network import Network, build_network
from metamers.training.collapse import COLUMNS, measure_collapse
from metamers.training.data import StimulusRows

SETTINGS = {"snr": 0.0, "backgrounds_per_clip": 2}


def identity_network():
    body = torch.nn.Sequential()
    body.same = torch.nn.Identity()
    body.half = torch.nn.AvgPool1d(2)
    return Network(torch.nn.Identity(), body).eval()


def test_distances_at_the_input_follow_from_levels_alone(sound_file, sound_entry):
    table = measure_collapse(
        identity_network(),
        sound_entry,
        {"same": "same", "half": "half"},
        SETTINGS,
        sound_file,
        0,
        model="identity",
    )
    assert list(table) == list(COLUMNS)
    assert table["stage"].tolist() == ["same"] * 6 + ["half"] * 6
    assert table["stage_index"].tolist() == [1] * 6 + [2] * 6
    rows = StimulusRows(sound_file, "reference")
    assert table["stimulus_id"].tolist() == [*rows.id, *rows.id]
    same = table[table["stage"] == "same"]
    # Tones of different frequencies are orthogonal: the distance of two of one level
    # is sqrt(2) of their norm.
    np.testing.assert_allclose(same["other_distance"], np.sqrt(2), rtol=5e-3)
    # At 0 dB speech s and noise n add to (s + n) / sqrt(2), of the level of s, which
    # is at a distance of sqrt(2 - sqrt(2)) where s and n are orthogonal.
    np.testing.assert_allclose(
        same["noisy_distance"], np.sqrt(2 - np.sqrt(2)), rtol=0.1
    )
    np.testing.assert_allclose(
        table["ratio"], table["noisy_distance"] / table["other_distance"]
    )
    assert set(table["snr"]) == {0.0}


def test_less_noise_is_less_distance(sound_file, sound_entry):
    distances = [
        measure_collapse(
            identity_network(),
            sound_entry,
            {"same": "same"},
            {**SETTINGS, "snr": snr},
            sound_file,
            0,
            model="identity",
        )["noisy_distance"].to_numpy()
        for snr in (-10.0, 0.0, 10.0, 60.0)
    ]
    assert np.all(np.diff(distances, axis=0) < 0)
    assert distances[-1].max() < 0.01


class Word(torch.nn.Module):
    """The part of a sound's spectrum at the three words' frequencies."""

    def forward(self, x):
        """Return the strongest of three (n, 3), as ones and zeros."""
        bins = [round(frequency * SAMPLES / 2000) for frequency in (100, 250, 550)]
        power = torch.fft.rfft(x).abs()[:, bins]
        return torch.nn.functional.one_hot(power.argmax(dim=1), 3).float()


def test_a_stage_that_knows_the_word_has_collapsed_the_noise(sound_file, sound_entry):
    body = torch.nn.Sequential()
    body.word = Word()
    network = Network(torch.nn.Identity(), body).eval()
    table = measure_collapse(
        network, sound_entry, {"word": "word"}, SETTINGS, sound_file, 0, model="word"
    )
    assert table["noisy_distance"].tolist() == [0.0] * 6
    # The other clip is always of another word.
    np.testing.assert_allclose(table["other_distance"], np.sqrt(2))
    assert table["ratio"].tolist() == [0.0] * 6


def test_the_noise_is_the_same_for_all_models_and_batches(sound_file, sound_entry):
    network = build_network(sound_entry, seed=0).eval()
    arguments = (network, sound_entry, {"conv": "conv", "final": "final"}, SETTINGS)
    one = measure_collapse(*arguments, sound_file, 0, model="a", batch_size=4)
    other = measure_collapse(*arguments, sound_file, 0, model="a", batch_size=6)
    np.testing.assert_allclose(one["ratio"], other["ratio"], rtol=1e-4)
    another_seed = measure_collapse(*arguments, sound_file, 1, model="a")
    assert not np.allclose(one["ratio"], another_seed["ratio"], rtol=1e-3)


def test_images_have_no_noise_collapse(image_file, image_entry):
    with pytest.raises(StudyError, match="auditory networks only"):
        measure_collapse(
            identity_network(), image_entry, {}, SETTINGS, image_file, 0, model="a"
        )
