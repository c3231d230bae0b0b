"""How a network that is not trained here begins: published weights, or none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import torch
from torch import nn

from metamers.downloads import download, sha256_of
from metamers.errors import StudyError
from metamers.networks.checkpoints import load_checkpoint
from metamers.networks.network import Network
from metamers.randomness import numpy_generator
from metamers.training.data import TrainingStimuli

# Enough for the mean and variance of each channel; one batch more changes little.
STATISTICS_BATCHES = 10
STATISTICS_BATCH_SIZE = 100


def load_given_weights(
    network: Network,
    weights: Mapping[str, Any],
    training: Mapping[str, Any] | None = None,
) -> None:
    """Load weights from a path or URL, after checking that they are the right ones.

    Parameters
    ----------
    network
        Every weight of it must be in the file, and no other.
    weights
        ``path`` or ``url``, ``sha256`` (required for a URL), ``head`` (file of the
        read-out that the first one lacks), and of public weights their ``rules``
        (`metamers.networks.checkpoints.load_checkpoint`).
    training
        The recipe of a training that begins with these weights. What it trains may be
        missing: its ``trainable`` modules, or, where all learn, those that the public
        weights are known to lack.

    Raises
    ------
    StudyError
        If a file is missing, of another checksum, or does not fit the network.
    """
    path, expected = weights.get("path"), weights.get("sha256")
    rules = weights.get("rules") or {}
    if path is None:
        path = _fetch(weights.get("url"), expected)
    elif not Path(path).is_file():
        raise StudyError(f"weights.path: there is no file {path} (from {Path.cwd()})")
    elif expected is not None and (found := sha256_of(path)) != expected:
        raise StudyError(
            f"weights.sha256 is {expected}, but {path} has {found}: it is another "
            "file, or was not downloaded whole"
        )
    may_lack: Sequence[str] = ()
    if training is not None:
        may_lack = training.get("trainable") or rules.get("lacks", ())
    head = weights.get("head")
    load_checkpoint(network.body, path, rules, head=head, may_lack=may_lack)


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

    def check(path: Path) -> None:
        if (found := sha256_of(path)) != sha256:
            raise StudyError(
                f"weights.url {url}: its sha256 is {found}, not {sha256}: it is "
                "another file, or something on the way changes it"
            )

    suffix = PurePosixPath(urlsplit(url).path).suffix
    target = Path(pooch.os_cache("metamers")) / f"{sha256}{suffix}"
    if not target.is_file() or sha256_of(target) != sha256:
        download(url, target, check, "without network, give the file by weights.path")
    return target
