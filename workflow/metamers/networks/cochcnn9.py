"""CochCNN9, the convolutional network of the auditory study, and a less aliasing one.

Five convolutions and two linear layers on a cochleagram (Feather et al. 2023, Methods;
the study's released code, audio_models/kell2018.py).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from metamers.errors import StudyError
from metamers.networks.hann import HannPool2d, same_padding

WORDS = 794  # 793 words, and none
CHANNELS = (96, 256, 512, 1024, 512)
HIDDEN = 4096
POOL_KERNEL = (2, 5)
# Of conv0, maxpool0, conv1, maxpool1 and avgpool, on both axes; no other layer strides.
STRIDES = (3, 2, 2, 2, 2)


class SamePadded(nn.Module):
    """Zeros around the input of a layer that make it return ceil(length / stride).

    The odd zero goes to the bottom and the right, as in TensorFlow's SAME padding. It
    is mixed into the layer, so that its weights keep their names.
    """

    # Pairs (rows, frames); the layers differ in what else they may be.
    kernel_size: Any
    stride: Any

    def forward(self, input: Tensor) -> Tensor:
        """Return what the layer makes of its input (n, channels, rows, frames)."""
        (top, bottom), (left, right) = (
            same_padding(length, kernel, stride)
            for length, kernel, stride in zip(
                input.shape[-2:], self.kernel_size, self.stride, strict=True
            )
        )
        return super().forward(functional.pad(input, (left, right, top, bottom)))


class SameConv2d(SamePadded, nn.Conv2d):
    """A convolution with SAME padding."""


class SameMaxPool2d(SamePadded, nn.MaxPool2d):
    """Maxima with SAME padding, of an input that is not negative."""


class SameAvgPool2d(SamePadded, nn.AvgPool2d):
    """Means with SAME padding; its zeros count."""


class CochCNN9(nn.Module):
    """Five convolutions and two linear layers on a cochleagram.

    Convolutions have no bias, and batch norm comes before the first three only, after
    the pooling. The names of the layers are those of the study's checkpoints.

    The study's stages have the names of their modules: ``front_end``, ``relu0`` to
    ``relu4``, ``avgpool``, ``relufc`` and ``classification``. It also stands in for
    the word network of 2019, whose layers are not public; stages there are
    ``front_end``, ``relu0`` to ``relu4``, ``relufc`` and ``classification``.

    Parameters
    ----------
    classes
        Number of logits; of a network with several tasks, of all of them together.
    rows, frames
        Of the cochleagram.
    width
        Factor on the number of channels and of hidden units, for smaller networks.

    Raises
    ------
    StudyError
        If a size is not possible.
    """

    def __init__(
        self,
        classes: int = WORDS,
        rows: int = 211,
        frames: int = 390,
        width: float = 1.0,
    ) -> None:
        super().__init__()
        if not (min(rows, frames) >= 1 and width > 0):
            raise StudyError(
                f"rows ({rows}) and frames ({frames}) must be at least 1 and width "
                f"({width}) above 0; rows and frames are those of the front end, and "
                "width 1 is the published network"
            )
        self.shape = (rows, frames)
        first, second, third, fourth, fifth = (_scaled(n, width) for n in CHANNELS)
        hidden = _scaled(HIDDEN, width)
        self.batchnorm0 = nn.BatchNorm2d(1)
        self.conv0 = _convolution(1, first, (7, 14), stride=3)
        self.relu0 = nn.ReLU()
        self.maxpool0: nn.Module = SameMaxPool2d(POOL_KERNEL, (2, 2))
        self.batchnorm1 = nn.BatchNorm2d(first)
        self.conv1 = _convolution(first, second, (4, 8), stride=2)
        self.relu1 = nn.ReLU()
        self.maxpool1: nn.Module = SameMaxPool2d(POOL_KERNEL, (2, 2))
        self.batchnorm2 = nn.BatchNorm2d(second)
        self.conv2 = _convolution(second, third, (2, 5))
        self.relu2 = nn.ReLU()
        self.conv3 = _convolution(third, fourth, (2, 5))
        self.relu3 = nn.ReLU()
        self.conv4 = _convolution(fourth, fifth, (2, 5))
        self.relu4 = nn.ReLU()
        self.avgpool = SameAvgPool2d(POOL_KERNEL, (2, 2))
        flat = fifth * _downsampled(rows) * _downsampled(frames)
        self.fullyconnected = nn.Linear(flat, hidden)
        self.relufc = nn.ReLU()
        self.dropout = nn.Dropout(0.5)
        self.classification = nn.Linear(hidden, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, classes) of cochleagrams (n, 1, rows, frames)."""
        if x.shape[1:] != (1, *self.shape):
            raise StudyError(
                f"the network is made for cochleagrams of {self.shape} (rows, frames) "
                f"and the front end gives {tuple(x.shape[-2:])}; set the arguments "
                "rows and frames of the model"
            )
        x = self.maxpool0(self.first(self.batchnorm0(x)))
        x = self.maxpool1(self.second(self.batchnorm1(x)))
        x = self.relu2(self.conv2(self.batchnorm2(x)))
        x = self.relu3(self.conv3(x))
        x = self.relu4(self.conv4(x))
        x = torch.flatten(self.avgpool(x), 1)
        x = self.relufc(self.fullyconnected(x))
        return self.classification(self.dropout(x))

    def first(self, x: Tensor) -> Tensor:
        """Return the first stage: (n, 96, rows / 3, frames / 3)."""
        return self.relu0(self.conv0(x))

    def second(self, x: Tensor) -> Tensor:
        """Return the second stage: (n, 256, rows / 12, frames / 12)."""
        return self.relu1(self.conv1(x))


class LowpassCochCNN9(CochCNN9):
    """`CochCNN9` with less aliasing: the reduced-aliasing word network of 2019.

    The first two convolutions run at stride 1, and a Hann pooling after their ReLU
    takes the stride; Hann poolings also replace the max poolings. Sizes are four times
    the stride (the study's released code of 2019, audio_cnn_helpers.py). The average
    pooling stays: it is a low-pass filter, if a weak one.

    Stages are ``front_end``, ``pool_0_0``, ``pool_1_0``, ``relu2`` to ``relu4``,
    ``relufc`` and ``classification``. The pooled ones have the shapes of ``relu0`` and
    ``relu1`` of `CochCNN9`; they do not end in a ReLU, so their gradients are plain.

    Parameters
    ----------
    classes, rows, frames, width
        As for `CochCNN9`; one seed gives both the same initial weights.
    normalized
        Whether the weights of a Hann pooling sum to 1, so that activations stay of
        the size that they have in `CochCNN9`. In the code of 2019 they do not unless
        asked to. Nothing that is measured depends on it: batch norm after the
        poolings takes a common factor out again, and matching loss and distances at
        the pooled stages are ratios.
    """

    def __init__(
        self,
        classes: int = WORDS,
        rows: int = 211,
        frames: int = 390,
        width: float = 1.0,
        normalized: bool = True,
    ) -> None:
        super().__init__(classes, rows, frames, width)
        self.conv0.stride = self.conv1.stride = (1, 1)
        self.pool_0_0 = HannDownsampling2d(3, normalized)
        self.pool_1_0 = HannDownsampling2d(2, normalized)
        self.maxpool0 = HannDownsampling2d(2, normalized)
        self.maxpool1 = HannDownsampling2d(2, normalized)

    def first(self, x: Tensor) -> Tensor:
        """Return the first stage: (n, 96, rows / 3, frames / 3)."""
        return self.pool_0_0(super().first(x))

    def second(self, x: Tensor) -> Tensor:
        """Return the second stage: (n, 256, rows / 12, frames / 12)."""
        return self.pool_1_0(super().second(x))


class HannDownsampling2d(HannPool2d):
    """Hann pooling whose window is four times its stride, on both axes.

    Whether the window's end points, which are zero, are part of it (as they are in the
    code of 2019) makes no difference: SAME padding grows with it.

    Parameters
    ----------
    stride
        Of the pooling.
    normalized
        Whether the weights sum to 1; else those of each axis are the window's own.
    """

    def __init__(self, stride: int, normalized: bool) -> None:
        super().__init__(4 * stride, stride)
        # A Hann window of p points sums to (p - 1) / 2.
        self.gain = 1.0 if normalized else ((4 * stride - 1) / 2) ** 2

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, channels, rows / stride, frames / stride)."""
        pooled = super().forward(x)
        return pooled if self.gain == 1.0 else self.gain * pooled


def _convolution(
    inputs: int, outputs: int, kernel: tuple[int, int], stride: int = 1
) -> SameConv2d:
    return SameConv2d(inputs, outputs, kernel, (stride, stride), bias=False)


def _scaled(count: int, width: float) -> int:
    return max(1, round(width * count))


def _downsampled(length: int) -> int:
    for stride in STRIDES:
        length = -(-length // stride)
    return length
