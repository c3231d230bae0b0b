"""Stages proposed for a network that nobody has chosen stages for yet."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from metamers.networks.network import Network
from metamers.networks.relu import ReluRecorder
from metamers.networks.stages import FRONT_END

FEWEST, MOST = 6, 10


@dataclass
class _Run:
    """What one module did in a forward pass."""

    order: int
    calls: int
    relu: bool  # its output is a ReLU's, first seen here
    pooled: bool  # its output has lost the axes of space
    output: int  # identity of the tensor


def propose_stages(network: Network, x: Tensor) -> dict[str, str]:
    """Propose stages of a network; see `metamers.networks.stages.propose`.

    They are the ReLUs and blocks of its upper levels (the blocks themselves where
    there would be fewer than 6 stages), the global pooling and the logits; where that
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
        units = _with_lists_opened(units, modules, runs)
        stages = [path for path in units if _is_stage(path, modules, runs, final)]
        inside = {path: _children(modules, path, runs) for path in units}
        widest = max(units, key=lambda path: len(inside[path]), default="")
        if len(stages) >= FEWEST or not inside.get(widest):
            break
        at = units.index(widest)
        units[at : at + 1] = inside[widest]
    stages = [path for path in stages if path != final]
    front = getattr(network.preprocessing, "front_end", None) is not None
    named = {FRONT_END: FRONT_END} if front else {}
    for path in _evenly(stages, MOST - 1 - len(named)):
        named[_name(path, named)] = path
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
            runs[path] = _Run(len(runs), 1, new, pooled, id(output))

        return note

    modules = dict(network.body.named_modules())
    with ExitStack() as hooks, torch.no_grad(), ReluRecorder() as recorder:
        for path, module in modules.items():
            if path:
                hook = module.register_forward_hook(watch(path, recorder))
                hooks.enter_context(hook)
        logits = network(x)
    ends = [path for path, run in runs.items() if run.output == id(logits)]
    # Of several modules that return the logits, the first to end is the innermost.
    # Where a mere function returns them, the last layer is as near as a stage gets.
    leaves = [path for path in runs if not list(modules[path].children())]
    return runs, ends[0] if ends and ends[0] in leaves else leaves[-1]


def _is_stage(
    path: str, modules: dict[str, nn.Module], runs: dict[str, _Run], final: str
) -> bool:
    run = runs.get(path)
    if run is None or run.calls != 1 or final.startswith(f"{path}."):
        return False
    if path == final:
        return True
    if re.search(r"pool(\dd)?$", type(modules[path]).__name__.lower()):
        return run.pooled
    return run.relu or bool(list(modules[path].children()))


def _is_flat(module: nn.Module) -> bool:
    """Say whether a module is a plain list of layers, none of them a block."""
    return isinstance(module, nn.Sequential) and not any(
        list(child.children()) for child in module.children()
    )


def _children(
    modules: dict[str, nn.Module], path: str, runs: dict[str, _Run]
) -> list[str]:
    """Return the children that took part, in the order of the pass."""
    prefix = f"{path}." if path else ""
    children = [f"{prefix}{name}" for name, _ in modules[path].named_children()]
    first = {child: _first_run(child, runs) for child in children}
    used = [child for child in children if first[child] is not None]
    return sorted(used, key=lambda child: first[child] or 0)


def _first_run(path: str, runs: dict[str, _Run]) -> int | None:
    orders = [
        run.order
        for name, run in runs.items()
        if name == path or name.startswith(f"{path}.")
    ]
    return min(orders, default=None)


def _with_lists_opened(
    units: list[str], modules: dict[str, nn.Module], runs: dict[str, _Run]
) -> list[str]:
    """Put the members of plain lists of layers in the place of the lists."""
    opened: list[str] = []
    for path in units:
        never_called = path not in runs
        if _is_flat(modules[path]) or never_called:
            inside = _children(modules, path, runs)
            opened += _with_lists_opened(inside, modules, runs)
        else:
            opened.append(path)
    return opened


def _spread(tensor: Tensor) -> int:
    """Return the number of positions in space of a feature map, 1 for any other."""
    return int(torch.Size(tensor.shape[2:]).numel()) if tensor.ndim >= 4 else 1


def _evenly(paths: list[str], most: int) -> list[str]:
    """Choose at most `most` paths, the first and the last among them."""
    if len(paths) <= most:
        return paths
    step = (len(paths) - 1) / (most - 1)
    return [paths[round(i * step)] for i in range(most)]


def _name(path: str, taken: dict[str, str]) -> str:
    """Make a stage's name of a path: unique ignoring case, fit for a file's name."""
    name = re.sub(r"[^A-Za-z0-9_-]", "_", path)
    used = {other.lower() for other in taken} | {"final", "natural"}
    while name.lower() in used:
        name += "_"
    return name
