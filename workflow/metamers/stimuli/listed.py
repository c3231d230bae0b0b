"""Lists of stimuli that stay in files of their own and are read when they are needed.

A split of a stimulus file is either stored, with all its pixels or samples, or listed:
the paths and labels of a million images or clips are some tens of megabytes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

# The category at place 0 of a task that may have no word, or no sound, to name.
NULL_NAME = "__nullSignal__"

KINDS = ("images", "speech", "backgrounds", "mixtures")
KIND_ATTRIBUTE = "kind"
_ROOT_ATTRIBUTE = "root"
_WIDTH_ATTRIBUTE = "labels"


class MultiHot:
    """A label of which a stimulus may have several: rows of 0 and 1, kept as bits.

    Parameters
    ----------
    packed
        Uint8 (n, ceil(width / 8)), as `numpy.packbits` makes it.
    width
        How many categories there are.
    """

    def __init__(self, packed: np.ndarray, width: int) -> None:
        self.packed, self.width = packed, width

    @classmethod
    def of(cls, members: Sequence[Sequence[int]], width: int) -> MultiHot:
        """Make the label from the categories (indices) of each stimulus."""
        packed = np.zeros((len(members), (width + 7) // 8), dtype=np.uint8)
        for row, indices in zip(packed, members, strict=True):
            for index in indices:
                row[index // 8] |= 128 >> index % 8
        return cls(packed, width)

    def __len__(self) -> int:
        """Return the number of stimuli."""
        return len(self.packed)

    def __getitem__(self, index: np.ndarray | slice) -> np.ndarray:
        """Return uint8 rows (n, width) of 0 and 1."""
        return np.unpackbits(self.packed[index], axis=-1, count=self.width)


Label = np.ndarray | MultiHot


@dataclass(frozen=True)
class Listing:
    """The stimuli of one split, as a list of files.

    Attributes
    ----------
    kind
        ``images``; ``speech``, clips cut about a word; ``backgrounds``; or
        ``mixtures`` of a clip with an excerpt of a background.
    root
        Where relative paths start.
    path
        UTF-8 bytes (n): absolute paths, or relative to the root.
    label
        By label name, the index (n) of each stimulus into that label's categories, -1
        where it has none; or a `MultiHot`.
    columns
        What else is needed to read each stimulus (n): ``onset`` of speech in seconds;
        for mixtures besides ``background``, a path like those above, ``place`` of the
        excerpt in it from 0 to 1 and ``snr`` in dB.
    settings
        What is the same for all: of images ``size`` and ``channels``; of sounds
        ``sample_rate``, ``samples`` and ``rms``.
    """

    kind: str
    root: Path
    path: np.ndarray
    label: dict[str, Label]
    columns: dict[str, np.ndarray] = field(default_factory=dict)
    settings: dict[str, int | float] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of stimuli."""
        return len(self.path)

    def ids(self) -> np.ndarray:
        """Return a name (n) of each stimulus: its path and, of a word, its onset."""
        names = [os.fsdecode(path) for path in self.path.tolist()]
        if "onset" in self.columns:
            onsets = self.columns["onset"].tolist()
            names = [f"{n}@{onset:.3f}" for n, onset in zip(names, onsets, strict=True)]
        return np.array(names, dtype=str)

    def file(self, index: int, column: str | None = None) -> Path:
        """Return the file of one stimulus, or the one that a column of it names."""
        path = self.path if column is None else self.columns[column]
        return self.root / os.fsdecode(path[index])

    def check(self, categories: Mapping[str, Sequence[str]]) -> None:
        """Check what every reader of a list relies on.

        Raises
        ------
        ValueError
            Where the kind, a number of stimuli or a label is wrong.
        """
        if self.kind not in KINDS:
            raise ValueError(f"kind is {self.kind}; it must be one of {KINDS}")
        for name, column in (*self.columns.items(), *self.label.items()):
            if len(column) != len(self):
                raise ValueError(f"{name} has {len(column)} rows for {len(self)} paths")
        for name, label in self.label.items():
            count = len(categories[name])
            if isinstance(label, MultiHot):
                if label.width != count:
                    raise ValueError(f"label {name} is of {label.width}, not {count}")
            elif np.any((label < -1) | (label >= count)):
                raise ValueError(f"label {name} must hold indices in [-1, {count})")


def as_paths(names: Sequence[str]) -> np.ndarray:
    """Return paths as bytes (n), which take a quarter of the memory of text."""
    return np.array([os.fsencode(name) for name in names], dtype=np.bytes_)


def write_listing(listing: Listing, group: h5py.Group) -> None:
    """Write a list into an empty group of a stimulus file."""
    group.attrs[KIND_ATTRIBUTE] = listing.kind
    group.attrs[_ROOT_ATTRIBUTE] = str(listing.root)
    for name, value in listing.settings.items():
        group.attrs[name] = value
    for name, column in {"path": listing.path, **listing.columns}.items():
        group.create_dataset(name, data=column, compression="gzip")
    for name, label in listing.label.items():
        if isinstance(label, MultiHot):
            stored = group.create_dataset(
                f"label/{name}", data=label.packed, compression="gzip"
            )
            stored.attrs[_WIDTH_ATTRIBUTE] = label.width
        else:
            group.create_dataset(
                f"label/{name}", data=label.astype(np.int16), compression="gzip"
            )


def read_listing(group: h5py.Group) -> Listing:
    """Read the list that `write_listing` wrote."""
    settings = dict(group.attrs.items())
    kind = str(settings.pop(KIND_ATTRIBUTE))
    root = Path(str(settings.pop(_ROOT_ATTRIBUTE)))
    columns = {name: group[name][:] for name in group if name != "label"}
    label = {name: read_label(group["label"][name]) for name in group["label"]}
    return Listing(kind, root, columns.pop("path"), label, columns, settings)


def read_label(stored: h5py.Dataset) -> Label:
    """Read one label of a split, stored or listed."""
    if _WIDTH_ATTRIBUTE in stored.attrs:
        return MultiHot(stored[:], int(stored.attrs[_WIDTH_ATTRIBUTE]))
    return stored[:].astype(np.int64)
