"""What a person would get: 8-bit images and 16-bit sounds, and the files of them.

Networks and people judge the same stimulus, so a metamer is brought to the precision
of its file before any network answers to it. Images are truncated to 8 bit, as in the
study's released code (analysis_scripts/make_metamers_imagenet_16_category_val_400_only
_save_metamer_layers.py); sounds are rounded to 16 bit.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from metamers.errors import StudyError, suggest
from metamers.files import atomic_path

STORED_TYPE = {"vision": np.uint8, "audio": np.int16}
IMAGE_SCALE = np.float32(255)
SOUND_SCALE = np.float32(32767)


def quantize(stimulus: np.ndarray, modality: str) -> np.ndarray:
    """Bring stimuli to the integers of the file that a person gets.

    Parameters
    ----------
    stimulus
        Images in [0, 1] or sounds in [-1, 1], of any shape; values outside are
        clipped. Integers of the modality's stored type pass unchanged.
    modality
        ``vision`` (truncated to 8 bit) or ``audio`` (rounded to 16 bit).

    Returns
    -------
    ndarray
        uint8 in 0 to 255, or int16 in -32767 to 32767, of the same shape.

    Raises
    ------
    StudyError
        Where the modality is unknown or a value is not a number.
    """
    if modality not in STORED_TYPE:
        raise StudyError(
            f"modality is {modality!r}; allowed are vision and audio"
            + suggest(modality, STORED_TYPE)
        )
    stored = STORED_TYPE[modality]
    if stimulus.dtype == stored:
        return stimulus
    if not np.issubdtype(stimulus.dtype, np.floating):
        raise StudyError(
            f"a stimulus of {modality} has the type {stimulus.dtype}; "
            f"give floats or {np.dtype(stored).name}"
        )
    if np.isnan(stimulus).any():
        raise StudyError(
            "a stimulus holds values that are not numbers; synthesize it again, "
            "with a smaller first step if that repeats"
        )
    values = stimulus.astype(np.float32)
    if modality == "vision":
        # The cast truncates; stored / 255 * 255 is exact in float32 for all 256 values.
        return (np.clip(values, 0, 1) * IMAGE_SCALE).astype(stored)
    return np.rint(np.clip(values, -1, 1) * SOUND_SCALE).astype(stored)


def as_presented(stimulus: np.ndarray, modality: str) -> np.ndarray:
    """Return stimuli as a person would get them.

    Parameters
    ----------
    stimulus
        As in `quantize`.
    modality
        ``vision`` or ``audio``.

    Returns
    -------
    ndarray
        float32 of the same shape: images in [0, 1] of 256 levels, sounds in [-1, 1]
        of 16 bit. A natural stimulus, read from its file, comes back as it is.
    """
    scale = IMAGE_SCALE if modality == "vision" else SOUND_SCALE
    return quantize(stimulus, modality).astype(np.float32) / scale


def write_png(image: np.ndarray, path: str | Path, enlarge: int = 1) -> None:
    """Write one image as an 8-bit PNG.

    Parameters
    ----------
    image
        (height, width), or (channels, height, width) with 1 or 3 channels; floats in
        [0, 1] or uint8.
    path
        The file, which appears whole or not at all.
    enlarge
        Each pixel becomes a square of this many pixels, so that small images can be
        seen without interpolation.

    Raises
    ------
    StudyError
        Where the shape is not that of one image.
    """
    from PIL import Image

    if image.ndim == 3 and image.shape[0] == 1:
        image = image[0]
    if not (image.ndim == 2 or (image.ndim == 3 and image.shape[0] == 3)):
        raise StudyError(
            f"an image has the shape {image.shape}; a PNG takes (height, width) or "
            "(channels, height, width) with 1 or 3 channels"
        )
    if enlarge < 1:
        raise ValueError(f"enlarge is {enlarge}; it must be 1 or more")
    pixels = quantize(image, "vision")
    pixels = pixels.repeat(enlarge, axis=-1).repeat(enlarge, axis=-2)
    if pixels.ndim == 3:
        pixels = np.ascontiguousarray(pixels.transpose(1, 2, 0))
    with atomic_path(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="PNG", optimize=True)


def write_wav(sound: np.ndarray, path: str | Path, sample_rate: int) -> None:
    """Write one sound as a mono 16-bit WAV.

    Parameters
    ----------
    sound
        (samples,); floats in [-1, 1] or int16.
    path
        The file, which appears whole or not at all.
    sample_rate
        In Hz.

    Raises
    ------
    StudyError
        Where the shape is not that of one sound.
    """
    import soundfile

    if sound.ndim != 1:
        raise StudyError(
            f"a sound has the shape {sound.shape}; a WAV takes (samples,), one channel"
        )
    # Integers are written as they are; the library would scale floats by 32768.
    samples = quantize(sound, "audio")
    with atomic_path(path) as temporary:
        soundfile.write(
            temporary, samples, int(sample_rate), format="WAV", subtype="PCM_16"
        )
