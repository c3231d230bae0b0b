"""Sounds as they are stored: sample rate, duration, level and 16 bits."""

from __future__ import annotations

import math

import numpy as np

# Sounds are stored in 16 bits; what is quieter than one step of them is silence.
SILENCE_RMS = 1.0 / 32767.0
RAMP_SECONDS = 0.005


def root_mean_square(sound: np.ndarray) -> np.ndarray:
    """Return the root mean square over the last axis, which is kept with length 1."""
    power = np.mean(np.square(sound, dtype=np.float64), axis=-1, keepdims=True)
    return np.sqrt(power)


def demean(sound: np.ndarray) -> np.ndarray:
    """Return sounds (..., samples) with mean zero."""
    return sound - np.mean(sound, axis=-1, keepdims=True, dtype=np.float64)


def normalize(sound: np.ndarray, rms: float) -> np.ndarray:
    """Return sounds (..., samples) with mean zero and root mean square `rms`.

    Silent sounds (below one step of 16 bits) come back as zeros: raising them would
    make a sound of rounding errors. Float32.
    """
    centered = demean(sound)
    level = root_mean_square(centered)
    silent = level < SILENCE_RMS
    gain = np.where(silent, 0.0, rms / np.where(silent, 1.0, level))
    return (centered * gain).astype(np.float32)


def limit_peak(sound: np.ndarray) -> np.ndarray:
    """Return sounds (..., samples) turned down, where need be, to a peak of 1.

    For backgrounds, whose level is set again when they are mixed with speech.
    """
    peak = np.max(np.abs(sound), axis=-1, keepdims=True)
    return sound / np.maximum(peak, 1.0)


def resample(sound: np.ndarray, from_rate: int, to_rate: int) -> np.ndarray:
    """Return a sound (samples) at another sample rate (Hz), by polyphase filtering."""
    if from_rate == to_rate:
        return sound
    from scipy.signal import resample_poly

    divisor = math.gcd(from_rate, to_rate)
    return resample_poly(sound, to_rate // divisor, from_rate // divisor)


def active_range(sound: np.ndarray, threshold_db: float = -40.0) -> tuple[int, int]:
    """Return the first sample and the one after the last that are not silent.

    Parameters
    ----------
    sound
        (samples).
    threshold_db
        Samples below this level relative to the peak are silent.
    """
    magnitude = np.abs(sound.astype(np.float64))
    peak = magnitude.max(initial=0.0)
    if peak == 0.0:
        return 0, len(sound)
    active = np.flatnonzero(magnitude >= peak * 10.0 ** (threshold_db / 20.0))
    return int(active[0]), int(active[-1]) + 1


def ramp_edges(sound: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return a sound (samples) that starts and ends without a click.

    Raised cosines of 5 ms, or of a quarter of a sound shorter than 20 ms.
    """
    length = min(round(RAMP_SECONDS * sample_rate), len(sound) // 4)
    ramped = np.array(sound, dtype=np.float64)
    if length:
        ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(length) + 0.5) / length)
        ramped[:length] *= ramp
        ramped[-length:] *= ramp[::-1]
    return ramped


def center(sound: np.ndarray, samples: int, sample_rate: int) -> np.ndarray:
    """Return the middle `samples` of a sound, or the sound in the middle of silence.

    Where silence is added, the sound first loses its mean and its edges are ramped, so
    that the silence is zero; where it is cut it is left as it is.
    """
    surplus = len(sound) - samples
    if surplus >= 0:
        start = surplus // 2
        return sound[start : start + samples]
    before = -surplus // 2
    placed = np.zeros(samples)
    placed[before : before + len(sound)] = ramp_edges(demean(sound), sample_rate)
    return placed


def to_int16(sounds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return sounds (n, samples) in 16 bits, and how many samples of each were clipped.

    A sound of 1 is stored as 32767; beyond [-1, 1] it is clipped.
    """
    clipped = np.count_nonzero(np.abs(sounds) > 1.0, axis=-1)
    return np.rint(np.clip(sounds, -1.0, 1.0) * 32767.0).astype(np.int16), clipped
