"""Generated backgrounds: noises, a babble and machine-like sounds, by class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from metamers.errors import StudyError, suggest
from metamers.randomness import numpy_generator
from metamers.stimuli.sounds import limit_peak, normalize

# Below what can be heard: the lowest frequency of the noises, in Hz.
LOWEST_FREQUENCY = 20.0
TALKERS = 6


@dataclass(frozen=True)
class Scene:
    """What a background is made for.

    Attributes
    ----------
    samples
        Its length.
    sample_rate
        In Hz.
    sentences
        Speech (samples) at this rate, of which the babble and the speech-shaped noise
        are made.
    """

    samples: int
    sample_rate: int
    sentences: Sequence[np.ndarray]

    @property
    def time(self) -> np.ndarray:
        """Time of each sample in seconds."""
        return np.arange(self.samples) / self.sample_rate


def shaped_noise(
    amplitude: Callable[[np.ndarray], np.ndarray],
    scene: Scene,
    generator: np.random.Generator,
) -> np.ndarray:
    """Return Gaussian noise (samples) whose spectrum has an amplitude (of Hz)."""
    spectrum = np.fft.rfft(generator.standard_normal(scene.samples))
    frequency = np.fft.rfftfreq(scene.samples, 1.0 / scene.sample_rate)
    audible = frequency >= LOWEST_FREQUENCY
    weight = np.zeros_like(frequency)
    weight[audible] = amplitude(frequency[audible])
    return np.fft.irfft(spectrum * weight, n=scene.samples)


def speech_shaped_noise(scene: Scene, generator: np.random.Generator) -> np.ndarray:
    """Return steady noise with the average spectrum of some of the speech.

    Of as many sentences as a babble has talkers, so that clips differ as voices do.
    """
    chosen = generator.permutation(len(scene.sentences))[:TALKERS]
    length = 512
    window = np.hanning(length)
    power = np.zeros(length // 2 + 1)
    for sentence in (scene.sentences[index] for index in chosen):
        blocks = len(sentence) // length
        frames = np.reshape(sentence[: blocks * length], (blocks, length)) * window
        power += np.sum(np.abs(np.fft.rfft(frames, axis=1)) ** 2, axis=0)
    bins = np.fft.rfftfreq(length, 1.0 / scene.sample_rate)
    return shaped_noise(
        lambda frequency: np.sqrt(np.interp(frequency, bins, power)), scene, generator
    )


def babble(scene: Scene, generator: np.random.Generator) -> np.ndarray:
    """Return six talkers at once, each saying sentences one after another."""
    mixture = np.zeros(scene.samples)
    for _ in range(TALKERS):
        stream = np.zeros(0)
        # Each talker is met in the middle of a sentence.
        skip = int(generator.integers(scene.sample_rate))
        while len(stream) < skip + scene.samples:
            chosen = int(generator.integers(len(scene.sentences)))
            stream = np.concatenate([stream, scene.sentences[chosen]])
        mixture += stream[skip : skip + scene.samples]
    return mixture


def pink_noise(scene: Scene, generator: np.random.Generator) -> np.ndarray:
    """Return noise whose power falls by 3 dB an octave."""
    return shaped_noise(lambda frequency: frequency**-0.5, scene, generator)


def white_noise(scene: Scene, generator: np.random.Generator) -> np.ndarray:
    """Return noise of equal power at all frequencies."""
    return shaped_noise(np.ones_like, scene, generator)


def modulated_noise(scene: Scene, generator: np.random.Generator) -> np.ndarray:
    """Return white noise that swells and vanishes 4 to 12 times a second."""
    rate = generator.uniform(4.0, 12.0)
    phase = generator.uniform(0.0, 2.0 * np.pi)
    envelope = 0.5 + 0.5 * np.sin(2.0 * np.pi * rate * scene.time + phase)
    return envelope * white_noise(scene, generator)


def tones(scene: Scene, generator: np.random.Generator) -> np.ndarray:
    """Return pure tones one after another, 80 to 200 ms each, with soft edges."""
    highest = min(3500.0, 0.4 * scene.sample_rate)
    melody = np.zeros(scene.samples)
    start = 0
    while start < scene.samples:
        length = round(generator.uniform(0.08, 0.2) * scene.sample_rate)
        frequency = np.exp(generator.uniform(np.log(200.0), np.log(highest)))
        time = np.arange(length) / scene.sample_rate
        tone = np.sqrt(np.hanning(length)) * np.sin(2.0 * np.pi * frequency * time)
        end = min(start + length, scene.samples)
        melody[start:end] = tone[: end - start]
        start += length
    return melody


def clicks(scene: Scene, generator: np.random.Generator) -> np.ndarray:
    """Return clicks at random times, 10 to 25 a second, that ring for some ms."""
    rate = generator.uniform(10.0, 25.0)
    train = np.zeros(scene.samples)
    time = np.arange(round(0.05 * scene.sample_rate)) / scene.sample_rate
    highest = min(3500.0, 0.4 * scene.sample_rate)
    start = generator.exponential(1.0 / rate)
    while (first := round(start * scene.sample_rate)) < scene.samples:
        frequency = generator.uniform(0.25 * highest, highest)
        ringing = np.exp(-time / 0.004) * np.sin(2.0 * np.pi * frequency * time)
        end = min(first + len(time), scene.samples)
        train[first:end] += generator.uniform(0.5, 1.0) * ringing[: end - first]
        start += generator.exponential(1.0 / rate)
    return train


def hum(scene: Scene, generator: np.random.Generator) -> np.ndarray:
    """Return a steady buzz: harmonics of 50 to 130 Hz up to 1 kHz, falling as 1/n."""
    fundamental = generator.uniform(50.0, 130.0)
    highest = min(1000.0, 0.45 * scene.sample_rate)
    buzz = np.zeros(scene.samples)
    for harmonic in range(1, int(highest // fundamental) + 1):
        phase = generator.uniform(0.0, 2.0 * np.pi)
        turns = harmonic * fundamental * scene.time
        buzz += np.sin(2.0 * np.pi * turns + phase) / harmonic
    return buzz


GENERATED_BACKGROUNDS: dict[str, Callable[[Scene, np.random.Generator], np.ndarray]] = {
    "speech_shaped_noise": speech_shaped_noise,
    "babble": babble,
    "pink_noise": pink_noise,
    "white_noise": white_noise,
    "modulated_noise": modulated_noise,
    "tones": tones,
    "clicks": clicks,
    "hum": hum,
}


def check_backgrounds(names: Sequence[str]) -> None:
    """Refuse classes of backgrounds that cannot be generated.

    Raises
    ------
    StudyError
        If a name is unknown or repeated, or there are fewer than 2.
    """
    for name in names:
        if name not in GENERATED_BACKGROUNDS:
            raise StudyError(
                f"source.backgrounds names '{name}'; it may hold "
                f"{', '.join(GENERATED_BACKGROUNDS)}"
                f"{suggest(name, GENERATED_BACKGROUNDS)}"
            )
        if list(names).count(name) > 1:
            raise StudyError(f"source.backgrounds names '{name}' twice; name it once")
    if len(names) < 2:
        raise StudyError(
            f"source.backgrounds names {len(names)} classes; a task needs at least 2 "
            f"of {', '.join(GENERATED_BACKGROUNDS)}"
        )


def make_backgrounds(
    names: Sequence[str],
    clips: int,
    scene: Scene,
    rms: float,
    seed: int,
    split: str,
) -> np.ndarray:
    """Generate the backgrounds of one split.

    Parameters
    ----------
    names
        The classes.
    clips
        How many of each.
    scene
        Length, sample rate and the split's own speech.
    rms
        Root mean square of each; less where the peak would exceed 1.
    seed
        The seed of the study.
    split
        ``"training"`` or ``"test"``: part of every clip's random stream.

    Returns
    -------
    ndarray
        Float32 (classes * clips, samples), ordered by class.
    """
    sounds = [
        GENERATED_BACKGROUNDS[name](
            scene, numpy_generator(seed, "stimuli", "background", split, name, number)
        )
        for name in names
        for number in range(clips)
    ]
    return limit_peak(normalize(np.stack(sounds), rms))
