"""What a step of the synthesis takes on a device: time and memory."""

from __future__ import annotations

import contextlib
import os
import resource
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor

from metamers.networks.network import Network
from metamers.networks.stages import StageForward
from metamers.synthesis.optimization import descend, logged_steps

# Of the memory, what a batch may take: fragments and libraries need some.
USABLE = 0.9

Call = Callable[[], None]


class _Reached(Exception):
    """Ends a bare forward pass."""


def bare_steps(network: Network, path: str, x: Tensor, steps: int) -> Call:
    """Return as many passes as `engine_steps` needs, with nothing else done.

    Parameters and the result are those of `engine_steps`.
    """
    kept: list[Tensor] = []

    def keep(module: torch.nn.Module, inputs: object, output: Tensor) -> None:
        kept.append(output)
        raise _Reached

    module = network.body.get_submodule(path)

    def forward(stimulus: Tensor) -> Tensor:
        with module.register_forward_hook(keep), contextlib.suppress(_Reached):
            network(stimulus)
        return kept.pop()

    def run() -> None:
        for _ in range(steps):
            stimulus = x.detach().requires_grad_()
            output = forward(stimulus)
            torch.autograd.grad(output, stimulus, torch.ones_like(output))
        with torch.no_grad():
            forward(x)

    return run


def engine_steps(network: Network, path: str, x: Tensor, steps: int) -> Call:
    """Return some steps of the synthesis, and the loss after the last one.

    Parameters
    ----------
    network
        In evaluation mode.
    path
        Of the stage.
    x
        The references (n, ...).
    steps
        How many.
    """
    forward = StageForward(network, path)
    settings = {"rounds": 1, "steps_per_round": steps, "first_step": 1.0}
    settings["log_every"] = steps
    target = forward.inspect(x)
    loss = x.new_empty(len(x), len(logged_steps(settings)))

    def run() -> None:
        descend(forward, target, torch.rand_like(x), loss, settings, (0.0, 1.0))

    return run


def seconds(call: Call, device: str) -> float:
    """Return what a call takes: on a GPU until it is done, else processor time."""
    if device == "cuda":
        torch.cuda.synchronize()
        started = time.perf_counter()
        call()
        torch.cuda.synchronize()
        return time.perf_counter() - started
    started = time.process_time()
    call()
    return time.process_time() - started


def step_memory(
    network: Network, path: str, shape: tuple[int, ...], device: str
) -> tuple[int, int]:
    """Return the bytes taken before a step of the synthesis, and at most in it.

    Parameters
    ----------
    network
        On the device.
    path
        Of the stage.
    shape
        Of the stimuli (n, ...).
    device
        ``cuda``, or ``cpu``, where the most that the process ever took is returned.
    """
    if device != "cuda":
        before = peak_resident()
        engine_steps(network, path, torch.rand(shape), steps=1)()
        return before, peak_resident()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    engine_steps(network, path, torch.rand(shape, device=device), steps=1)()
    return before, torch.cuda.max_memory_allocated()


def peak_resident() -> int:
    """Return the most bytes of the machine's memory that this process ever took."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def largest_batch(batch: int, before: int, peak: int, total: int) -> int | None:
    """Return how many stimuli fit at once, if each takes what it took in a batch.

    Parameters
    ----------
    batch
        How many there were.
    before, peak
        Bytes taken without them, and with them.
    total
        Bytes that there are.

    Returns
    -------
    int or None
        None if they took nothing that could be measured.
    """
    if peak <= before:
        return None
    return max(int(batch * (USABLE * total - before) / (peak - before)), 0)


def total_memory(device: str) -> int:
    """Return the bytes of memory that a device has."""
    if device == "cuda":
        return torch.cuda.get_device_properties(0).total_memory
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
