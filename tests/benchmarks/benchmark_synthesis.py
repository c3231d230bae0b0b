"""What a step of the synthesis costs, beside one bare forward and backward pass.

    python tests/benchmarks/benchmark_synthesis.py [--device cuda] [--batch 40]

Measured are the steps of the engine and, turn by turn with them, forward and backward
passes of the same network cut off at the same stage, with nothing else done. Prints
the ratio for an early, a middle and a late stage; it ends with status 1 where one is
above the limit.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor

from metamers.networks.network import Network, build_network
from metamers.networks.stages import StageForward
from metamers.synthesis.optimization import descend, logged_steps

LIMIT = 1.15
STAGES = ("relu0", "relu2", "fc1_relu")
ENTRY = {
    "modality": "vision",
    "architecture": "metamers:SmallAlexNet",
    "arguments": {"classes": 10, "channels": 1},
    "weights": None,
    "seed": 0,
    "preprocessing": {"mean": [0.13], "std": [0.31]},
    "training": None,
}


class _Reached(Exception):
    """Ends the bare forward pass."""


def bare_pass(network: Network, path: str, x: Tensor) -> Callable[[], None]:
    """Return a forward and backward pass of the network cut off at a stage."""
    kept: list[Tensor] = []

    def keep(module: torch.nn.Module, inputs: object, output: Tensor) -> None:
        kept.append(output)
        raise _Reached

    module = network.body.get_submodule(path)

    def run() -> None:
        stimulus = x.detach().requires_grad_()
        with module.register_forward_hook(keep), contextlib.suppress(_Reached):
            network(stimulus)
        output = kept.pop()
        torch.autograd.grad(output, stimulus, torch.ones_like(output))

    return run


def seconds(call: Callable[[], object], device: str) -> float:
    """Return what a call costs: processor time, or on a GPU the time until it is done.

    Processor time, since other processes of the machine do not enter it.
    """
    if device == "cuda":
        started = time.perf_counter()
        call()
        torch.cuda.synchronize()
        return time.perf_counter() - started
    started = time.process_time()
    call()
    return time.process_time() - started


def measure(
    network: Network, path: str, x: Tensor, steps: int, repeats: int
) -> tuple[float, float]:
    """Return the seconds of one bare pass and of one engine step (best runs)."""
    forward, bare = StageForward(network, path), bare_pass(network, path, x)
    settings = {"rounds": 1, "steps_per_round": steps, "first_step": 1.0}
    settings["log_every"] = 10
    target = forward.inspect(x)
    logged = x.new_empty(len(x), len(logged_steps(settings)))

    def engine() -> None:
        start = torch.rand_like(x)
        descend(forward, target, start, logged, settings, (0.0, 1.0))

    def passes() -> None:
        for _ in range(steps):
            bare()

    device = x.device.type
    engine(), passes()  # warm up
    pairs = [(seconds(passes, device), seconds(engine, device)) for _ in range(repeats)]
    bare_times, engine_times = zip(*pairs, strict=True)
    return min(bare_times) / steps, min(engine_times) / steps


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=40)
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--repeats", type=int, default=10)
    options = parser.parse_args()
    torch.set_num_threads(1)
    network = build_network(ENTRY, 0).to(options.device).eval().requires_grad_(False)
    x = torch.rand(options.batch, 1, 32, 32, device=options.device)
    ratios = []
    for path in STAGES:
        bare, engine = measure(network, path, x, options.steps, options.repeats)
        ratios.append(engine / bare)
        print(
            f"{path:10} bare pass {1e3 * bare:7.2f} ms   "
            f"engine step {1e3 * engine:7.2f} ms   ratio {engine / bare:.3f}"
        )
    print(f"limit {LIMIT}")
    return int(max(ratios) > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
