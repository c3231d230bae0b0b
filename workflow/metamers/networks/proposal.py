"""Stages proposed for a network that nobody has chosen stages for yet."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from metamers.networks.network import Network
from metamers.networks.relu import ReluRecorder
from metamers.networks.stages import FRONT_END

FEWEST, MOST = 5, 10


@dataclass
class _Run:
    """What one module did in a forward pass."""

    order: int
    calls: int
    relu: bool  # its output is a ReLU's, first seen here
    pooled: bool  # its output has lost the axes of space
    shape: tuple[int, ...]
    output: int  # identity of the tensor


def propose(network: Network, x: Tensor) -> dict[str, str]:
    """Propose stages of a network, from the first to the final one.

    They are the ReLUs and blocks of its upper levels (the blocks themselves where
    there would be fewer than 5 stages), the global pooling and the logits; where that
    makes more than 10, an even choice of them.

    Parameters
    ----------
    network
        In evaluation mode.
    x
        A few stimuli, best natural ones.

    Returns
    -------
    dict of str to str
        Name of each stage and the path of its module, in the order of the pass. The
        front end, if there is one, comes first; ``final`` comes last.
    """
    runs, final = _trace(network, x)
    modules = dict(network.body.named_modules())
    units = _children(modules, "", runs)
    while True:
        stages = [path for path in units if _is_stage(path, modules, runs, final)]
        wide = [path for path in units if _can_open(path, modules, runs)]
        if not wide or len(stages) >= FEWEST:
            break
        most = max(wide, key=lambda path: len(_children(modules, path, runs)))
        at = units.index(most)
        units[at : at + 1] = _children(modules, most, runs)
    stages = [path for path in _opened(units, modules, runs)]
    stages = [path for path in stages if _is_stage(path, modules, runs, final)]
    stages = sorted((p for p in stages if p != final), key=lambda p: runs[p].order)
    front = getattr(network.preprocessing, "front_end", None) is not None
    named = {FRONT_END: FRONT_END} if front else {}
    named.update({_name(path): path for path in _thinned(stages, MOST - 1 - front)})
    return {**named, "final": final}


def _trace(network: Network, x: Tensor) -> tuple[dict[str, _Run], str]:
    """Run once; return what each module did, and the innermost one with the logits."""
    runs: dict[str, _Run] = {}
    seen: set[int] = set()
    alive: list[Tensor] = []  # so that no identity is used twice

    def watch(path: str, recorder: ReluRecorder) -> Callable[..., None]:
        def note(module: nn.Module, inputs: Any, output: Any) -> None:
            if not isinstance(output, Tensor):
                return
            if path in runs:
                runs[path].calls += 1
                return
            alive.append(output)
            relu = recorder.ends_in_relu(output)
            source = id(recorder.before)
            taken = inputs[0] if inputs and isinstance(inputs[0], Tensor) else None
            pooled = taken is not None and _spread(taken) > 1 >= _spread(output)
            new = relu and source not in seen
            if relu and recorder.before is not None:
                seen.add(source)
                alive.append(recorder.before)
            shape = tuple(output.shape[1:])
            runs[path] = _Run(len(runs), 1, new, pooled, shape, id(output))

        return note

    with ExitStack() as hooks, torch.no_grad(), ReluRecorder() as recorder:
        for path, module in network.body.named_modules():
            if path:
                hook = module.register_forward_hook(watch(path, recorder))
                hooks.enter_context(hook)
        logits = network(x)
    ends = [path for path, run in runs.items() if run.output == id(logits)]
    # Of several modules that return the logits, the first to end is the innermost,
    # unless it only hands them on.
    last = max(runs, key=lambda path: runs[path].order)
    return runs, ends[0] if ends else last


def _is_stage(
    path: str, modules: dict[str, nn.Module], runs: dict[str, _Run], final: str
) -> bool:
    run = runs.get(path)
    if run is None or run.calls != 1:
        return False
    if path == final:
        return True
    kind = type(modules[path]).__name__.lower()
    if "pool" in kind:
        return run.pooled
    if list(modules[path].children()):
        return not (_is_flat(modules[path]) and not run.relu)
    return run.relu


def _is_flat(module: nn.Module) -> bool:
    """Say whether a module is a plain list of layers, none of them a block."""
    return isinstance(module, nn.Sequential) and not any(
        list(child.children()) for child in module.children()
    )
