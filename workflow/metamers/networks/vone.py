"""A model of primary visual cortex: Gabor filters with parameters of real neurons.

Distributions and the order of draws are those of VOneNet (Dapello et al. 2020), so one
seed draws the same neurons here as there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import norm
from torch import Tensor, nn
from torch.nn import functional

from metamers.errors import StudyError
from metamers.randomness import numpy_generator

# Preferred orientation in degrees, 0 for horizontal stripes: edges of the bins and
# number of neurons (De Valois, Yund & Hepler 1982).
ORIENTATION_EDGES = np.array([-22.5, 22.5, 67.5, 112.5, 157.5])
ORIENTATION_COUNTS = np.array([66, 49, 77, 54])
# Preferred spatial frequency in cycles a degree (De Valois, Albrecht & Thorell 1982).
FREQUENCY_EDGES = np.array([0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0])
FREQUENCY_COUNTS = np.array([4, 4, 8, 25, 32, 26, 28, 12])
# Standard deviation of the envelope in periods of the carrier, across the stripes
# (rows) and along them (columns) (Ringach 2002).
SIZE_EDGES = np.logspace(-1.0, 0.2, 6)
SIZE_COUNTS = np.array(
    [
        [2, 0, 1, 0, 0],
        [8, 9, 4, 1, 0],
        [1, 2, 19, 17, 3],
        [0, 0, 1, 7, 4],
        [0, 0, 0, 0, 0],
    ]
)


@dataclass(frozen=True)
class Gabors:
    """Parameters of Gabor filters, one value a filter.

    Attributes
    ----------
    frequency
        Of the carrier, in cycles a degree.
    orientation
        Of the stripes in radians; 0 is horizontal.
    phase
        Of the carrier at the center, in radians.
    across, along
        Standard deviation of the envelope across and along the stripes, in periods of
        the carrier.
    """

    frequency: np.ndarray
    orientation: np.ndarray
    phase: np.ndarray
    across: np.ndarray
    along: np.ndarray


def sample_gabors(
    count: int,
    seed: int,
    correlation: float = 0.75,
    frequencies: tuple[float, float] = (0.0, 6.0),
) -> Gabors:
    """Draw the parameters of V1 neurons.

    Parameters
    ----------
    count
        Of neurons.
    seed
        Of these draws.
    correlation
        Between the normal scores of frequency and of the envelope across the stripes.
    frequencies
        Bins of preferred frequency outside these bounds (cycles a degree) are left
        out.

    Returns
    -------
    Gabors
        Each with `count` values.

    Raises
    ------
    StudyError
        If the bounds hold no bin.
    """
    low, high = frequencies
    kept = (FREQUENCY_EDGES[:-1] >= low) & (FREQUENCY_EDGES[1:] <= high)
    if not kept.any():
        raise StudyError(
            f"no bin of preferred spatial frequency lies in [{low}, {high}] cycles a "
            f"degree; bins have the edges {', '.join(map(str, FREQUENCY_EDGES))}"
        )
    edges = FREQUENCY_EDGES[np.append(kept, False) | np.insert(kept, 0, False)]
    # The generator and the order of draws are part of which neurons a seed means.
    draw = np.random.RandomState(seed)
    phase = 360.0 * draw.rand(count)
    orientation = _quantile(draw.rand(count), ORIENTATION_COUNTS, ORIENTATION_EDGES)
    covariance = [[1.0, correlation], [correlation, 1.0]]
    scores = norm.cdf(draw.multivariate_normal([0.0, 0.0], covariance, count))
    across = _quantile(scores[:, 0], SIZE_COUNTS.sum(axis=1), np.log10(SIZE_EDGES))
    row = np.searchsorted(np.log10(SIZE_EDGES), across) - 1
    along = np.empty(count)
    uniform = draw.rand(count)
    for index in np.unique(row):
        chosen = row == index
        along[chosen] = _quantile(
            uniform[chosen], SIZE_COUNTS[index], np.log10(SIZE_EDGES)
        )
    frequency = _quantile(scores[:, 1], FREQUENCY_COUNTS[kept], np.log2(edges))
    return Gabors(
        frequency=2.0**frequency,
        orientation=np.deg2rad(orientation % 180.0),
        phase=np.deg2rad(phase),
        across=10.0**across,
        along=10.0**along,
    )


def gabor_kernels(
    gabors: Gabors, size: int, pixels_per_degree: float, shift: float = 0.0
) -> np.ndarray:
    """Return the kernels of Gabor filters; the envelope of each has sum 1.

    Parameters
    ----------
    gabors
        Their parameters.
    size
        Rows and columns, odd.
    pixels_per_degree
        Of visual angle.
    shift
        Added to every phase, in radians.

    Returns
    -------
    ndarray
        (filters, size, size), float64.
    """

    def of_filters(values: np.ndarray) -> np.ndarray:
        return values[:, None, None]

    frequency = of_filters(gabors.frequency) / pixels_per_degree
    across = of_filters(gabors.across) / frequency
    along = of_filters(gabors.along) / frequency
    angle = of_filters(gabors.orientation)
    offset = np.arange(size) - size // 2
    row, column = offset[:, None], offset[None, :]
    u = row * np.cos(angle) + column * np.sin(angle)
    v = column * np.cos(angle) - row * np.sin(angle)
    envelope = np.exp(-0.5 * ((u / across) ** 2 + (v / along) ** 2))
    envelope /= 2.0 * math.pi * across * along
    carrier = np.cos(2.0 * math.pi * frequency * u + of_filters(gabors.phase) + shift)
    return envelope * carrier


class VOneBlock(nn.Module):
    """Simple and complex cells of V1, with noise, before their rectification.

    A simple cell is a rectified Gabor filter. A complex cell is the energy of two of a
    quarter period's distance in phase. Every filter sees one color channel drawn at
    random (the two of a complex cell by separate draws, as in VOneNet). Responses are
    scaled, and Gaussian noise is added: new noise to every stimulus in training, one
    and the same in evaluation (Feather et al. 2023, Methods). As from any layer that
    draws in training (dropout), that noise comes from torch's own generator.

    Filters do not learn. They are kept among the weights; the fixed noise, which
    `noise_seed` alone defines, is not.

    Parameters
    ----------
    channels, size
        Of the images; height and width in pixels.
    simple_channels, complex_channels
        Number of cells of each kind.
    kernel, stride
        Of the filters, in pixels; `kernel` is odd.
    degrees
        Visual angle of an image.
    gabor_seed, noise_seed
        Of the neurons and their color channels, and of the noise in evaluation.
    correlation, frequencies
        As for `sample_gabors`.
    gain
        Factor on all responses.
    noise_level
        Standard deviation of the noise.
    """

    filters: Tensor
    order: Tensor
    noise: Tensor

    def __init__(
        self,
        channels: int = 3,
        size: int = 224,
        simple_channels: int = 256,
        complex_channels: int = 256,
        kernel: int = 25,
        stride: int = 4,
        degrees: float = 8.0,
        gabor_seed: int = 0,
        noise_seed: int = 0,
        correlation: float = 0.75,
        frequencies: tuple[float, float] = (0.0, 6.0),
        gain: float = 25.0,
        noise_level: float = 4.0,
    ) -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise StudyError(f"the kernel of V1 filters is {kernel}; it must be odd")
        self.size = size
        self.stride = stride
        self.cells = (simple_channels, complex_channels)
        self.gain = gain
        self.noise_level = noise_level
        cells = simple_channels + complex_channels
        gabors = sample_gabors(cells, gabor_seed, correlation, frequencies)
        first, second = (
            gabor_kernels(gabors, kernel, size / degrees, shift)
            for shift in (0.0, math.pi / 2)
        )
        # Only complex cells have a second filter.
        filters = np.concatenate([first, second[simple_channels:]])
        colors = numpy_generator(gabor_seed, "V1 colors").integers(
            channels, size=len(filters)
        )
        # Sorted by color, each filter is applied to its own color channel alone.
        by_color = np.argsort(colors, kind="stable")
        self.per_color = np.bincount(colors, minlength=channels).tolist()
        filters = filters[by_color, None].astype(np.float32)
        self.register_buffer("filters", torch.from_numpy(filters))
        order = torch.from_numpy(np.argsort(by_color))
        self.register_buffer("order", order, persistent=False)
        side = (size - 1) // stride + 1
        noise = numpy_generator(noise_seed, "V1 noise").standard_normal(
            (1, cells, side, side), dtype=np.float32
        )
        self.register_buffer("noise", torch.from_numpy(noise), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, cells, rows, columns), which the cells rectify.

        Parameters
        ----------
        x
            Images (n, channels, size, size).
        """
        x = self.responses(x)
        noise = torch.randn_like(x) if self.training else self.noise
        return x + self.noise_level * noise

    def responses(self, x: Tensor) -> Tensor:
        """Return the cells' responses without noise; shapes as for `forward`."""
        if x.shape[-2:] != (self.size, self.size):
            raise StudyError(
                f"the V1 block is made for images of {self.size} x {self.size} pixels "
                f"and gets {x.shape[-2]} x {x.shape[-1]}; set the argument size of the "
                "model, or preprocessing.resize"
            )
        padding = self.filters.shape[-1] // 2
        filtered = [
            functional.conv2d(image, kernels, stride=self.stride, padding=padding)
            for image, kernels in zip(
                x.split(1, dim=1), self.filters.split(self.per_color), strict=True
            )
            if len(kernels)
        ]
        x = torch.cat(filtered, dim=1).index_select(1, self.order)
        simple, first, second = x.split([*self.cells, self.cells[1]], dim=1)
        # The constant keeps the gradient finite where both filters are silent.
        energy = (1e-5 + first.square() + second.square()).sqrt() / math.sqrt(2.0)
        return self.gain * torch.cat([functional.relu(simple), energy], dim=1)


def _quantile(uniform: np.ndarray, counts: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Turn uniform draws into draws from a histogram, uniform within its bins."""
    cumulative = np.concatenate([[0.0], np.cumsum(counts / counts.sum())])
    return np.interp(uniform, cumulative, edges)
