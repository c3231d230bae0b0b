"""Training: it learns, it is repeatable, and a killed one goes on bit for bit."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file
from safetensors.torch import save_file

from metamers.errors import StudyError
from metamers.networks.network import build_network, save_weights
from metamers.resume import Interrupted, ResumeState
from metamers.training.loop import train
from metamers.training.run import COLUMNS, TrainingRun

REPEATABLE = [name for name in COLUMNS if name != "seconds"]


def weights(result):
    return {name: value.clone() for name, value in result.network.state_dict().items()}


def assert_same(first, second):
    """Compare two results bit for bit, but for the time they took."""
    for name, value in weights(first).items():
        assert torch.equal(value, weights(second)[name]), name
    pd.testing.assert_frame_equal(
        first.history[REPEATABLE], second.history[REPEATABLE], check_exact=True
    )


def test_training_learns_and_says_how(image_file, image_entry):
    result = train(image_entry, image_file, study_seed=0)
    history = result.history
    assert list(history) == list(COLUMNS)
    assert history["epoch"].tolist() == [1, 2, 3]
    assert history["training_loss"].iloc[-1] < history["training_loss"].iloc[0]
    assert history["test_accuracy"].iloc[-1] > 0.9
    assert not result.network.training
    assert not any(value.requires_grad for value in result.network.parameters())


def test_sounds_are_tested_in_noise(sound_file, sound_entry):
    result = train(sound_entry, sound_file, study_seed=0)
    last = result.history.iloc[-1]
    assert last["test_accuracy"] > 0.6
    with torch.no_grad():
        from metamers.training.data import StimulusRows

        rows = StimulusRows(sound_file, "test_noisy")
        x = torch.from_numpy(rows.values(np.arange(30)))
        right = result.network(x).argmax(dim=1).numpy() == rows.label("word")
    assert last["test_accuracy"] == pytest.approx(right.mean())


def test_two_runs_are_the_same_and_another_seed_is_not(image_file, image_entry):
    global_state = torch.random.get_rng_state()
    first = train(image_entry, image_file, study_seed=0)
    torch.rand(7)
    assert_same(first, train(image_entry, image_file, study_seed=0))
    other = train({**image_entry, "seed": 2}, image_file, study_seed=0)
    assert not torch.equal(
        other.network.body.final.weight, first.network.body.final.weight
    )
    torch.random.set_rng_state(global_state)
    train(image_entry, image_file, study_seed=0)
    assert torch.equal(torch.random.get_rng_state(), global_state)


PERTURBATIONS = [
    {"kind": "adversarial", "norm": "l2", "epsilon": 0.5, "steps": 2},
    {"kind": "random", "norm": "linf", "epsilon": 0.1},
    {"kind": "adversarial", "norm": "l2", "epsilon": 0.3, "domain": "front_end"},
]


@pytest.mark.parametrize("perturbation", [None, *PERTURBATIONS[:2]])
@pytest.mark.parametrize("stop", [1, 4, 6, 17])
def test_an_interrupted_training_goes_on_bit_for_bit(
    image_file, image_entry, tmp_path, monkeypatch, perturbation, stop
):
    image_entry["training"]["perturbation"] = perturbation
    whole = train(image_entry, image_file, study_seed=0)
    steps, original = [], TrainingRun.step

    def step(self, x, label):
        steps.append(1)
        if len(steps) == stop:
            os.kill(os.getpid(), signal.SIGUSR1)
        return original(self, x, label)

    monkeypatch.setattr(TrainingRun, "step", step)
    path = tmp_path / "state"
    with pytest.raises(Interrupted):
        train(image_entry, image_file, study_seed=0, state_path=path)
    assert path.is_file()
    assert len(steps) == stop
    resumed = train(image_entry, image_file, study_seed=0, state_path=path)
    assert len(steps) == 3 * 6
    assert_same(whole, resumed)
    # Until the weights are written, what is trained is not trained again.
    assert_same(whole, train(image_entry, image_file, study_seed=0, state_path=path))
    assert len(steps) == 3 * 6


SCRIPT = """
import json, logging, sys
from metamers.networks.network import save_weights
from metamers.training.loop import train
from metamers.training.run import TrainingRun

logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.INFO)
given = json.loads(sys.argv[1])
sys.path.append(given["toys"])
entry, stimuli, state = given["entry"], given["stimuli"], given["state"]
result = train(entry, stimuli, study_seed=0, state_path=state)
save_weights(result.network, given["weights"])
result.history.to_csv(given["history"], index=False)
"""


def test_a_terminated_process_loses_nothing(image_file, image_entry, tmp_path):
    image_entry["training"]["epochs"] = 40
    given = {
        "entry": image_entry,
        "stimuli": str(image_file),
        "toys": str(Path(__file__).parent),
        "state": str(tmp_path / "state"),
        "weights": str(tmp_path / "weights.safetensors"),
        "history": str(tmp_path / "history.csv"),
    }
    command = [sys.executable, "-u", "-c", SCRIPT, json.dumps(given)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        line = ""
        while not line.startswith("epoch 3 "):
            line = process.stdout.readline()
            assert line, process.stderr.read() if process.stderr else ""
        process.send_signal(signal.SIGTERM)
        _, error = process.communicate(timeout=300)
    assert process.returncode != 0
    assert "stopped by SIGTERM" in error
    assert Path(given["state"]).is_file()
    assert not Path(given["weights"]).exists()
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "resuming from" in again.stdout
    assert "epoch 2 of" not in again.stdout
    whole = train(image_entry, image_file, study_seed=0)
    save_weights(whole.network, tmp_path / "whole.safetensors")
    expected = (tmp_path / "whole.safetensors").read_bytes()
    assert Path(given["weights"]).read_bytes() == expected
    resumed = pd.read_csv(given["history"])
    pd.testing.assert_frame_equal(
        resumed[REPEATABLE], whole.history[REPEATABLE], rtol=1e-12
    )


def test_a_state_of_another_entry_is_not_used(image_file, image_entry, tmp_path):
    path = tmp_path / "state"
    with ResumeState(path, "of something else") as state:
        state.save({"place": np.array([2, 0])})
    result = train(image_entry, image_file, study_seed=0, state_path=path)
    assert result.history["epoch"].tolist() == [1, 2, 3]


def test_a_loss_that_is_not_finite_stops_the_training(image_file, image_entry):
    image_entry["architecture"] = "toy_networks:Diverging"
    with pytest.raises(StudyError) as caught:
        train(image_entry, image_file, study_seed=0)
    message = str(caught.value)
    assert "in epoch 1, batch 1" in message
    assert "smaller training.learning_rate (it is 0.1" in message


def test_training_that_diverges_later_keeps_what_it_had(
    image_file, image_entry, tmp_path
):
    image_entry["training"]["schedule"] = {"kind": "step", "every": 1, "factor": 1e15}
    path = tmp_path / "state"
    with pytest.raises(StudyError, match=r"in epoch 2, .*state") as caught:
        train(image_entry, image_file, study_seed=0, state_path=path)
    assert str(path) in str(caught.value)
    state = load_file(path)
    assert all(np.isfinite(value).all() for value in state.values())
    assert state["history"][:, 0].tolist() == [1]
    assert state["place"].tolist() == [1, 0]


def test_an_untrained_network_has_its_initial_weights(image_file, image_entry):
    untrained = train({**image_entry, "training": None}, image_file, study_seed=0)
    image_entry["training"]["learning_rate"] = 1e-30
    hardly = train(image_entry, image_file, study_seed=0)
    for name, value in untrained.network.body.named_parameters():
        other = dict(hardly.network.body.named_parameters())[name]
        torch.testing.assert_close(value, other, rtol=0, atol=1e-12)
    assert untrained.network.body.norm.running_var.min() > 0
    assert not torch.equal(untrained.network.body.norm.running_var, torch.ones(4))
    row = untrained.history.iloc[0]
    assert row["epoch"] == 0
    assert np.isnan(row["training_loss"])
    assert 0 <= row["test_accuracy"] <= 1


def test_given_weights_without_a_recipe_are_not_trained(
    image_file, image_entry, tmp_path
):
    network = build_network(image_entry, seed=9)
    save_weights(network, tmp_path / "weights.safetensors")
    entry = {**image_entry, "weights": {"path": str(tmp_path / "weights.safetensors")}}
    entry["training"] = None
    result = train(entry, image_file, study_seed=0)
    for name, value in network.state_dict().items():
        assert torch.equal(result.network.state_dict()[name], value)
    assert result.history["epoch"].tolist() == [0]


def test_a_network_of_too_few_classes_is_refused(image_file, image_entry):
    image_entry["arguments"] = {"classes": 2}
    with pytest.raises(StudyError, match="2 outputs and its task 3 categories"):
        train(image_entry, image_file, study_seed=0)


def test_a_perturbation_of_a_missing_front_end_is_refused(sound_file, sound_entry):
    sound_entry["training"]["perturbation"] = PERTURBATIONS[2]
    with pytest.raises(StudyError, match=r"has no preprocessing\.front_end"):
        train(sound_entry, sound_file, study_seed=0)
    sound_entry["training"]["perturbation"]["domain"] = "frontend"
    with pytest.raises(StudyError, match="did you mean 'front_end'"):
        train(sound_entry, sound_file, study_seed=0)


def test_training_goes_on_from_given_weights(image_file, image_entry, tmp_path):
    path = tmp_path / "weights.safetensors"
    network = build_network(image_entry, seed=9)
    save_weights(network, path)
    image_entry["training"].update(epochs=1, learning_rate=1e-30)
    entry = {**image_entry, "weights": {"path": str(path)}}
    result = train(entry, image_file, study_seed=0)
    assert result.history["epoch"].tolist() == [1]
    for name, value in network.named_parameters():
        found = dict(result.network.named_parameters())[name]
        torch.testing.assert_close(found, value, rtol=0, atol=1e-12)


def test_a_read_out_is_trained_on_given_weights(image_file, image_entry, tmp_path):
    path = tmp_path / "weights.safetensors"
    given = train({**image_entry, "training": None}, image_file, study_seed=7)
    save_weights(given.network, path)
    image_entry["training"].update(trainable=["final"], learning_rate=1.0)
    entry = {**image_entry, "weights": {"path": str(path)}}
    result = train(entry, image_file, study_seed=0)
    learned = {
        name
        for name, value in given.network.state_dict().items()
        if not torch.equal(result.network.state_dict()[name], value)
    }
    assert learned == {"body.final.weight", "body.final.bias"}
    assert result.history["test_accuracy"].iloc[-1] > 0.8
    assert given.history["test_accuracy"].iloc[-1] < 0.6


def test_given_weights_may_lack_the_read_out_that_is_trained(
    image_file, image_entry, tmp_path
):
    path = tmp_path / "weights.safetensors"
    body = build_network(image_entry, seed=9).body.state_dict()
    save_file({k: v for k, v in body.items() if not k.startswith("final")}, path)
    image_entry["training"].update(trainable=["final"], epochs=1)
    entry = {**image_entry, "weights": {"path": str(path)}}
    result = train(entry, image_file, study_seed=0)
    assert torch.equal(result.network.body.conv.weight, body["conv.weight"])
    assert np.isfinite(result.history["training_loss"]).all()
    entry["training"] = None
    with pytest.raises(StudyError, match=r"missing: final\.bias"):
        train(entry, image_file, study_seed=0)


def test_processes_that_read_change_nothing(image_file, image_entry):
    alone = train(image_entry, image_file, study_seed=0)
    assert_same(alone, train(image_entry, image_file, study_seed=0, workers=2))


def test_an_early_checkpoint_is_the_longer_training_stopped(image_file, image_entry):
    whole = train(image_entry, image_file, study_seed=0)
    image_entry["training"]["stop_after"] = 2
    early = train(image_entry, image_file, study_seed=0)
    pd.testing.assert_frame_equal(
        early.history[REPEATABLE], whole.history[REPEATABLE][:2], check_exact=True
    )
    assert early.history["learning_rate"].iloc[-1] > 0.04
