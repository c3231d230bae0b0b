"""CLIP's image encoders (Radford et al. 2021) with a zero-shot read-out.

The towers are open_clip's own modules, under ``visual`` as in open_clip's whole model,
so that the names of their weights are those of the public files. Their activation is
QuickGELU and their numbers are float32, also where a file holds half precision.

In the study's released code the stages ``attnpool`` and ``final`` of the CLIP ResNet50
are one tensor, which the later division by its norm changes in both. Here they are
two: ``visual.attnpool`` ends before the division and ``final`` after it. The logits
are no stage, as in the study.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from open_clip.modified_resnet import ModifiedResNet
from open_clip.transformer import QuickGELU, VisionTransformer
from torch import Tensor, nn
from torch.nn import functional

from metamers.errors import StudyError

LOGIT_SCALE = 100.0
HEAD_WIDTH = 64
PATCH = 32


class UnitNorm(nn.Module):
    """Divide each feature by its L2 norm."""

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, embedding), of norm 1."""
        return functional.normalize(x, dim=-1)


class ClipResNet50(nn.Module):
    """CLIP's ResNet50: attention pools what its four layers make of the image.

    The study's stages are ``visual.avgpool`` (the stem, which ends in average pooling
    of a ReLU), ``visual.layer1`` to ``visual.layer4``, ``visual.attnpool`` and
    ``final``.

    Parameters
    ----------
    classes
        Number of logits.
    embedding
        Units of the feature, which are those of the text embeddings.
    image_size
        Height and width of the images in pixels, a multiple of 32.
    width
        Channels of the stem, even; the last layer has 32 times as many.
    layers
        Blocks of the four layers.

    Raises
    ------
    StudyError
        If a size is not possible.
    """

    def __init__(
        self,
        classes: int = 1000,
        embedding: int = 1024,
        image_size: int = 224,
        width: int = 64,
        layers: Sequence[int] = (3, 4, 6, 3),
    ) -> None:
        super().__init__()
        _check("image_size", image_size, PATCH)
        _check("width", width, 2)
        if len(layers) != 4 or min(layers) < 1:
            raise StudyError(
                f"layers is {list(layers)}; give the number of blocks, at least 1, of "
                "each of the four layers"
            )
        self.visual = ModifiedResNet(
            layers=list(layers),
            output_dim=embedding,
            heads=width * 32 // HEAD_WIDTH,
            image_size=image_size,
            width=width,
        )
        self.final = UnitNorm()
        self.head = nn.Linear(embedding, classes, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, classes) of images (n, 3, image_size, image_size)."""
        return LOGIT_SCALE * self.head(self.final(self.visual(x)))


class ClipViTB32(nn.Module):
    """CLIP's vision transformer on patches of 32 x 32 pixels.

    The study's stages are ``visual.conv1``, ``class_embedding_cat`` (before positions
    are added), ``visual.ln_pre``, ``visual.transformer.resblocks.0``, ``.3``, ``.6``
    and ``.9``, ``visual.transformer`` (the end of the blocks) and ``final``. None of
    them ends in a ReLU.

    Parameters
    ----------
    classes
        Number of logits.
    embedding
        Units of the feature, which are those of the text embeddings.
    image_size
        Height and width of the images in pixels, a multiple of 32.
    width
        Units of a token, a multiple of 64: each attention head has 64.
    layers
        Blocks of the transformer.

    Raises
    ------
    StudyError
        If a size is not possible.
    """

    def __init__(
        self,
        classes: int = 1000,
        embedding: int = 512,
        image_size: int = 224,
        width: int = 768,
        layers: int = 12,
    ) -> None:
        super().__init__()
        _check("image_size", image_size, PATCH)
        _check("width", width, HEAD_WIDTH)
        _check("layers", layers, 1)
        self.visual = VisionTransformer(
            image_size=image_size,
            patch_size=PATCH,
            width=width,
            layers=layers,
            heads=width // HEAD_WIDTH,
            mlp_ratio=4.0,
            output_dim=embedding,
            act_layer=QuickGELU,
        )
        self.class_embedding_cat = nn.Identity()
        self.final = UnitNorm()
        self.head = nn.Linear(embedding, classes, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, classes) of images (n, 3, image_size, image_size)."""
        # The tower's own forward, which has no module for the tokens before ln_pre.
        visual = self.visual
        patches = visual.conv1(x).flatten(2).transpose(1, 2)
        first = visual.class_embedding.expand(len(x), 1, -1)
        tokens = self.class_embedding_cat(torch.cat([first, patches], dim=1))
        tokens = visual.ln_pre(tokens + visual.positional_embedding)
        tokens = visual.transformer(tokens)
        feature = visual.ln_post(tokens)[:, 0] @ visual.proj
        return LOGIT_SCALE * self.head(self.final(feature))


def _check(name: str, value: int, divisor: int) -> None:
    if value < 1 or value % divisor:
        raise StudyError(
            f"{name} is {value}; it must be "
            + (f"a multiple of {divisor}" if divisor > 1 else "at least 1")
        )
