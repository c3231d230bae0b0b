"""The metamers of one shard: synthesis, distances, and the network's own answers."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from metamers.networks.network import Network
from metamers.networks.stages import StageForward
from metamers.provenance import settings_hash
from metamers.recognition.decisions import decide
from metamers.recognition.presentation import as_presented
from metamers.stimuli.files import Split
from metamers.synthesis.distances import distances
from metamers.synthesis.initial import BOUNDS, initial_noise
from metamers.synthesis.matching import choose_matching
from metamers.synthesis.measures import NO_RESPONSE
from metamers.synthesis.numerics import reproducible
from metamers.synthesis.optimization import compute_dtype, synthesize
from metamers.synthesis.shards import MetamerShard, reference_checksum

logger = logging.getLogger(__name__)


def synthesize_shard(
    network: Network,
    entry: Mapping[str, Any],
    stage: str,
    path: str,
    straight_through: bool,
    reference: Split,
    settings: Mapping[str, Any],
    seed: int,
    device: str | torch.device = "cpu",
    state_path: str | Path | None = None,
    fingerprint: str = "",
    save_seconds: float = 60.0,
    model: str = "",
) -> MetamerShard:
    """Make the metamers of some references at one stage, as one batch.

    Parameters
    ----------
    network
        The generating network, with its weights; it is moved to `device`, to the dtype
        of the settings and to eval mode.
    entry
        Its resolved model entry.
    stage, path
        The stage's name and its module's path.
    straight_through
        Whether a ReLU that the stage ends in passes the gradient unchanged.
    reference
        The natural stimuli of the shard (`metamers.synthesis.shards.select_shard`).
    settings
        The synthesis settings; ``matching`` and ``smoothness`` may be absent.
    seed
        The seed of the study.
    device
        Where to compute.
    state_path
        Where the state is kept so that a killed job goes on, until
        `metamers.resume.discard`; None keeps none.
    fingerprint
        Hash of the code, if a state of other code is not to be used.
    save_seconds
        Time between two saves of the state.
    model
        The network's name in the study; units drawn at random depend on it.

    Returns
    -------
    MetamerShard
        Distances are those of the metamer as synthesized, the response is that to the
        metamer as a person would get it.
    """
    dtype, bounds = compute_dtype(settings), BOUNDS[entry["modality"]]
    network = network.to(device=device, dtype=dtype).eval().requires_grad_(False)
    natural = reference.values()
    target_stimuli = torch.from_numpy(natural).to(device=device, dtype=dtype)
    target_stimuli = network.as_optimized(target_stimuli)
    shape = target_stimuli.shape[1:]
    initial = initial_noise(reference.id, shape, settings, seed, bounds)
    stage_forward = StageForward(network, path, straight_through)
    matching = choose_matching(
        settings, network, path, reference.id, seed, model, stage
    )
    content = {
        "path": path,
        "straight_through": straight_through,
        "weights": weights_checksum(network),
        "decision": entry["task"]["decision"],
        "code": fingerprint,
    }
    logger.info("stage %s: %d metamers", stage, len(reference))
    with reproducible(device, settings.get("threads")):
        made = synthesize(
            stage_forward,
            target_stimuli,
            initial,
            settings,
            bounds=bounds,
            matching=matching,
            state_path=state_path,
            fingerprint=settings_hash(content),
            interval_seconds=save_seconds,
        )
        with torch.no_grad():
            metamer = torch.from_numpy(made.metamer).to(target_stimuli)
            measured = distances(stage_forward(metamer), stage_forward(target_stimuli))
    decision, modality = entry["task"]["decision"], entry["modality"]
    return MetamerShard(
        metamer=made.metamer.astype(np.float32),
        stimulus_id=reference.id,
        loss=made.loss,
        logged_step=made.logged_step,
        distances=measured.cpu().numpy(),
        response=answer(network, made.metamer, modality, decision, target_stimuli),
        natural_response=answer(network, natural, modality, decision, target_stimuli),
        gradient=stage_forward.gradient or "",
        reference_checksum=reference_checksum(reference),
    )


def answer(
    network: Network,
    stimuli: np.ndarray,
    modality: str,
    decision: Mapping[str, Any],
    like: Tensor,
) -> np.ndarray:
    """Return the network's answer to each stimulus as a person would get it.

    Parameters
    ----------
    network
        In eval mode.
    stimuli
        (n, ...) in stimulus units.
    modality, decision
        What the stimuli are, and how outputs become an answer.
    like
        A tensor of the network's dtype and device.

    Returns
    -------
    ndarray
        int64 (n): index of the answer; -1 for a stimulus that is not all numbers.
    """
    usable = np.isfinite(stimuli).reshape(len(stimuli), -1).all(axis=1)
    response = np.full(len(stimuli), NO_RESPONSE, dtype=np.int64)
    if usable.any():
        shown = as_presented(stimuli[usable], modality)
        with torch.no_grad():
            logits = network(torch.from_numpy(shown).to(like))
        response[usable] = decide(logits.float().cpu().numpy(), decision)
    return response


def weights_checksum(network: Network) -> str:
    """Return the sha256 of all weights and buffers, by name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).numpy().tobytes())
    return digest.hexdigest()
