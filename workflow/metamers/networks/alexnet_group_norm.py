"""AlexNet with group norm, as trained with and without labels in the IPCL study."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class AlexNetGN(nn.Module):
    """AlexNet with group norm in its convolutions (Konkle & Alvarez 2022).

    Convolutions have no bias and a group norm each, the two hidden linear layers a
    batch norm. Parameters have the names of the public weights, and the defaults are
    the supervised network (reference model 12). The max poolings stand between the
    blocks and not in them, so that every block ends in its ReLU.

    The study's stages are ``conv_block_1`` to ``conv_block_5``, ``avgpool``, ``fc6``,
    ``fc7`` and ``final``, all of them modules here.

    Parameters
    ----------
    classes
        Number of logits.
    channels
        Of the images, of any size from 63 x 63 pixels.
    width
        Channels of the five convolutions, multiples of `groups`.
    groups
        Of channels that are normalized together.
    hidden
        Units of the two hidden linear layers.
    embedding
        Dimensions that the contrastive loss compared images in: 128 in the
        self-supervised network (reference model 1). ``fc8`` then leads there, and
        ``final`` is a linear read-out of ``fc7`` which the public weights do not hold
        (Feather et al. 2023, Methods). None: ``fc8`` gives the logits and ``final``
        hands them on.
    """

    def __init__(
        self,
        classes: int = 1000,
        channels: int = 3,
        width: Sequence[int] = (96, 256, 384, 384, 256),
        groups: int = 32,
        hidden: int = 4096,
        embedding: int | None = None,
    ) -> None:
        super().__init__()
        first, second, third, fourth, fifth = width
        self.embedding = embedding
        self.conv_block_1 = _convolution(channels, first, groups, 11, stride=4)
        self.pool1 = nn.MaxPool2d(3, stride=2)
        self.conv_block_2 = _convolution(first, second, groups, 5)
        self.pool2 = nn.MaxPool2d(3, stride=2)
        self.conv_block_3 = _convolution(second, third, groups, 3)
        self.conv_block_4 = _convolution(third, fourth, groups, 3)
        self.conv_block_5 = _convolution(fourth, fifth, groups, 3)
        self.pool5 = nn.MaxPool2d(3, stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d(6)
        self.fc6 = _hidden(fifth * 6 * 6, hidden)
        self.fc7 = _hidden(hidden, hidden)
        self.fc8 = nn.Sequential(
            nn.Linear(hidden, classes if embedding is None else embedding)
        )
        self.final: nn.Module = (
            nn.Identity() if embedding is None else nn.Linear(hidden, classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, classes) of images (n, channels, height, width)."""
        x = self._hidden_units(x)
        return self.final(self.fc8(x) if self.embedding is None else x)

    def embed(self, x: Tensor) -> Tensor:
        """Return points (n, embedding) of length 1, as the contrastive loss takes.

        Without an `embedding` these are the normalized logits.
        """
        return functional.normalize(self.fc8(self._hidden_units(x)))

    def _hidden_units(self, x: Tensor) -> Tensor:
        x = self.pool1(self.conv_block_1(x))
        x = self.pool2(self.conv_block_2(x))
        x = self.conv_block_4(self.conv_block_3(x))
        x = self.pool5(self.conv_block_5(x))
        return self.fc7(self.fc6(torch.flatten(self.avgpool(x), 1)))


def _convolution(
    inputs: int, outputs: int, groups: int, kernel: int, stride: int = 1
) -> nn.Sequential:
    # The first kernel, of 11, has AlexNet's padding of 2 and not of 5.
    padding = min(kernel // 2, 2)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False),
        nn.GroupNorm(groups, outputs),
        nn.ReLU(),
    )


def _hidden(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU())
