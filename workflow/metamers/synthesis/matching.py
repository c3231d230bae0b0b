"""Which units of a stage the loss is taken over, at each step.

For two of its models the study did not match the whole stage all the time (Feather et
al. 2023, Methods; the study's released code, custom_synthesis_losses.py). In every
round but the last,

random_unit (HMAX)
    the first steps match one unit, channel or list element, drawn anew at intervals;
growing_filters (SpecTemp)
    the filters that are matched begin with the lowest modulation rates and grow.

The module of a stage may say what the stage consists of, by one of two attributes:

``group_sizes``
    lengths of the parts that one stimulus's activation, flattened, divides into; they
    follow one another and sum to its units. Without it each index of the first axis
    after the stimuli is a part: a channel, or a unit of a flat stage.
``filter_rates``
    (filters, 2): temporal rate (Hz, of either sign) and spectral rate (cycles per ERB)
    of each index of that axis. A stage without it is matched whole where filters grow.

Nothing here has a state: what is matched follows from the number of the step, so that
a synthesis that was interrupted goes on to the same bits, and from the stimulus's id,
so that its shard does not matter.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from metamers.errors import StudyError, suggest
from metamers.networks.network import Network
from metamers.networks.stages import FRONT_END
from metamers.randomness import numpy_generator

WHOLE, RANDOM_UNIT, GROWING_FILTERS = "whole", "random_unit", "growing_filters"
KINDS = (WHOLE, RANDOM_UNIT, GROWING_FILTERS)
# The steps of the study, for settings that say no others.
PUBLISHED = {"first_steps": 400, "redraw_every": 50, "grow_every": 400}
# A filter is in if its temporal rate (Hz) is at most the first number or its spectral
# rate (cycles per ERB) at most the second.
GROWTH = (
    (0.0, 0.0),
    (0.5, 0.0625),
    (1.0, 0.125),
    (2.0, 0.25),
    (4.0, 0.5),
    (8.0, 1.0),
    (16.0, 2.0),
)

Phase = tuple[int, int]


class Subset(Protocol):
    """Some units of a stage."""

    def restrict(self, activation: Tensor) -> Tensor:
        """Set the other units of (n, ...) to 0, in place where that is possible."""


class Matching(Protocol):
    """What is matched at which step."""

    def phase(self, step: int) -> Phase | None:
        """Return what names the units matched at a step (from 0); None for all."""

    def subset(self, phase: Phase, target: Tensor) -> Subset:
        """Return those units of a stage with activations such as `target` (n, ...)."""


@dataclass(frozen=True)
class Parts:
    """For each stimulus one run of its flattened activation.

    Attributes
    ----------
    runs
        First unit, and the one after the last, of each stimulus.
    """

    runs: tuple[tuple[int, int], ...]

    def restrict(self, activation: Tensor) -> Tensor:
        """Set all units outside the runs to 0."""
        flat = activation.flatten(1)
        for row, (start, stop) in zip(flat, self.runs, strict=True):
            row[:start] = 0
            row[stop:] = 0
        return flat.view(activation.shape)


@dataclass(frozen=True)
class Channels:
    """The same channels for all stimuli.

    Attributes
    ----------
    left_out
        Of each channel whether it is not matched: bool (channels, 1, ...).
    """

    left_out: Tensor

    def restrict(self, activation: Tensor) -> Tensor:
        """Set the channels that are left out to 0."""
        return activation.masked_fill_(self.left_out, 0)


@dataclass(frozen=True)
class RandomUnit:
    """At the beginning of each round but the last, one random part for each stimulus.

    Attributes
    ----------
    group_sizes
        Of the stage's module; None where it has none.
    stimulus_ids
        Of the references, in order.
    seed, model, stage
        The study's seed, and the names that, with the id, the round and the number of
        the draw in it, the draw depends on.
    rounds, steps_per_round
        Of the synthesis.
    first_steps
        Steps of a round with one part.
    redraw_every
        Steps between draws.
    """

    group_sizes: tuple[int, ...] | None
    stimulus_ids: tuple[str, ...]
    seed: int
    model: str
    stage: str
    rounds: int
    steps_per_round: int
    first_steps: int
    redraw_every: int

    def phase(self, step: int) -> Phase | None:
        """Return the round and the number of the draw in it, both from 0."""
        number, place = divmod(step, self.steps_per_round)
        if number >= self.rounds - 1 or place >= self.first_steps:
            return None
        return number, place // self.redraw_every

    def subset(self, phase: Phase, target: Tensor) -> Parts:
        """Return the part that is drawn for each stimulus."""
        sizes = self.group_sizes or channel_sizes(target)
        ends = list(itertools.accumulate(sizes))
        if ends[-1] != target[0].numel():
            raise ValueError(
                f"the stage's group_sizes sum to {ends[-1]}, and it has "
                f"{target[0].numel()} units"
            )
        runs = []
        for stimulus_id in self.stimulus_ids:
            drawn = numpy_generator(
                self.seed, "matched unit", self.model, self.stage, stimulus_id, *phase
            ).integers(len(sizes))
            runs.append((ends[drawn] - sizes[drawn], ends[drawn]))
        return Parts(tuple(runs))


@dataclass(frozen=True)
class GrowingFilters:
    """In each round but the last, filters of ever higher modulation rates.

    Attributes
    ----------
    filter_rates
        Temporal and spectral rate of each filter.
    rounds, steps_per_round
        Of the synthesis.
    grow_every
        Steps after which the next of `GROWTH` holds.
    """

    filter_rates: tuple[tuple[float, float], ...]
    rounds: int
    steps_per_round: int
    grow_every: int

    def phase(self, step: int) -> Phase | None:
        """Return the round and the row of `GROWTH`; None once all filters are in."""
        number, place = divmod(step, self.steps_per_round)
        level = place // self.grow_every
        if number >= self.rounds - 1 or level >= len(GROWTH):
            return None
        return None if all(self.included(level)) else (number, level)

    def included(self, level: int) -> list[bool]:
        """Say of each filter whether it is in at a row of `GROWTH`."""
        highest_temporal, highest_spectral = GROWTH[level]
        return [
            abs(temporal) <= highest_temporal or abs(spectral) <= highest_spectral
            for temporal, spectral in self.filter_rates
        ]

    def subset(self, phase: Phase, target: Tensor) -> Channels:
        """Return the filters that are in."""
        left_out = ~torch.tensor(self.included(phase[1]), device=target.device)
        return Channels(left_out.view(-1, *[1] * (target.ndim - 2)))


def channel_sizes(target: Tensor) -> tuple[int, ...]:
    """Return the units of each index of the first axis after the stimuli."""
    channels = target.shape[1]
    return (target[0].numel() // channels,) * channels


def choose_matching(
    settings: Mapping[str, Any],
    network: Network,
    path: str,
    stimulus_ids: Sequence[str] | np.ndarray,
    seed: int,
    model: str,
    stage: str,
) -> Matching | None:
    """Return what is matched at one stage of a model.

    Parameters
    ----------
    settings
        The synthesis settings: ``rounds``, ``steps_per_round`` and, where the whole
        stage is not matched all the time, ``matching`` with ``kind`` and the numbers
        of steps ``first_steps``, ``redraw_every`` and ``grow_every``.
    network, path
        The generating network and the path of the stage's module.
    stimulus_ids
        Of the references, in order.
    seed, model, stage
        The study's seed and the names of model and stage.

    Returns
    -------
    Matching or None
        None where the whole stage is matched at every step.

    Raises
    ------
    StudyError
        For an unknown kind, a number of steps below 1, or growing filters in a network
        that has no ``filter_rates``.
    """
    section = PUBLISHED | dict(settings.get("matching") or {"kind": WHOLE})
    check_section(section)
    module = network.body.get_submodule(path) if path != FRONT_END else None
    schedule = settings["rounds"], settings["steps_per_round"]
    if section["kind"] == RANDOM_UNIT:
        sizes = getattr(module, "group_sizes", None)
        return RandomUnit(
            None if sizes is None else tuple(sizes),
            tuple(map(str, stimulus_ids)),
            seed,
            model,
            stage,
            *schedule,
            section["first_steps"],
            section["redraw_every"],
        )
    if section["kind"] == GROWING_FILTERS:
        if not any(hasattr(one, "filter_rates") for one in network.modules()):
            raise StudyError(
                f"synthesis.matching.kind: {GROWING_FILTERS!r} needs a network whose "
                "filters have modulation rates (metamers:SpecTemp); choose "
                f"{WHOLE!r}"
            )
        rates = getattr(module, "filter_rates", None)
        if rates is not None:
            pairs = tuple((t, s) for t, s in rates.tolist())
            return GrowingFilters(pairs, *schedule, section["grow_every"])
    return None


def check_section(section: Mapping[str, Any]) -> None:
    """Raise `StudyError` for a ``matching`` section that means nothing."""
    kind = section["kind"]
    if kind not in KINDS:
        raise StudyError(
            f"synthesis.matching.kind: {kind!r} is not one of {', '.join(KINDS)}"
            f"{suggest(kind, KINDS)}"
        )
    for name, published in PUBLISHED.items():
        if section[name] < 1:
            raise StudyError(
                f"synthesis.matching.{name} is {section[name]}; it is a number of "
                f"steps, at least 1 (published: {published})"
            )
