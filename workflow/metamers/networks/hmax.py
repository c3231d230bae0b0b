"""HMAX: a hand-built hierarchy of tuning and pooling, with a linear read-out.

Gabor filters (S1), pooling over position and scale (C1), Gaussian tuning to patches of
C1 (S2), a maximum over all positions and scales (C2), and a trained linear layer
(Feather et al. 2023, Methods; the study's released code, imagenet_models/hmax.py).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from metamers.errors import StudyError
from metamers.networks.hmax_stages import (
    ORIENTATIONS,
    GaborEnergy,
    GlobalMaximum,
    PatchTuning,
    ScalePooling,
)

PATCH_SIZES = (2, 4, 6, 8, 10, 12, 14, 16)
PATCHES = "s2_out_reshape_to_list.patches"  # buffers of a weights file, with a number


class HMAX(nn.Module):
    """The hierarchy and its read-out; only the read-out is trained.

    Parameters
    ----------
    classes
        Number of logits.
    size
        Height and width of the images, pixels.
    filter_sizes
        Number of S1 filter sizes, 7, 9, 11, ... pixels; even, since C1 pools pairs.
    patch_sizes
        Heights and widths of the S2 patches, in units of C1.
    patches
        Number of patches of each size. Until a weights file brings the published ones
        they are cut from C1's response to 1/f noise, drawn from torch's generator.
    sigma
        Width of the tuning to a patch, in units of C1's response.

    Raises
    ------
    StudyError
        If a value is out of its range.
    """

    def __init__(
        self,
        classes: int = 1000,
        size: int = 250,
        filter_sizes: int = 16,
        patch_sizes: Sequence[int] = PATCH_SIZES,
        patches: int = 400,
        sigma: float = 1.0,
    ) -> None:
        super().__init__()
        _check(size, filter_sizes, patch_sizes, patches)
        self.size = size
        self.s1_out = GaborEnergy(filter_sizes)
        self.c1_out_no_reshape = ScalePooling(filter_sizes, size)
        self.s2_out_reshape_to_list = PatchTuning(
            self.c1_out_no_reshape.sides, random_patches(patch_sizes, patches), sigma
        )
        self.c2_out = GlobalMaximum(self.s2_out_reshape_to_list)
        self.final = nn.Linear(patches * len(patch_sizes), classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, classes) of grey images (n, 1, size, size) in [0, 255]."""
        if x.shape[1:] != (1, self.size, self.size):
            raise StudyError(
                f"the network is made for images of shape (1, {self.size}, {self.size})"
                f" and gets {tuple(x.shape[1:])}; set its argument size, or channels "
                "and resize of the model's preprocessing"
            )
        c1 = self.c1_out_no_reshape(self.s1_out(x))
        return self.final(self.c2_out(self.s2_out_reshape_to_list(c1)))


def random_patches(sizes: Sequence[int], count: int) -> list[Tensor]:
    """Cut patches from the first C1 band's response to 1/f noise.

    The published patches were cut from responses to photographs, whose spectrum is
    like that: distances, and with them S2 and C2, are then of the published order.

    Parameters
    ----------
    sizes
        Of the patches.
    count
        Patches of each size; drawn from torch's default generator.

    Returns
    -------
    list of Tensor
        For each size (count, orientations, size, size).
    """
    side = 4 * max(sizes)
    pooling = ScalePooling(2, 4 * side)
    images = _pink_noise(4, 4 * side)
    with torch.no_grad():
        maps = pooling(GaborEnergy(2)(images)).unflatten(
            1, (len(ORIENTATIONS), pooling.sides[0], pooling.sides[0])
        )
    found = []
    for size in sizes:
        cuts = []
        for _ in range(count):
            image = int(torch.randint(len(maps), ()))
            # Not from the outermost positions, where S1's border is.
            row, column = (torch.randint(2, side - size - 1, (2,))).tolist()
            cuts.append(maps[image, :, row : row + size, column : column + size])
        found.append(torch.stack(cuts))
    return found


def _pink_noise(count: int, side: int) -> Tensor:
    """Return images (count, 1, side, side) in [0, 255] of amplitude spectrum 1/f."""
    frequency = torch.fft.fftfreq(side)[:, None].hypot(torch.fft.rfftfreq(side))
    frequency[0, 0] = torch.inf
    spectrum = torch.fft.rfft2(torch.randn(count, 1, side, side)) / frequency
    noise = torch.fft.irfft2(spectrum, s=(side, side))
    noise = noise / noise.std((-2, -1), keepdim=True)
    return (127.5 + 60 * noise).clamp(0, 255)


def patches_from_mat(path: str | Path) -> dict[str, Tensor]:
    """Read the public universal patch set into what a weights file holds of it.

    Parameters
    ----------
    path
        ``universal_patch_set.mat``: ``patches``, a cell array with a matrix for each
        size, whose columns are patches (rows, columns, orientations) in column-major
        order; and ``patchSizes``, whose columns are (rows, columns, orientations,
        patches).

    Returns
    -------
    dict of str to Tensor
        float32 (patches, orientations, size, size) by the network's own name of the
        buffer; with ``final.weight`` and ``final.bias`` it is a whole weights file.

    Raises
    ------
    StudyError
        If the file does not hold what it should.
    """
    from scipy.io import loadmat

    content = loadmat(path)
    if missing := {"patches", "patchSizes"} - set(content):
        raise StudyError(
            f"{path} has no variable {' and no '.join(sorted(missing))}; it is not "
            "the universal patch set of HMAX"
        )
    cells = list(content["patches"].ravel())
    shapes = content["patchSizes"].astype(int).T.tolist()
    state = {}
    for number, (cell, shape) in enumerate(zip(cells, shapes, strict=True)):
        rows, columns, orientations, _ = shape
        if orientations != len(ORIENTATIONS) or rows != columns:
            raise StudyError(
                f"{path}: patches of shape {shape[:3]} are not square patches of "
                f"{len(ORIENTATIONS)} orientations"
            )
        if cell.size != math.prod(shape):
            raise StudyError(
                f"{path}: {cell.size} values for patches of shape {shape}; the file "
                "is damaged"
            )
        values = cell.astype(np.float32).reshape(shape, order="F")
        values = np.ascontiguousarray(values.transpose(3, 2, 0, 1))
        state[f"{PATCHES}{number}"] = torch.from_numpy(values)
    return state


def _check(
    size: int, filter_sizes: int, patch_sizes: Sequence[int], patches: int
) -> None:
    if filter_sizes < 2 or filter_sizes % 2:
        raise StudyError(
            f"HMAX: filter_sizes is {filter_sizes}; C1 pools pairs of sizes, so it "
            "must be an even number, at least 2 (published: 16)"
        )
    largest = 5 + 2 * filter_sizes
    if size <= largest:
        raise StudyError(
            f"HMAX: images of {size} pixels are no larger than the largest filter, "
            f"{largest}; raise size or lower filter_sizes"
        )
    if not patch_sizes or min(patch_sizes) < 1 or patches < 1:
        raise StudyError(
            f"HMAX: patch_sizes {list(patch_sizes)} and patches {patches} must be at "
            "least 1"
        )
