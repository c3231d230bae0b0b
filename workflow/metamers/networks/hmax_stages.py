"""The stages of HMAX: tuning (S1, S2) and pooling (C1, C2), in turn.

Each returns one tensor. Where a stage consists of maps of several sizes they are laid
end to end, and its ``group_sizes`` says how long each part is, for losses that take
one part at a time (`metamers.synthesis.matching`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

ORIENTATIONS = (90.0, -45.0, 0.0, 45.0)  # degrees; the order of the published patches
ASPECT_RATIO = 0.3
ENERGY_OFFSET = 1e-10


class GaborEnergy(nn.Module):
    """S1: Gabor filters of several sizes, divided by the local energy of the image.

    Parameters
    ----------
    filter_sizes
        Number of sizes.
    """

    def __init__(self, filter_sizes: int) -> None:
        super().__init__()
        self.sizes = [7 + 2 * number for number in range(filter_sizes)]
        for number, size in enumerate(self.sizes):
            bank = torch.from_numpy(gabors(size, 4.0 - 0.05 * number)).float()
            self.register_buffer(f"gabors{size}", bank[:, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, sizes * orientations, height, width), in [0, 1].

        A filter that would reach beyond the image has no response: a border of half
        its size is 0.
        """
        energy, maps = x.square(), []
        for size in self.sizes:
            response = functional.conv2d(x, self.get_buffer(f"gabors{size}"))
            local = functional.relu(_box_sum(energy, size))
            response = response.abs() / torch.sqrt(local + ENERGY_OFFSET)
            maps.append(functional.pad(response, [size // 2] * 4))
        return torch.cat(maps, 1)


def gabors(size: int, wavelength_parameter: float) -> np.ndarray:
    """Return the Gabor filters of one size, zero-mean and of unit norm.

    Parameters
    ----------
    size
        Height and width, pixels, odd; the support is the disk of this diameter.
    wavelength_parameter
        Twice the size over the wavelength.

    Returns
    -------
    ndarray
        (orientations, size, size), float64. The wave of orientation 0 runs along the
        columns (its bars are vertical), that of 90 along the rows.
    """
    wavelength = 2 * size / wavelength_parameter
    sigma = 0.8 * wavelength
    offset = np.arange(size) - size // 2
    row, column = offset[:, None], offset[None]
    inside = np.hypot(row, column) <= size / 2
    bank = []
    for angle in np.deg2rad(ORIENTATIONS):
        along = column * np.cos(angle) - row * np.sin(angle)
        across = column * np.sin(angle) + row * np.cos(angle)
        envelope = np.exp(-(along**2 + (ASPECT_RATIO * across) ** 2) / (2 * sigma**2))
        gabor = envelope * np.cos(2 * np.pi * along / wavelength) * inside
        gabor -= gabor.mean()
        bank.append(gabor / np.linalg.norm(gabor))
    return np.stack(bank)


class ScalePooling(nn.Module):
    """C1: the maximum over each pair of sizes and over a neighborhood of positions.

    Parameters
    ----------
    filter_sizes
        Number of S1 sizes; half as many bands.
    size
        Height and width of the images.

    Attributes
    ----------
    sides
        Height and width of each band's maps.
    group_sizes
        Lengths of the maps in the flat output: band by band, orientation by
        orientation.
    """

    def __init__(self, filter_sizes: int, size: int) -> None:
        super().__init__()
        self.kernels = [8 + 2 * band for band in range(filter_sizes // 2)]
        self.sides = [size // (kernel // 2) + 1 for kernel in self.kernels]
        self.group_sizes = tuple(side**2 for side in self.sides for _ in ORIENTATIONS)

    def forward(self, s1: Tensor) -> Tensor:
        """Return all bands' maps, flat: (n, orientations * sum of squared sides)."""
        sizes = s1.unflatten(1, (-1, len(ORIENTATIONS)))
        maps = []
        for band, kernel in enumerate(self.kernels):
            larger = torch.maximum(sizes[:, 2 * band], sizes[:, 2 * band + 1])
            # Windows stand around multiples of the stride, at the edge half outside.
            stride, padding = kernel // 2, kernel // 2
            pooled = functional.max_pool2d(larger, kernel, stride, padding)
            maps.append(pooled.flatten(1))
        return torch.cat(maps, 1)


class _Block(NamedTuple):
    """One patch size at one C1 band."""

    patches: Tensor  # (patches, orientations, size, size)
    part: slice  # of the flat C1
    map_shape: tuple[int, int, int]
    units: slice  # of the flat S2
    unit_shape: tuple[int, int, int]


class PatchTuning(nn.Module):
    """S2: how near C1 is to each patch, around every position of every band.

    Parameters
    ----------
    sides
        Height and width of each C1 band.
    patches
        For each patch size (patches, orientations, size, size), in units of C1; kept
        as buffers ``patches0``, ``patches1``, ..., which weights files hold.
    sigma
        Width of the tuning.

    Attributes
    ----------
    group_sizes
        Lengths in the flat output of each patch size at each band, in this order.
    """

    def __init__(
        self, sides: Sequence[int], patches: Sequence[Tensor], sigma: float
    ) -> None:
        super().__init__()
        self.sides = list(sides)
        self.kinds = len(patches)
        self.slope = -1 / (2 * sigma**2)
        for number, values in enumerate(patches):
            self.register_buffer(f"patches{number}", values)
        blocks = list(self.blocks())
        self.group_sizes = tuple(math.prod(block.unit_shape) for block in blocks)

    def blocks(self) -> Iterator[_Block]:
        """Go through the patch sizes, and through the bands at each."""
        first = 0
        for number in range(self.kinds):
            patches = self.get_buffer(f"patches{number}")
            count, orientations, size, _ = patches.shape
            start = 0
            for side in self.sides:
                # Zeros of half a patch around the map; one more position if it is even.
                places = side + 1 - size % 2
                stop = start + orientations * side**2
                last = first + count * places**2
                yield _Block(
                    patches,
                    slice(start, stop),
                    (orientations, side, side),
                    slice(first, last),
                    (count, places, places),
                )
                start, first = stop, last

    def forward(self, c1: Tensor) -> Tensor:
        """Return exp(-d / (2 sigma^2)) of all squared distances d, flat: (n, units)."""
        return _GaussianTuning.apply(c1, self)


class _GaussianTuning(torch.autograd.Function):
    """Responses from squared distances, written in place, with one array kept.

    At the published size there are 42 million of them for each image, so that the
    distances, the clamped ones and the copies of an ordinary graph are what would
    decide how many images fit a GPU.
    """

    @staticmethod
    def forward(ctx: Any, c1: Tensor, layer: PatchTuning) -> Tensor:
        response = c1.new_empty(len(c1), sum(layer.group_sizes))
        for block in layer.blocks():
            x = c1[:, block.part].unflatten(1, block.map_shape)
            distance = squared_distances(x, block.patches)
            distance.mul_(layer.slope).exp_()
            response[:, block.units].unflatten(1, block.unit_shape).copy_(distance)
        ctx.save_for_backward(c1, response)
        ctx.layer = layer
        return response

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Any) -> Any:
        c1, response = ctx.saved_tensors
        total = torch.zeros_like(c1)
        for block in ctx.layer.blocks():
            x = c1[:, block.part].unflatten(1, block.map_shape)
            outer = gradients[0][:, block.units] * response[:, block.units]
            outer = outer.mul_(ctx.layer.slope).unflatten(1, block.unit_shape)
            # d = |x|^2 + |p|^2 - 2 x.p around each position.
            padding = block.patches.shape[-1] // 2
            inner = functional.conv_transpose2d(outer, block.patches, padding=padding)
            weight = _box_spread(outer.sum(1, keepdim=True), block.patches.shape[-1])
            total[:, block.part] += (2 * (x * weight - inner)).flatten(1)
        return total, None


def squared_distances(x: Tensor, patches: Tensor) -> Tensor:
    """Return the squared distances of all patches to a map around each position.

    Parameters
    ----------
    x
        (n, orientations, height, width); beyond it is 0.
    patches
        (patches, orientations, size, size).

    Returns
    -------
    Tensor
        (n, patches, height + 1, width + 1) for an even size, (n, patches, height,
        width) for an odd one; at least 0.
    """
    size = patches.shape[-1]
    energy = _box_sum(x.square().sum(1, keepdim=True), size, size // 2)
    distance = functional.conv2d(x, patches, padding=size // 2).mul_(-2)
    norm = patches.square().sum((1, 2, 3)).view(1, -1, 1, 1)
    return distance.add_(energy).add_(norm).clamp_min_(0)


class GlobalMaximum(nn.Module):
    """C2: each patch's largest response over all positions and bands.

    Parameters
    ----------
    tuning
        S2, whose layout this reads.
    """

    def __init__(self, tuning: PatchTuning) -> None:
        super().__init__()
        self.bands = len(tuning.sides)
        self.group_lengths = tuning.group_sizes
        self.counts = [block.unit_shape[0] for block in tuning.blocks()]

    def forward(self, s2: Tensor) -> Tensor:
        """Return (n, patch sizes * patches), in [0, 1]."""
        parts = s2.split(self.group_lengths, 1)
        largest = [
            part.unflatten(1, (count, -1)).max(-1).values
            for part, count in zip(parts, self.counts, strict=True)
        ]
        return torch.cat(
            [
                torch.stack(largest[first : first + self.bands]).max(0).values
                for first in range(0, len(largest), self.bands)
            ],
            1,
        )


def _box_sum(x: Tensor, size: int, padding: int = 0) -> Tensor:
    """Sum a map (n, 1, height, width) over squares, one axis after the other."""
    down, right = x.new_ones(1, 1, size, 1), x.new_ones(1, 1, 1, size)
    return functional.conv2d(
        functional.conv2d(x, down, padding=(padding, 0)), right, padding=(0, padding)
    )


def _box_spread(x: Tensor, size: int) -> Tensor:
    """Return the gradient of `_box_sum` with a padding of half the square."""
    down, right = x.new_ones(1, 1, size, 1), x.new_ones(1, 1, 1, size)
    x = functional.conv_transpose2d(x, down, padding=(size // 2, 0))
    return functional.conv_transpose2d(x, right, padding=(0, size // 2))
