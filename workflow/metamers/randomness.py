"""Random streams derived from the study's one seed by what they are used for.

A stream depends on its purpose and on the stimulus it serves, never on the order in
which jobs run, on the size of a shard or on the number of cores.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def derive_seed(seed: int, *parts: str | int) -> int:
    """Derive the seed of one use from the study's seed.

    Parameters
    ----------
    seed
        The seed of the study.
    *parts
        What the stream is for, e.g. ``("initial", "alexnet", "digit_0012")``.

    Returns
    -------
    int
        A seed in [0, 2**63).
    """
    text = "\x1f".join([str(seed), *(str(part) for part in parts)])
    digest = hashlib.sha256(text.encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def numpy_generator(seed: int, *parts: str | int) -> np.random.Generator:
    """Return the NumPy generator of one use; arguments as in `derive_seed`."""
    return np.random.default_rng(derive_seed(seed, *parts))


def torch_generator(
    seed: int, *parts: str | int, device: str = "cpu"
) -> torch.Generator:
    """Return the torch generator of one use; arguments as in `derive_seed`."""
    import torch

    return torch.Generator(device=device).manual_seed(derive_seed(seed, *parts))
