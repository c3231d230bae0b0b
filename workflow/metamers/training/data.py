"""Training and test stimuli as batches.

What a batch holds depends on the seed, the epoch and the indices of its stimuli only,
so that a training that is resumed sees what it would have seen.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch import Tensor

from metamers.errors import StudyError, suggest
from metamers.randomness import numpy_generator
from metamers.stimuli.files import read_categories
from metamers.stimuli.mixing import mix
from metamers.training.augmentation import (
    IMAGE_DRAWS,
    augment_images,
    excerpts,
    shift_sounds,
)

# The split that a network's accuracy is measured on: for sounds speech in noise.
TEST_SPLIT = {"vision": "test", "audio": "test_noisy"}
# Splits larger than this stay on disk and are read batch by batch.
LARGEST_IN_MEMORY = 4 * 1024**3
# One uniform draw each: shift in time, which background, where in it, and the SNR.
SOUND_DRAWS = 4
# Clips whose level is taken for the level of all (clean clips have one RMS).
LEVEL_CLIPS = 64


class StimulusRows:
    """The stimuli of one split, in memory where they fit, else read when asked for.

    Parameters
    ----------
    path
        A stimulus file.
    split
        Its split, such as ``training``.

    Raises
    ------
    StudyError
        If the file or the split is missing.
    """

    def __init__(self, path: str | Path, split: str) -> None:
        if not Path(path).is_file():
            raise StudyError(
                f"there is no stimulus file {path}: make it with prepare_stimuli"
            )
        self.path, self.split = Path(path), split
        self._file = h5py.File(path, "r")
        if split not in self._file:
            raise StudyError(
                f"{path} has no split '{split}'; it has {', '.join(self._file)}"
                + suggest(split, self._file)
            )
        group = self._file[split]
        self.id: np.ndarray = group["id"].asstr()[:]
        labels = group.get("label", {})
        self.labels = {name: labels[name][:].astype(np.int64) for name in labels}
        self._stored = group["stimulus"]
        if self._stored.size * self._stored.dtype.itemsize <= LARGEST_IN_MEMORY:
            self._stored = self._stored[:]
            self._file.close()

    def __len__(self) -> int:
        """Return how many stimuli the split has."""
        return len(self.id)

    def label(self, name: str) -> np.ndarray:
        """Return the indices (n) of one label into its categories."""
        if name not in self.labels:
            raise StudyError(
                f"{self.path}: split '{self.split}' has no label '{name}'; it has "
                f"{', '.join(self.labels) or 'none'}" + suggest(name, self.labels)
            )
        return self.labels[name]

    def stored(self, indices: np.ndarray) -> np.ndarray:
        """Return stimuli as they are stored: uint8 images, int16 sounds."""
        if isinstance(self._stored, np.ndarray):
            return self._stored[indices]
        # h5py reads increasing, distinct indices only.
        distinct, where = np.unique(indices, return_inverse=True)
        return self._stored[distinct][where]

    def values(self, indices: np.ndarray) -> np.ndarray:
        """Return stimuli in their units, float32: images [0, 1], sounds [-1, 1]."""
        stored = self.stored(indices)
        return stored.astype(np.float32) / np.float32(np.iinfo(stored.dtype).max)


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
        training = entry.get("training") or {}
        self.augmentation: Mapping[str, Any] = training.get("augmentation") or {}
        self.rows = StimulusRows(stimuli_path, "training")
        self.label_name: str = entry["task"]["label"]
        self._draws: tuple[int | str, np.ndarray] | None = None

    def __len__(self) -> int:
        """Return how many training stimuli there are."""
        return len(self.rows)

    def order(self, epoch: int) -> np.ndarray:
        """Return the order (n) in which an epoch shows the stimuli."""
        return numpy_generator(self.seed, "order", epoch).permutation(len(self))

    def draws(self, epoch: int | str) -> np.ndarray:
        """Return the epoch's uniform draws in [0, 1), a row for each stimulus."""
        if self._draws is None or self._draws[0] != epoch:
            generator = numpy_generator(self.seed, "augmentation", epoch)
            shape = (len(self), self.draws_per_stimulus)
            self._draws = (epoch, generator.random(shape))
        return self._draws[1]

    def check_labels(self) -> None:
        """Check that the stimuli have the label of the entry's task.

        Raises
        ------
        StudyError
            If they have not.
        """
        self.rows.label(self.label_name)

    @abstractmethod
    def batch(
        self, epoch: int | str, indices: np.ndarray, device: str | torch.device = "cpu"
    ) -> tuple[Tensor, Tensor]:
        """Return stimuli as one epoch shows them, and their labels.

        Parameters
        ----------
        epoch
            The epoch, or a name for draws of another use.
        indices
            Which training stimuli (n).
        device
            Where the tensors go.

        Returns
        -------
        x : Tensor
            float32, images (n, channels, height, width) in [0, 1], sounds
            (n, samples) in [-1, 1].
        label : Tensor
            int64 (n), indices into the categories of the task's label.
        """


class TrainingImages(TrainingStimuli):
    """Images: random shift, rotation and scale."""

    draws_per_stimulus = IMAGE_DRAWS

    def batch(
        self, epoch: int | str, indices: np.ndarray, device: str | torch.device = "cpu"
    ) -> tuple[Tensor, Tensor]:
        """Return augmented images and labels; see `TrainingStimuli.batch`."""
        label = self.rows.label(self.label_name)[indices]
        images = torch.from_numpy(self.rows.stored(indices)).to(device)
        draws = torch.from_numpy(2 * self.draws(epoch)[indices] - 1)
        images = augment_images(images.float() / 255, draws, self.augmentation)
        return images, torch.from_numpy(label).to(device)


class TrainingSounds(TrainingStimuli):
    """Speech: shifted in time and mixed with an excerpt of a random background.

    The augmentation's ``shift`` is in seconds, its ``snr`` the range in dB or null
    for clean speech.
    """

    draws_per_stimulus = SOUND_DRAWS

    def __init__(
        self,
        entry: Mapping[str, Any],
        stimuli_path: str | Path,
        seed: int,
    ) -> None:
        super().__init__(entry, stimuli_path, seed)
        snr = self.augmentation.get("snr")
        self.snr: tuple[float, float] | None = (snr[0], snr[1]) if snr else None
        self.backgrounds = (
            StimulusRows(stimuli_path, "training_background") if self.snr else None
        )
        level = self.rows.values(np.arange(min(LEVEL_CLIPS, len(self.rows))))
        self.rms = float(np.median(np.sqrt((level**2).mean(axis=1))))

    def check_labels(self) -> None:
        """Check that there is a label; see `TrainingStimuli.check_labels`."""
        if self.backgrounds is None:
            if self.label_name not in self.rows.labels:
                raise StudyError(
                    f"the task's label '{self.label_name}' is not one of the speech "
                    f"({', '.join(self.rows.labels)}), and with augmentation.snr null "
                    "there is no background to name: give snr, e.g. [-10.0, 10.0]"
                )
        elif self.label_name not in self.rows.labels:
            self.backgrounds.label(self.label_name)

    def batch(
        self, epoch: int | str, indices: np.ndarray, device: str | torch.device = "cpu"
    ) -> tuple[Tensor, Tensor]:
        """Return speech in noise and labels; see `TrainingStimuli.batch`.

        Labels that neither the speech nor its background has are -1.
        """
        draws = self.draws(epoch)[indices]
        sounds = self.rows.values(indices)
        largest = (self.augmentation.get("shift") or 0.0) * self.entry["sample_rate"]
        shift = np.rint((2 * draws[:, 0] - 1) * largest).astype(np.int64)
        sounds = shift_sounds(sounds, shift)
        label = self.rows.labels.get(self.label_name, np.full(len(self), -1))[indices]
        if self.backgrounds is not None and self.snr is not None:
            chosen = np.floor(draws[:, 1] * len(self.backgrounds)).astype(np.int64)
            background = self.backgrounds.values(chosen)
            background = excerpts(background, draws[:, 2], sounds.shape[1])
            low, high = self.snr
            snr = (low + (high - low) * draws[:, 3]).astype(np.float32)
            sounds = mix(sounds, background, snr, self.rms).clip(-1.0, 1.0)
            if self.label_name in self.backgrounds.labels:
                label = self.backgrounds.label(self.label_name)[chosen]
        x = torch.from_numpy(np.ascontiguousarray(sounds, dtype=np.float32))
        return x.to(device), torch.from_numpy(label).to(device)


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
) -> Iterator[tuple[Tensor, Tensor, np.ndarray]]:
    """Go through test stimuli in their order.

    Yields
    ------
    x, label, indices
        Stimuli in their units, labels of the entry's task, and which rows they are.
    """
    indices = np.arange(len(rows)) if indices is None else indices
    labels = rows.label(entry["task"]["label"])
    for start in range(0, len(indices), batch_size):
        chosen = indices[start : start + batch_size]
        x = torch.from_numpy(rows.values(chosen)).to(device)
        yield x, torch.from_numpy(labels[chosen]).to(device), chosen


def categories(entry: Mapping[str, Any], stimuli_path: str | Path) -> list[str]:
    """Return the names that the answers of the entry's task stand for."""
    found = read_categories(stimuli_path)
    label = entry["task"]["label"]
    if label not in found:
        raise StudyError(
            f"task '{entry['task']['name']}' names the label '{label}', but "
            f"{stimuli_path} has {', '.join(found)}" + suggest(label, found)
        )
    return found[label]
