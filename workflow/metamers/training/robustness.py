"""Accuracy of a network under attack, over a range of attack sizes.

Untargeted projected gradient descent with steps of a quarter of epsilon, as in the
study's released code (analysis_scripts/eval_adv_imagenet_with_robustness_lib.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from metamers.networks.network import Network
from metamers.randomness import derive_seed, numpy_generator, torch_generator
from metamers.training.data import (
    TEST_SPLIT,
    StimulusRows,
    evaluation_batches,
)
from metamers.training.evaluation import TaskLogits, correct_answers, label_losses
from metamers.training.perturbations import STIMULUS_BOUNDS, perturb
from metamers.training.stimuli import Target, learned_label

STEP_FRACTION = 1 / 4
COLUMNS = ("model", "modality", "norm", "epsilon", "steps", "n", "accuracy")


def measure_robustness(
    network: Network,
    entry: Mapping[str, Any],
    settings: Mapping[str, Any],
    stimuli_path: str | Path,
    seed: int,
    *,
    model: str,
    device: str | torch.device = "cpu",
    batch_size: int = 100,
) -> pd.DataFrame:
    """Measure accuracy on attacked test stimuli; for sounds, on speech in noise.

    Attack and accuracy are about the label that the network has learned: ImageNet's
    classes where they are the task's ``training_label``.

    Parameters
    ----------
    network
        In evaluation mode.
    entry
        The resolved model entry.
    settings
        ``norm`` (l2 or linf), ``epsilons`` (in stimulus units; 0 is no attack),
        ``steps`` and ``stimuli``, how many test stimuli are attacked. They are
        balanced over the categories and the same for all models of one label.
    stimuli_path
        The stimulus file of the entry's modality.
    seed
        The study's seed. Each stimulus has its own random start, which does not
        depend on the batch.
    model
        Name of the model, for the table.
    device
        Where the network is.
    batch_size
        Stimuli a forward pass.

    Returns
    -------
    DataFrame
        A row an epsilon: model, modality, norm, epsilon, steps, n, accuracy.
    """
    modality = entry["modality"]
    rows = StimulusRows(stimuli_path, TEST_SPLIT[modality])
    task_logits = TaskLogits.of(entry, stimuli_path)
    label_name = learned_label(entry["task"])
    draw = numpy_generator(seed, "robustness", modality, label_name)
    chosen = balanced(one_label(rows.label(label_name)), settings["stimuli"], draw)
    table = []
    for epsilon in settings["epsilons"]:
        correct = 0
        for x, label, indices in evaluation_batches(
            entry, rows, chosen, batch_size, device
        ):
            names = rows.id[indices]
            attacked = _attack(
                network, task_logits, x, label, settings, epsilon, seed, names, modality
            )
            with torch.no_grad():
                answers = correct_answers(network(attacked), label, task_logits)
            correct += int(answers.sum())
        table.append(
            {
                "model": model,
                "modality": modality,
                "norm": settings["norm"],
                "epsilon": float(epsilon),
                "steps": settings["steps"],
                "n": len(chosen),
                "accuracy": correct / len(chosen),
            }
        )
    return pd.DataFrame(table, columns=list(COLUMNS))


def balanced(
    label: np.ndarray, count: int, generator: np.random.Generator
) -> np.ndarray:
    """Choose stimuli so that each label has as many as every other, or one more.

    Parameters
    ----------
    label
        Label of each stimulus (n); below zero those that are not chosen.
    count
        How many to choose; all if there are no more.
    generator
        Draws which.

    Returns
    -------
    ndarray
        Increasing indices.
    """
    shuffled = generator.permutation(len(label))
    shuffled = shuffled[label[shuffled] >= 0]
    rank = np.empty(len(label), dtype=np.int64)
    for value in np.unique(label[shuffled]):
        members = shuffled[label[shuffled] == value]
        rank[members] = np.arange(len(members))
    # First the first of each label, then the second, and so on; in random order within.
    order = shuffled[np.argsort(rank[shuffled], kind="stable")]
    return np.sort(order[:count])


def one_label(label: np.ndarray) -> np.ndarray:
    """Return one label (n) of each stimulus: of several the first, of none -1."""
    if label.ndim == 1:
        return label
    return np.where(label.any(axis=1), label.argmax(axis=1), -1)


def _attack(
    network: Network,
    task_logits: TaskLogits,
    x: Tensor,
    label: Target,
    settings: Mapping[str, Any],
    epsilon: float,
    seed: int,
    names: np.ndarray,
    modality: str,
) -> Tensor:
    """Attack a batch, each stimulus from a random start of its own."""

    def loss_of(stimuli: Tensor) -> Tensor:
        # A second label is beside the question.
        _, logits, own, several = task_logits.terms(network(stimuli), label)[0]
        return label_losses(logits, own, several)

    # One start a stimulus, scaled to each epsilon: the curve over epsilons is smoother.
    purpose = derive_seed(seed, "robustness", settings["norm"])
    generators = [torch_generator(purpose, str(name)) for name in names]
    return perturb(
        loss_of,
        x,
        kind="adversarial",
        norm=settings["norm"],
        epsilon=epsilon,
        steps=settings["steps"],
        step_size=epsilon * STEP_FRACTION,
        bounds=STIMULUS_BOUNDS[modality],
        generator=generators,
    )
