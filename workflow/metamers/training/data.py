"""Training and test stimuli as batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from metamers.errors import StudyError, suggest
from metamers.stimuli.files import read_categories
from metamers.training.images import TrainingImages
from metamers.training.loading import read_ahead
from metamers.training.rows import StimulusRows
from metamers.training.sounds import TrainingSounds
from metamers.training.stimuli import Labels, Target, TrainingStimuli, target

__all__ = [
    "TEST_SPLIT",
    "Labels",
    "StimulusRows",
    "TrainingStimuli",
    "categories",
    "evaluation_batches",
    "training_stimuli",
]

# The split that a network's accuracy is measured on: for sounds speech in noise.
TEST_SPLIT = {"vision": "test", "audio": "test_noisy"}


def training_stimuli(
    entry: Mapping[str, Any],
    stimuli_path: str | Path,
    seed: int,
) -> TrainingStimuli:
    """Open the training stimuli of a model; arguments as in `TrainingStimuli`."""
    kind = TrainingImages if entry["modality"] == "vision" else TrainingSounds
    return kind(entry, stimuli_path, seed)


def evaluation_batches(
    entry: Mapping[str, Any],
    rows: StimulusRows,
    indices: np.ndarray | None = None,
    batch_size: int = 100,
    device: str | torch.device = "cpu",
    workers: int = 0,
) -> Iterator[tuple[Tensor, Target, np.ndarray]]:
    """Go through test stimuli in their order.

    Parameters
    ----------
    entry
        A resolved model entry.
    rows
        The stimuli, with the labels that the networks of the entry's task learn.
    indices
        Which of them; all by default.
    batch_size
        Stimuli of a batch.
    device
        Where the tensors go.
    workers
        Processes that read; 0: this one.

    Yields
    ------
    x, label, indices
        Stimuli in their units, what networks of the entry's task learn of them (see
        `TrainingStimuli.finish`), and which rows they are.
    """
    indices = np.arange(len(rows)) if indices is None else indices
    parts = [
        indices[start : start + batch_size]
        for start in range(0, len(indices), batch_size)
    ]
    read = partial(_read_test, rows, entry["task"])
    finish = partial(_finish_test, device=device)
    batches = read_ahead(read, finish, parts, workers, device)
    for (x, label), chosen in zip(batches, parts, strict=True):
        yield x, label, chosen


def _read_test(
    rows: StimulusRows, task: Mapping[str, Any], chosen: np.ndarray
) -> tuple[Tensor, Target]:
    """Read test stimuli as they are stored, and their labels."""
    label = target(task, lambda name: rows.label(name, chosen))
    return torch.from_numpy(rows.stored(chosen)), label


def _finish_test(
    read: tuple[Tensor, Target], device: str | torch.device
) -> tuple[Tensor, Target]:
    """Bring test stimuli to the device and to their units."""
    stored, label = read
    largest = torch.tensor(float(torch.iinfo(stored.dtype).max), device=device)
    # Divided by a tensor: on a GPU, a number would become a product with its inverse.
    x = stored.to(device, non_blocking=True).float() / largest
    return x, label.to(device, non_blocking=True)


def categories(entry: Mapping[str, Any], stimuli_path: str | Path) -> list[str]:
    """Return the names that the answers of the entry's task stand for."""
    return names_of_label(entry, stimuli_path, entry["task"]["label"])


def names_of_label(
    entry: Mapping[str, Any], stimuli_path: str | Path, label: str
) -> list[str]:
    """Return the names that a label of the entry's task indexes."""
    found = read_categories(stimuli_path)
    if label not in found:
        raise StudyError(
            f"task '{entry['task']['name']}' names the label '{label}', but "
            f"{stimuli_path} has {', '.join(found)}" + suggest(label, found)
        )
    return found[label]
