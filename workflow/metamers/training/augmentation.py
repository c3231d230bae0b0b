"""Random changes of training stimuli that leave their label as it is.

Functions of the stimuli and of uniform draws, so that whoever draws decides what they
depend on: in training the epoch and the index of the stimulus, never its batch.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from metamers.stimuli.image_files import Box

# One uniform draw each: shift in x and y, rotation, scale, flip.
IMAGE_DRAWS = 5

# Uniform draws of what happens to an image before it is a tensor. All are drawn
# whatever is asked for, so that one change does not alter another's draws.
CROP_TRIES = 10
_CROP = slice(0, 2 * CROP_TRIES + 2)
_JITTER = slice(_CROP.stop, _CROP.stop + 6)
_GREY = slice(_JITTER.stop, _JITTER.stop + 1)
_BLUR = slice(_GREY.stop, _GREY.stop + 2)
_SOLARIZE = slice(_BLUR.stop, _BLUR.stop + 1)
_LIGHTING = slice(_SOLARIZE.stop, _SOLARIZE.stop + 3)
PICTURE_DRAWS = _LIGHTING.stop

# Sides of a random crop, width to height.
CROP_RATIOS = (3 / 4, 4 / 3)
COLORS = ("brightness", "contrast", "saturation", "hue")
# Blurs as in contrastive learning (Chen et al. 2020); the kernel holds three standard
# deviations of the widest.
BLUR_SIGMAS = (0.1, 2.0)
BLUR_RADIUS = 6
# Of 255; brighter pixels are inverted.
SOLARIZE_THRESHOLD = 128
# Eigenvectors (columns) and eigenvalues of the colors of ImageNet's training images,
# for the noise of Krizhevsky et al. 2012, section 4.1: the values in common use, first
# published with fb.resnet.torch (datasets/imagenet.lua).
COLOR_EIGENVECTORS = (
    (-0.5675, 0.7192, 0.4009),
    (-0.5808, -0.0045, -0.8140),
    (-0.5836, -0.6948, 0.4203),
)
COLOR_EIGENVALUES = (0.2175, 0.0188, 0.0045)
# A uniform draw may be 0, where no normal one is.
SMALLEST_DRAW = 2.0**-53


def augment_images(
    images: Tensor, draws: Tensor, augmentation: Mapping[str, float]
) -> Tensor:
    """Mirror, scale, rotate and shift images about their center, each by its own draws.

    Parameters
    ----------
    images
        Images in [0, 1] (n, channels, height, width).
    draws
        Uniform in [-1, 1] (n, 5): shift to the right, shift down, rotation
        (clockwise) and scale, each as a fraction of the largest, and what mirrors an
        image where it is below zero.
    augmentation
        Largest ``shift`` in pixels, ``rotation`` in degrees and ``scale`` as a
        fraction (0.1: from 0.9 to 1.1 times as large); ``flip``, whether images are
        mirrored left to right. What is absent is not done.

    Returns
    -------
    Tensor
        Images in [0, 1] of the same shape. What comes in from outside is mirrored at
        the border, bilinearly interpolated.
    """
    largest = [augmentation.get(name) or 0.0 for name in ("shift", "rotation", "scale")]
    draws = draws.to(images)
    if augmentation.get("flip"):
        mirrored = draws[:, 4, None, None, None] < 0
        images = torch.where(mirrored, images.flip(-1), images)
    if not any(largest):
        return images
    shift, rotation, scale = largest
    height, width = images.shape[-2:]
    angle = draws[:, 2] * math.radians(rotation)
    factor = 1 / (1 + draws[:, 3] * scale)
    cosine, sine = angle.cos() * factor, angle.sin() * factor
    right = 2 * shift / width * draws[:, 0]
    down = 2 * shift / height * draws[:, 1]
    # The grid says where each output pixel comes from: the inverse of the change. Its
    # coordinates run from -1 to 1 along each side, whatever the side's length.
    aspect = height / width
    top = [cosine, sine * aspect, -cosine * right - sine * aspect * down]
    bottom = [-sine / aspect, cosine, sine / aspect * right - cosine * down]
    theta = torch.stack([torch.stack(top), torch.stack(bottom)]).permute(2, 0, 1)
    grid = torch.nn.functional.affine_grid(theta, list(images.shape), False)
    moved = torch.nn.functional.grid_sample(
        images, grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )
    return moved.clamp(0.0, 1.0)


def changes_pictures(augmentation: Mapping[str, Any]) -> bool:
    """Say whether images are changed one by one, by `crop_box` or `change_colors`."""
    names = ("crop", "color_jitter", "grey", "blur", "solarize")
    return any(augmentation.get(name) for name in names)


def crop_box(
    height: int, width: int, draws: np.ndarray, area: tuple[float, float]
) -> Box:
    """Choose a random part of an image, as torchvision's RandomResizedCrop does.

    Parameters
    ----------
    height, width
        Of the image.
    draws
        Uniform in [0, 1) (`PICTURE_DRAWS`).
    area
        Least and largest area of the part, as a fraction of the image's.

    Returns
    -------
    tuple of int
        Top, left, height and width. The area is uniform, the ratio of the sides
        uniform in its logarithm from 3:4 to 4:3; if ten draws do not fit in the image,
        its middle is taken, as much as the ratios allow.
    """
    crop = draws[_CROP]
    lowest, highest = (math.log(ratio) for ratio in CROP_RATIOS)
    for fraction, shape in crop[:-2].reshape(CROP_TRIES, 2):
        target = height * width * (area[0] + (area[1] - area[0]) * fraction)
        ratio = math.exp(lowest + (highest - lowest) * shape)
        wide, high = round(math.sqrt(target * ratio)), round(math.sqrt(target / ratio))
        if 0 < wide <= width and 0 < high <= height:
            top = int(crop[-2] * (height - high + 1))
            left = int(crop[-1] * (width - wide + 1))
            return top, left, high, wide
    high = min(height, round(width / CROP_RATIOS[0]))
    wide = min(width, round(height * CROP_RATIOS[1]))
    return (height - high) // 2, (width - wide) // 2, high, wide


def change_colors(
    image: Image.Image, draws: np.ndarray, augmentation: Mapping[str, Any]
) -> Image.Image:
    """Change the colors of an image, make it grey, blur and solarize it, in this order.

    Parameters
    ----------
    image
        In colors or grey (of which only brightness and contrast change).
    draws
        Uniform in [0, 1) (`PICTURE_DRAWS`).
    augmentation
        ``color_jitter`` with the largest changes of ``brightness``, ``contrast`` and
        ``saturation`` (0.1: factors from 0.9 to 1.1) and of ``hue`` in turns, made in
        random order in a part ``probability`` of the images; ``grey``, ``blur`` and
        ``solarize``, the parts of the images that are. What is absent is not done.

    Returns
    -------
    Image
        Of the same size and mode.
    """
    from torchvision.transforms.v2 import functional

    jitter = augmentation.get("color_jitter")
    if jitter:
        image = _jitter(image, draws[_JITTER], jitter)
    if draws[_GREY][0] < (augmentation.get("grey") or 0.0):
        image = functional.rgb_to_grayscale(image, len(image.getbands()))
    chance, width = draws[_BLUR]
    if chance < (augmentation.get("blur") or 0.0):
        sigma = BLUR_SIGMAS[0] + (BLUR_SIGMAS[1] - BLUR_SIGMAS[0]) * width
        # What is beyond the border is mirrored, which needs more pixels than that.
        radius = min(BLUR_RADIUS, min(image.size) - 1)
        image = functional.gaussian_blur(image, [2 * radius + 1] * 2, [sigma, sigma])
    if draws[_SOLARIZE][0] < (augmentation.get("solarize") or 0.0):
        image = functional.solarize(image, SOLARIZE_THRESHOLD)
    return image


def _jitter(
    image: Image.Image, draws: np.ndarray, jitter: Mapping[str, float]
) -> Image.Image:
    """Change brightness, contrast, saturation and hue in random order, or nothing."""
    from torchvision.transforms.v2 import functional

    chance, order, *amounts = draws
    if chance >= jitter.get("probability", 1.0):
        return image
    orders = list(itertools.permutations(range(len(COLORS))))
    for place in orders[int(order * len(orders))]:
        name = COLORS[place]
        largest = jitter.get(name) or 0.0
        lowest, highest = max(0.0, 1.0 - largest), 1.0 + largest
        if name == "hue":
            lowest, highest = -largest, largest
        if largest:
            factor = lowest + (highest - lowest) * amounts[place]
            image = getattr(functional, f"adjust_{name}")(image, factor)
    return image


def add_lighting(images: Tensor, draws: Tensor, deviation: float) -> Tensor:
    """Add noise along the principal components of the colors of natural images.

    Parameters
    ----------
    images
        Images in [0, 1] (n, 3, height, width).
    draws
        Uniform in [0, 1) (n, `PICTURE_DRAWS`).
    deviation
        Standard deviation of the noise along each component, in its eigenvalue.

    Returns
    -------
    Tensor
        Images in [0, 1], each with one color added to all its pixels.
    """
    normal = torch.special.ndtri(draws[:, _LIGHTING].clamp(min=SMALLEST_DRAW))
    vectors = torch.tensor(COLOR_EIGENVECTORS, dtype=draws.dtype)
    weights = deviation * normal * torch.tensor(COLOR_EIGENVALUES, dtype=draws.dtype)
    color = (weights @ vectors.T).to(images)
    return (images + color[:, :, None, None]).clamp(0.0, 1.0)


def shift_sounds(sounds: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Move each sound in time; what comes in is silence.

    Parameters
    ----------
    sounds
        Sounds (n, samples).
    samples
        Shift of each to later times, in samples (n), negative to earlier ones.

    Returns
    -------
    ndarray
        The moved sounds, of the same shape and type.
    """
    length = sounds.shape[1]
    source = np.arange(length) - samples[:, None]
    inside = (source >= 0) & (source < length)
    moved = np.take_along_axis(sounds, source.clip(0, length - 1), axis=1)
    return np.where(inside, moved, sounds.dtype.type(0))


def excerpts(sounds: np.ndarray, starts: np.ndarray, length: int) -> np.ndarray:
    """Cut an excerpt out of each sound at a place given as a fraction.

    Parameters
    ----------
    sounds
        Sounds (n, samples).
    starts
        Places in [0, 1) (n). Sounds longer than `length` are cut between their ends;
        others are repeated, from any place in them.
    length
        Samples of an excerpt.

    Returns
    -------
    ndarray
        Excerpts (n, length).
    """
    available = sounds.shape[1]
    places = available - length + 1 if available > length else available
    first = np.floor(starts * places).astype(np.int64)
    source = (first[:, None] + np.arange(length)) % available
    return np.take_along_axis(sounds, source, axis=1)
