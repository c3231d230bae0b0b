"""A residual network for small images."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions with batch norm, added to their input, then a ReLU.

    Parameters
    ----------
    inputs, outputs
        Channels.
    stride
        Of the first convolution; with another stride or number of channels the input
        passes through a 1 x 1 convolution and batch norm on its way to the sum.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False),
                nn.BatchNorm2d(outputs),
            )
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, outputs, rows / stride, columns / stride)."""
        y = self.relu1(self.bn1(self.conv1(x)))
        return self.relu2(self.bn2(self.conv2(y)) + self.shortcut(x))


class SmallResNet(nn.Module):
    """A first convolution and four residual blocks, for images of some 32 x 32.

    Parameters
    ----------
    classes
        Number of logits.
    channels
        Of the images.
    width
        Channels of the four blocks; the first convolution has those of the first.
    """

    def __init__(
        self,
        classes: int,
        channels: int = 1,
        width: Sequence[int] = (16, 24, 32, 48),
    ) -> None:
        super().__init__()
        first, second, third, fourth = width
        self.conv1 = nn.Conv2d(channels, first, 3, 2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(first)
        self.relu1 = nn.ReLU()
        self.layer1 = BasicBlock(first, first, stride=1)
        self.layer2 = BasicBlock(first, second, stride=2)
        self.layer3 = BasicBlock(second, third, stride=2)
        self.layer4 = BasicBlock(third, fourth, stride=1)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.final = nn.Linear(fourth, classes)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out")

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, classes) of images (n, channels, height, width)."""
        x = self.relu1(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.final(torch.flatten(self.avgpool(x), 1))
