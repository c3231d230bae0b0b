"""Time the cochleagram, forward alone and with its gradient.

Run as ``python tests/benchmarks/benchmark_front_end.py [--batch 24] [--full]``. CPU
time is given beside wall time, since a shared machine stretches only the latter.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "workflow"))

from metamers.networks.cochleagram import Cochleagram


def measure(function: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Return the median wall and CPU time of a call, s, after one that warms up."""
    function()
    wall, cpu = [], []
    for _ in range(repeats):
        started = time.perf_counter(), time.process_time()
        function()
        wall.append(time.perf_counter() - started[0])
        cpu.append(time.process_time() - started[1])
    return statistics.median(wall), statistics.median(cpu)


def main() -> None:
    """Measure the demo's front end, or the published one with ``--full``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=24, help="sounds (24)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (1)")
    parser.add_argument("--repeats", type=int, default=20, help="calls (20)")
    parser.add_argument("--full", action="store_true", help="211 rows, 20 kHz, 2 s")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    demo = {"high": 4000.0, "filters": 10, "sample_factor": 2}
    front_end = (
        Cochleagram(sample_rate=20000, duration=2.0)
        if options.full
        else Cochleagram(sample_rate=8000, duration=0.6, **demo)
    )
    generator = torch.Generator().manual_seed(0)
    x = 0.1 * torch.randn(options.batch, front_end.samples, generator=generator)

    def forward() -> None:
        with torch.no_grad():
            front_end(x)

    def both() -> None:
        leaf = x.clone().requires_grad_()
        torch.autograd.grad(front_end(leaf).sum(), leaf)

    size = f"{options.batch} x {front_end.rows} x {front_end.frames}"
    for name, function in (("forward", forward), ("forward and backward", both)):
        wall, cpu = measure(function, options.repeats)
        line = f"{name:>20}  {size}: {1e3 * wall:.1f} ms wall, {1e3 * cpu:.1f} ms CPU"
        sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()
