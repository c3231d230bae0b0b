"""The controls: more steps, and noise of the metamer's error."""

import numpy as np
import pytest
import torch
from torch import nn

from metamers.networks.network import Network
from metamers.resume import discard
from metamers.stimuli.files import Split
from metamers.synthesis import optimization
from metamers.synthesis.controls import (
    longer_settings,
    longer_synthesis,
    noise_control,
    root_mean_square,
)
from metamers.synthesis.shard_job import synthesize_shard

SETTINGS = {
    "rounds": 3,
    "steps_per_round": 5,
    "first_step": 1.0,
    "initial_mean": 0.5,
    "initial_deviation": 0.05,
    "shard_size": 2,
    "log_every": 5,
    "threads": 1,
    "dtype": "float32",
}
ENTRY = {
    "modality": "vision",
    "task": {"label": "category", "decision": {"kind": "argmax"}},
}


def test_longer_synthesis_is_the_same_with_more_steps(tmp_path):
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 3))
    network = Network(nn.Identity(), body)
    stimuli = np.random.default_rng(0).integers(0, 256, (3, 1, 8, 8)).astype(np.uint8)
    reference = Split(stimuli, np.array(["a", "b", "c"]), {"category": np.arange(3)})
    stage = ("relu", "1", True)
    longer = longer_synthesis(
        network, ENTRY, *stage, reference, SETTINGS, 4, 517, state_path=tmp_path / "s"
    )
    assert [part.stimulus_id.tolist() for part in longer] == [["a", "b"], ["c"]]
    settings = {**SETTINGS, "steps_per_round": 20}
    expected = synthesize_shard(
        network, ENTRY, *stage, reference.subset(np.array([2])), settings, 517
    )
    np.testing.assert_array_equal(longer[1].metamer, expected.metamer)
    assert longer[0].logged_step[-1] == 60
    assert SETTINGS["steps_per_round"] == 5
    assert longer_settings(SETTINGS, 2) == {**SETTINGS, "steps_per_round": 10}
    # Of both shards, until the trials are written.
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.0", "s.1"]
    discard(tmp_path / "s")
    assert list(tmp_path.iterdir()) == []


def test_shards_that_are_made_are_not_made_again(tmp_path, monkeypatch):
    torch.manual_seed(0)
    network = Network(nn.Identity(), nn.Sequential(nn.Flatten(), nn.Linear(64, 3)))
    stimuli = np.random.default_rng(0).integers(0, 256, (3, 1, 8, 8)).astype(np.uint8)
    reference = Split(stimuli, np.array(["a", "b", "c"]), {"category": np.arange(3)})
    steps, original = [], optimization.take_step

    def stopping(*arguments):
        steps.append(1)
        # In the first step of the second shard.
        if len(steps) == 31:
            raise KeyboardInterrupt
        original(*arguments)

    monkeypatch.setattr(optimization, "take_step", stopping)
    given = (network, ENTRY, "relu", "1", False, reference, SETTINGS, 2, 517)
    with pytest.raises(KeyboardInterrupt):
        longer_synthesis(*given, state_path=tmp_path / "s")
    resumed = longer_synthesis(*given, state_path=tmp_path / "s")
    assert len(steps) == 31 + 30
    for part, whole in zip(resumed, longer_synthesis(*given), strict=True):
        np.testing.assert_array_equal(part.metamer, whole.metamer)
        np.testing.assert_array_equal(part.loss, whole.loss)


@pytest.mark.parametrize("modality", ["vision", "audio"])
def test_noise_has_the_error_of_the_metamer(modality):
    generator = np.random.default_rng(3)
    shape = (4, 1, 24, 24) if modality == "vision" else (4, 2000)
    reference = generator.random(shape, dtype=np.float32)
    reference[0] = 0  # as black as most of a digit: half of all noise is clipped
    error = np.array([0.05, 0.2, 0.01, 0.0]).reshape(4, *[1] * (len(shape) - 1))
    metamer = (reference + error * generator.choice([-1, 1], shape)).astype(np.float32)
    noisy = noise_control(reference, metamer, np.array(list("abcd")), modality, 1)
    assert noisy.dtype == np.float32
    low = 0 if modality == "vision" else -1
    assert noisy.min() >= low
    assert noisy.max() <= 1
    for row in range(4):
        expected = root_mean_square(metamer[row] - reference[row])
        reached = root_mean_square(noisy[row] - reference[row])
        assert reached == pytest.approx(expected, rel=1e-4, abs=1e-7)
    alone = noise_control(reference[1:2], metamer[1:2], np.array(["b"]), modality, 1)
    np.testing.assert_array_equal(alone[0], noisy[1])
    difference = (noisy[1] - reference[1]).ravel()
    inside = (noisy[1].ravel() > low) & (noisy[1].ravel() < 1)
    neighbors = inside[1:] & inside[:-1]
    pairs = difference[1:][neighbors], difference[:-1][neighbors]
    assert abs(np.corrcoef(*pairs)[0, 1]) < 0.15  # white


def test_an_error_beyond_clipped_noise_is_reported(caplog):
    reference = np.full((1, 1, 16, 16), 0.5, dtype=np.float32)
    metamer = np.full_like(reference, 2.0)
    noisy = noise_control(reference, metamer, np.array(["far"]), "vision", 0)
    assert root_mean_square(noisy - reference) == pytest.approx(0.5, rel=1e-3)
    assert "far: clipped noise reaches an error of 0.5" in caplog.text


def test_a_metamer_that_is_no_stimulus_adds_no_noise():
    reference = np.full((1, 1, 4, 4), 0.5, dtype=np.float32)
    metamer = np.full_like(reference, np.nan)
    noisy = noise_control(reference, metamer, np.array(["nan"]), "vision", 0)
    np.testing.assert_allclose(noisy, reference, atol=1e-6)
