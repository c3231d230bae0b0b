"""CORnet-S: four areas of the ventral stream, three of them recurrent."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional


class CORnetBlock(nn.Module):
    """A bottleneck of three convolutions that runs several times on its own output.

    The convolutions are the same at all times, the batch norms are not. The first time
    takes the block's stride of 2, in the second convolution and in the skip.

    Parameters
    ----------
    inputs, outputs
        Channels.
    times
        How often the convolutions run.
    scale
        Channels of the two inner convolutions, in units of `outputs`.
    """

    def __init__(self, inputs: int, outputs: int, times: int, scale: int) -> None:
        super().__init__()
        inner = scale * outputs
        self.times = times
        self.conv_input = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.skip = nn.Conv2d(outputs, outputs, 1, stride=2, bias=False)
        self.norm_skip = nn.BatchNorm2d(outputs)
        self.conv1 = nn.Conv2d(outputs, inner, 1, bias=False)
        self.nonlin1 = nn.ReLU()
        self.conv2 = nn.Conv2d(inner, inner, 3, padding=1, bias=False)
        self.nonlin2 = nn.ReLU()
        self.conv3 = nn.Conv2d(inner, outputs, 1, bias=False)
        self.nonlin3 = nn.ReLU()
        for time in range(times):
            self.add_module(f"norm1_{time}", nn.BatchNorm2d(inner))
            self.add_module(f"norm2_{time}", nn.BatchNorm2d(inner))
            self.add_module(f"norm3_{time}", nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, outputs, rows / 2, columns / 2)."""
        x = self.conv_input(x)
        skip = self.norm_skip(self.skip(x))
        for time in range(self.times):
            y = self.nonlin1(self._norm(1, time)(self.conv1(x)))
            # One weight at two strides: the module could hold only one of them.
            y = functional.conv2d(
                y, self.conv2.weight, stride=2 if time == 0 else 1, padding=1
            )
            y = self.nonlin2(self._norm(2, time)(y))
            y = self._norm(3, time)(self.conv3(y))
            x = skip = self.nonlin3(y + skip)
        return x

    def _norm(self, layer: int, time: int) -> nn.Module:
        return self.get_submodule(f"norm{layer}_{time}")


class CORnetS(nn.Module):
    """CORnet-S (Kubilius et al. 2019): areas V1, V2, V4 and IT, then a linear decoder.

    Parameters have the names of the public weights (cornet_s-1d3f7974.pth). The
    defaults are that network. The study's stages are ``V1``, ``V2``, ``V4`` and ``IT``,
    each of which ends in a ReLU and runs once, and ``decoder`` for ``final``.

    Parameters
    ----------
    classes
        Number of logits.
    channels
        Of the images, of any size.
    width
        Channels of the four areas.
    times
        How often V2, V4 and IT run.
    scale
        Inner channels of these blocks, in units of the area's.
    """

    def __init__(
        self,
        classes: int = 1000,
        channels: int = 3,
        width: Sequence[int] = (64, 128, 256, 512),
        times: Sequence[int] = (2, 4, 2),
        scale: int = 4,
    ) -> None:
        super().__init__()
        first, second, third, fourth = width
        self.V1 = nn.Sequential(
            OrderedDict(
                conv1=nn.Conv2d(channels, first, 7, stride=2, padding=3, bias=False),
                norm1=nn.BatchNorm2d(first),
                nonlin1=nn.ReLU(),
                pool=nn.MaxPool2d(3, stride=2, padding=1),
                conv2=nn.Conv2d(first, first, 3, padding=1, bias=False),
                norm2=nn.BatchNorm2d(first),
                nonlin2=nn.ReLU(),
            )
        )
        self.V2 = CORnetBlock(first, second, times[0], scale)
        self.V4 = CORnetBlock(second, third, times[1], scale)
        self.IT = CORnetBlock(third, fourth, times[2], scale)
        self.decoder = nn.Sequential(
            OrderedDict(
                avgpool=nn.AdaptiveAvgPool2d(1),
                flatten=nn.Flatten(),
                linear=nn.Linear(fourth, classes),
            )
        )
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(
                    layer.weight, mode="fan_out", nonlinearity="relu"
                )

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, classes) of images (n, channels, height, width)."""
        return self.decoder(self.IT(self.V4(self.V2(self.V1(x)))))
