"""The check of a GPU: its parts on the processor, and that it finds what is wrong."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from metamers import gpu_check
from metamers.command_line import main
from metamers.gpu_check import (
    agreement_of_images,
    agreement_of_sounds,
    largest_batch,
    memory,
    pace,
    paper_size,
    relative_difference,
    resuming,
    small_size,
    why_no_gpu,
)
from metamers.networks.stages import StageForward
from metamers.training.run import TrainingRun


@pytest.mark.slow
def test_all_parts_on_the_processor(capsys, monkeypatch):
    # What else runs on this machine must not decide.
    monkeypatch.setattr(gpu_check, "SPEED_BOUND", 10.0)
    main(["check-gpu", "--device", "cpu"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"torch {torch.__version__} on the processor")
    assert lines[-1] == "all is as it should be"
    assert [line[:12].strip() for line in lines[1:-1]] == ["pass"] * 6
    text = "\n".join(lines)
    assert re.search(r"resumed +\d+ tensors are the same, bit for bit", text)
    assert re.search(r"\d steps a second of 40 metamers; a step costs \d", text)
    assert re.search(r"by one +weights differ by \d", text)


def test_a_failure_is_an_exit_status(capsys, monkeypatch):
    def wrong(device, size):
        return False, "is not as it should be"

    def broken(device, size):
        raise RuntimeError("no kernel image is available")

    def unknown(device, size):
        return None, "needs two GPUs"

    parts = ("agreement_of_images", "agreement_of_sounds", "memory", "resuming")
    for name in parts:
        monkeypatch.setattr(gpu_check, name, lambda device, size: (True, "fine"))
    monkeypatch.setattr(gpu_check, "together", unknown)
    monkeypatch.setattr(gpu_check, "pace", lambda device, size: (True, "fine"))
    main(["check-gpu", "--device", "cpu"])
    assert "not checked" in capsys.readouterr().out
    monkeypatch.setattr(gpu_check, "memory", wrong)
    monkeypatch.setattr(gpu_check, "pace", broken)
    with pytest.raises(SystemExit) as stopped:
        main(["check-gpu", "--device", "cpu"])
    assert stopped.value.code == 1
    printed = capsys.readouterr().out
    assert printed.count("FAIL") == 2
    assert "RuntimeError: no kernel image is available" in printed
    assert "2 of 6 failed" in printed


def test_without_a_gpu_it_is_skipped(capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    main(["check-gpu"])
    assert capsys.readouterr().out.startswith("skipped: torch")
    monkeypatch.setattr(torch.version, "cuda", None)
    assert "is built without CUDA" in why_no_gpu()
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    assert "finds no GPU here" in why_no_gpu()


def test_it_is_of_the_paper_study():
    size = paper_size()
    assert size.entry["architecture"] == "torchvision:resnet50"
    assert size.entry["weights"] is None
    assert (size.batch, size.shape, size.stage) == (100, (3, 224, 224), "fc")


@pytest.mark.parametrize("part", [agreement_of_images, agreement_of_sounds])
def test_single_precision_anywhere_is_found(monkeypatch, part):
    """The second place to compute rounds activations to single precision."""
    assert part("cpu", small_size())[0]
    made, original = [], StageForward.__init__

    def rounding(self, network, path):
        original(self, network, path)
        made.append(self)
        if len(made) == 2:
            body = network.body.register_forward_pre_hook
            body(lambda module, inputs: (inputs[0].float().double(),))

    monkeypatch.setattr(StageForward, "__init__", rounding)
    passed, text = part("cpu", small_size())
    assert not passed
    assert "bound 1e-09" in text


def test_a_training_that_forgets_its_momentum_is_found(monkeypatch):
    original = TrainingRun.restore

    def forgetting(self, state):
        original(self, state)
        self.optimizer.state.clear()

    monkeypatch.setattr(TrainingRun, "restore", forgetting)
    passed, text = resuming("cpu", small_size())
    assert not passed
    assert re.match(r"\d+ of \d+ tensors are not the same: network/body", text)


def test_a_slow_engine_is_found(monkeypatch):
    monkeypatch.setattr(gpu_check, "SPEED_BOUND", 0.01)
    passed, text = pace("cpu", small_size())
    assert not passed
    assert "bound 0.01" in text


def test_the_largest_batch_takes_nine_tenths_of_the_memory():
    # A network of 2 and 100 stimuli of 0.5 each, in 82: 0.9 x 82 - 2 = 71.8.
    assert largest_batch(100, 2000, 52000, 82000) == 143
    assert largest_batch(10, 500, 1000, 100) == 0
    assert largest_batch(10, 500, 500, 1000) is None


def test_a_batch_that_does_not_fit_is_halved(monkeypatch):
    asked = []

    def step_memory(network, path, shape, device):
        asked.append(shape[0])
        if shape[0] > 10:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return 100, 100 + 10 * shape[0]

    monkeypatch.setattr(gpu_check, "step_memory", step_memory)
    monkeypatch.setattr(gpu_check, "total_memory", lambda device: 400)
    passed, text = memory("cpu", small_size())
    assert asked == [40, 20, 10]
    assert not passed
    assert "10 metamers; about 26 fit at once (shard_size: 40)" in text
    monkeypatch.setattr(gpu_check, "step_memory", _too_much)
    assert memory("cpu", small_size()) == (
        False,
        "not even one metamer fits: no memory is free on this GPU",
    )


def _too_much(network, path, shape, device):
    raise torch.cuda.OutOfMemoryError("CUDA out of memory")


def test_differences_are_relative():
    expected = np.array([3.0, 4.0])
    assert relative_difference(expected, expected) == 0
    assert relative_difference(np.array([3.0, 4.5]), expected) == pytest.approx(0.1)
