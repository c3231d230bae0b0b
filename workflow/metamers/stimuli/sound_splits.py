"""Sounds of a study as they are stored: how long, and in 16 bits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from metamers.stimuli.files import Split
from metamers.stimuli.sounds import to_int16
from metamers.stimuli.splitting import identifiers

# Backgrounds are longer than the clips, so that each mixture cuts another excerpt.
BACKGROUND_SECONDS = 2.0


def clip_samples(settings: dict[str, Any]) -> int:
    """Return the length of the study's clips in samples."""
    return round(settings["duration"] * settings["sample_rate"])


def background_samples(settings: dict[str, Any]) -> int:
    """Return the length of stored backgrounds: 2 s, or twice a longer clip's."""
    seconds = max(BACKGROUND_SECONDS, 2.0 * settings["duration"])
    return round(seconds * settings["sample_rate"])


def make_split(
    sounds: np.ndarray,
    names: Sequence[str] | np.ndarray,
    label: dict[str, np.ndarray],
    sources: Sequence[str] | np.ndarray,
    speakers: Sequence[str] | np.ndarray | None = None,
    snr: np.ndarray | None = None,
) -> Split:
    """Store sounds (n, samples) in 16 bits, and count for each what was clipped."""
    stimulus, clipped = to_int16(sounds)
    details = {"source": np.asarray(sources, dtype=str)}
    if speakers is not None:
        details["speaker"] = np.asarray(speakers, dtype=str)
    details["clipped_samples"] = clipped
    return Split(stimulus, identifiers(list(names)), label, snr, details)
