"""A metamer of any network, without a study or a workflow.

The three lines are ``from metamers.quick import make_metamer``, a network in evaluation
mode that takes stimuli in their own units, and
``make_metamer(network, "features.4", image)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from metamers.networks.network import ImagePreprocessing, Network, SoundPreprocessing
from metamers.networks.stages import StageForward
from metamers.synthesis.distances import distances
from metamers.synthesis.initial import BOUNDS, initial_noise
from metamers.synthesis.optimization import synthesize

INITIAL = {"vision": (0.5, 0.05), "audio": (0.0, 1e-7)}


@dataclass(frozen=True)
class QuickMetamer:
    """One metamer and how well it matches.

    Attributes
    ----------
    metamer, reference
        (channels, height, width) in [0, 1], or (samples,) in [-1, 1].
    loss, logged_step
        Matching loss at the logged steps; the last is that of the metamer.
    spearman, pearson, db_snr
        Distances between the activations of the two at the stage.
    gradient
        ``straight_through`` where the stage ends in a ReLU, else ``plain``.
    response, natural_response
        Index of the largest output for the metamer and for the reference.
    """

    metamer: np.ndarray
    reference: np.ndarray
    loss: np.ndarray
    logged_step: np.ndarray
    spearman: float
    pearson: float
    db_snr: float
    gradient: str
    response: int
    natural_response: int


def wrap(
    module: nn.Module,
    modality: str,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Network:
    """Put the preprocessing of a modality before a network."""
    if isinstance(module, Network):
        return module.eval().requires_grad_(False)
    for inner in module.modules():
        if getattr(inner, "inplace", False) is True:
            inner.inplace = False  # type: ignore[assignment]
    preprocessing: nn.Module
    if modality == "vision":
        preprocessing = ImagePreprocessing(
            mean=None if mean is None else list(mean),
            std=None if std is None else list(std),
        )
    else:
        preprocessing = SoundPreprocessing(None)
    return Network(preprocessing, module).eval().requires_grad_(False)


def make_metamer(
    network: nn.Module,
    stage: str,
    reference: np.ndarray | torch.Tensor,
    *,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    rounds: int = 8,
    steps_per_round: int = 100,
    first_step: float = 1.0,
    seed: int = 0,
) -> QuickMetamer:
    """Make one metamer of one stage (Feather et al. 2023, Methods).

    Parameters
    ----------
    network
        Any torch module from stimuli to outputs.
    stage
        Path of the module whose output is matched, as in ``network.named_modules()``.
    reference
        An image (channels, height, width) in [0, 1] or a sound (samples,) in [-1, 1].
    mean, std
        Of the images, by channel, where the network does not normalise by itself.
    rounds, steps_per_round, first_step
        The schedule: the step is halved after each round (published: 8 x 3000).
    seed
        Seed of the initial noise.

    Returns
    -------
    QuickMetamer
        The metamer with its loss, distances and the network's two answers.

    Raises
    ------
    metamers.errors.StudyError
        If there is no such stage; the message names the nearest.
    """
    natural = torch.as_tensor(reference, dtype=torch.float32)[None]
    modality = "vision" if natural.ndim == 4 else "audio"
    ready = wrap(network, modality, mean, std)
    forward = StageForward(ready, stage)
    target = forward.inspect(natural)
    center, deviation = INITIAL[modality]
    settings: dict[str, Any] = {
        "rounds": rounds,
        "steps_per_round": steps_per_round,
        "first_step": first_step,
        "initial_mean": center,
        "initial_deviation": deviation,
        "log_every": max(1, steps_per_round // 10),
        "dtype": "float32",
    }
    initial = initial_noise(
        ["reference"], natural.shape[1:], settings, seed, BOUNDS[modality]
    )
    result = synthesize(forward, natural, initial, settings)
    metamer = torch.as_tensor(result.metamer, dtype=torch.float32)
    with torch.no_grad():
        spearman, pearson, db_snr = distances(forward(metamer), target)[0].tolist()
        answers = ready(torch.cat([metamer, natural])).flatten(1).argmax(1).tolist()
    return QuickMetamer(
        metamer=result.metamer[0],
        reference=natural[0].numpy(),
        loss=result.loss[0],
        logged_step=result.logged_step,
        spearman=spearman,
        pearson=pearson,
        db_snr=db_snr,
        gradient=str(forward.gradient),
        response=answers[0],
        natural_response=answers[1],
    )
