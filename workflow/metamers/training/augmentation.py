"""Random changes of training stimuli that leave their label as it is.

Functions of the stimuli and of uniform draws, so that whoever draws decides what they
depend on: in training the epoch and the index of the stimulus, never its batch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

# One uniform draw each: shift in x and y, rotation, scale, flip.
IMAGE_DRAWS = 5


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
