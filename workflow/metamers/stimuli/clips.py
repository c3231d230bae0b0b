"""Recorded clips: a folder with a table of words and speakers, and backgrounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from metamers.errors import StudyError, suggest
from metamers.stimuli.sounds import center, limit_peak, normalize, resample
from metamers.stimuli.splitting import (
    check_references,
    choose_names,
    class_folders,
    draw,
    draw_split,
    split_counts,
    take,
)

if TYPE_CHECKING:
    import pandas as pd

SOUND_SUFFIXES = (".flac", ".wav", ".ogg", ".mp3", ".aiff", ".aif")
COLUMNS = ("path", "word", "speaker")


@dataclass(frozen=True)
class ClipPlan:
    """Which recordings are used for what, before any is read.

    Attributes
    ----------
    words, backgrounds
        The categories.
    clips
        By split (training, test), rows of path, word and speaker.
    background_files
        By split, pairs of class index and path.
    """

    words: list[str]
    backgrounds: list[str]
    clips: dict[str, pd.DataFrame]
    background_files: dict[str, list[tuple[int, Path]]]


def plan_clips(settings: dict[str, Any], seed: int) -> ClipPlan:
    """Divide recorded speech by speaker and recorded backgrounds by the seed.

    Parameters
    ----------
    settings
        The study's ``stimuli.audio``, with a source of kind clip_folder: clips,
        backgrounds (folders), test_speakers, and optionally words and
        background_classes (subsets), training_per_word, test_per_word,
        training_background_clips and test_background_clips (limits).
    seed
        The seed of the study.

    Raises
    ------
    StudyError
        If a folder, the table, a column, a file, a word or a speaker is missing or
        there are too few recordings of a word or a class.
    """
    source = settings["source"]
    folder = Path(source["clips"])
    table = read_clip_table(folder)
    _check_speakers(source["test_speakers"], table, folder)
    words = choose_names(
        source.get("words"), sorted(set(table["word"])), str(folder), "words"
    )
    heard = table["speaker"].isin(source["test_speakers"])
    clips = {}
    for split, rows in (("training", table[~heard]), ("test", table[heard])):
        clips[split] = _choose_clips(rows, words, split, settings, seed, folder)
    missing = [
        str(folder / path)
        for rows in clips.values()
        for path in rows["path"]
        if not (folder / path).is_file()
    ]
    if missing:
        raise StudyError(
            f"{folder / 'clips.csv'} names {len(missing)} files that are not there, "
            f"the first {missing[0]}; paths are relative to {folder}"
        )
    backgrounds, files = _choose_backgrounds(source, seed)
    return ClipPlan(words, backgrounds, clips, files)


def read_clip_table(folder: Path) -> pd.DataFrame:
    """Read ``clips.csv`` of a folder: path, word and speaker of each recording."""
    import pandas as pd

    path = folder / "clips.csv"
    if not path.is_file():
        raise StudyError(
            f"there is no {path}; source.clips must be a folder with a table clips.csv "
            f"of the columns {', '.join(COLUMNS)}"
        )
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    present = [str(column) for column in table.columns]
    for column in COLUMNS:
        if column not in present:
            raise StudyError(
                f"{path} has no column '{column}'; it has {', '.join(present)} and "
                f"needs {', '.join(COLUMNS)}{suggest(column, present)}"
            )
    return table[list(COLUMNS)]


def _check_speakers(
    test_speakers: Sequence[str], table: pd.DataFrame, folder: Path
) -> None:
    """Refuse test speakers that are not there or leave nobody for training."""
    speakers = sorted(set(table["speaker"]))
    listed = ", ".join(speakers)
    for speaker in test_speakers:
        if speaker not in speakers:
            raise StudyError(
                f"test_speakers names '{speaker}', who is not in "
                f"{folder / 'clips.csv'}; the speakers are {listed}"
                f"{suggest(speaker, speakers)}"
            )
    if not test_speakers or set(test_speakers) == set(speakers):
        raise StudyError(
            f"test_speakers is {list(test_speakers)}; it must name some but not all of "
            f"{listed}, since test voices are never heard in training"
        )


def _choose_clips(
    rows: pd.DataFrame,
    words: Sequence[str],
    split: str,
    settings: dict[str, Any],
    seed: int,
    folder: Path,
) -> pd.DataFrame:
    """Take from one split's recordings as many of each word as wanted."""
    import pandas as pd

    name = f"{split}_per_word"
    chosen = []
    for word in words:
        said = rows[rows["word"] == word].sort_values("path")
        place = f"the word '{word}' of the {split} speakers in {folder}"
        number = take(len(said), settings["source"].get(name), place, name)
        if split == "test":
            check_references(settings["references_per_category"], number, place)
        chosen.append(said.iloc[draw(len(said), number, seed, "clips", split, word)])
    return pd.concat(chosen, ignore_index=True)


def _choose_backgrounds(
    source: dict[str, Any], seed: int
) -> tuple[list[str], dict[str, list[tuple[int, Path]]]]:
    """Divide each class of backgrounds into training and test."""
    folder = Path(source["backgrounds"])
    found = class_folders(folder, "source.backgrounds", SOUND_SUFFIXES)
    present = [name for name, paths in found.items() if paths]
    classes = choose_names(
        source.get("background_classes"), present, str(folder), "background_classes"
    )
    files: dict[str, list[tuple[int, Path]]] = {"training": [], "test": []}
    for number, name in enumerate(classes):
        paths = found[name]
        counts = split_counts(
            len(paths),
            source.get("training_background_clips"),
            source.get("test_background_clips"),
            str(folder / name),
            "background_clips",
        )
        drawn = draw_split(len(paths), *counts, seed, "backgrounds", name)
        for split, index in zip(files, drawn, strict=True):
            files[split].extend((number, paths[row]) for row in index)
    return classes, files


def read_sound(path: Path, sample_rate: int) -> np.ndarray:
    """Read a recording as one channel at a sample rate, float64 (samples).

    Raises
    ------
    StudyError
        If it cannot be read or is empty.
    """
    import soundfile

    try:
        sound, rate = soundfile.read(path, dtype="float64", always_2d=True)
    except (OSError, soundfile.LibsndfileError) as error:
        raise StudyError(
            f"{path} cannot be read as a sound ({error}); replace or remove it"
        ) from error
    if len(sound) == 0:
        raise StudyError(f"{path} is an empty recording; replace or remove it")
    return resample(sound.mean(axis=1), rate, sample_rate)


def read_clips(
    paths: Sequence[Path], sample_rate: int, samples: int, rms: float
) -> np.ndarray:
    """Read speech, float32 (n, samples), demeaned, of one root mean square.

    The middle of a recording is the middle of the result: longer ones are cut on both
    sides, shorter ones stand in silence. Nothing is trimmed first, since the word may
    be marked by its place in the middle, as in the study's two-second excerpts.
    """
    sounds = [
        center(read_sound(path, sample_rate), samples, sample_rate) for path in paths
    ]
    for path, sound in zip(paths, sounds, strict=True):
        if not sound.any():
            raise StudyError(f"{path} is silent in its middle; replace or remove it")
    return normalize(np.stack(sounds), rms)


def read_backgrounds(
    paths: Sequence[Path], sample_rate: int, samples: int, rms: float
) -> np.ndarray:
    """Read backgrounds, float32 (n, samples), of one root mean square.

    Of a longer recording the loudest stretch is taken, since some are mostly silence; a
    shorter one is repeated.
    """
    sounds = [loudest(read_sound(path, sample_rate), samples) for path in paths]
    return limit_peak(normalize(np.stack(sounds), rms))


def loudest(sound: np.ndarray, samples: int) -> np.ndarray:
    """Return the stretch of a sound that has the most energy, repeated to fill it."""
    if len(sound) <= samples:
        return np.resize(sound, samples)
    energy = np.concatenate([[0.0], np.cumsum(np.square(sound))])
    start = int(np.argmax(energy[samples:] - energy[:-samples]))
    return sound[start : start + samples]
