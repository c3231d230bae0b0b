"""ImageNet in its usual folders: what is learned stays there, references are stored.

References are drawn as those of Feather et al. 2023 were (Methods; the released code's
``analysis_scripts/input_helpers.py``): validation images of the classes that belong to
a category, in color, no side shorter than the stimuli, none of a list of rejected ones.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from metamers.errors import StudyError
from metamers.randomness import numpy_generator
from metamers.stimuli.category_map import read_category_map
from metamers.stimuli.files import Split, StimulusSet
from metamers.stimuli.images import (
    IMAGE_SUFFIXES,
    Item,
    check_images,
    read_image,
    read_items,
    square,
)
from metamers.stimuli.listed import Listing, as_paths
from metamers.stimuli.splitting import draw, read_lines, take

FOLDERS = {"training": "train", "test": "val"}


@dataclass(frozen=True)
class Images:
    """The images of one of ImageNet's two folders.

    Attributes
    ----------
    path
        UTF-8 bytes (n), relative to ImageNet's folder, sorted.
    label
        Index (n) of the class of each.
    """

    path: np.ndarray
    label: np.ndarray


@dataclass(frozen=True)
class Reference:
    """An image that metamers are made of: its category, class and file."""

    category: str
    number: int
    label: int
    path: Path


def prepare_imagenet(settings: dict[str, Any], seed: int) -> StimulusSet:
    """List ImageNet's images and store the references.

    Parameters
    ----------
    settings
        The study's ``stimuli.vision``, with a source of kind imagenet: path,
        category_map and rejected (or null). Of each class (not category) at most
        training_per_category and test_per_category images are listed.
    seed
        The seed of the study.

    Returns
    -------
    StimulusSet
        Lists ``training`` and ``test``, with the labels ``class`` (place of the class
        among the sorted names of the folders) and ``category`` (-1 where it is in
        none), and the split ``reference``, by category in the order of the map.

    Raises
    ------
    StudyError
        If a folder is missing, the two hold different classes, the map names classes
        that are not there, or a category has too few images for its references; before
        any image is read.
    """
    check_images(settings)
    source = settings["source"]
    root = Path(source["path"])
    classes = _classes(root)
    mapping = read_category_map(source["category_map"])
    category = category_of_class(mapping, len(classes), source["category_map"])
    images = {
        split: list_images(root, split, classes, settings, seed) for split in FOLDERS
    }
    rejected = read_rejected(source.get("rejected"))
    references = [
        item
        for number, name in enumerate(mapping)
        for item in choose_category_references(
            images["test"], category, number, name, rejected, root, settings, seed
        )
    ]
    sizes = {"size": settings["size"], "channels": settings["channels"]}
    listed = {
        split: Listing(
            kind="images",
            root=root.absolute(),
            path=found.path,
            label={"class": found.label, "category": category[found.label]},
            settings=sizes,
        )
        for split, found in images.items()
    }
    return StimulusSet(
        modality="vision",
        splits={"reference": _read_references(references, settings, classes)},
        categories={"class": classes, "category": list(mapping)},
        listed=listed,
    )


def _classes(root: Path) -> list[str]:
    """Return the names of the class folders, which training and test must share."""
    found = {}
    for split, name in FOLDERS.items():
        folder = root / name
        if not folder.is_dir():
            raise StudyError(
                f"source.path is {root}, which has no folder {name}; it must hold "
                "train and val, each with a folder for each class (n01440764, ...)"
            )
        with os.scandir(folder) as entries:
            found[split] = sorted(
                entry.name
                for entry in entries
                if entry.is_dir() and not entry.name.startswith(".")
            )
    odd = sorted(set(found["training"]) ^ set(found["test"]))
    if odd:
        raise StudyError(
            f"{root}: train and val must hold the same class folders; {len(odd)} are "
            f"in only one of them: {', '.join(odd[:5])}"
        )
    if len(found["training"]) < 2:
        raise StudyError(
            f"{root / FOLDERS['training']} holds {len(found['training'])} class "
            "folders; a task needs at least 2"
        )
    return found["training"]


def category_of_class(
    mapping: dict[str, list[int]], classes: int, path: str
) -> np.ndarray:
    """Return the index (classes) of each class's category, -1 where it has none.

    Raises
    ------
    StudyError
        If the map names a class that is not there, or fewer than two categories.
    """
    if len(mapping) < 2:
        raise StudyError(f"{path} names {len(mapping)} categories; at least 2 are due")
    category = np.full(classes, -1, dtype=np.int64)
    for number, (name, indices) in enumerate(mapping.items()):
        if max(indices) >= classes:
            raise StudyError(
                f"{path}: '{name}' has the class {max(indices)}, but source.path holds "
                f"{classes} class folders (0 to {classes - 1}); give a map of these "
                "classes as source.category_map"
            )
        category[indices] = number
    return category


def list_images(
    root: Path, split: str, classes: Sequence[str], settings: dict[str, Any], seed: int
) -> Images:
    """List the images of one split, by class and sorted by name.

    Raises
    ------
    StudyError
        If a class has none, or fewer than are asked for.
    """
    limit = f"{split}_per_category"
    paths, counts = [], []
    for name in classes:
        folder = f"{FOLDERS[split]}/{name}"
        with os.scandir(root / folder) as entries:
            names = sorted(
                entry.name
                for entry in entries
                if os.path.splitext(entry.name)[1].lower() in IMAGE_SUFFIXES
                and not entry.name.startswith(".")
            )
        number = take(len(names), settings[limit], str(root / folder), limit)
        chosen = draw(len(names), number, seed, "images", split, name)
        paths.append(as_paths([f"{folder}/{names[index]}" for index in chosen]))
        counts.append(number)
    return Images(np.concatenate(paths), np.repeat(np.arange(len(classes)), counts))


def read_rejected(path: str | None) -> set[str]:
    """Read the names of images that are no references, without their suffixes."""
    if path is None:
        return set()
    return {Path(line).stem for line in read_lines(path, "source.rejected")}


def choose_category_references(
    images: Images,
    category: np.ndarray,
    number: int,
    name: str,
    rejected: set[str],
    root: Path,
    settings: dict[str, Any],
    seed: int,
) -> list[Reference]:
    """Choose the references of one category, of which only headers are read.

    Parameters
    ----------
    images
        The validation images.
    category
        Index of each class's category.
    number, name
        The category.
    rejected
        Names, without suffix, that may not be chosen.
    root
        Where paths start.
    settings
        size and references_per_category.
    seed
        The seed of the study; each category has a random order of its own.

    Returns
    -------
    list of Reference
        In the order drawn.

    Raises
    ------
    StudyError
        If there are too few images that can be one.
    """
    wanted, size = settings["references_per_category"], settings["size"]
    if wanted < 1:
        raise StudyError(f"references_per_category is {wanted}; give at least 1")
    members = np.flatnonzero(category[images.label] == number)
    generator = numpy_generator(seed, "stimuli", "references", name)
    passed_over: Counter[str] = Counter()
    chosen = []
    for index in generator.permutation(members):
        path = root / os.fsdecode(images.path[index])
        unfit = "rejected" if path.stem in rejected else unfit_for_reference(path, size)
        if unfit is not None:
            passed_over[unfit] += 1
            continue
        chosen.append(Reference(name, number, int(images.label[index]), path))
        if len(chosen) == wanted:
            return chosen
    reasons = "".join(f", {count} {why}" for why, count in passed_over.items())
    raise StudyError(
        f"references_per_category is {wanted}, but '{name}' has {len(chosen)} "
        f"validation images that can be one (of {len(members)}{reasons}); lower "
        "references_per_category, or give its other images"
    )


def unfit_for_reference(path: Path, size: int) -> str | None:
    """Say why an image cannot be a reference, from its header; None if it can."""
    try:
        with Image.open(path) as image:
            if image.mode != "RGB":
                return "not in color"
            return "too small" if min(image.size) < size else None
    except (UnidentifiedImageError, OSError):
        return "not readable"


def _read_references(
    chosen: Sequence[Reference], settings: dict[str, Any], classes: Sequence[str]
) -> Split:
    """Read the references: the middle square, scaled to the size.

    Their names are those of the published files: place, category, name of the
    category, name of the class, name of the image.
    """
    items = [
        Item(
            name=f"{place}_{one.number}_{one.category}_{classes[one.label]}"
            f"_{one.path.stem}",
            category=one.number,
            source=str(one.path),
            load=partial(read_image, one.path),
        )
        for place, one in enumerate(chosen)
    ]
    split = read_items(items, settings["size"], settings["channels"], square)
    labels = np.array([one.label for one in chosen])
    return replace(split, label={"class": labels, **split.label})
