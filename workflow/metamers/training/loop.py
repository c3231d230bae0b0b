"""Making the network of a model entry: train it, load it, or leave it untrained."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from metamers.networks.network import Network, build_network
from metamers.provenance import settings_hash
from metamers.randomness import derive_seed
from metamers.resume import Interrupted, ResumeState
from metamers.training.data import TEST_SPLIT, StimulusRows, training_stimuli
from metamers.training.distributed import ALONE, Group, run_together
from metamers.training.evaluation import TaskLogits, evaluate
from metamers.training.run import COLUMNS, TrainingRun
from metamers.training.start import load_given_weights, set_batch_norm_statistics

logger = logging.getLogger(__name__)


@dataclass
class TrainingResult:
    """A trained network and how it came about.

    Attributes
    ----------
    network
        In evaluation mode; no parameter requires a gradient.
    history
        A row an epoch: epoch (from 1; 0 for a network that is not trained here),
        training_loss, training_accuracy (as training saw the stimuli: augmented and
        perturbed), test_loss, test_accuracy, learning_rate (of the epoch's last
        batch), seconds.
    """

    network: Network
    history: pd.DataFrame


def train(
    entry: Mapping[str, Any],
    stimuli_path: str | Path,
    *,
    study_seed: int,
    state_path: str | Path | None = None,
    device: str | torch.device = "cpu",
    fingerprint: str = "",
    save_interval_seconds: float = 60.0,
    processes: int = 1,
    workers: int = 0,
) -> TrainingResult:
    """Make the network of a model entry: train it, load it, or leave it untrained.

    With ``weights`` it begins with these, with ``training`` it is trained from there.
    With neither it keeps its initial weights, and its batch-norm statistics are set
    from training stimuli, since those of a new network normalize nothing.

    Parameters
    ----------
    entry
        A resolved model entry.
    stimuli_path
        The stimulus file of its modality.
    study_seed
        The study's seed; models of one ``seed`` share initial weights (where their
        shapes agree), order and augmentation, so that they differ by what their
        entries say.
    state_path
        Where the state is kept to resume from, until `metamers.resume.discard`; None
        keeps none.
    device
        A torch device; of several processes, its type.
    fingerprint
        Of the code and settings that the result depends on; a state of another one is
        not used. The entry and the seed count by themselves.
    save_interval_seconds
        Time between two saves of the state; each epoch ends with one besides.
    processes
        How many train together, on a GPU each. The step is that of the whole batch,
        but batch norm and stochastic layers see each part of it by itself.
    workers
        Processes that read and augment stimuli, in all; 0: those that train.

    Returns
    -------
    TrainingResult
        The network and its history.

    Raises
    ------
    StudyError
        If the entry does not fit the stimuli, the weights are not those asked for, or
        the loss stops being finite; the state after the epoch before is kept.
    Interrupted
        On SIGTERM and SIGUSR1, after the state is saved.
    RuntimeError
        If one of several processes fails; the state of the last save is kept.
    """
    given: dict[str, Any] = {
        "entry": dict(entry),
        "stimuli_path": stimuli_path,
        "study_seed": study_seed,
        "workers": workers,
    }
    if entry.get("training") is None:
        return _as_it_is(**given, device=device)
    given["state_path"], given["interval"] = state_path, save_interval_seconds
    given["fingerprint"] = fingerprint
    processes = min(processes, entry["training"]["batch_size"])
    if processes == 1:
        run = _trained(**given, group=ALONE, device=device)
        return _result(run.network, run.progress.history)
    found = run_together(_member, given, processes, torch.device(device).type)
    network = build_network(dict(entry), None)
    weights = {
        name.removeprefix("network/"): torch.from_numpy(value)
        for name, value in found.items()
        if name.startswith("network/")
    }
    network.load_state_dict(weights)
    return _result(network.to(device), found["history"].tolist())


def _as_it_is(
    entry: dict[str, Any],
    stimuli_path: str | Path,
    study_seed: int,
    workers: int,
    device: str | torch.device,
) -> TrainingResult:
    """Load a network, or leave it untrained, and test it."""
    task_logits, test, network, seed = _begin(entry, stimuli_path, study_seed, device)
    started = time.monotonic()
    if entry.get("weights") is None:
        stimuli = training_stimuli(entry, stimuli_path, seed)
        set_batch_norm_statistics(network, stimuli, device)
    tested = evaluate(network, task_logits, entry, test, device, workers=workers)
    row = [0, np.nan, np.nan, *tested, np.nan, time.monotonic() - started]
    return _result(network, [row])


def _begin(
    entry: dict[str, Any],
    stimuli_path: str | Path,
    study_seed: int,
    device: str | torch.device,
) -> tuple[TaskLogits, StimulusRows, Network, int]:
    """Return the task, what is tested on, the network as it begins, and its seed."""
    seed = derive_seed(study_seed, "training", entry["seed"])
    task_logits = TaskLogits.of(entry, stimuli_path)
    test = StimulusRows(stimuli_path, TEST_SPLIT[entry["modality"]])
    network = build_network(entry, derive_seed(seed, "weights"))
    if entry.get("weights") is not None:
        load_given_weights(network, entry["weights"], entry.get("training"))
    return task_logits, test, network.to(device), seed


def _member(group: Group, device: torch.device, **given: Any) -> dict[str, Any] | None:
    """Train as one of several processes; the first one returns the last state."""
    run = _trained(**given, group=group, device=device)
    return run.snapshot() if group.is_first else None


def _trained(
    entry: dict[str, Any],
    stimuli_path: str | Path,
    study_seed: int,
    workers: int,
    state_path: str | Path | None,
    fingerprint: str,
    interval: float,
    group: Group,
    device: str | torch.device,
) -> TrainingRun:
    """Train a network from its beginning, or from where its state is."""
    task_logits, test, network, seed = _begin(entry, stimuli_path, study_seed, device)
    own = workers // group.size
    run = TrainingRun(
        network, entry, task_logits, stimuli_path, seed, device, group, own
    )
    if state_path is None:
        with repeatable(run.device):
            _train_epochs(run, test, None, workers)
        return run
    settings = {"entry": entry, "seed": study_seed, "fingerprint": fingerprint}
    state = ResumeState(state_path, settings_hash(settings), interval)
    owned = state if group.is_first else contextlib.nullcontext()
    with repeatable(run.device), owned:
        saved = state.load()
        if saved is not None:
            run.restore(saved)
        _train_epochs(run, test, state if group.is_first else None, workers)
        if group.is_first:
            state.complete()
    return run


def _train_epochs(
    run: TrainingRun, test: StimulusRows, state: ResumeState | None, workers: int
) -> None:
    """Train from where the run stands to its last epoch."""
    progress, group = run.progress, run.group
    while progress.epoch < run.epochs:
        started = time.monotonic() - progress.seconds
        for x, label in run.remaining_batches():
            loss, correct = run.step(x, label)
            if not np.isfinite(loss):
                raise run.not_finite(loss, state)
            progress.loss += loss * run.batch_size
            progress.correct += correct
            progress.seen += run.batch_size
            progress.batch += 1
            progress.seconds = time.monotonic() - started
            if any(group.of_first(state is not None and state.due())):
                _save(run, state)
        tested = (np.nan, np.nan)
        if group.is_first:
            asked = (run.network, run.task_logits, run.entry, test, run.device)
            tested = evaluate(*asked, workers=workers)
        loss, accuracy = group.of_first(*tested)
        run.end_epoch(loss, accuracy, time.monotonic() - started)
        _save(run, state)
        logger.info(
            "epoch %d of %d: training loss %.4f, accuracy %.3f; test loss %.4f, "
            "accuracy %.3f; %.1f s",
            *(progress.epoch, run.epochs, *progress.history[-1][1:5]),
            progress.history[-1][6],
        )


def _save(run: TrainingRun, state: ResumeState | None) -> None:
    """Save the state, in the first process; all stop if it was told to."""
    stopped = None
    if state is not None:
        try:
            state.save(run.snapshot())
        except Interrupted as error:
            stopped = error
    if any(run.group.of_first(stopped is not None)):
        raise stopped or Interrupted("the first process was told to stop")


@contextlib.contextmanager
def repeatable(device: torch.device) -> Iterator[None]:
    """On a GPU, compute with kernels that repeat bit for bit, where there are such."""
    if device.type != "cuda":
        yield
        return
    # cuBLAS repeats itself only with a workspace of fixed size.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.utils.deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined]
    )
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        torch.utils.deterministic.fill_uninitialized_memory = before[2]  # type: ignore[attr-defined]


def _result(network: Network, history: list[list[float]]) -> TrainingResult:
    """Freeze the network and name the columns of its history."""
    frame = pd.DataFrame(history, columns=list(COLUMNS)).astype({"epoch": int})
    return TrainingResult(network.eval().requires_grad_(False), frame)
