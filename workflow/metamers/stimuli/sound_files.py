"""Sounds that are read from their files, or excerpts of them, when they are needed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from metamers.errors import StudyError
from metamers.stimuli.clips import read_backgrounds, read_sound
from metamers.stimuli.listed import Listing
from metamers.stimuli.mixing import mix
from metamers.stimuli.sounds import (
    demean,
    normalize,
    ramp_edges,
    resample,
    to_int16,
)

if TYPE_CHECKING:
    import soundfile

# Half the length of the resampling filter of scipy's resample_poly, in samples of the
# lower rate.
FILTER_REACH = 10


class SpeechFiles:
    """The clips of a list, cut so that the onset of the word is in the middle.

    Parameters
    ----------
    listing
        Of kind ``speech``.
    """

    def __init__(self, listing: Listing) -> None:
        self.listing = listing
        self.sample_rate = int(listing.settings["sample_rate"])
        self.samples = int(listing.settings["samples"])
        self.rms = float(listing.settings["rms"])

    def __len__(self) -> int:
        """Return how many clips there are."""
        return len(self.listing)

    def values(self, indices: np.ndarray) -> np.ndarray:
        """Return clips of one level, float32 (n, samples); silent ones as zeros.

        Peaks may exceed 1.
        """
        onsets = self.listing.columns["onset"]
        clips = [
            read_clip(
                self.listing.file(index), onsets[index], self.samples, self.sample_rate
            )
            for index in indices
        ]
        return normalize(np.stack(clips), self.rms)

    def stored(self, indices: np.ndarray) -> np.ndarray:
        """Return clips as they are stored, int16 (n, samples)."""
        return to_int16(self.values(indices))[0]


class BackgroundFiles:
    """The backgrounds of a list.

    Parameters
    ----------
    listing
        Of kind ``backgrounds``; its samples are those that `values` gives.
    """

    def __init__(self, listing: Listing) -> None:
        self.listing = listing
        self.sample_rate = int(listing.settings["sample_rate"])
        self.samples = int(listing.settings["samples"])
        self.rms = float(listing.settings["rms"])

    def __len__(self) -> int:
        """Return how many backgrounds there are."""
        return len(self.listing)

    def excerpts(
        self, indices: np.ndarray, places: np.ndarray, samples: int
    ) -> np.ndarray:
        """Return excerpts of the recordings as they are, float64 (n, samples).

        Parameters
        ----------
        indices
            Which backgrounds (n).
        places
            Where the excerpts begin, in [0, 1) (n): from the first to the last place
            that they can begin at. Shorter recordings are repeated, from any place.
        samples
            Length of the excerpts.
        """
        return np.stack(
            [
                read_excerpt(self.listing.file(index), place, samples, self.sample_rate)
                for index, place in zip(indices, places, strict=True)
            ]
        )

    def values(self, indices: np.ndarray) -> np.ndarray:
        """Return the loudest stretches at one level, float32 (n, samples)."""
        files = [self.listing.file(index) for index in indices]
        return read_backgrounds(files, self.sample_rate, self.samples, self.rms)

    def stored(self, indices: np.ndarray) -> np.ndarray:
        """Return the same as it would be stored, int16 (n, samples)."""
        return to_int16(self.values(indices))[0]


class MixtureFiles:
    """The mixtures of a list: each of a clip and an excerpt of a background.

    Parameters
    ----------
    listing
        Of kind ``mixtures``.
    """

    def __init__(self, listing: Listing) -> None:
        self.listing = listing
        self.speech = SpeechFiles(listing)

    def __len__(self) -> int:
        """Return how many mixtures there are."""
        return len(self.listing)

    def stored(self, indices: np.ndarray) -> np.ndarray:
        """Return mixtures in 16 bits, as other programs and people get them."""
        samples, rate = self.speech.samples, self.speech.sample_rate
        columns = self.listing.columns
        excerpts = [
            read_excerpt(
                self.listing.file(index, "background"),
                columns["place"][index],
                samples,
                rate,
            )
            for index in indices
        ]
        clips, snr = self.speech.values(indices), columns["snr"][indices]
        return to_int16(mix(clips, np.stack(excerpts), snr, self.speech.rms))[0]

    def values(self, indices: np.ndarray) -> np.ndarray:
        """Return the same in [-1, 1], float32."""
        return self.stored(indices).astype(np.float32) / np.float32(32767)


@contextmanager
def open_sound(path: Path) -> Iterator[soundfile.SoundFile]:
    """Open a recording.

    Raises
    ------
    StudyError
        If it is missing or cannot be read, also while it is open.
    """
    import soundfile

    try:
        with soundfile.SoundFile(path) as sound:
            yield sound
    except (OSError, soundfile.LibsndfileError) as error:
        raise StudyError(
            f"{path} cannot be read as a sound ({error}); put a whole recording in its "
            "place, or take it out of the table and prepare the stimuli again"
        ) from error


def read_clip(path: Path, onset: float, samples: int, sample_rate: int) -> np.ndarray:
    """Read the clip, float64 (samples), that has a word's onset (s) in its middle."""
    start = onset - samples / sample_rate / 2
    with open_sound(path) as sound:
        return read_segment(sound, start, samples, sample_rate)


def read_segment(
    sound: soundfile.SoundFile, start: float, samples: int, sample_rate: int
) -> np.ndarray:
    """Read a part of a recording as one channel at a sample rate.

    Parameters
    ----------
    sound
        The open recording.
    start
        Where the part begins, in seconds; it may be before the recording does.
    samples, sample_rate
        Length and rate (Hz) of the result.

    Returns
    -------
    ndarray
        Float64 (samples). Outside the recording is silence, which it enters and
        leaves without a click.
    """
    rate = sound.samplerate
    divisor = math.gcd(rate, sample_rate)
    up, down = sample_rate // divisor, rate // divisor
    # Whole periods of the two rates about the part, as much as the filter reaches.
    reach = FILTER_REACH * max(up, down) / (up * down)
    periods = 0 if up == down else math.ceil(reach)
    first = round(start * rate) - periods * down
    block = np.zeros(math.ceil(samples * down / up) + 2 * periods * down)
    begin, end = max(first, 0), min(first + len(block), sound.frames)
    if begin < end:
        sound.seek(begin)
        part = sound.read(end - begin, always_2d=True).mean(axis=1)
        if len(part) < len(block):
            part = ramp_edges(demean(part), rate)
        block[begin - first : begin - first + len(part)] = part
    resampled = resample(block, rate, sample_rate)
    return resampled[periods * up : periods * up + samples]


def read_excerpt(
    path: Path, place: float, samples: int, sample_rate: int
) -> np.ndarray:
    """Read an excerpt of a recording that begins at a place given as a fraction.

    Parameters
    ----------
    path
        The recording.
    place
        In [0, 1): from the first to the last place that it can begin at.
    samples, sample_rate
        Length and rate (Hz) of the excerpt.

    Returns
    -------
    ndarray
        Float64 (samples); of a shorter recording, repeated, from any place in it.
    """
    with open_sound(path) as sound:
        surplus = sound.frames / sound.samplerate - samples / sample_rate
        if surplus > 0:
            return read_segment(sound, place * surplus, samples, sample_rate)
    whole = read_sound(path, sample_rate)
    return whole[(int(place * len(whole)) + np.arange(samples)) % len(whole)]
