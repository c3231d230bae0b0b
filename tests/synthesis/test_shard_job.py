"""One shard from a real network: what it holds is what the parts would give."""

import numpy as np
import pytest
import torch
from torch import nn

from metamers.networks.network import ImagePreprocessing, Network
from metamers.networks.stages import StageForward
from metamers.recognition.presentation import as_presented
from metamers.stimuli.files import Split
from metamers.synthesis.distances import distances
from metamers.synthesis.initial import BOUNDS, initial_noise
from metamers.synthesis.optimization import synthesize
from metamers.synthesis.shard_job import answer, synthesize_shard, weights_checksum
from metamers.synthesis.shards import reference_checksum, select_shard

SETTINGS = {
    "rounds": 6,
    "steps_per_round": 15,
    "first_step": 1.0,
    "initial_mean": 0.5,
    "initial_deviation": 0.05,
    "shard_size": 2,
    "log_every": 10,
    "threads": 1,
    "dtype": "float32",
}


def entry(modality: str) -> dict:
    decision = {"kind": "argmax"}
    return {"modality": modality, "task": {"label": "category", "decision": decision}}


@pytest.fixture
def image_network():
    torch.manual_seed(0)
    body = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 10)
    )
    return Network(nn.Identity(), body)


@pytest.fixture
def image_references():
    stimuli = np.random.default_rng(0).integers(0, 256, (3, 1, 8, 8)).astype(np.uint8)
    return Split(stimuli, np.array(["a", "b", "c"]), {"category": np.arange(3)})


def shard(network, reference, settings=SETTINGS, modality="vision", **others):
    return synthesize_shard(
        network, entry(modality), "relu", "1", True, reference, settings, 517, **others
    )


def test_a_shard_holds_what_its_parts_give(image_network, image_references):
    made = shard(image_network, image_references)
    network = image_network.eval()
    reference = torch.from_numpy(image_references.values())
    forward = StageForward(network, "1", True)
    initial = initial_noise(["a", "b", "c"], (1, 8, 8), SETTINGS, 517, BOUNDS["vision"])
    with torch.no_grad():
        expected = synthesize(forward, reference, initial, SETTINGS)
        target = network.body[:2](reference)
        reached = network.body[:2](torch.from_numpy(expected.metamer))
        natural = network(reference).argmax(1)
        shown = as_presented(expected.metamer, "vision")
        response = network(torch.from_numpy(shown)).argmax(1)
    np.testing.assert_array_equal(made.metamer, expected.metamer)
    np.testing.assert_array_equal(made.loss, expected.loss)
    np.testing.assert_array_equal(made.logged_step, [*range(0, 90, 10), 90])
    # Distances are those of the metamer before it is rounded to 8 bit.
    np.testing.assert_allclose(made.distances, distances(reached, target), rtol=1e-4)
    np.testing.assert_array_equal(made.natural_response, natural)
    np.testing.assert_array_equal(made.response, response)
    assert made.gradient == "straight_through"
    assert made.reference_checksum == reference_checksum(image_references)
    assert made.loss[:, -1].max() < 0.1 * made.loss[:, 0].min()
    assert not any(p.requires_grad for p in network.parameters())


def test_no_metamer_depends_on_its_shard(image_network, image_references):
    settings = {**SETTINGS, "rounds": 2, "steps_per_round": 10, "dtype": "float64"}
    together = shard(image_network, image_references, settings)
    for number, rows in ((0, slice(0, 2)), (1, slice(2, 3))):
        part = select_shard(image_references, number, 2)
        alone = shard(image_network, part, settings)
        np.testing.assert_allclose(together.loss[rows], alone.loss, atol=1e-12)
        np.testing.assert_allclose(together.metamer[rows], alone.metamer, atol=1e-7)
        np.testing.assert_allclose(together.distances[rows], alone.distances, atol=1e-9)
        np.testing.assert_array_equal(together.response[rows], alone.response)


def test_a_native_network_gets_metamers_of_its_own_shape(image_network):
    stimuli = np.random.default_rng(1).integers(0, 256, (2, 3, 12, 12)).astype(np.uint8)
    reference = Split(stimuli, np.array(["a", "b"]), {"category": np.arange(2)})
    preprocessing = ImagePreprocessing(resize=8, channels=1, native=True)
    network = Network(preprocessing, image_network.body)
    made = shard(network, reference)
    assert made.metamer.shape == (2, 1, 8, 8)
    assert made.loss[:, -1].max() < 0.1 * made.loss[:, 0].min()
    with torch.no_grad():
        seen = preprocessing.fit(torch.from_numpy(reference.values()))
        target = network.body[:2](seen)
        reached = network.body[:2](torch.from_numpy(made.metamer))
    np.testing.assert_allclose(made.distances, distances(reached, target), rtol=1e-4)
    np.testing.assert_array_equal(made.natural_response, network(seen).argmax(1))


def test_sounds(tmp_path):
    torch.manual_seed(1)
    body = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 4))
    stimuli = np.random.default_rng(0).normal(0, 3000, (2, 64)).astype(np.int16)
    reference = Split(stimuli, np.array(["a", "b"]), {"word": np.arange(2)})
    settings = {**SETTINGS, "initial_mean": 0.0, "initial_deviation": 1e-7}
    made = shard(
        Network(nn.Identity(), body), reference, settings, "audio",
        state_path=tmp_path / "state",
    )  # fmt: skip
    assert made.metamer.shape == (2, 64)
    assert made.metamer.min() < 0
    assert made.loss[:, -1].max() < 0.3
    assert list(tmp_path.iterdir()) == [tmp_path / "state"]


def test_stimuli_that_are_not_numbers_get_no_answer(image_network):
    stimuli = np.random.default_rng(0).random((3, 1, 8, 8), dtype=np.float32)
    stimuli[1, 0, 0, 0] = np.nan
    network = image_network.eval()
    like = torch.zeros(1)
    response = answer(network, stimuli, "vision", {"kind": "argmax"}, like)
    assert response[1] == -1
    others = answer(network, stimuli[[0, 2]], "vision", {"kind": "argmax"}, like)
    np.testing.assert_array_equal(response[[0, 2]], others)


def test_a_state_of_other_weights_is_not_taken_up(
    image_network, image_references, tmp_path, monkeypatch
):
    class Stop(Exception):
        pass

    calls = [0]
    run = StageForward.__call__

    def stopping(self, x):
        calls[0] += 1
        if calls[0] == 30:
            raise Stop
        return run(self, x)

    state = tmp_path / "state"
    monkeypatch.setattr("metamers.resume.ResumeState.due", lambda self: True)
    monkeypatch.setattr(StageForward, "__call__", stopping)
    with pytest.raises(Stop):
        shard(image_network, image_references, state_path=state)
    assert state.exists()
    before = weights_checksum(image_network)
    with torch.no_grad():
        image_network.body[0].weight[0] += 0.5
    assert weights_checksum(image_network) != before
    resumed = shard(image_network, image_references, state_path=state)
    fresh = shard(image_network, image_references)
    np.testing.assert_array_equal(resumed.metamer, fresh.metamer)


def test_an_interrupted_shard_goes_on(
    image_network, image_references, tmp_path, monkeypatch
):
    from metamers.resume import Interrupted, ResumeState

    fresh = shard(image_network, image_references)
    due, calls = ResumeState.due, [0]

    def told_to_stop(self):
        calls[0] += 1
        if calls[0] == 40:
            self._received = 15
        return due(self)

    monkeypatch.setattr(ResumeState, "due", told_to_stop)
    with pytest.raises(Interrupted):
        shard(image_network, image_references, state_path=tmp_path / "state")
    resumed = shard(image_network, image_references, state_path=tmp_path / "state")
    assert calls[0] == 90  # no step was taken twice
    np.testing.assert_array_equal(resumed.metamer, fresh.metamer)
    np.testing.assert_array_equal(resumed.loss, fresh.loss)
