"""AlexNet-like networks for small images, with and without reduced aliasing."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from metamers.networks.hann import HannPool2d


class SmallAlexNet(nn.Module):
    """Five convolutions and three linear layers, for 32 x 32 images.

    The order of layers is AlexNet's: downsampling after the first, second and fifth
    ReLU, none between the third and fifth. The first convolution has a stride where
    the images are small; the others are followed by max pooling. Every hidden layer
    has batch norm before its ReLU: without it most units of a net this narrow are
    silent for noise, no gradient passes them, and no metamer can be found.

    Parameters
    ----------
    classes
        Number of logits.
    channels
        Of the images.
    width
        Channels of the five convolutions.
    hidden
        Units of the two hidden linear layers.
    size
        Height and width of the images in pixels, at least 32.
    """

    def __init__(
        self,
        classes: int,
        channels: int = 1,
        width: Sequence[int] = (16, 32, 48, 48, 32),
        hidden: int = 128,
        size: int = 32,
    ) -> None:
        super().__init__()
        first, second, third, fourth, fifth = width
        self.conv0 = nn.Conv2d(channels, first, 5, stride=2, padding=2, bias=False)
        self.norm0 = nn.BatchNorm2d(first)
        self.relu0 = nn.ReLU()
        self.conv1 = nn.Conv2d(first, second, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(second)
        self.relu1 = nn.ReLU()
        self.pool1 = nn.MaxPool2d(3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(second, third, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(third)
        self.relu2 = nn.ReLU()
        self.conv3 = nn.Conv2d(third, fourth, 3, padding=1, bias=False)
        self.norm3 = nn.BatchNorm2d(fourth)
        self.relu3 = nn.ReLU()
        self.conv4 = nn.Conv2d(fourth, fifth, 3, padding=1, bias=False)
        self.norm4 = nn.BatchNorm2d(fifth)
        self.relu4 = nn.ReLU()
        self.pool4 = nn.MaxPool2d(3, stride=2, padding=1)
        self.fc0 = nn.Linear(fifth * (size // 8) ** 2, hidden, bias=False)
        self.fc0_norm = nn.BatchNorm1d(hidden)
        self.fc0_relu = nn.ReLU()
        self.fc1 = nn.Linear(hidden, hidden, bias=False)
        self.fc1_norm = nn.BatchNorm1d(hidden)
        self.fc1_relu = nn.ReLU()
        self.final = nn.Linear(hidden, classes)
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, classes) of images (n, channels, size, size)."""
        x = self.relu0(self.norm0(self.conv0(x)))
        x = self.pool1(self.relu1(self.norm1(self.conv1(x))))
        x = self.relu2(self.norm2(self.conv2(x)))
        x = self.relu3(self.norm3(self.conv3(x)))
        x = self.pool4(self.relu4(self.norm4(self.conv4(x))))
        x = torch.flatten(x, 1)
        x = self.fc0_relu(self.fc0_norm(self.fc0(x)))
        x = self.fc1_relu(self.fc1_norm(self.fc1(x)))
        return self.final(x)


class SmallLowpassAlexNet(SmallAlexNet):
    """`SmallAlexNet` with less aliasing: each downsampling is a Hann pooling.

    The first convolution runs at stride 1 and the Hann pooling after its ReLU takes
    the stride; ``relu0`` then acts on values that are not negative already, as in the
    study's released code (alexnet_reduced_aliasing.py). The max poolings become Hann
    poolings of the same stride. Pooling sizes are four times the stride, which puts
    what would alias at -24 dB and below (Feather et al. 2023, Methods).

    Parameters
    ----------
    classes, channels, width, hidden, size
        As for `SmallAlexNet`; stages have the same names and shapes.
    """

    def __init__(
        self,
        classes: int,
        channels: int = 1,
        width: Sequence[int] = (16, 32, 48, 48, 32),
        hidden: int = 128,
        size: int = 32,
    ) -> None:
        super().__init__(classes, channels, width, hidden, size)
        self.conv0.stride = (1, 1)
        self.conv0_relu = nn.ReLU()
        self.pool0 = HannPool2d(8, stride=2)
        self.pool1 = HannPool2d(8, stride=2)  # type: ignore[assignment]
        self.pool4 = HannPool2d(8, stride=2)  # type: ignore[assignment]

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, classes) of images (n, channels, size, size)."""
        x = self.relu0(self.pool0(self.conv0_relu(self.norm0(self.conv0(x)))))
        x = self.pool1(self.relu1(self.norm1(self.conv1(x))))
        x = self.relu2(self.norm2(self.conv2(x)))
        x = self.relu3(self.norm3(self.conv3(x)))
        x = self.pool4(self.relu4(self.norm4(self.conv4(x))))
        x = torch.flatten(x, 1)
        x = self.fc0_relu(self.fc0_norm(self.fc0(x)))
        x = self.fc1_relu(self.fc1_norm(self.fc1(x)))
        return self.final(x)


def initialize(module: nn.Module) -> None:
    """Scale initial weights so that activations keep their size (He et al. 2015).

    torch's own initial weights shrink what passes through them, and a network this
    deep then takes epochs to begin to learn.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
