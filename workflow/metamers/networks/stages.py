"""Activations at the stages of a network, and the gradient that metamers follow.

A stage is a module of the architecture, named by its path. Its activation is taken by
a forward hook that stops the forward pass there, so that an early stage costs only an
early pass. Hooks live only while a call runs: the network itself is never changed.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from metamers.errors import StudyError, suggest
from metamers.networks.network import Network, build_network
from metamers.networks.relu import ReluRecorder, straight_through_relu

FRONT_END = "front_end"
STRAIGHT_THROUGH = "straight_through"
PLAIN = "plain"


class _StageReached(BaseException):
    """Ends a forward pass; no Exception, lest a network's own except swallow it."""


@dataclass(frozen=True)
class StageDescription:
    """What a stage is.

    Attributes
    ----------
    name
        In the study.
    path
        Of its module in the architecture, or ``front_end``.
    gradient
        ``straight_through`` if it ends in a ReLU and that is wanted, else ``plain``.
    shape
        Of one stimulus's activation.
    units
        Its number of values.
    """

    name: str
    path: str
    gradient: str
    shape: tuple[int, ...]
    units: int


class StageForward:
    """From stimuli to the activation at one stage, stopping there.

    Parameters
    ----------
    network
        In evaluation mode, so that no stimulus depends on its neighbors.
    path
        Of the stage's module in the architecture; ``front_end`` for what the
        preprocessing hands to the architecture.
    straight_through
        Whether a ReLU that the stage ends in passes gradients as the identity. Every
        ReLU below keeps its own gradient. A stage with no such ReLU is not affected.

    Attributes
    ----------
    gradient
        ``straight_through`` or ``plain``; None until the first stimuli were seen.

    Raises
    ------
    StudyError
        If the network has no such module.
    """

    def __init__(
        self, network: Network, path: str, straight_through: bool = True
    ) -> None:
        self.network = network
        self.path = path
        self.gradient: str | None = None if straight_through else PLAIN
        self._module = _find_module(network, path)

    def inspect(self, x: Tensor) -> Tensor:
        """Run stimuli once to find out which gradient the stage takes.

        Parameters
        ----------
        x
            Stimuli; natural ones, since a silent stage does not show its ReLU.

        Returns
        -------
        Tensor
            The activation, without a gradient.
        """
        with torch.no_grad():
            return self(x)

    def __call__(self, x: Tensor) -> Tensor:
        """Return the stage's activation.

        Parameters
        ----------
        x
            Stimuli, as the network takes them.

        Returns
        -------
        Tensor
            (n, ...), differentiable with respect to `x`.
        """
        if self.gradient == PLAIN:
            return self._run(x)
        with ReluRecorder() as recorder:
            output = self._run(x)
        if self.gradient is None:
            terminal = recorder.ends_in_relu(output)
            self.gradient = STRAIGHT_THROUGH if terminal else PLAIN
        if self.gradient == PLAIN or recorder.before is None:
            return output
        return straight_through_relu(recorder.before, output).reshape(output.shape)

    def _run(self, x: Tensor) -> Tensor:
        kept: list[Any] = []

        def keep(module: nn.Module, inputs: Any, output: Any) -> None:
            kept.append(output)
            raise _StageReached

        with self._module.register_forward_hook(keep), suppress(_StageReached):
            self.network(x)
        if not kept:
            raise _never_run(self.network, self.path)
        return _single_tensor(kept[0], self.path)


def activations(
    network: Network, stages: dict[str, str], x: Tensor
) -> dict[str, Tensor]:
    """Return the activations at several stages from one forward pass.

    Parameters
    ----------
    network
        In evaluation mode.
    stages
        Name of each stage and the path of its module.
    x
        Stimuli, as the network takes them.

    Returns
    -------
    dict of str to Tensor
        In the order of `stages`; gradients are the network's own at every ReLU.

    Raises
    ------
    StudyError
        If a module does not exist or takes no part in the forward pass.
    """
    kept: dict[str, Tensor] = {}
    paths = set(stages.values())

    def keeper(path: str) -> Callable[..., None]:
        def keep(module: nn.Module, inputs: Any, output: Any) -> None:
            if path not in kept:
                # A copy: a later `out += shortcut` would change what was kept.
                kept[path] = _single_tensor(output, path).clone()
            if len(kept) == len(paths):
                raise _StageReached

        return keep

    with ExitStack() as hooks:
        for path in paths:
            module = _find_module(network, path)
            hooks.enter_context(module.register_forward_hook(keeper(path)))
        with suppress(_StageReached):
            network(x)
    for path in paths - set(kept):
        raise _never_run(network, path)
    return {name: kept[path] for name, path in stages.items()}


def describe(
    network: Network,
    stages: dict[str, str],
    x: Tensor,
    straight_through: dict[str, bool] | None = None,
) -> list[StageDescription]:
    """Say of each stage which gradient it takes and how large it is.

    Parameters
    ----------
    network
        In evaluation mode.
    stages
        Name of each stage and the path of its module.
    x
        A few natural stimuli.
    straight_through
        False for stages where the identity gradient is not wanted; absent is True.

    Returns
    -------
    list of StageDescription
        In the order of `stages`.

    Raises
    ------
    StudyError
        If a module does not exist, is never run, or is run more than once in a
        forward pass, so that its path does not name one activation.
    """
    calls = _count_calls(network, stages.values(), x)
    wanted = straight_through or {}
    descriptions = []
    for name, path in stages.items():
        if calls[path] == 0:
            raise _never_run(network, path)
        if calls[path] > 1:
            parent = path.rpartition(".")[0]
            raise StudyError(
                f"stage {name!r}: module '{path}' is run {calls[path]} times in one "
                "forward pass, so it does not name one activation; name the block "
                f"around it{f', e.g. {parent!r}' if parent else ''}"
            )
        forward = StageForward(network, path, wanted.get(name, True))
        shape = tuple(forward.inspect(x).shape[1:])
        units = int(torch.Size(shape).numel())
        gradient = forward.gradient or PLAIN
        descriptions.append(StageDescription(name, path, gradient, shape, units))
    return descriptions


def check_stages(
    entry: dict[str, Any],
    stages: dict[str, str],
    input_shape: tuple[int, ...],
    straight_through: dict[str, bool] | None = None,
) -> list[StageDescription]:
    """Build a model's untrained network and see that its stages exist.

    Parameters
    ----------
    entry
        A resolved model entry, as `build_network` takes it.
    stages
        Name of each stage and the path of its module.
    input_shape
        Of one stimulus: (channels, height, width) or (samples,).
    straight_through
        As in `describe`.

    Returns
    -------
    list of StageDescription
        As from `describe`, on noise.

    Raises
    ------
    StudyError
        If the architecture or a stage does not exist, with the nearest name, or if
        the network does not take such stimuli.
    """
    network = build_network(entry, seed=0).eval().requires_grad_(False)
    return check_network(network, entry, stages, input_shape, straight_through)


def check_network(
    network: Network,
    entry: dict[str, Any],
    stages: dict[str, str],
    input_shape: tuple[int, ...],
    straight_through: dict[str, bool] | None = None,
) -> list[StageDescription]:
    """See that the stages of a network that is built exist; else as `check_stages`."""
    for name, path in stages.items():
        try:
            _find_module(network, path)
        except StudyError as error:
            raise StudyError(f"stage {name!r}: {error}") from None
    return describe(network, stages, example(entry, input_shape), straight_through)


def propose(network: Network, x: Tensor) -> dict[str, str]:
    """Propose stages of a network that nobody has chosen stages for yet.

    Parameters
    ----------
    network
        In evaluation mode.
    x
        A few stimuli, best natural ones.

    Returns
    -------
    dict of str to str
        Name of each stage and the path of its module, at most 10, in the order of the
        forward pass; ``final`` comes last.
    """
    # By name: what is proposed to a person is no part of how a result is made, and
    # the code fingerprint of a result must not follow it.
    proposal = importlib.import_module("metamers.networks.proposal")
    return proposal.propose_stages(network, x)


def example(entry: dict[str, Any], input_shape: tuple[int, ...]) -> Tensor:
    """Return two noise stimuli of a model's kind, for looking at its stages.

    Parameters
    ----------
    entry
        A resolved model entry; its ``modality`` is read.
    input_shape
        Of one stimulus.

    Returns
    -------
    Tensor
        (2, *input_shape), in [0, 1] for images and [-1, 1] for sounds.
    """
    generator = torch.Generator().manual_seed(0)
    if entry["modality"] == "vision":
        return torch.rand((2, *input_shape), generator=generator)
    return 0.1 * torch.randn((2, *input_shape), generator=generator).clamp(-10, 10)


def _count_calls(network: Network, paths: Iterable[str], x: Tensor) -> dict[str, int]:
    calls = dict.fromkeys(paths, 0)

    def counter(path: str) -> Callable[..., None]:
        def count(module: nn.Module, inputs: Any, output: Any) -> None:
            calls[path] += 1

        return count

    with ExitStack() as hooks, torch.no_grad():
        for path in calls:
            module = _find_module(network, path)
            hooks.enter_context(module.register_forward_hook(counter(path)))
        try:
            network(x)
        except StudyError:
            raise
        except (RuntimeError, AssertionError, ValueError) as error:
            raise StudyError(
                f"the network does not take stimuli of shape {tuple(x.shape[1:])}: "
                f"{error}; see preprocessing (resize, channels, front_end)"
            ) from error
    return calls


def _find_module(network: Network, path: str) -> nn.Module:
    if path == FRONT_END:
        return network.preprocessing
    modules = dict(network.body.named_modules())
    modules.pop("", None)
    if path not in modules:
        raise StudyError(
            f"the architecture has no module '{path}'{_nearest(path, modules)}; "
            "`metamers stages` proposes stages"
        )
    return modules[path]


def _nearest(path: str, modules: Iterable[str]) -> str:
    names = [FRONT_END, *modules]
    nearest = suggest(path, names)
    if nearest:
        return nearest
    # A wrong prefix hides a right end: "relu4" for "features.relu4".
    ends = [name for name in names if name.rpartition(".")[2] == path]
    return f"; did you mean '{ends[0]}'?" if ends else ""


def _never_run(network: Network, path: str) -> StudyError:
    children = [name for name, _ in _find_module(network, path).named_children()]
    inside = f"; inside it are {', '.join(children[:8])}" if children else ""
    return StudyError(
        f"module '{path}' takes no part in the forward pass, so it cannot be a "
        f"stage{inside}"
    )


def _single_tensor(output: Any, path: str) -> Tensor:
    if isinstance(output, Tensor):
        return output
    values = output.values() if isinstance(output, dict) else output
    if isinstance(values, Iterable):
        tensors = [value for value in values if isinstance(value, Tensor)]
        if len(tensors) == 1:
            return tensors[0]
    raise StudyError(
        f"module '{path}' returns a {type(output).__name__}, not one tensor, so it "
        "cannot be a stage; name a module inside it"
    )
