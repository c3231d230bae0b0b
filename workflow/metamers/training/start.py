"""How a network that is not trained here begins: published weights, or none."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import nn

from metamers.errors import StudyError
from metamers.networks.network import Network, load_weights
from metamers.randomness import numpy_generator
from metamers.training.data import TrainingStimuli

# Enough for the mean and variance of each channel; one batch more changes little.
STATISTICS_BATCHES = 10
STATISTICS_BATCH_SIZE = 100


def load_given_weights(network: Network, weights: Mapping[str, str | None]) -> None:
    """Load weights from a path or URL, after checking that they are the right ones.

    Parameters
    ----------
    network
        Every weight of it must be in the file, and no other.
    weights
        ``path`` or ``url``, and ``sha256`` (required for a URL).

    Raises
    ------
    StudyError
        If the file is missing, of another checksum, or does not fit the network.
    """
    path = weights.get("path")
    expected = weights.get("sha256")
    if path is None:
        load_weights(network, _fetch(weights.get("url"), expected))
        return
    if not Path(path).is_file():
        raise StudyError(f"weights.path: there is no file {path} (from {Path.cwd()})")
    if expected is not None:
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != expected.lower():
            raise StudyError(
                f"weights.sha256 is {expected}, but {path} has {found}: it is another "
                "file, or was not downloaded whole"
            )
    load_weights(network, path)


def set_batch_norm_statistics(
    network: nn.Module,
    stimuli: TrainingStimuli,
    device: str | torch.device = "cpu",
    batches: int = STATISTICS_BATCHES,
) -> None:
    """Set batch-norm statistics to averages over training stimuli, and nothing else.

    Parameters
    ----------
    network
        Its batch-norm layers get the mean over batches of each channel's mean and
        variance; weights and all other layers stay as they are.
    stimuli
        Training stimuli.
    device
        Where the network is.
    batches
        How many batches of 100 to average over.
    """
    norms = [
        module
        for module in network.modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
        and module.track_running_stats
    ]
    order = numpy_generator(stimuli.seed, "statistics").permutation(len(stimuli))
    chosen = order[: batches * STATISTICS_BATCH_SIZE]
    parts = np.array_split(chosen, max(len(chosen) // STATISTICS_BATCH_SIZE, 1))
    with _cumulative(network, norms), torch.no_grad():
        for part in parts:
            x, _ = stimuli.batch("statistics", part, device)
            network(x)


@contextmanager
def _cumulative(
    network: nn.Module, norms: list[nn.modules.batchnorm._BatchNorm]
) -> Iterator[None]:
    """Let batch-norm layers alone learn, by a plain average over batches."""
    was_training = network.training
    momenta = [norm.momentum for norm in norms]
    network.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    yield
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.train(was_training)


def _fetch(url: str | None, sha256: str | None) -> Path:
    """Download a file once into the user's cache, and check it."""
    import pooch

    if url is None or sha256 is None:
        raise StudyError(
            "weights need a path, or a url together with its sha256; they have "
            f"url {url}, sha256 {sha256}"
        )
    try:
        fetched = pooch.retrieve(
            url, known_hash=f"sha256:{sha256.lower()}", path=pooch.os_cache("metamers")
        )
    except ValueError as error:
        raise StudyError(f"weights.url {url}: {error}") from error
    return Path(fetched)
