"""AlexNet behind a fixed model of primary visual cortex."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from metamers.networks.vone import VOneBlock


class VOneAlexNet(nn.Module):
    """A V1 block in place of AlexNet's first convolution and pooling (VOneNet).

    The block's 512 cells pass through a 1 x 1 convolution to 64 channels, and AlexNet
    goes on from its second convolution, which has a stride of 2 here (Dapello et al.
    2020; the study's released code, imagenet_models/vonenet). With its defaults it is
    the network with Gaussian noise of Feather et al. 2023.

    The study's stages have the names of their modules: ``v1_output``, ``relu1`` to
    ``relu4``, ``fc0_relu``, ``fc1_relu`` and ``final``; at ``v1_output`` the study kept
    the ReLU's own gradient (``straight_through: {v1_output: false}``).

    Parameters
    ----------
    classes
        Number of logits.
    channels, size
        Of the images; height and width in pixels.
    simple_channels, complex_channels
        Number of simple and complex cells.
    bottleneck
        Channels that these are brought down to.
    width
        Channels of the four convolutions.
    hidden
        Units of the two hidden linear layers.
    degrees
        Visual angle of an image. A smaller image with an angle smaller in proportion
        keeps the filters.
    gabor_seed, noise_seed, noise_level
        As for `VOneBlock`.
    dropout
        Probability before each hidden linear layer, in training.
    """

    def __init__(
        self,
        classes: int = 1000,
        channels: int = 3,
        size: int = 224,
        simple_channels: int = 256,
        complex_channels: int = 256,
        bottleneck: int = 64,
        width: Sequence[int] = (192, 384, 256, 256),
        hidden: int = 4096,
        degrees: float = 8.0,
        gabor_seed: int = 0,
        noise_seed: int = 0,
        noise_level: float = 4.0,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        first, second, third, fourth = width
        self.v1 = VOneBlock(
            channels,
            size,
            simple_channels,
            complex_channels,
            degrees=degrees,
            gabor_seed=gabor_seed,
            noise_seed=noise_seed,
            noise_level=noise_level,
        )
        self.v1_output = nn.ReLU()
        self.bottleneck = nn.Conv2d(
            simple_channels + complex_channels, bottleneck, 1, bias=False
        )
        nn.init.kaiming_normal_(
            self.bottleneck.weight, mode="fan_out", nonlinearity="relu"
        )
        self.conv1 = nn.Conv2d(bottleneck, first, 5, stride=2, padding=2)
        self.relu1 = nn.ReLU()
        self.pool1 = nn.MaxPool2d(3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(first, second, 3, padding=1)
        self.relu2 = nn.ReLU()
        self.conv3 = nn.Conv2d(second, third, 3, padding=1)
        self.relu3 = nn.ReLU()
        self.conv4 = nn.Conv2d(third, fourth, 3, padding=1)
        self.relu4 = nn.ReLU()
        self.pool4 = nn.MaxPool2d(3, stride=2, padding=1)
        self.avgpool = nn.AdaptiveAvgPool2d(7)
        self.dropout0 = nn.Dropout(dropout)
        self.fc0 = nn.Linear(fourth * 7 * 7, hidden)
        self.fc0_relu = nn.ReLU()
        self.dropout1 = nn.Dropout(dropout)
        self.fc1 = nn.Linear(hidden, hidden)
        self.fc1_relu = nn.ReLU()
        self.final = nn.Linear(hidden, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, classes) of images (n, channels, size, size)."""
        x = self.bottleneck(self.v1_output(self.v1(x)))
        x = self.pool1(self.relu1(self.conv1(x)))
        x = self.relu2(self.conv2(x))
        x = self.relu3(self.conv3(x))
        x = self.pool4(self.relu4(self.conv4(x)))
        x = torch.flatten(self.avgpool(x), 1)
        x = self.fc0_relu(self.fc0(self.dropout0(x)))
        x = self.fc1_relu(self.fc1(self.dropout1(x)))
        return self.final(x)
