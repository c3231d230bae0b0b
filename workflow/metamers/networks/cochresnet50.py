"""CochResNet50: torchvision's ResNet50 on a cochleagram."""

from __future__ import annotations

from torch import nn
from torchvision.models.resnet import Bottleneck, ResNet


class CochResNet50(ResNet):
    """ResNet50 for an input of one channel, a cochleagram of any size.

    All but the first convolution and the number of logits is torchvision's network
    (Feather et al. 2023, Methods; the study's released code, audio_models/resnet.py).
    The study's stages are ``front_end``, ``relu``, ``layer1`` to ``layer4``,
    ``avgpool`` and ``fc``.

    Parameters
    ----------
    classes
        Number of logits: 793 words, and none.
    width_per_group
        Of torchvision's ResNet: channels inside the first blocks, fewer for smaller
        networks.
    """

    def __init__(self, classes: int = 794, width_per_group: int = 64) -> None:
        super().__init__(
            Bottleneck,
            [3, 4, 6, 3],
            num_classes=classes,
            width_per_group=width_per_group,
        )
        self.conv1 = nn.Conv2d(1, 64, 7, stride=2, padding=3, bias=False)
        nn.init.kaiming_normal_(self.conv1.weight, mode="fan_out", nonlinearity="relu")
