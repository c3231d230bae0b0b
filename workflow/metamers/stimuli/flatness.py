"""How noise-like stimuli are: the flatness of their spectrum.

The geometric mean of the power spectrum over its arithmetic mean: white noise is near
0 dB (its periodogram -2.5 dB), a tone or a smooth image far below.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FRAME_SECONDS = 0.032
# Power below this part of a spectrum's mean counts as that: digital silence has no
# logarithm.
LEAST_POWER = 1e-10


def flatness(
    stimulus: NDArray[Any], sample_rate: int | None = None
) -> NDArray[np.float64]:
    """Return the spectral flatness of each stimulus.

    Parameters
    ----------
    stimulus
        Images (n, channels, height, width), or sounds (n, samples).
    sample_rate
        Of the sounds, in Hz; None for images.

    Returns
    -------
    ndarray
        (n,), dB, at most 0. Images: of the two-dimensional spectrum of each channel
        under a Hann window, without its mean, averaged over channels. Sounds: of frames
        of 32 ms under a Hann window, half overlapping, averaged with their power as
        weight.
    """
    # One at a time: a spectrum in double precision takes several times the stimulus.
    measure = _of_image if stimulus.ndim == 4 else _of_sound
    return np.array([measure(one, sample_rate) for one in stimulus], dtype=np.float64)


def _of_image(image: NDArray[Any], _: int | None) -> float:
    height, width = image.shape[-2:]
    window = np.outer(np.hanning(height), np.hanning(width))
    # Taken out under the window, or the mean would leak into the lowest frequencies.
    mean = (image * window).sum((1, 2), keepdims=True) / window.sum()
    spectrum = np.fft.rfft2((image - mean) * window)
    power = np.abs(spectrum).reshape(len(image), -1)[:, 1:] ** 2
    return float(_decibels(power).mean())


def _of_sound(sound: NDArray[Any], sample_rate: int | None) -> float:
    if sample_rate is None:
        raise ValueError("the flatness of sounds needs their sample_rate")
    length = min(round(FRAME_SECONDS * sample_rate), len(sound))
    frames = np.lib.stride_tricks.sliding_window_view(sound, length)
    power = np.abs(np.fft.rfft(frames[:: length // 2] * np.hanning(length))) ** 2
    weight = power[:, 1:].sum(axis=1)
    if not weight.any():
        weight = np.ones_like(weight)
    return float(np.average(_decibels(power[:, 1:]), weights=weight))


def _decibels(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the flatness of power spectra along their last axis, in dB."""
    mean = power.mean(axis=-1, keepdims=True)
    relative = power / np.where(mean > 0, mean, 1.0)
    logarithm: NDArray[np.float64] = np.log10(relative.clip(LEAST_POWER))
    return 10 * logarithm.mean(axis=-1)
