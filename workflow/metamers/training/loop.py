"""Making the network of a model entry: train it, load it, or leave it untrained."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from metamers.networks.network import Network, build_network
from metamers.provenance import settings_hash
from metamers.randomness import derive_seed
from metamers.resume import ResumeState
from metamers.training.data import (
    TEST_SPLIT,
    StimulusRows,
    categories,
    training_stimuli,
)
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
) -> TrainingResult:
    """Make the network of a model entry: train it, load it, or leave it untrained.

    With ``training`` it is trained. With ``weights`` it is loaded. With neither it
    keeps its initial weights, and its batch-norm statistics are set from training
    stimuli, since those of a new network normalize nothing.

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
        Where the state is kept while training, to resume from; None keeps none.
    device
        A torch device.
    fingerprint
        Of the code and settings that the result depends on; a state of another one is
        not used. The entry and the seed count by themselves.
    save_interval_seconds
        Time between two saves of the state; each epoch ends with one besides.

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
    """
    seed = derive_seed(study_seed, "training", entry["seed"])
    task_logits = TaskLogits(entry["task"]["decision"], categories(entry, stimuli_path))
    test = StimulusRows(stimuli_path, TEST_SPLIT[entry["modality"]])
    network = build_network(dict(entry), derive_seed(seed, "weights")).to(device)
    if entry.get("training") is None or entry.get("weights") is not None:
        started = time.monotonic()
        if entry.get("weights") is not None:
            load_given_weights(network, entry["weights"])
        else:
            stimuli = training_stimuli(entry, stimuli_path, seed)
            set_batch_norm_statistics(network, stimuli, device)
        loss, accuracy = evaluate(network, task_logits, entry, test, device)
        seconds = time.monotonic() - started
        row = [0, np.nan, np.nan, loss, accuracy, np.nan, seconds]
        return _result(network, [row])
    run = TrainingRun(network, entry, task_logits, stimuli_path, seed, device)
    if state_path is None:
        _train_epochs(run, test, None)
        return _result(network, run.progress.history)
    settings = {"entry": dict(entry), "seed": study_seed, "fingerprint": fingerprint}
    identity = settings_hash(settings)
    with ResumeState(state_path, identity, save_interval_seconds) as state:
        saved = state.load()
        if saved is not None:
            run.restore(saved)
        _train_epochs(run, test, state)
        state.finish()
    return _result(network, run.progress.history)


def _train_epochs(
    run: TrainingRun, test: StimulusRows, state: ResumeState | None
) -> None:
    """Train from where the run stands to its last epoch."""
    progress, epochs = run.progress, run.training["epochs"]
    while progress.epoch < epochs:
        started = time.monotonic() - progress.seconds
        for x, label in run.remaining_batches():
            loss, correct = run.step(x, label)
            if not np.isfinite(loss):
                raise run.not_finite(loss, state)
            progress.loss += loss * len(label)
            progress.correct += correct
            progress.seen += len(label)
            progress.batch += 1
            progress.seconds = time.monotonic() - started
            if state is not None and state.due():
                state.save(run.snapshot())
        tested = evaluate(run.network, run.task_logits, run.entry, test, run.device)
        run.end_epoch(*tested, time.monotonic() - started)
        if state is not None:
            state.save(run.snapshot())
        logger.info(
            "epoch %d of %d: training loss %.4f, accuracy %.3f; test loss %.4f, "
            "accuracy %.3f; %.1f s",
            *(progress.epoch, epochs, *progress.history[-1][1:5]),
            progress.history[-1][6],
        )


def _result(network: Network, history: list[list[float]]) -> TrainingResult:
    """Freeze the network and name the columns of its history."""
    frame = pd.DataFrame(history, columns=list(COLUMNS)).astype({"epoch": int})
    return TrainingResult(network.eval().requires_grad_(False), frame)
