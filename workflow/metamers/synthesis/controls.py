"""Controls that say whether what metamers show is the invariance or the method.

Would longer optimization change how they are recognized? Is it the size of their
difference from the reference that makes them unrecognizable, or its direction?
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from metamers.networks.network import Network
from metamers.randomness import numpy_generator
from metamers.stimuli.files import Split
from metamers.synthesis.initial import BOUNDS
from metamers.synthesis.shard_job import synthesize_shard
from metamers.synthesis.shards import MetamerShard, select_shard

logger = logging.getLogger(__name__)

# Halvings of the interval in which the noise's scale is sought: enough for float64.
BISECTIONS = 60
LARGEST_SCALE = 1e6


def longer_settings(settings: Mapping[str, Any], factor: int) -> dict[str, Any]:
    """Return synthesis settings with `factor` times the steps of each round."""
    return {**settings, "steps_per_round": settings["steps_per_round"] * factor}


def longer_synthesis(
    network: Network,
    entry: Mapping[str, Any],
    stage: str,
    path: str,
    straight_through: bool,
    reference: Split,
    settings: Mapping[str, Any],
    step_factor: int,
    seed: int,
    device: str | torch.device = "cpu",
    state_path: str | Path | None = None,
    fingerprint: str = "",
    save_seconds: float = 60.0,
    model: str = "",
) -> list[MetamerShard]:
    """Make the metamers of all references at one stage with more steps a round.

    Everything else is as in the standard synthesis: the initial noise, the first step,
    its halvings and the shards.

    Parameters
    ----------
    network, entry, stage, path, straight_through, settings, seed, device
        As for `metamers.synthesis.shard_job.synthesize_shard`.
    reference
        All references.
    step_factor
        How many times the steps of a round.
    state_path
        Where the state of shard k is kept: this path with ``.k`` added. Shards that are
        made keep theirs too, so that a killed job need not make them again.
    fingerprint, save_seconds, model
        As for `metamers.synthesis.shard_job.synthesize_shard`.

    Returns
    -------
    list of MetamerShard
        In the order of the references.
    """
    longer, size = longer_settings(settings, step_factor), settings["shard_size"]
    shards = []
    for number in range(-(-len(reference) // size)):
        kept = None if state_path is None else Path(f"{state_path}.{number}")
        shards.append(
            synthesize_shard(
                network,
                entry,
                stage,
                path,
                straight_through,
                select_shard(reference, number, size),
                longer,
                seed,
                device,
                kept,
                fingerprint,
                save_seconds,
                model,
            )
        )
    return shards


def noise_control(
    reference: np.ndarray,
    metamer: np.ndarray,
    stimulus_ids: np.ndarray,
    modality: str,
    seed: int,
) -> np.ndarray:
    """Add white noise to references that differs from them as much as metamers do.

    The noise is normal; what leaves the range of a stimulus is clipped, and the noise
    is scaled so that the root mean square of what is left after clipping is that of
    metamer minus reference, stimulus by stimulus.

    Parameters
    ----------
    reference, metamer
        (n, ...), in stimulus units.
    stimulus_ids
        Ids (n) of the references; the noise depends on the id and the seed.
    modality
        ``vision`` or ``audio``.
    seed
        The seed of the study.

    Returns
    -------
    ndarray
        float32 (n, ...). Where even noise of unlimited size falls short of the
        metamer's error, as can be since clipping bounds it, the noise is that.
    """
    low, high = BOUNDS[modality]
    noisy = np.empty(reference.shape, dtype=np.float32)
    for row, stimulus_id in enumerate(stimulus_ids):
        generator = numpy_generator(seed, "noise control", str(stimulus_id))
        noise = generator.standard_normal(reference.shape[1:])
        natural = reference[row].astype(np.float64)
        error = root_mean_square(metamer[row].astype(np.float64) - natural)
        if not np.isfinite(error):
            error = 0.0  # a metamer that is no stimulus; screening has failed it
        scale = clipped_scale(natural, noise, error, (low, high))
        noisy[row] = (natural + scale * noise).clip(low, high)
        reached = root_mean_square(noisy[row] - natural)
        if not np.isclose(reached, error, rtol=1e-3, atol=1e-6):
            logger.warning(
                "%s: clipped noise reaches an error of %.4g, the metamer's is %.4g",
                stimulus_id,
                reached,
                error,
            )
    return noisy


def clipped_scale(
    natural: np.ndarray, noise: np.ndarray, error: float, bounds: tuple[float, float]
) -> float:
    """Return the scale at which noise, added and clipped, has a given RMS.

    The error grows with the scale, so that halving an interval finds it.
    """
    low, high = 0.0, max(error, np.finfo(float).tiny)
    while high < LARGEST_SCALE and clipped_error(natural, noise, high, bounds) < error:
        low, high = high, 2 * high
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        if clipped_error(natural, noise, middle, bounds) < error:
            low = middle
        else:
            high = middle
    return high


def clipped_error(
    natural: np.ndarray, noise: np.ndarray, scale: float, bounds: tuple[float, float]
) -> float:
    """Return the RMS error of a stimulus after adding scaled noise and clipping."""
    return root_mean_square((natural + scale * noise).clip(*bounds) - natural)


def root_mean_square(values: np.ndarray) -> float:
    """Return the root mean square over all values."""
    return float(np.sqrt(np.mean(values**2)))
