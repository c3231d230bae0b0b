"""Training sounds: speech, shifted in time, in a random background."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from metamers.errors import StudyError
from metamers.stimuli.files import read_categories
from metamers.stimuli.listed import NULL_NAME
from metamers.stimuli.mixing import mix
from metamers.stimuli.sound_files import SpeechFiles
from metamers.training.augmentation import shift_sounds
from metamers.training.rows import StimulusRows
from metamers.training.stimuli import Batch, Read, TrainingStimuli, target

# One uniform draw each: shift in time, which background, where in it, and the SNR.
SOUND_DRAWS = 4
# Clips whose level is taken for the level of all (clean clips have one RMS).
LEVEL_CLIPS = 64


@dataclass(frozen=True)
class _Part:
    """Speech or backgrounds of a batch: which rows they are, and which are silent."""

    rows: StimulusRows
    indices: np.ndarray
    silent: np.ndarray


def silent_rows(sounds: np.ndarray) -> np.ndarray:
    """Say which sounds (n) of a batch are zero throughout."""
    return np.logical_not(sounds.any(axis=1))


def level_of(rows: StimulusRows) -> float:
    """Return the root mean square that clean clips have in common."""
    if isinstance(rows.source, SpeechFiles):
        return rows.source.rms
    level = rows.values(np.arange(min(LEVEL_CLIPS, len(rows))))
    return float(np.median(np.sqrt((level**2).mean(axis=1))))


class TrainingSounds(TrainingStimuli):
    """Speech: shifted in time and mixed with an excerpt of a random background.

    The augmentation's ``shift`` is in seconds, its ``snr`` the range in dB or null
    for clean speech. A part that is silent has the null class, where there is one.
    """

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
        self.rms = level_of(self.rows)
        self.categories = read_categories(stimuli_path)

    def rows_with(self, name: str) -> StimulusRows:
        """Return speech or backgrounds; see `TrainingStimuli.rows_with`."""
        if name in self.rows.labels:
            return self.rows
        if self.backgrounds is None:
            raise StudyError(
                f"the task's label '{name}' is not one of the speech "
                f"({', '.join(self.rows.labels)}), and with augmentation.snr null "
                "there is no background to name: give snr, e.g. [-10.0, 10.0]"
            )
        self.backgrounds.label(name, np.arange(0))
        return self.backgrounds

    def read(self, epoch: int | str, indices: np.ndarray) -> Read:
        """Return speech in noise and labels; see `TrainingStimuli.read`.

        Labels that neither the speech nor its background has are -1.
        """
        draws = self.draws(epoch, indices, SOUND_DRAWS)
        sounds = self.rows.values(indices)
        parts = [_Part(self.rows, indices, silent_rows(sounds))]
        largest = (self.augmentation.get("shift") or 0.0) * self.entry["sample_rate"]
        shift = np.rint((2 * draws[:, 0] - 1) * largest).astype(np.int64)
        sounds = shift_sounds(sounds, shift)
        if self.backgrounds is not None and self.snr is not None:
            chosen = np.floor(draws[:, 1] * len(self.backgrounds)).astype(np.int64)
            samples = sounds.shape[1]
            background = self.backgrounds.excerpts(chosen, draws[:, 2], samples)
            # A label that both have is that of the background.
            parts.insert(0, _Part(self.backgrounds, chosen, silent_rows(background)))
            low, high = self.snr
            snr = (low + (high - low) * draws[:, 3]).astype(np.float32)
            sounds = mix(sounds, background, snr, self.rms).clip(-1.0, 1.0)
        x = torch.from_numpy(np.ascontiguousarray(sounds, dtype=np.float32))
        return x, target(self.task, lambda name: self._label_of(name, parts))

    def _label_of(self, name: str, parts: Sequence[_Part]) -> np.ndarray:
        """Return a label of a batch, the null class where what has it is silent."""
        for part in parts:
            if name not in part.rows.labels:
                continue
            label = part.rows.label(name, part.indices)
            if self.categories[name][0] == NULL_NAME and part.silent.any():
                label = label.copy()
                label[part.silent] = 0
                if label.ndim == 2:
                    label[part.silent, 0] = 1
            return label
        return np.full(len(parts[0].indices), -1, dtype=np.int64)

    def finish(self, read: Read, device: str | torch.device = "cpu") -> Batch:
        """Bring the sounds to the device; see `TrainingStimuli.finish`."""
        x, label = read
        return (
            x.to(device, non_blocking=True),
            label.to(device, non_blocking=True),
        )
