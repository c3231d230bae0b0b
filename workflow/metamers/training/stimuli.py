"""What a model is trained on: stimuli as an epoch shows them, and their labels.

What a batch holds depends on the seed, the epoch and the indices of its stimuli only,
so that a training that is resumed sees what it would have seen, whoever reads it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from metamers.errors import StudyError
from metamers.randomness import derive_seed, numpy_generator
from metamers.stimuli.listed import MultiHot
from metamers.training.rows import StimulusRows


@dataclass(frozen=True)
class Labels:
    """The two labels of a batch, of a task that has a second one.

    Attributes
    ----------
    first
        Of the task's own label: indices, int64 (n), -1 where there is none; or 0 and
        1, uint8 (n, categories), all 0 where there is none.
    second
        Of the label learned beside it, likewise.
    """

    first: Tensor
    second: Tensor

    def __len__(self) -> int:
        """Return the number of stimuli."""
        return len(self.first)

    def to(self, device: str | torch.device, non_blocking: bool = False) -> Labels:
        """Return the labels on a device."""
        first, second = (
            part.to(device, non_blocking=non_blocking)
            for part in (self.first, self.second)
        )
        return Labels(first, second)

    def pin_memory(self) -> Labels:
        """Return the labels in memory that is copied to a GPU without waiting."""
        return Labels(self.first.pin_memory(), self.second.pin_memory())


# What a batch is trained or tested on: one label, as in `Labels.first`, or two.
Target = Tensor | Labels
Batch = tuple[Tensor, Target]
# A batch as it was read, in the order of the arguments of `TrainingStimuli.finish`.
Read = tuple[Any, ...]


def learned_label(task: Mapping[str, Any]) -> str:
    """Return the label that a network of a task learns: its own, or a finer one."""
    return str(task.get("training_label") or task["label"])


def target(task: Mapping[str, Any], label_of: Callable[[str], np.ndarray]) -> Target:
    """Return what a batch of a task is trained on.

    Parameters
    ----------
    task
        A resolved task.
    label_of
        From the name of a label to that of the batch's stimuli: indices (n) or rows
        (n, categories) of 0 and 1.
    """
    first = torch.from_numpy(label_of(learned_label(task)))
    second = task.get("second")
    if second is None:
        return first
    return Labels(first, torch.from_numpy(label_of(second["label"])))


class TrainingStimuli(ABC):
    """Labelled training stimuli of a model, augmented as its entry says.

    Parameters
    ----------
    entry
        A resolved model entry. Without a training section nothing is augmented, and
        sounds are clean speech.
    stimuli_path
        The stimulus file of the entry's modality.
    seed
        Seed of all draws.
    """

    draws_per_stimulus: int

    def __init__(
        self,
        entry: Mapping[str, Any],
        stimuli_path: str | Path,
        seed: int,
    ) -> None:
        self.entry, self.seed = entry, seed
        self.task: Mapping[str, Any] = entry["task"]
        training = entry.get("training") or {}
        self.augmentation: Mapping[str, Any] = training.get("augmentation") or {}
        self.rows = StimulusRows(stimuli_path, "training")

    def __len__(self) -> int:
        """Return how many training stimuli there are."""
        return len(self.rows)

    def order(self, epoch: int) -> np.ndarray:
        """Return the order (n) in which an epoch shows the stimuli."""
        return numpy_generator(self.seed, "order", epoch).permutation(len(self))

    def draws(
        self, epoch: int | str, indices: np.ndarray, number: int, *purpose: str
    ) -> np.ndarray:
        """Return the uniform draws in [0, 1) that an epoch has for some stimuli.

        Parameters
        ----------
        epoch
            The epoch, or a name for draws of another use.
        indices
            Which training stimuli (n).
        number
            Draws for each.
        purpose
            What they are for.

        Returns
        -------
        ndarray
            Float64 (n, number): rows of one table of draws for all stimuli, of which
            no more is made.
        """
        seed = derive_seed(self.seed, "augmentation", epoch, *purpose)
        bits = np.random.PCG64(seed)
        generator, start = np.random.Generator(bits), bits.state
        table = np.empty((len(indices), number))
        for row, index in zip(table, indices.tolist(), strict=True):
            bits.state = start
            bits.advance(index * number)
            generator.random(out=row)
        return table

    def check_labels(self) -> None:
        """Check that the stimuli have the labels that the task's networks learn.

        Raises
        ------
        StudyError
            If they have not, or have several where the task expects one.
        """
        second = self.task.get("second")
        several = {learned_label(self.task): bool(self.task.get("multi_label"))}
        if second is not None:
            several[second["label"]] = bool(second.get("multi_label"))
        for name, multi_label in several.items():
            label = self.rows_with(name).labels[name]
            if isinstance(label, MultiHot) and not multi_label:
                raise StudyError(
                    f"task '{self.task['name']}': a stimulus may have several labels "
                    f"'{name}'; write multi_label: true beside it"
                )

    def rows_with(self, name: str) -> StimulusRows:
        """Return the rows that have a label, or say that none have."""
        self.rows.label(name, np.arange(0))
        return self.rows

    @abstractmethod
    def read(self, epoch: int | str, indices: np.ndarray) -> Read:
        """Read stimuli, as far as it goes without the device.

        Parameters
        ----------
        epoch
            The epoch, or a name for draws of another use.
        indices
            Which training stimuli (n).

        Returns
        -------
        tuple
            What `finish` takes: tensors and labels, as small as they can be.
        """

    @abstractmethod
    def finish(self, read: Read, device: str | torch.device = "cpu") -> Batch:
        """Bring what was read to the device, and to stimulus units there.

        Returns
        -------
        x : Tensor
            float32, images (n, channels, height, width) in [0, 1], sounds
            (n, samples) in [-1, 1].
        label : Tensor or Labels
            Of what the task's networks learn: indices (n), int64; rows (n, categories)
            of 0 and 1, uint8, where a stimulus may have several; or `Labels` where
            there is a second label.
        """

    def batch(
        self, epoch: int | str, indices: np.ndarray, device: str | torch.device = "cpu"
    ) -> Batch:
        """Return stimuli as one epoch shows them, and their labels.

        Arguments as of `read`, result as of `finish`.
        """
        return self.finish(self.read(epoch, indices), device)
