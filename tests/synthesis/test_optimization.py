"""The synthesis loop: its steps by hand, its invariances, and its resumption."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from metamers.errors import StudyError
from metamers.randomness import torch_generator
from metamers.resume import ResumeState
from metamers.synthesis.loss import roughness, target_scale
from metamers.synthesis.numerics import reproducible
from metamers.synthesis.optimization import (
    descend,
    loss_and_gradient,
    step_size,
    synthesize,
)

SETTINGS = {
    "rounds": 2,
    "steps_per_round": 10,
    "first_step": 1.0,
    "log_every": 4,
    "dtype": "float64",
}


def toy_network(rectifier: type[nn.Module] = nn.ReLU, seed: int = 0) -> nn.Module:
    generator = torch_generator(seed, "toy network")
    network = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), rectifier(), nn.Conv2d(16, 16, 3)
    )
    for parameter in network.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.3
    return network.double().eval()


def images(
    count: int, seed: int = 1, size: int = 8
) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch_generator(seed, "images")
    shape = (count, 1, size, size)
    reference = torch.rand(shape, generator=generator, dtype=torch.float64)
    noise = torch.randn(shape, generator=generator, dtype=torch.float64)
    return reference, (0.5 + 0.05 * noise).clamp(0, 1)


def test_two_steps_by_hand():
    weight = np.array([[2.0, 0.0], [1.0, 1.0]])
    reference, start = np.array([0.9, 0.2]), np.array([0.1, 0.5])
    target = weight @ reference
    expected = start
    losses = []
    for size in (0.4, 0.2):  # one step a round, halved after it
        error = weight @ expected - target
        losses.append(np.linalg.norm(error) / np.linalg.norm(target))
        gradient = weight.T @ error / np.linalg.norm(error) / np.linalg.norm(target)
        step = size * gradient / (np.linalg.norm(gradient) + 1e-10)
        expected = np.clip(expected - step, 0.0, 0.25)
    losses.append(np.linalg.norm(weight @ expected - target) / np.linalg.norm(target))
    made = synthesize(
        lambda x: x @ torch.from_numpy(weight).T,
        reference[None],
        start[None],
        {
            **SETTINGS,
            "rounds": 2,
            "steps_per_round": 1,
            "first_step": 0.4,
            "log_every": 1,
        },
        bounds=(0.0, 0.25),
    )
    assert expected.max() == 0.25  # so that the clamp has been in use
    np.testing.assert_allclose(made.metamer[0], expected, rtol=1e-12)
    np.testing.assert_allclose(made.loss[0], losses, rtol=1e-12)
    np.testing.assert_array_equal(made.logged_step, [0, 1, 2])


def test_the_step_halves_after_every_round():
    settings = {"first_step": 1.0, "steps_per_round": 3000}
    assert step_size(0, settings) == step_size(2999, settings) == 1.0
    assert step_size(3000, settings) == 0.5
    assert step_size(23999, settings) == 1 / 128


def test_a_stage_without_gradient_leaves_the_stimulus_alone():
    reference, initial = images(2)
    made = synthesize(lambda x: x.flatten(1) * 0 + 1.0, reference, initial, SETTINGS)
    np.testing.assert_array_equal(made.metamer, initial)


def test_an_invertible_stage_gives_the_reference_back():
    generator = torch_generator(0, "rotation")
    rotation = torch.linalg.qr(
        torch.randn(64, 64, generator=generator, dtype=torch.float64)
    ).Q
    reference, initial = images(3)
    settings = {**SETTINGS, "rounds": 12, "steps_per_round": 8}
    made = synthesize(lambda x: x.flatten(1) @ rotation, reference, initial, settings)
    error = (made.metamer - reference.numpy()).reshape(3, -1)
    # The gradient points away from the reference, so that a step passes it by no more
    # than the step's own size.
    last_step = 0.5**11
    assert np.linalg.norm(error, axis=1).max() <= last_step + 1e-9


def test_the_loss_of_a_toy_network_falls_a_hundredfold():
    network = toy_network()
    reference, initial = images(4)
    settings = {**SETTINGS, "rounds": 12, "steps_per_round": 40}
    made = synthesize(network, reference, initial, settings)
    assert (made.loss[:, 0] / made.loss[:, -1]).min() > 100
    assert made.metamer.min() >= 0
    assert made.metamer.max() <= 1


def test_no_metamer_depends_on_its_batch():
    network = toy_network()
    reference, initial = images(5)
    together = synthesize(network, reference, initial, SETTINGS)
    for row in range(5):
        alone = synthesize(
            network, reference[row : row + 1], initial[row : row + 1], SETTINGS
        )
        np.testing.assert_allclose(together.metamer[row], alone.metamer[0], atol=1e-12)
        np.testing.assert_allclose(together.loss[row], alone.loss[0], atol=1e-12)


def test_a_broken_stimulus_does_not_reach_its_neighbors():
    network = toy_network()
    reference, initial = images(3)
    initial[1] = torch.nan
    made = synthesize(network, reference, initial, SETTINGS)
    assert np.isnan(made.loss[1]).all()
    assert np.isfinite(made.metamer[[0, 2]]).all()


def test_the_gradient_is_that_of_the_matching_loss():
    network = toy_network(nn.Tanh)
    reference, iterate = images(2, size=5)
    with torch.no_grad():
        target = network(reference)
    scale = target_scale(target)
    loss, gradient = loss_and_gradient(network, iterate, target, scale)
    width = 1e-6
    for place in np.ndindex(*iterate.shape[1:]):
        step = torch.zeros_like(iterate)
        step[:, *place] = width
        upper = loss_and_gradient(network, iterate + step, target, scale)[0]
        lower = loss_and_gradient(network, iterate - step, target, scale)[0]
        difference = (upper - lower) / (2 * width)
        np.testing.assert_allclose(difference, gradient[:, *place], atol=1e-8)
    assert not loss.requires_grad
    assert all(parameter.grad is None for parameter in network.parameters())


def test_one_forward_a_step_and_the_loss_at_its_intervals():
    calls = []
    network = toy_network()

    def counted(x):
        calls.append(x.requires_grad)
        return network(x)

    reference, initial = images(2)
    made = synthesize(counted, reference, initial, SETTINGS)
    # One for the target, one a step, one for the loss of the last iterate.
    assert calls == [False] + [True] * 20 + [False]
    np.testing.assert_array_equal(made.logged_step, [0, 4, 8, 12, 16, 20])
    assert made.loss.shape == (2, 6)
    error = (network(torch.from_numpy(made.metamer)) - network(reference)).flatten(1)
    final = error.norm(dim=1) / network(reference).flatten(1).norm(dim=1)
    np.testing.assert_allclose(made.loss[:, -1], final.detach(), rtol=1e-12)


def test_sounds_may_be_negative_by_default_and_images_not():
    reference = torch.full((1, 4), -0.5, dtype=torch.float64)
    made = synthesize(lambda x: x, reference, torch.zeros(1, 4), SETTINGS)
    assert made.metamer.min() < -0.4
    image = reference.view(1, 1, 2, 2)
    made = synthesize(lambda x: x, image, torch.zeros(1, 1, 2, 2), SETTINGS)
    assert made.metamer.min() == 0.0


def test_the_dtype_is_that_of_the_settings():
    reference, initial = images(1)
    network = toy_network().float()
    made = synthesize(network, reference, initial, {**SETTINGS, "dtype": "float32"})
    assert made.metamer.dtype == np.float32
    with pytest.raises(StudyError, match=r"'float23' is not one of.*mean 'float32'"):
        synthesize(network, reference, initial, {**SETTINGS, "dtype": "float23"})


def test_shapes_must_agree():
    reference, initial = images(2)
    with pytest.raises(ValueError, match="both must be the same"):
        synthesize(toy_network(), reference, initial[:1], SETTINGS)


def test_without_smoothness_nothing_changes():
    network = toy_network()
    reference, initial = images(3)
    plain = synthesize(network, reference, initial, SETTINGS)
    off = synthesize(network, reference, initial, {**SETTINGS, "smoothness": 0.0})
    np.testing.assert_array_equal(off.metamer, plain.metamer)
    np.testing.assert_array_equal(off.loss, plain.loss)


@pytest.mark.parametrize("modality", ["vision", "audio"])
def test_smoothness_makes_smoother_metamers(modality):
    reference, initial = images(3)
    network = toy_network()
    if modality == "audio":
        reference, initial = reference.flatten(1) - 0.5, initial.flatten(1) - 0.5

        def forward(x):
            return network(x.view(-1, 1, 8, 8))
    else:
        forward = network
    made = [
        synthesize(forward, reference, initial, {**SETTINGS, "smoothness": weight})
        for weight in (0.0, 0.1, 1.0)
    ]
    rough = [roughness(torch.from_numpy(each.metamer)) for each in made]
    assert (rough[1] < rough[0]).all()
    assert (rough[2] < rough[1]).all()
    # The loss that is logged is that of the activations alone.
    for each in made:
        error = forward(torch.from_numpy(each.metamer)) - forward(reference)
        norms = error.flatten(1).norm(dim=1), forward(reference).flatten(1).norm(dim=1)
        expected = (norms[0] / norms[1]).detach()
        np.testing.assert_allclose(each.loss[:, -1], expected, rtol=1e-10)


def test_smoothness_does_not_reach_the_neighbors():
    network = toy_network()
    reference, initial = images(3)
    settings = {**SETTINGS, "smoothness": 0.2}
    together = synthesize(network, reference, initial, settings)
    alone = synthesize(network, reference[1:2], initial[1:2], settings)
    np.testing.assert_allclose(together.metamer[1], alone.metamer[0], atol=1e-12)


LONG = {**SETTINGS, "rounds": 3, "steps_per_round": 100, "dtype": "float32"}

# A synthesis that is slow enough to be stopped; `path` is the state file.
STOPPED = """
import sys, time
from pathlib import Path
sys.path.insert(0, str(Path(sys.argv[1])))
import torch
from test_optimization import LONG, images, toy_network
from metamers.synthesis.optimization import synthesize
torch.set_num_threads(1)
network = toy_network().float()
def slow(x):
    time.sleep(0.01)
    return network(x)
reference, initial = images(3)
synthesize(slow, reference, initial, LONG, state_path=sys.argv[2], fingerprint="code",
           interval_seconds=float(sys.argv[3]))
"""


@pytest.fixture
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def start_and_stop(state: Path, number: signal.Signals, interval: float) -> str:
    """Run a slow synthesis, signal it once it owns its state, return its errors."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            STOPPED,
            str(Path(__file__).parent),
            state,
            str(interval),
        ],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    awaited = state if number == signal.SIGKILL else Path(f"{state}.owner")
    deadline = time.monotonic() + 60
    while not awaited.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.2)
    process.send_signal(number)
    errors = process.communicate(timeout=60)[1]
    assert process.returncode != 0, "it was over before it was stopped"
    return errors


@pytest.mark.parametrize(
    ("number", "interval"), [(signal.SIGKILL, 0.2), (signal.SIGTERM, 3600.0)]
)
def test_a_stopped_synthesis_goes_on_to_the_same_bits(
    tmp_path, one_thread, number, interval
):
    state = tmp_path / "state"
    errors = start_and_stop(state, number, interval)
    if number == signal.SIGTERM:
        assert "Interrupted: stopped by SIGTERM; the state is kept" in errors
    calls = []
    network = toy_network().float()

    def counted(x):
        calls.append(None)
        return network(x)

    reference, initial = images(3)
    resumed = synthesize(
        counted, reference, initial, LONG, state_path=state, fingerprint="code"
    )
    assert 2 < len(calls) < 302, "it started anew"
    uninterrupted = synthesize(network, reference, initial, LONG)
    np.testing.assert_array_equal(resumed.metamer, uninterrupted.metamer)
    np.testing.assert_array_equal(resumed.loss, uninterrupted.loss)
    assert list(tmp_path.iterdir()) == [state], "kept until the result is written"
    calls.clear()
    complete = synthesize(
        counted, reference, initial, LONG, state_path=state, fingerprint="code"
    )
    assert len(calls) == 2, "the target and the last loss, but no step"
    np.testing.assert_array_equal(complete.metamer, uninterrupted.metamer)
    np.testing.assert_array_equal(complete.loss, uninterrupted.loss)


class Stop(Exception):
    """Ends a synthesis in the middle."""


def stopped_after(network: nn.Module, calls: int):
    left = [calls]

    def forward(x):
        left[0] -= 1
        if left[0] < 0:
            raise Stop
        return network(x)

    return forward


@pytest.mark.parametrize("change", ["settings", "reference", "fingerprint"])
def test_a_state_of_something_else_is_not_taken_up(tmp_path, change):
    network = toy_network()
    reference, initial = images(2)
    state = tmp_path / "state"
    with pytest.raises(Stop):
        synthesize(
            stopped_after(network, 12),
            reference,
            initial,
            SETTINGS,
            state_path=state,
            fingerprint="one",
            interval_seconds=0,
        )
    assert state.exists()
    settings, fingerprint = SETTINGS, "one"
    if change == "settings":
        settings = {**SETTINGS, "first_step": 0.5}
    elif change == "reference":
        reference = reference.flip(0)
    else:
        fingerprint = "two"
    made = synthesize(
        network, reference, initial, settings, state_path=state, fingerprint=fingerprint
    )
    fresh = synthesize(network, reference, initial, settings)
    np.testing.assert_array_equal(made.metamer, fresh.metamer)
    np.testing.assert_array_equal(made.loss, fresh.loss)


def test_a_second_live_owner_is_refused(tmp_path):
    reference, initial = images(1)
    with (
        ResumeState(tmp_path / "state", "other"),
        pytest.raises(StudyError, match=f"process {os.getpid()} on .* still working"),
    ):
        synthesize(
            toy_network(), reference, initial, SETTINGS, state_path=tmp_path / "state"
        )


needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")


@pytest.mark.gpu
@needs_gpu
def test_no_step_waits_for_the_gpu():
    network = toy_network().float().cuda()
    reference, iterate = (x.float().cuda() for x in images(3))
    loss = torch.zeros(3, 6, device="cuda")
    with torch.no_grad():
        target = network(reference)
    torch.cuda.set_sync_debug_mode("error")
    try:
        descend(network, target, iterate, loss, SETTINGS, (0.0, 1.0))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert (loss[:, -1] < loss[:, 0]).all()


@pytest.mark.gpu
@needs_gpu
def test_a_gpu_gives_the_same_bits_twice():
    network = toy_network().float().cuda()
    reference, initial = (x.cuda() for x in images(3))
    with reproducible("cuda", 1):
        made = [synthesize(network, reference, initial, LONG) for _ in range(2)]
    np.testing.assert_array_equal(made[0].metamer, made[1].metamer)
