"""AlexNet with reduced aliasing, for ImageNet."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from metamers.networks.hann import HannPool2d


class LowpassAlexNet(nn.Module):
    """AlexNet in which only Hann poolings downsample.

    The first convolution runs at stride 1, and a Hann pooling after its ReLU takes its
    stride of 4; the three max poolings become Hann poolings of the same stride. Sizes
    are four times the stride and one. ``relu0`` acts on a pooled map that is not
    negative already, so at that stage the straight-through gradient changes only units
    at exactly 0 (the study's released code, alexnet_reduced_aliasing.py). All else is
    torchvision's AlexNet, whose weights have these shapes too.

    The study's stages have the names of their modules: ``relu0`` to ``relu4``,
    ``fc0_relu``, ``fc1_relu`` and ``final``.

    Parameters
    ----------
    classes
        Number of logits.
    channels
        Of the images, of any size from 61 x 61 pixels.
    width
        Channels of the five convolutions.
    hidden
        Units of the two hidden linear layers.
    dropout
        Probability before each of these, in training.
    """

    def __init__(
        self,
        classes: int = 1000,
        channels: int = 3,
        width: Sequence[int] = (64, 192, 384, 256, 256),
        hidden: int = 4096,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        first, second, third, fourth, fifth = width
        self.conv0 = nn.Conv2d(channels, first, 11, padding=5)
        self.conv0_relu = nn.ReLU()
        self.conv0_pool = HannPool2d(17, stride=4, padding=5)
        self.relu0 = nn.ReLU()
        self.pool0 = HannPool2d(9, stride=2, padding=2)
        self.conv1 = nn.Conv2d(first, second, 5, padding=2)
        self.relu1 = nn.ReLU()
        self.pool1 = HannPool2d(9, stride=2, padding=2)
        self.conv2 = nn.Conv2d(second, third, 3, padding=1)
        self.relu2 = nn.ReLU()
        self.conv3 = nn.Conv2d(third, fourth, 3, padding=1)
        self.relu3 = nn.ReLU()
        self.conv4 = nn.Conv2d(fourth, fifth, 3, padding=1)
        self.relu4 = nn.ReLU()
        self.pool4 = HannPool2d(9, stride=2, padding=2)
        self.avgpool = nn.AdaptiveAvgPool2d(6)
        self.dropout0 = nn.Dropout(dropout)
        self.fc0 = nn.Linear(fifth * 6 * 6, hidden)
        self.fc0_relu = nn.ReLU()
        self.dropout1 = nn.Dropout(dropout)
        self.fc1 = nn.Linear(hidden, hidden)
        self.fc1_relu = nn.ReLU()
        self.final = nn.Linear(hidden, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, classes) of images (n, channels, height, width)."""
        x = self.relu0(self.conv0_pool(self.conv0_relu(self.conv0(x))))
        x = self.relu1(self.conv1(self.pool0(x)))
        x = self.relu2(self.conv2(self.pool1(x)))
        x = self.relu3(self.conv3(x))
        x = self.relu4(self.conv4(x))
        x = torch.flatten(self.avgpool(self.pool4(x)), 1)
        x = self.fc0_relu(self.fc0(self.dropout0(x)))
        x = self.fc1_relu(self.fc1(self.dropout1(x)))
        return self.final(x)
