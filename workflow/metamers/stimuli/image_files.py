"""Images that are read from their files when they are needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from metamers.errors import StudyError
from metamers.stimuli.listed import Listing

# Test images are scaled until their shorter side is 256 for a size of 224, of which the
# middle is cut: the usual transform (the study's released code,
# robustness/data_augmentation.py).
RESIZED_SIDE = 256 / 224

# Top, left, height and width of what is cut out of an image.
Box = tuple[int, int, int, int]
# From the height and width of an image to what is cut out of it.
ChooseBox = Callable[[int, int], Box]


class ImageFiles:
    """The images of a list.

    Parameters
    ----------
    listing
        Of kind ``images``.
    """

    def __init__(self, listing: Listing) -> None:
        self.listing = listing
        self.size = int(listing.settings["size"])
        self.mode = "L" if listing.settings["channels"] == 1 else "RGB"

    def __len__(self) -> int:
        """Return how many images there are."""
        return len(self.listing)

    def picture(self, index: int, choose: ChooseBox | None = None) -> Image.Image:
        """Read one image.

        Parameters
        ----------
        index
            Which.
        choose
            Chooses what is cut out and scaled to the size; None is the test transform.

        Returns
        -------
        Image
            A square of the size.

        Raises
        ------
        StudyError
            If the file is missing or is no image.
        """
        path = self.listing.file(index)
        try:
            with Image.open(path) as image:
                if choose is None:
                    return middle(image.convert(self.mode), self.size)
                box = choose(image.height, image.width)
                return cut_from_file(image, box, self.size).convert(self.mode)
        except (UnidentifiedImageError, OSError) as error:
            raise StudyError(_unreadable(path, self.listing.root, error)) from error

    def stored(self, indices: np.ndarray) -> np.ndarray:
        """Return images as tests show them, uint8 (n, channels, size, size)."""
        return as_arrays(map(self.picture, indices.tolist()), len(indices))

    def values(self, indices: np.ndarray) -> np.ndarray:
        """Return the same in [0, 1], float32."""
        return self.stored(indices).astype(np.float32) / np.float32(255)


def _unreadable(path: Path, root: Path, error: Exception) -> str:
    if not path.is_file():
        return (
            f"there is no image {path}, which the stimuli list: put {root} back where "
            "it was, or delete the stimulus file and prepare the stimuli again"
        )
    return f"{path} cannot be read as an image ({error}); replace it by a whole one"


def as_arrays(images: Iterable[Image.Image], count: int) -> np.ndarray:
    """Return the pixels of so many images of one size, uint8 (n, channels, ...)."""
    batch = np.empty(0, dtype=np.uint8)
    for row, image in enumerate(images):
        pixels = np.asarray(image, dtype=np.uint8)
        pixels = pixels[np.newaxis] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
        if row == 0:
            batch = np.empty((count, *pixels.shape), dtype=np.uint8)
        batch[row] = pixels
    return batch


def middle(image: Image.Image, size: int) -> Image.Image:
    """Scale the shorter side to 256/224 of the size, and cut out the middle square."""
    shorter, side = min(image.size), round(size * RESIZED_SIDE)
    if shorter != side:
        # The longer side is cut to whole pixels, as torchvision does.
        width, height = (side * length // shorter for length in image.size)
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    left, top = (round((length - size) / 2) for length in image.size)
    return image.crop((left, top, left + size, top + size))


def cut(image: Image.Image, box: Box, size: int) -> Image.Image:
    """Cut a box out of an image and scale it to a square of the size."""
    top, left, height, width = box
    part = image.crop((left, top, left + width, top + height))
    return part.resize((size, size), Image.Resampling.BILINEAR)


def cut_from_file(image: Image.Image, box: Box, size: int) -> Image.Image:
    """Cut a box out of an opened file, decoding no more of it than needed.

    A JPEG is decoded at a half, a quarter or an eighth of its sides as long as the box
    has at least the pixels that are wanted of it.
    """
    top, left, height, width = box
    full, surplus = image.width, min(height, width) // size
    if surplus > 1 and image.draft(None, (full // surplus, image.height // surplus)):
        # Halving rounds up, so that the sides are no exact fractions.
        scale = round(full / image.width)
        if scale > 1:
            right, bottom = (left + width) / scale, (top + height) / scale
            reduced = (left / scale, top / scale, right, bottom)
            bilinear = Image.Resampling.BILINEAR
            return _rgb(image).resize((size, size), bilinear, box=reduced)
    return cut(_rgb(image), box, size)


def _rgb(image: Image.Image) -> Image.Image:
    """Return an image whose pixels can be averaged: no palette, no separations."""
    return image if image.mode in ("RGB", "L") else image.convert("RGB")
