"""Training images: cut and recolored one by one, moved as a batch."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from metamers.errors import StudyError
from metamers.stimuli.image_files import as_arrays
from metamers.training.augmentation import (
    IMAGE_DRAWS,
    PICTURE_DRAWS,
    add_lighting,
    augment_images,
    change_colors,
    changes_pictures,
    crop_box,
)
from metamers.training.stimuli import Batch, Read, TrainingStimuli, target


class TrainingImages(TrainingStimuli):
    """Images: a random crop and its colors; then mirrored, moved and lit."""

    def __init__(
        self,
        entry: Mapping[str, Any],
        stimuli_path: str | Path,
        seed: int,
    ) -> None:
        super().__init__(entry, stimuli_path, seed)
        self.changes_pictures = changes_pictures(self.augmentation)
        self.lighting = float(self.augmentation.get("lighting") or 0.0)
        if self.lighting and len(self.rows.stored(np.array([0]))[0]) != 3:
            raise StudyError(
                "training.augmentation.lighting changes red, green and blue, but the "
                "images are grey: set it to 0"
            )

    def read(self, epoch: int | str, indices: np.ndarray) -> Read:
        """Return images as bytes, their draws and labels; see `TrainingStimuli`."""
        moves = torch.from_numpy(2 * self.draws(epoch, indices, IMAGE_DRAWS) - 1)
        label = target(self.task, lambda name: self.rows.label(name, indices))
        if not (self.changes_pictures or self.lighting):
            return torch.from_numpy(self.rows.stored(indices)), moves, None, label
        draws = self.draws(epoch, indices, PICTURE_DRAWS, "picture")
        if self.changes_pictures:
            pictures = map(self._picture, indices.tolist(), draws)
            images = as_arrays(pictures, len(indices))
        else:
            images = self.rows.stored(indices)
        light = torch.from_numpy(draws) if self.lighting else None
        return torch.from_numpy(images), moves, light, label

    def _picture(self, index: int, draws: np.ndarray) -> Image.Image:
        """Return one image, cropped and recolored."""
        area = self.augmentation.get("crop")
        choose = None
        if area:
            choose = partial(crop_box, draws=draws, area=(area[0], area[1]))
        image = self.rows.picture(index, choose)
        return change_colors(image, draws, self.augmentation)

    def finish(self, read: Read, device: str | torch.device = "cpu") -> Batch:
        """Move the images on the device; see `TrainingStimuli.finish`."""
        images, moves, light, label = read
        on_device: Tensor = images.to(device, non_blocking=True)
        x = augment_images(on_device.float() / 255, moves, self.augmentation)
        if light is not None:
            x = add_lighting(x, light, self.lighting)
        return x, label.to(device, non_blocking=True)
