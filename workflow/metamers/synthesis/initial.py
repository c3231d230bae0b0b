"""The noise that a metamer starts from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from metamers.randomness import numpy_generator

# The range of a stimulus: pixel values and sound pressure.
BOUNDS: dict[str, tuple[float, float]] = {"vision": (0.0, 1.0), "audio": (-1.0, 1.0)}


def initial_noise(
    stimulus_ids: Sequence[str] | np.ndarray,
    shape: Sequence[int],
    settings: Mapping[str, Any],
    seed: int,
    bounds: tuple[float, float],
) -> np.ndarray:
    """Draw the normal noise that the metamers of some stimuli start from.

    The noise of a stimulus depends on the seed and its id alone, so that all stages
    and all networks start from the same sample (Feather et al. 2023, Methods).

    Parameters
    ----------
    stimulus_ids
        Ids of the n references.
    shape
        Shape of one stimulus.
    settings
        The synthesis settings: ``initial_mean`` and ``initial_deviation``, in
        stimulus units.
    seed
        The seed of the study.
    bounds
        Lowest and highest value of a stimulus; the noise is clamped to them.

    Returns
    -------
    ndarray
        float32, (n, *shape).
    """
    noise = np.empty((len(stimulus_ids), *shape), dtype=np.float32)
    for row, stimulus_id in enumerate(stimulus_ids):
        generator = numpy_generator(seed, "initial", str(stimulus_id))
        noise[row] = generator.standard_normal(shape, dtype=np.float32)
    noise *= np.float32(settings["initial_deviation"])
    noise += np.float32(settings["initial_mean"])
    return noise.clip(*bounds)
