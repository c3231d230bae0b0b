"""Learning rates as functions of the step: resuming needs no state of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from metamers.errors import StudyError, suggest

KINDS = ("one_cycle", "step")
# The shape of the one-cycle policy (Smith & Topin 2017) as torch's OneCycleLR has it:
# how much of it rises, and where it starts and ends relative to its peak.
RISING = 0.3
START_DIVISOR = 25.0
END_DIVISOR = START_DIVISOR * 1e4


def learning_rate(
    training: Mapping[str, Any], step: int, steps_per_epoch: int
) -> float:
    """Return the learning rate of one step.

    Parameters
    ----------
    training
        The training section: ``learning_rate`` (the peak, or the first of a step
        schedule), ``epochs`` and ``schedule``: ``{"kind": "one_cycle"}``, or
        ``{"kind": "step", "every": epochs, "factor": number}``, which multiplies the
        rate by the factor after each ``every`` epochs. With ``warm_up_steps`` the
        rate of the schedule is reached on a straight line from 0.
    step
        From 0 to epochs x `steps_per_epoch` - 1.
    steps_per_epoch
        Batches an epoch.

    Returns
    -------
    float
        The rate.

    Raises
    ------
    StudyError
        If the schedule is of another kind.
    """
    scheduled = _scheduled(training, step, steps_per_epoch)
    warm_up = training.get("warm_up_steps") or 0
    return scheduled * step / warm_up if step < warm_up else scheduled


def _scheduled(training: Mapping[str, Any], step: int, steps_per_epoch: int) -> float:
    """Return the learning rate of one step without warming up."""
    schedule, peak = training["schedule"], float(training["learning_rate"])
    if schedule["kind"] == "step":
        falls = step // steps_per_epoch // schedule["every"]
        return peak * float(schedule["factor"]) ** falls
    if schedule["kind"] != "one_cycle":
        raise StudyError(
            f"training.schedule.kind is '{schedule['kind']}'; allowed are "
            + " and ".join(KINDS)
            + suggest(schedule["kind"], KINDS)
        )
    last = training["epochs"] * steps_per_epoch - 1
    top = max(RISING * (last + 1) - 1, 0.0)
    if step <= top:
        return _cosine(peak / START_DIVISOR, peak, step / top if top else 1.0)
    return _cosine(peak, peak / END_DIVISOR, (step - top) / (last - top))


def _cosine(start: float, end: float, fraction: float) -> float:
    """Go from `start` to `end` along half a cosine."""
    return end + (start - end) / 2 * (1 + math.cos(math.pi * fraction))
