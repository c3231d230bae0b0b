"""CochCNN-like networks for small cochleagrams, with and without reduced aliasing."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from metamers.errors import StudyError
from metamers.networks.hann import HannPool2d, same_padding

CONV_KERNELS = ((5, 10), (4, 6), (3, 5))
POOL_KERNEL = (2, 4)


class SamePad2d(nn.Module):
    """Zeros that make the next layer return ceil(length / stride) on each axis.

    The odd zero goes to the bottom and the right, as TensorFlow's SAME padding does.

    Parameters
    ----------
    kernel, stride
        Of the next layer: rows (frequency) and columns (time).
    """

    def __init__(self, kernel: tuple[int, int], stride: tuple[int, int]) -> None:
        super().__init__()
        self.kernel = kernel
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, channels, rows, columns), padded."""
        top, bottom = same_padding(x.shape[-2], self.kernel[0], self.stride[0])
        left, right = same_padding(x.shape[-1], self.kernel[1], self.stride[1])
        return functional.pad(x, (left, right, top, bottom))


class SmallCochCNN(nn.Module):
    """Three convolutions and two linear layers on a cochleagram: a small CochCNN9.

    As in CochCNN9 (the study's released code, audio_models/kell2018.py) every
    convolution has SAME padding and no bias, and batch norm comes before each of
    them, after the pooling. Of CochCNN9's five convolutions those with pooling, and
    one more, are kept; kernels and strides are scaled to the smaller cochleagram.

    Parameters
    ----------
    classes
        Number of logits.
    width
        Channels of the three convolutions.
    hidden
        Units of the fully connected layer.
    rows, frames
        Of the cochleagram: 25 and 110 for 10 filters with sample factor 2, and 0.6 s
        at an envelope rate of 200 Hz.
    dropout
        Probability before the final layer, in training.
    """

    def __init__(
        self,
        classes: int,
        width: Sequence[int] = (16, 32, 48),
        hidden: int = 128,
        rows: int = 25,
        frames: int = 110,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.shape = (rows, frames)
        self.batchnorm0 = nn.BatchNorm2d(1)
        self.conv0 = _convolution(1, width[0], CONV_KERNELS[0], stride=(1, 2))
        self.relu0 = nn.ReLU()
        self.maxpool0 = _max_pool()
        self.batchnorm1 = nn.BatchNorm2d(width[0])
        self.conv1 = _convolution(width[0], width[1], CONV_KERNELS[1])
        self.relu1 = nn.ReLU()
        self.maxpool1 = _max_pool()
        self.batchnorm2 = nn.BatchNorm2d(width[1])
        self.conv2 = _convolution(width[1], width[2], CONV_KERNELS[2])
        self.relu2 = nn.ReLU()
        self.avgpool: nn.Module = nn.Sequential(
            SamePad2d(POOL_KERNEL, (2, 2)), nn.AvgPool2d(POOL_KERNEL, (2, 2))
        )
        flat = width[2] * _halved(rows, 3) * _halved(_halved(frames, 1), 3)
        self.fullyconnected = nn.Linear(flat, hidden)
        self.relufc = nn.ReLU()
        self.dropout = nn.Dropout(dropout)
        self.final = nn.Linear(hidden, classes)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, classes) of cochleagrams (n, 1, rows, frames)."""
        if x.shape[-2:] != self.shape:
            raise StudyError(
                f"the network is made for cochleagrams of {self.shape} (rows, frames) "
                f"and the front end gives {tuple(x.shape[-2:])}; set the arguments "
                "rows and frames of the model"
            )
        x = self.first(self.batchnorm0(x))
        x = self.relu1(self.conv1(self.batchnorm1(self.maxpool0(x))))
        x = self.relu2(self.conv2(self.batchnorm2(self.maxpool1(x))))
        x = torch.flatten(self.avgpool(x), 1)
        x = self.relufc(self.fullyconnected(x))
        return self.final(self.dropout(x))

    def first(self, x: Tensor) -> Tensor:
        """Return the first stage: (n, width[0], rows, frames / 2)."""
        return self.relu0(self.conv0(x))


class SmallLowpassCochCNN(SmallCochCNN):
    """`SmallCochCNN` with less aliasing: each downsampling is a Hann pooling.

    The first convolution runs at stride 1 and a Hann pooling after its ReLU takes the
    stride; ``relu0`` then acts on values that are not negative already. All other
    poolings become Hann poolings of the same stride. Pooling sizes are four times the
    stride (the study's released code of 2019, audio_cnn_helpers.py).

    Parameters
    ----------
    classes, width, hidden, rows, frames, dropout
        As for `SmallCochCNN`; stages have the same names and shapes.
    """

    def __init__(
        self,
        classes: int,
        width: Sequence[int] = (16, 32, 48),
        hidden: int = 128,
        rows: int = 25,
        frames: int = 110,
        dropout: float = 0.5,
    ) -> None:
        super().__init__(classes, width, hidden, rows, frames, dropout)
        for layer in self.conv0:
            layer.stride = (1, 1)  # type: ignore[assignment]
        self.conv0_relu = nn.ReLU()
        # A window of size 3 has one tap: rows are not downsampled here.
        self.pool0 = HannPool2d((3, 8), stride=(1, 2))
        self.maxpool0 = HannPool2d(8, stride=2)
        self.maxpool1 = HannPool2d(8, stride=2)
        self.avgpool = HannPool2d(8, stride=2)

    def first(self, x: Tensor) -> Tensor:
        """Return the first stage: (n, width[0], rows, frames / 2)."""
        return self.relu0(self.pool0(self.conv0_relu(self.conv0(x))))


def _convolution(
    inputs: int, outputs: int, kernel: tuple[int, int], stride: tuple[int, int] = (1, 1)
) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, bias=False)
    return nn.Sequential(SamePad2d(kernel, stride), convolution)


def _max_pool() -> nn.Module:
    return nn.Sequential(SamePad2d(POOL_KERNEL, (2, 2)), nn.MaxPool2d(POOL_KERNEL, 2))


def _halved(length: int, times: int) -> int:
    for _ in range(times):
        length = -(-length // 2)
    return length
