"""The stimuli of one split of a stimulus file, stored in it or listed by it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

from metamers.errors import StudyError, suggest
from metamers.stimuli.files import open_split, open_stimuli
from metamers.stimuli.image_files import ChooseBox, ImageFiles, cut
from metamers.stimuli.listed import (
    KIND_ATTRIBUTE,
    Label,
    Listing,
    read_label,
    read_listing,
)
from metamers.stimuli.sound_files import BackgroundFiles, MixtureFiles, SpeechFiles
from metamers.training.augmentation import excerpts

# Splits larger than this stay on disk and are read batch by batch.
LARGEST_IN_MEMORY = 4 * 1024**3

Reader = ImageFiles | SpeechFiles | BackgroundFiles | MixtureFiles
READERS: dict[str, Callable[[Listing], Reader]] = {
    "images": ImageFiles,
    "speech": SpeechFiles,
    "backgrounds": BackgroundFiles,
    "mixtures": MixtureFiles,
}


class StoredStimuli:
    """Stimuli that are in the file, in memory where they fit, else read when needed.

    Parameters
    ----------
    dataset
        Of the open file.
    """

    def __init__(self, dataset: h5py.Dataset) -> None:
        self._path, self._name = dataset.file.filename, dataset.name
        fits = dataset.size * dataset.dtype.itemsize <= LARGEST_IN_MEMORY
        self._array = dataset[:] if fits else None
        self._opened: tuple[int, h5py.Dataset] | None = None

    def stored(self, indices: np.ndarray) -> np.ndarray:
        """Return stimuli as they are stored: uint8 images, int16 sounds."""
        if self._array is not None:
            return self._array[indices]
        # h5py reads increasing, distinct indices only.
        distinct, where = np.unique(indices, return_inverse=True)
        return self._dataset()[distinct][where]

    def _dataset(self) -> h5py.Dataset:
        """Return the dataset as opened by this process: a handle is not shared."""
        if self._opened is None or self._opened[0] != os.getpid():
            file = h5py.File(self._path, "r")
            self._opened = (os.getpid(), file[self._name])
        return self._opened[1]

    def values(self, indices: np.ndarray) -> np.ndarray:
        """Return stimuli in their units, float32: images [0, 1], sounds [-1, 1]."""
        stored = self.stored(indices)
        return stored.astype(np.float32) / np.float32(np.iinfo(stored.dtype).max)


class StimulusRows:
    """The stimuli of one split, wherever they are.

    A copy in another process (by pickling) opens the file anew.

    Parameters
    ----------
    path
        A stimulus file.
    split
        Its split, such as ``training``.

    Attributes
    ----------
    labels
        By name, the index (n) of each stimulus into the label's categories, -1 where it
        has none; or, where it may have several, a `MultiHot`.
    source
        Reads the stimuli.

    Raises
    ------
    StudyError
        If the file or the split is missing.
    """

    def __init__(self, path: str | Path, split: str) -> None:
        self.path, self.split = Path(path), split
        self.source: StoredStimuli | Reader
        self._id: np.ndarray | None = None
        with open_stimuli(path) as file:
            group = open_split(file, split)
            if KIND_ATTRIBUTE in group.attrs:
                listing = read_listing(group)
                self.labels: dict[str, Label] = listing.label
                self.source = READERS[listing.kind](listing)
                self._length = len(listing)
                return
            stored = group.get("label", {})
            self.labels = {name: read_label(stored[name]) for name in stored}
            self._id = group["id"].asstr()[:]
            self._length = len(self._id)
            self.source = StoredStimuli(group["stimulus"])

    def __len__(self) -> int:
        """Return how many stimuli the split has."""
        return self._length

    def __reduce__(self) -> tuple[type[StimulusRows], tuple[Path, str]]:
        return StimulusRows, (self.path, self.split)

    @property
    def id(self) -> np.ndarray:
        """Names (n) of the stimuli."""
        if self._id is None:
            assert not isinstance(self.source, StoredStimuli)
            self._id = self.source.listing.ids()
        return self._id

    def label(self, name: str, indices: np.ndarray | None = None) -> np.ndarray:
        """Return one label of the stimuli, or of some of them.

        Returns
        -------
        ndarray
            Indices into the label's categories, int64 (n), -1 where there is none; or,
            where a stimulus may have several, uint8 (n, categories) of 0 and 1.
        """
        if name not in self.labels:
            raise StudyError(
                f"{self.path}: split '{self.split}' has no label '{name}'; it has "
                f"{', '.join(self.labels) or 'none'}" + suggest(name, self.labels)
            )
        return self.labels[name][slice(None) if indices is None else indices]

    def stored(self, indices: np.ndarray) -> np.ndarray:
        """Return stimuli as people get them: uint8 images, int16 sounds."""
        return self.source.stored(indices)

    def values(self, indices: np.ndarray) -> np.ndarray:
        """Return stimuli in their units, float32: images [0, 1], sounds [-1, 1].

        Clips of a list are not cut off at 1, since they are still to be mixed.
        """
        return self.source.values(indices)

    def picture(self, index: int, choose: ChooseBox | None) -> Image.Image:
        """Return one image, or the part of it that `choose` chooses, at full size."""
        if isinstance(self.source, ImageFiles):
            return self.source.picture(index, choose)
        pixels = self.stored(np.array([index]))[0]
        grey = len(pixels) == 1
        image = Image.fromarray(pixels[0] if grey else pixels.transpose(1, 2, 0))
        if choose is None:
            return image
        return cut(image, choose(image.height, image.width), image.height)

    def excerpts(
        self, indices: np.ndarray, places: np.ndarray, samples: int
    ) -> np.ndarray:
        """Return an excerpt of each background, from a place given as a fraction.

        Parameters
        ----------
        indices
            Which backgrounds (n).
        places
            Where excerpts begin, in [0, 1) (n); see `augmentation.excerpts`.
        samples
            Length of the excerpts.
        """
        if isinstance(self.source, BackgroundFiles):
            return self.source.excerpts(indices, places, samples)
        return excerpts(self.values(indices), places, samples)
