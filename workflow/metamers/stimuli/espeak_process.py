"""Synthetic speech by eSpeak NG, made whole in one process of its own.

Run as ``python -m metamers.stimuli.espeak_process``: the job comes as JSON on standard
input, the sounds go to standard output (one line of JSON, then 16-bit samples).

Two reasons for a process of its own. eSpeak NG keeps state from one utterance to the
next, so that a sound depends on all that were made before it in the process: the same
bytes come out only if a fresh process makes the whole set in one order, from one seed.
And its license is the GPL: nothing of it is linked into this package.
"""

from __future__ import annotations

import ctypes
import json
import math
import sys
import tempfile
from pathlib import Path
from typing import Any

import espeakng_loader
import numpy as np

from metamers.stimuli.sounds import active_range

# Constants of eSpeak NG's speak_lib.h.
AUDIO_OUTPUT_SYNCHRONOUS = 2
CHARACTERS_UTF8 = 1
POSITION_CHARACTER = 1
PARAMETER_RATE = 1
PARAMETER_VOLUME = 2
PARAMETER_PITCH = 3
# At the default volume of 100 some voices are clipped.
VOLUME = 50
# Words a minute; beyond 450 eSpeak NG changes its method.
FASTEST_RATE = 450
# Its buffer for the path of its data holds 160 characters.
LONGEST_PATH = 140

CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


class Synthesizer:
    """The eSpeak NG library, started once.

    Parameters
    ----------
    seed
        For its noises (breath, flutter), in [0, 2**31).
    data
        Folder of its voices and dictionaries.
    """

    def __init__(self, seed: int, data: Path) -> None:
        self.data = data
        self.library = ctypes.CDLL(espeakng_loader.get_library_path())
        self.library.espeak_Info.restype = ctypes.c_char_p
        self.sample_rate = self.library.espeak_Initialize(
            AUDIO_OUTPUT_SYNCHRONOUS, 0, str(data).encode(), 0
        )
        used = ctypes.c_char_p()
        self.version = self.library.espeak_Info(ctypes.byref(used)).decode()
        # Without its own data it silently takes another installation's.
        if self.sample_rate <= 0 or used.value != str(data).encode():
            raise RuntimeError(
                f"eSpeak NG {self.version} did not start with its data in {data} "
                f"(it used {used.value!r}); install espeakng-loader again"
            )
        self._blocks: list[bytes] = []
        # Kept as an attribute: the library holds no reference to it.
        self._callback = CALLBACK(self._receive)
        self.library.espeak_SetSynthCallback(self._callback)
        self.library.espeak_ng_SetRandSeed(ctypes.c_long(seed))
        # Some of its noises come from the C library's generator.
        ctypes.CDLL(None).srand(ctypes.c_uint(seed))

    def _receive(self, samples: Any, count: int, _events: Any) -> int:
        """Keep a block of samples (called by the library); 0 means go on."""
        if samples and count > 0:
            self._blocks.append(ctypes.string_at(samples, 2 * count))
        return 0

    def say(self, text: str, voice: str, rate: int, pitch: int) -> np.ndarray:
        """Return a text spoken once, int16 (samples).

        Parameters
        ----------
        text
            What to say.
        voice
            Accent and speaker, e.g. ``"en-us+f2"``.
        rate
            Words a minute, 80 to 450.
        pitch
            0 to 100; 50 is the voice's own.
        """
        variant = voice.partition("+")[2]
        # A missing variant is silently ignored by the library.
        if variant and not (self.data / "voices" / "!v" / variant).is_file():
            raise RuntimeError(f"eSpeak NG {self.version} has no variant {variant}")
        if self.library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise RuntimeError(f"eSpeak NG {self.version} has no voice {voice}")
        for parameter, value in (
            (PARAMETER_RATE, rate),
            (PARAMETER_VOLUME, VOLUME),
            (PARAMETER_PITCH, pitch),
        ):
            self.library.espeak_SetParameter(parameter, value, 0)
        self._blocks.clear()
        content = text.encode() + b"\0"
        status = self.library.espeak_Synth(
            content,
            ctypes.c_size_t(len(content)),
            ctypes.c_uint(0),
            ctypes.c_int(POSITION_CHARACTER),
            ctypes.c_uint(0),
            ctypes.c_uint(CHARACTERS_UTF8),
            None,
            None,
        )
        if status != 0 or self.library.espeak_Synchronize() != 0:
            raise RuntimeError(f"eSpeak NG {self.version} could not say '{text}'")
        return np.frombuffer(b"".join(self._blocks), dtype=np.int16)

    def say_within(
        self, text: str, voice: str, rate: int, pitch: int, longest: float | None
    ) -> tuple[np.ndarray, int] | None:
        """Say a text as fast as it needs to last at most `longest` seconds.

        Returns
        -------
        tuple or None
            The samples from the first to the last that are not silent, and the rate
            used; None if the fastest speech is too long or there is no sound.
        """
        while True:
            sound = self.say(text, voice, rate, pitch)
            start, stop = active_range(sound)
            seconds = (stop - start) / self.sample_rate
            if not sound.any():
                return None
            if longest is None or seconds <= longest:
                return sound[start:stop], rate
            if rate >= FASTEST_RATE:
                return None
            faster = math.ceil(rate * seconds / longest)
            rate = min(FASTEST_RATE, max(rate + 10, faster))


def speak(job: dict[str, Any], data: Path) -> tuple[dict[str, Any], list[bytes]]:
    """Make all utterances of a job in their order.

    Parameters
    ----------
    job
        ``seed`` and ``utterances``, a list of dicts of text, voice, rate, pitch and
        longest (seconds or None).
    data
        Folder of eSpeak NG's data.

    Returns
    -------
    tuple
        Sample rate, version, lengths and rates; and the samples, or ``error``, a
        message, where a text cannot be said in its time.
    """
    synthesizer = Synthesizer(job["seed"], data)
    lengths, rates, sounds = [], [], []
    for utterance in job["utterances"]:
        spoken = synthesizer.say_within(**utterance)
        if spoken is None:
            problem = (
                f"eSpeak NG cannot say '{utterance['text']}' with the voice "
                f"{utterance['voice']} within {utterance['longest']} s; use a shorter "
                "word or a longer duration"
            )
            return {"error": problem}, []
        sound, rate = spoken
        lengths.append(len(sound))
        rates.append(rate)
        sounds.append(sound.astype("<i2").tobytes())
    header = {
        "sample_rate": synthesizer.sample_rate,
        "version": synthesizer.version,
        "lengths": lengths,
        "rates": rates,
    }
    return header, sounds


def main() -> None:
    """Read a job from standard input and write its sounds to standard output."""
    job = json.load(sys.stdin)
    data = Path(espeakng_loader.get_data_path())
    with tempfile.TemporaryDirectory() as folder:
        if len(str(data)) > LONGEST_PATH:
            link = Path(folder) / "espeak-ng-data"
            link.symlink_to(data, target_is_directory=True)
            data = link
        header, sounds = speak(job, data)
    sys.stdout.buffer.write(json.dumps(header).encode() + b"\n")
    sys.stdout.buffer.writelines(sounds)


if __name__ == "__main__":
    main()
