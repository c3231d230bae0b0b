"""Null distributions: how alike a stage finds two different natural stimuli.

A metamer is a match only if its activations are more like those of its reference than
those of any pair of different natural stimuli are (Feather et al. 2023, Methods; the
study's released code, analysis_scripts/make_null_distributions.py). Pairs are of
training stimuli passed through the training augmentation.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from metamers.errors import StudyError
from metamers.randomness import numpy_generator
from metamers.resume import ResumeState
from metamers.synthesis.measures import MEASURES, at_ceiling
from metamers.synthesis.null_files import (
    Null,
    NullDistribution,
    read_null,
    write_null,
)

if TYPE_CHECKING:
    import torch

    from metamers.networks.network import Network

__all__ = ["NullAccumulator", "pair_batches", "read_null", "sample_null", "write_null"]

logger = logging.getLogger(__name__)

# Bins of the histograms: correlations over their whole range, levels over what
# different stimuli can give; levels beyond are counted in the outermost bins.
EDGES = {
    "spearman": np.linspace(-1.0, 1.0, 4001),
    "pearson": np.linspace(-1.0, 1.0, 4001),
    "db_snr": np.linspace(-100.0, 100.0, 8001),
}
# Up to this many pairs all values are kept and quantiles are exact; beyond, they are
# read off the histogram, within a bin (0.0005 and 0.025 dB) of the exact ones.
EXACT_PAIRS = 100_000
QUANTILE_LEVELS = np.concatenate(
    [np.arange(1000) / 1000, [0.9995, 0.9999, 0.99995, 0.99999, 1.0]]
)

# From indices into the training stimuli (n) and the number of the pass through them
# to the stimuli (n, ...) in stimulus units, as training shows them.
Augment = Callable[[np.ndarray, int], "torch.Tensor | np.ndarray"]


class NullAccumulator:
    """One measure's distribution at one stage, in memory that does not grow.

    Parameters
    ----------
    measure
        The measure's name.
    pairs
        Number of pairs to come.
    units
        Units of the stage.
    """

    def __init__(self, measure: str, pairs: int, units: int) -> None:
        self.measure, self.pairs, self.units = measure, pairs, units
        self.edges = EDGES[measure]
        self.counts = np.zeros(len(self.edges) - 1, dtype=np.int64)
        self.minimum, self.maximum = np.inf, -np.inf
        self.added = 0
        self._values = np.empty(pairs) if pairs <= EXACT_PAIRS else None

    def add(self, values: np.ndarray) -> None:
        """Add the values (n) of some pairs; they must be numbers."""
        if self._values is not None:
            self._values[self.added : self.added + len(values)] = values
        self.added += len(values)
        self.minimum = min(self.minimum, float(values.min()))
        self.maximum = max(self.maximum, float(values.max()))
        inside = values.clip(self.edges[0], self.edges[-1])
        self.counts += np.histogram(inside, self.edges)[0]

    def snapshot(self) -> dict[str, np.ndarray]:
        """Return all that was added so far, as arrays."""
        saved = {
            "counts": self.counts,
            "range": np.array([self.minimum, self.maximum]),
            "added": np.array(self.added),
            "units": np.array(self.units),
        }
        if self._values is not None:
            saved["values"] = self._values[: self.added]
        return saved

    def restore(self, saved: Mapping[str, np.ndarray]) -> None:
        """Go to the state that a snapshot recorded."""
        self.counts = saved["counts"].copy()
        self.minimum, self.maximum = (float(value) for value in saved["range"])
        self.added = int(saved["added"])
        if self._values is not None:
            self._values[: self.added] = saved["values"]

    def distribution(self) -> NullDistribution:
        """Return the distribution of what was added."""
        return NullDistribution(
            maximum=self.maximum,
            ceiling=at_ceiling(self.measure, self.maximum),
            pairs=self.added,
            units=self.units,
            quantile_levels=QUANTILE_LEVELS,
            quantiles=self._quantiles(),
            histogram_counts=self.counts,
            histogram_edges=self.edges,
        )

    def _quantiles(self) -> np.ndarray:
        if self._values is not None:
            # By order statistics: interpolating between equal infinities gives NaN.
            ordered = np.sort(self._values[: self.added])
            position = QUANTILE_LEVELS * (self.added - 1)
            lower = ordered[np.floor(position).astype(int)]
            upper = ordered[np.ceil(position).astype(int)]
            part = position - np.floor(position)
            with np.errstate(invalid="ignore"):
                between = lower + part * (upper - lower)
            return np.where((part == 0) | (lower == upper), lower, between)
        cumulative = np.concatenate([[0], np.cumsum(self.counts)]) / self.added
        # Of equal cumulative counts np.interp needs only the last edge and the first.
        quantiles = np.interp(QUANTILE_LEVELS, cumulative, self.edges)
        quantiles = quantiles.clip(self.minimum, self.maximum)
        quantiles[0], quantiles[-1] = self.minimum, self.maximum
        return quantiles


def pair_batches(
    stimuli: int, pairs: int, batch_size: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """Go through pairs of different stimuli.

    Each pass shuffles all stimuli and pairs neighbors, so that no stimulus is in two
    pairs of one pass. The pairs depend on the seed alone, not on the batch size.

    Parameters
    ----------
    stimuli
        Number of stimuli to pair.
    pairs
        Number of pairs.
    batch_size
        Largest number of pairs of a batch.
    seed
        The seed of the study.

    Yields
    ------
    first, second, repeat
        Indices (n) of the members of the pairs, and the number of the pass.
    """
    if stimuli < 2:
        raise StudyError(
            f"null pairs need at least 2 training stimuli; there are {stimuli}"
        )
    done, repeat = 0, 0
    while done < pairs:
        order = numpy_generator(seed, "null", "pairs", repeat).permutation(stimuli)
        couples = order[: stimuli // 2 * 2].reshape(-1, 2)[: pairs - done]
        for start in range(0, len(couples), batch_size):
            batch = couples[start : start + batch_size]
            yield batch[:, 0], batch[:, 1], repeat
        done += len(couples)
        repeat += 1


def sample_null(
    network: Network,
    entry: Mapping[str, Any],
    stimuli_path: str | Path,
    settings: Mapping[str, Any],
    seed: int,
    device: str | torch.device = "cpu",
    augment: Augment | None = None,
    *,
    workers: int = 0,
    state_path: str | Path | None = None,
    fingerprint: str = "",
    save_seconds: float = 60.0,
) -> Null:
    """Measure how alike a network's stages find different natural training stimuli.

    Parameters
    ----------
    network
        The network, in eval mode on `device`.
    entry
        Its resolved model entry.
    stimuli_path
        The stimulus file of its modality.
    settings
        ``stages`` {name: module path}; ``null_distribution`` with ``pairs`` and
        ``batch_size``; ``augmentation``, that of the training, or None.
    seed
        The seed of the study; the same pairs for all models of a modality.
    device
        Where the network is.
    augment
        Gives the stimuli of indices and a pass; by default the training stimuli of
        `stimuli_path` with ``augmentation``.
    workers
        Processes that read and augment the training stimuli; 0: this one.
    state_path
        Where the state is kept so that a killed job goes on, until
        `metamers.resume.discard`; None keeps none.
    fingerprint
        Of the code and settings; a state of another one is not used.
    save_seconds
        Time between two saves of the state.

    Returns
    -------
    dict
        {stage: {measure: NullDistribution}}; stages in their order.

    Raises
    ------
    StudyError
        If a stage's activations to natural stimuli are not finite.
    """
    from metamers.training.data import training_stimuli
    from metamers.training.loading import batches

    sampling = settings["null_distribution"]
    training = {"augmentation": settings.get("augmentation")}
    stimuli = training_stimuli({**entry, "training": training}, stimuli_path, seed)

    def read(members: list[np.ndarray], repeat: int) -> Iterator[Any]:
        if augment is not None:
            yield from (augment(indices, repeat) for indices in members)
            return
        shown = batches(stimuli, f"null {repeat}", members, workers, device)
        yield from (x for x, _ in shown)

    pairs = pair_batches(len(stimuli), sampling["pairs"], sampling["batch_size"], seed)
    with ExitStack() as stack:
        state = None
        if state_path is not None:
            kept = ResumeState(state_path, fingerprint, save_seconds)
            state = stack.enter_context(kept)
        accumulators = _accumulate(
            network, dict(settings["stages"]), pairs, read, device, sampling, state
        )
        if state is not None:
            state.complete()
    return {
        stage: {measure: one.distribution() for measure, one in measures.items()}
        for stage, measures in accumulators.items()
    }


def _accumulate(
    network: Network,
    stages: dict[str, str],
    batches: Iterator[tuple[np.ndarray, np.ndarray, int]],
    read: Callable[[list[np.ndarray], int], Iterator[Any]],
    device: str | torch.device,
    sampling: Mapping[str, Any],
    state: ResumeState | None,
) -> dict[str, dict[str, NullAccumulator]]:
    """Add the distances of all pairs, from where a saved state stands."""
    import torch

    from metamers.networks.stages import activations
    from metamers.synthesis.distances import distances

    pairs = sampling["pairs"]
    accumulators = _restored(state, stages, pairs)
    known = next(iter(accumulators.values()), {}).get(MEASURES[0])
    done = known.added if known else 0
    with torch.no_grad():
        for repeat, members in _by_pass(batches, done):
            for x in read(members, repeat):
                count = len(x) // 2
                x = torch.as_tensor(x).to(device)
                for stage, activation in activations(network, stages, x).items():
                    measured = distances(activation[:count], activation[count:])
                    units = activation[0].numel()
                    add_pairs(accumulators, stage, measured.cpu().numpy(), pairs, units)
                done += count
                logger.info("null pairs: %d of %d", done, pairs)
                if state is not None and (state.due() or done == pairs):
                    state.save(_snapshot(accumulators))
    return accumulators


def _by_pass(
    batches: Iterator[tuple[np.ndarray, np.ndarray, int]], done: int
) -> Iterator[tuple[int, list[np.ndarray]]]:
    """Give the pairs of each pass, first members then second, after those done."""
    passed = 0
    for repeat, group in itertools.groupby(batches, key=lambda batch: batch[2]):
        members = []
        for first, second, _ in group:
            passed += len(first)
            if passed > done:
                members.append(np.concatenate([first, second]))
        if members:
            yield repeat, members


def _snapshot(
    accumulators: Mapping[str, Mapping[str, NullAccumulator]],
) -> dict[str, np.ndarray]:
    return {
        f"{stage}/{measure}/{name}": value
        for stage, measures in accumulators.items()
        for measure, one in measures.items()
        for name, value in one.snapshot().items()
    }


def _restored(
    state: ResumeState | None, stages: Mapping[str, str], pairs: int
) -> dict[str, dict[str, NullAccumulator]]:
    """Return the accumulators that were saved; none if nothing was."""
    saved = state.load() if state is not None else None
    if saved is None:
        return {}
    found: dict[str, dict[str, NullAccumulator]] = {}
    for stage in stages:
        for measure in MEASURES:
            place = f"{stage}/{measure}/"
            one = NullAccumulator(measure, pairs, int(saved[f"{place}units"]))
            one.restore(
                {
                    key.removeprefix(place): value
                    for key, value in saved.items()
                    if key.startswith(place)
                }
            )
            found.setdefault(stage, {})[measure] = one
    return found


def add_pairs(
    accumulators: dict[str, dict[str, NullAccumulator]],
    stage: str,
    measured: np.ndarray,
    pairs: int,
    units: int,
) -> None:
    """Add the distances (n, 3) of some pairs at a stage to its accumulators."""
    if np.isnan(measured).any():
        raise StudyError(
            f"stage {stage!r}: activations to natural stimuli are not finite, so that "
            "nothing can be matched there; see whether the network's training diverged"
        )
    if stage not in accumulators:
        accumulators[stage] = {
            measure: NullAccumulator(measure, pairs, units) for measure in MEASURES
        }
    for measure, values in zip(MEASURES, measured.T, strict=True):
        accumulators[stage][measure].add(values)
