"""Speech in backgrounds, mixed as the study's networks heard it.

Feather et al. 2023, Methods, and the released code's
``audio_functions/audio_transforms.py``: both parts lose their mean, the background is
scaled to the signal-to-noise ratio, and the sum is demeaned and brought to one level.
"""

from __future__ import annotations

import numpy as np

from metamers.stimuli.sounds import (
    SILENCE_RMS,
    demean,
    normalize,
    root_mean_square,
)


def mix(
    speech: np.ndarray,
    background: np.ndarray,
    snr_db: np.ndarray | float,
    rms: float = 0.1,
) -> np.ndarray:
    """Mix speech with a background at a signal-to-noise ratio.

    Where one part is silent (below one step of 16 bits) the other is used alone; where
    both are, the result is silent.

    Parameters
    ----------
    speech, background
        (samples) or (n, samples), of one shape.
    snr_db
        20 log10 of the speech's root mean square over the background's; a number or
        (n).
    rms
        Root mean square of the result.

    Returns
    -------
    ndarray
        Float32, of the shape of `speech`; mean zero. Peaks may exceed 1.
    """
    if speech.shape != background.shape:
        raise ValueError(
            f"speech {speech.shape} and background {background.shape} must have one "
            "shape; cut the background with random_excerpts first"
        )
    speech, background = demean(speech), demean(background)
    speech_level = root_mean_square(speech)
    background_level = root_mean_square(background)
    audible = background_level >= SILENCE_RMS
    ratio = 10.0 ** (np.asarray(snr_db, dtype=np.float64)[..., np.newaxis] / 20.0)
    gain = speech_level / (np.where(audible, background_level, 1.0) * ratio)
    gain = np.where(speech_level >= SILENCE_RMS, gain, 1.0)
    return normalize(speech + np.where(audible, gain, 0.0) * background, rms)


def random_excerpts(
    backgrounds: np.ndarray, samples: int, generator: np.random.Generator
) -> np.ndarray:
    """Cut from each background an excerpt that starts at random.

    Parameters
    ----------
    backgrounds
        (n, long), with `long` at least `samples`.
    samples
        Length of the excerpts.
    generator
        Draws one start for each background.

    Returns
    -------
    ndarray
        (n, samples), of the type of `backgrounds`.
    """
    surplus = backgrounds.shape[-1] - samples
    if surplus < 0:
        raise ValueError(
            f"backgrounds of {backgrounds.shape[-1]} samples are shorter than the "
            f"{samples} asked for"
        )
    starts = generator.integers(0, surplus + 1, size=len(backgrounds))
    index = starts[:, np.newaxis] + np.arange(samples)
    return np.take_along_axis(backgrounds, index, axis=1)
