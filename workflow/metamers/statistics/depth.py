"""Positions in a network: early and late stages, and measures over relative depth.

Stage i of n (natural stimuli are stage 0) has the relative depth i / n, so that
networks of different numbers of stages can be laid beside each other.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from metamers.statistics.bootstrap import Floats

STAGE_CHOICES = ("early", "late", "final", "all")
# The drop-off: where recognition has fallen to this share of that of natural stimuli.
DROP_OFF_SHARE = 0.5


def choose_stages(count: int, which: str) -> list[int]:
    """List the stages that a claim is about.

    Parameters
    ----------
    count
        Number of stages of the network, natural stimuli not counted.
    which
        ``early``: those that end within the first third (at least the first one);
        ``late``: those that end within the last third; ``final``; ``all``.

    Returns
    -------
    list of int
        Stage indices from 1.
    """
    if which not in STAGE_CHOICES:
        raise ValueError(f"stages {which!r}; allowed are {', '.join(STAGE_CHOICES)}")
    indices = range(1, count + 1)
    if which == "early":
        return [index for index in indices if 3 * index <= count] or [1]
    if which == "late":
        return [index for index in indices if 3 * index > 2 * count]
    return [count] if which == "final" else list(indices)


def area_over_depth(recognition: Floats) -> Floats:
    """Return the area under recognition relative to natural, over relative depth.

    Parameters
    ----------
    recognition
        (draws, 1 + stages) proportions correct, the natural stimuli first. A stage
        that is NaN is left out, and the line drawn from its neighbors; where the last
        is, the value before it is carried on.

    Returns
    -------
    ndarray
        (draws,) trapezoid from depth 0 (natural, 1 by definition) to depth 1. 1 where
        recognition never falls; NaN where natural stimuli are never recognized.
    """
    natural = recognition[:, :1]
    empty = np.full(recognition.shape, np.nan)
    relative = np.divide(recognition, natural, out=empty, where=natural > 0)
    depth = np.arange(recognition.shape[1]) / (recognition.shape[1] - 1)
    complete = np.isfinite(relative).all(axis=1)
    area = np.full(len(relative), np.nan)
    area[complete] = np.trapezoid(relative[complete], depth, axis=1)
    for draw in np.flatnonzero(~complete & np.isfinite(relative[:, 0])):
        known = np.isfinite(relative[draw])
        filled = np.interp(depth, depth[known], relative[draw, known])
        area[draw] = np.trapezoid(filled, depth)
    return area


def drop_off_depth(recognition: NDArray[np.floating]) -> float:
    """Return the relative depth at which recognition first falls to half of natural.

    Parameters
    ----------
    recognition
        (1 + stages,) proportions correct, the natural stimuli first; NaN is left out.

    Returns
    -------
    float
        In (0, 1], interpolated between stages; NaN where recognition never falls so
        far, or natural stimuli are never recognized.
    """
    depth = np.arange(recognition.size) / (recognition.size - 1)
    known = np.isfinite(recognition)
    if not known[0] or recognition[0] <= 0:
        return float("nan")
    depth, relative = depth[known], recognition[known] / recognition[0]
    fallen = np.flatnonzero(relative <= DROP_OFF_SHARE)
    if fallen.size == 0:
        return float("nan")
    last = fallen[0]
    before, after = relative[last - 1], relative[last]
    share = (before - DROP_OFF_SHARE) / (before - after)
    return float(depth[last - 1] + share * (depth[last] - depth[last - 1]))
