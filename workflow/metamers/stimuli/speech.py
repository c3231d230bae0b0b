"""Generated speech: which voices say which words how, and the sounds of it.

eSpeak NG runs in a process of its own (`metamers.stimuli.espeak_process`), which makes
the whole set in one fixed order.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import metamers
from metamers.errors import StudyError
from metamers.randomness import derive_seed, numpy_generator
from metamers.stimuli.sounds import center, normalize, resample

ACCENTS = (
    "en-us",
    "en-us-nyc",
    "en",
    "en-gb-x-rp",
    "en-gb-scotland",
    "en-gb-x-gbclan",
    "en-gb-x-gbcwmd",
    "en-029",
)
# Speakers: eSpeak NG's voice variants that sound like people, without those that nearly
# equal another, those of which a linear classifier trained on the other speakers tells
# fewer than 93 % of the words (Alicia, Andrea, Andy, Lee, antonio) and one that clips
# often (m2). Two groups, so that both training and test have low and high voices.
LOW_SPEAKERS = (
    *("m1", "m3", "m4", "m7", "m8", "Alex", "Denis", "Diogo", "Michael", "Mike"),
    *("Reed", "adam", "boris", "caleb", "david", "edward", "iven", "max", "michel"),
    "pablo",
)
HIGH_SPEAKERS = (
    *("f1", "f2", "f3", "f4", "f5", "Annie", "anika", "belinda", "grandma", "linda"),
    "steph",
)
# One speaker in so many of a group is kept for test.
SPEAKERS_PER_TEST_SPEAKER = 4
# Ranges drawn from: words a minute, and pitch in eSpeak NG's units (50: the voice's).
RATES = (150, 210)
PITCHES = (35, 65)
# A word fills at most this part of the clip, so that shifts do not cut it.
LARGEST_FILL = 0.9
# What the talkers of a babble say; none of it is a usual choice of words to recognize.
SENTENCES = (
    "The old farmer walked slowly along the dusty road.",
    "She left her keys on the kitchen table again.",
    "Nobody knew why the train had stopped so long.",
    "Fresh bread and butter make a simple breakfast.",
    "They painted the front door a very bright green.",
    "A small boat drifted towards the quiet harbor.",
    "He always forgets to call his mother on Sunday.",
    "The children ran across the field before lunch.",
    "We should have asked the driver to turn left.",
    "Most of the shops were closed by half past five.",
    "Her brother plays chess with the man next door.",
    "Please bring me the blue cup from the shelf.",
)
BABBLE_UTTERANCES = 36


@dataclass(frozen=True)
class Utterance:
    """What is to be said once.

    Attributes
    ----------
    text, voice
        The words, and accent and speaker as eSpeak NG writes them (``en-us+f2``).
    rate
        Words a minute; more is used where the text would not fit.
    pitch
        0 to 100.
    longest
        The time it must fit, in seconds; None for any.
    """

    text: str
    voice: str
    rate: int
    pitch: int
    longest: float | None

    @property
    def speaker(self) -> str:
        """The speaker without the accent."""
        return self.voice.partition("+")[2]


@dataclass(frozen=True)
class Recording:
    """What eSpeak NG made.

    Attributes
    ----------
    sounds
        Int16 (samples), each from the first to the last sample that is not silent.
    rates
        Words a minute of each.
    sample_rate
        In Hz.
    version
        Of eSpeak NG.
    """

    sounds: list[np.ndarray]
    rates: list[int]
    sample_rate: int
    version: str

    def resampled(self, row: int, sample_rate: int) -> np.ndarray:
        """Return one sound in [-1, 1] at another sample rate."""
        return resample(self.sounds[row] / 32768.0, self.sample_rate, sample_rate)


@dataclass(frozen=True)
class Speech:
    """Words said by one group of speakers, and what these say in a babble.

    Attributes
    ----------
    sounds
        Float32 (n, samples), demeaned, of one root mean square.
    words
        Index (n) into the study's words.
    names, speakers, sources
        Of each sound (n).
    sentences
        Sounds of differing lengths, float64 (samples), of one root mean square.
    """

    sounds: np.ndarray
    words: np.ndarray
    names: np.ndarray
    speakers: np.ndarray
    sources: np.ndarray
    sentences: list[np.ndarray]


def divide_speakers(seed: int) -> tuple[list[str], list[str]]:
    """Draw the speakers of training and, separate from them, of test."""
    training: list[str] = []
    test: list[str] = []
    for group, speakers in (("low", LOW_SPEAKERS), ("high", HIGH_SPEAKERS)):
        order = numpy_generator(seed, "stimuli", "speakers", group).permutation(
            np.array(speakers)
        )
        number = len(order) // SPEAKERS_PER_TEST_SPEAKER
        test.extend(order[:number].tolist())
        training.extend(order[number:].tolist())
    return training, test


def plan_words(
    words: Sequence[str],
    renditions: int,
    speakers: Sequence[str],
    duration: float,
    generator: np.random.Generator,
) -> list[Utterance]:
    """Plan how often, by whom and how each word is said.

    Each word goes through the voices (speakers times accents) in a random order of its
    own, so that no voice says it twice before all have said it once.
    """
    voices = [f"{accent}+{speaker}" for speaker in speakers for accent in ACCENTS]
    plan: list[Utterance] = []
    for word in words:
        rounds = -(-renditions // len(voices))
        order = np.concatenate(
            [generator.permutation(len(voices)) for _ in range(rounds)]
        )
        plan.extend(
            Utterance(
                text=word,
                voice=voices[index],
                rate=int(generator.integers(*RATES, endpoint=True)),
                pitch=int(generator.integers(*PITCHES, endpoint=True)),
                longest=LARGEST_FILL * duration,
            )
            for index in order[:renditions]
        )
    return plan


def plan_sentences(
    speakers: Sequence[str], generator: np.random.Generator
) -> list[Utterance]:
    """Plan the sentences that the talkers of the babbles say."""
    return [
        Utterance(
            text=SENTENCES[number % len(SENTENCES)],
            voice=f"{generator.choice(ACCENTS)}+{generator.choice(speakers)}",
            rate=int(generator.integers(*RATES, endpoint=True)),
            pitch=int(generator.integers(*PITCHES, endpoint=True)),
            longest=None,
        )
        for number in range(BABBLE_UTTERANCES)
    ]


def speak(utterances: Sequence[Utterance], seed: int) -> Recording:
    """Make utterances with eSpeak NG, all in one process.

    Parameters
    ----------
    utterances
        What to say, in order: a sound depends on those before it.
    seed
        Of eSpeak NG's noises, in [0, 2**31).

    Raises
    ------
    StudyError
        If a word cannot be said in its time.
    """
    job = {"seed": seed, "utterances": [vars(utterance) for utterance in utterances]}
    # The process finds the package also where it is not installed.
    package = str(Path(metamers.__file__).resolve().parents[1])
    known = os.environ.get("PYTHONPATH")
    search = os.pathsep.join([package, known] if known else [package])
    finished = subprocess.run(
        [sys.executable, "-m", "metamers.stimuli.espeak_process"],
        input=json.dumps(job).encode(),
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": search},
    )
    if finished.returncode != 0:
        raise RuntimeError(
            "the eSpeak NG process failed with exit status "
            f"{finished.returncode}:\n{finished.stderr.decode(errors='replace')}"
        )
    line, _, content = finished.stdout.partition(b"\n")
    header = json.loads(line)
    if "error" in header:
        raise StudyError(header["error"])
    samples = np.frombuffer(content, dtype="<i2")
    sounds = np.split(samples, np.cumsum(header["lengths"])[:-1])
    return Recording(sounds, header["rates"], header["sample_rate"], header["version"])


def check_words(words: Sequence[str]) -> None:
    """Refuse words that eSpeak NG could not say or the task could not tell apart."""
    if len(words) < 2:
        raise StudyError(
            f"source.words names {len(words)} words; a task needs at least 2"
        )
    seen: set[str] = set()
    for word in words:
        if not any(character.isalpha() for character in word):
            raise StudyError(f"source.words has '{word}', which has no letters")
        if word.lower() in seen:
            raise StudyError(f"source.words names '{word}' twice; name it only once")
        seen.add(word.lower())


def make_speech(
    words: Sequence[str],
    renditions: tuple[int, int],
    sample_rate: int,
    duration: float,
    rms: float,
    seed: int,
) -> tuple[Speech, Speech]:
    """Make the training and the test speech of a study.

    Parameters
    ----------
    words
        The words of the task.
    renditions
        How often each is said in training and in test.
    sample_rate, duration, rms
        Of the sounds: Hz, seconds, root mean square.
    seed
        The seed of the study.

    Returns
    -------
    tuple of Speech
        Training and test; no speaker is in both.
    """
    plans: list[list[Utterance]] = []
    for name, speakers, number in zip(
        ("training", "test"), divide_speakers(seed), renditions, strict=True
    ):
        generator = numpy_generator(seed, "stimuli", "speech", name)
        plans.append(plan_words(words, number, speakers, duration, generator))
        plans.append(plan_sentences(speakers, generator))
    utterances = [utterance for plan in plans for utterance in plan]
    noise_seed = derive_seed(seed, "stimuli", "espeak") % 2**31
    recording = speak(utterances, noise_seed)
    ends = np.cumsum([len(plan) for plan in plans])[:-1]
    rows = np.split(np.arange(len(utterances)), ends)
    training, test = (
        _gather(
            recording, utterances, words, pair, sample_rate, duration=duration, rms=rms
        )
        for pair in ((rows[0], rows[1]), (rows[2], rows[3]))
    )
    return training, test


def _gather(
    recording: Recording,
    utterances: Sequence[Utterance],
    words: Sequence[str],
    rows: tuple[np.ndarray, np.ndarray],
    sample_rate: int,
    *,
    duration: float,
    rms: float,
) -> Speech:
    """Bring one split's words and sentences (rows of both) to the study's form."""
    counts: Counter[str] = Counter()
    names, sources, speakers, clips = [], [], [], []
    for row in rows[0]:
        said = utterances[row]
        counts[said.text] += 1
        voice = said.voice.replace("+", "-")
        names.append(f"{said.text}_{voice}_{counts[said.text]:03d}")
        sources.append(
            f"eSpeak NG {recording.version} {said.voice} rate {recording.rates[row]} "
            f"pitch {said.pitch}"
        )
        speakers.append(said.speaker)
        sound = recording.resampled(row, sample_rate)
        clips.append(center(sound, round(duration * sample_rate), sample_rate))
    return Speech(
        sounds=normalize(np.stack(clips), rms),
        words=np.array([words.index(utterances[row].text) for row in rows[0]]),
        names=np.array(names),
        speakers=np.array(speakers),
        sources=np.array(sources),
        sentences=[
            normalize(recording.resampled(row, sample_rate), rms) for row in rows[1]
        ],
    )
