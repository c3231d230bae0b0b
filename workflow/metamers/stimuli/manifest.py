"""Tables of recorded words and backgrounds, which stay in the files they are in.

The corpora of the study (read news and articles, with the time of each word, and the
labelled backgrounds of AudioSet) are too large to be copied, and may not be: the study
names two tables, and clips are cut from the recordings when they are needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from metamers.errors import StudyError, suggest
from metamers.randomness import numpy_generator
from metamers.stimuli.files import Split, StimulusSet
from metamers.stimuli.listed import Label, Listing, MultiHot, as_paths
from metamers.stimuli.manifest_tables import (
    names_in_order,
    read_background_table,
    read_clip_table,
    refuse_missing,
)
from metamers.stimuli.sound_files import read_clip
from metamers.stimuli.sound_splits import background_samples, clip_samples, make_split
from metamers.stimuli.sounds import SILENCE_RMS, demean, normalize, root_mean_square

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Reference:
    """A clip that metamers are made of: its row in the table, and its sound."""

    row: int
    sound: np.ndarray


def prepare_manifest(settings: dict[str, Any], seed: int) -> StimulusSet:
    """List the clips and backgrounds of two tables, and store the references.

    Parameters
    ----------
    settings
        The study's ``stimuli.audio``, with a source of kind manifest: clips and
        backgrounds (tables), vocabulary and background_labels (text files, or null),
        test_fraction, reference_sources and references.
    seed
        The seed of the study: it chooses the references, what is kept for test, and
        what the noisy test clips are made of.

    Returns
    -------
    StimulusSet
        Lists ``training``, ``test``, ``training_background``, ``test_background`` and
        ``test_noisy``, and the split ``reference``. The labels are ``word`` and, of
        backgrounds and noisy clips, ``background``, of which a sound may have several;
        category 0 of both is the null class. A recording is in one split only, those
        of references in ``test``.

    Raises
    ------
    StudyError
        If a table, a column, a file or a word of the vocabulary is missing, or there
        are too few words for the references; before any sound is read.
    """
    source = settings["source"]
    if settings["references_per_category"] != 1:
        raise StudyError(
            f"references_per_category is {settings['references_per_category']}; of a "
            "source of kind manifest each reference is of another word: give 1, and "
            "their number as source.references"
        )
    clips = read_clip_table(Path(source["clips"]))
    backgrounds = read_background_table(Path(source["backgrounds"]))
    words = names_in_order(
        set(clips["word"]), source.get("vocabulary"), "source.vocabulary"
    )
    labels = names_in_order(
        {name for names in backgrounds["labels"] for name in names},
        source.get("background_labels"),
        "source.background_labels",
    )
    clips["label"] = clips["word"].map({name: k for k, name in enumerate(words)})
    candidates = reference_candidates(clips, source, seed)
    refuse_missing(clips["path"], Path(source["clips"]))
    refuse_missing(backgrounds["path"], Path(source["backgrounds"]))
    references = choose_references(clips, candidates, settings)
    reserved = clips["path"].iloc[[one.row for one in references]].tolist()
    kept = held_out(clips["path"], reserved, source["test_fraction"], seed, "clips")
    quiet = held_out(
        backgrounds["path"], [], source["test_fraction"], seed, "backgrounds"
    )
    listed = {}
    for split, spoken, heard in (
        ("training", clips[~kept], backgrounds[~quiet]),
        ("test", clips[kept], backgrounds[quiet]),
    ):
        listed[split] = _list_clips(spoken, settings)
        listed[f"{split}_background"] = _list_backgrounds(heard, labels, settings)
    listed["test_noisy"] = list_mixtures(
        listed["test"], listed["test_background"], settings, seed
    )
    return StimulusSet(
        modality="audio",
        splits={"reference": _store_references(clips, references, settings)},
        categories={"word": words, "background": labels},
        sample_rate=settings["sample_rate"],
        listed=listed,
    )


def reference_candidates(
    clips: pd.DataFrame, source: dict[str, Any], seed: int
) -> dict[int, np.ndarray]:
    """Draw the words of the references, and an order of the clips of each.

    Parameters
    ----------
    clips
        The table, with the column label.
    source
        reference_sources and references.
    seed
        The seed of the study.

    Returns
    -------
    dict
        By label, in ascending order, rows of the table in the order to be tried.

    Raises
    ------
    StudyError
        If a source has no clip, or there are fewer words than references.
    """
    sources = sorted(set(clips["source"]))
    for name in source["reference_sources"]:
        if name not in sources:
            raise StudyError(
                f"source.reference_sources names '{name}', but no clip of "
                f"{source['clips']} is of it; its sources are {', '.join(sources)}"
                f"{suggest(name, sources)}"
            )
    usable = clips["source"].isin(source["reference_sources"]) & (clips["label"] > 0)
    rows = np.flatnonzero(usable)
    label = clips["label"].to_numpy()[rows]
    words = np.unique(label)
    if len(words) < source["references"]:
        raise StudyError(
            f"source.references is {source['references']}, each of another word, but "
            f"the clips of {', '.join(source['reference_sources'])} are of "
            f"{len(words)} words; lower it to at most {len(words)}"
        )
    generator = numpy_generator(seed, "stimuli", "references")
    drawn = np.sort(generator.permutation(words)[: source["references"]])
    return {int(word): generator.permutation(rows[label == word]) for word in drawn}


def choose_references(
    clips: pd.DataFrame, candidates: dict[int, np.ndarray], settings: dict[str, Any]
) -> list[Reference]:
    """Read for each word the first of its candidates that is not silent."""
    folder = Path(settings["source"]["clips"]).parent
    samples, rate = clip_samples(settings), settings["sample_rate"]
    chosen = []
    for rows in candidates.values():
        for row in rows:
            path, onset = clips["path"].iloc[row], clips["onset"].iloc[row]
            sound = read_clip(folder / path, onset, samples, rate)
            if root_mean_square(demean(sound))[0] >= SILENCE_RMS:
                chosen.append(Reference(int(row), sound))
                break
        else:
            raise StudyError(
                f"all {len(rows)} clips of '{clips['word'].iloc[rows[0]]}' that could "
                f"be references are silent, the first {path} at {onset} s; see that "
                "the onsets are in seconds from the start of the recording"
            )
    return chosen


def held_out(
    paths: pd.Series, reserved: Sequence[str], fraction: float, seed: int, purpose: str
) -> np.ndarray:
    """Say which rows (n) are kept for test: all of a random part of the recordings.

    By recording, so that no stretch of sound is in a training and in a test clip.

    Parameters
    ----------
    paths
        Recording of each row.
    reserved
        Recordings that are kept in any case.
    fraction
        Part of the recordings to keep; at least one.
    seed
        The seed of the study.
    purpose
        Part of the random stream's name.

    Raises
    ------
    StudyError
        If nothing is left for training.
    """
    recordings = np.sort(paths.unique())
    kept = set(reserved)
    number = max(1, round(fraction * len(recordings)))
    generator = numpy_generator(seed, "stimuli", "held out", purpose)
    for index in generator.permutation(len(recordings)):
        if len(kept) >= number:
            break
        kept.add(recordings[index])
    if len(kept) == len(recordings):
        raise StudyError(
            f"source.{purpose} names {len(recordings)} recordings, all of which are "
            "kept for test and references; give more, or a smaller test_fraction or "
            "fewer references"
        )
    return paths.isin(kept).to_numpy()


def _list_clips(clips: pd.DataFrame, settings: dict[str, Any]) -> Listing:
    return Listing(
        kind="speech",
        root=Path(settings["source"]["clips"]).absolute().parent,
        path=as_paths(clips["path"].tolist()),
        label={"word": clips["label"].to_numpy()},
        columns={"onset": clips["onset"].to_numpy()},
        settings=_sound_settings(settings, clip_samples(settings)),
    )


def _list_backgrounds(
    backgrounds: pd.DataFrame, labels: Sequence[str], settings: dict[str, Any]
) -> Listing:
    index_of = {name: k for k, name in enumerate(labels)}
    members = [[index_of[name] for name in names] for names in backgrounds["labels"]]
    return Listing(
        kind="backgrounds",
        root=Path(settings["source"]["backgrounds"]).absolute().parent,
        path=as_paths(backgrounds["path"].tolist()),
        label={"background": MultiHot.of(members, len(labels))},
        settings=_sound_settings(settings, background_samples(settings)),
    )


def _sound_settings(settings: dict[str, Any], samples: int) -> dict[str, int | float]:
    return {
        "sample_rate": settings["sample_rate"],
        "samples": samples,
        "rms": settings["rms"],
    }


def list_mixtures(
    speech: Listing, background: Listing, settings: dict[str, Any], seed: int
) -> Listing:
    """List every test clip once in a background.

    The background, the place of the excerpt in it and the signal-to-noise ratio
    (uniform over the study's range, in dB) are drawn from a stream of each clip's own.
    """
    chosen = np.empty(len(speech), dtype=np.int64)
    place = np.empty(len(speech))
    snr = np.empty(len(speech), dtype=np.float32)
    for row, name in enumerate(speech.ids().tolist()):
        generator = numpy_generator(seed, "stimuli", "noisy", name)
        chosen[row] = generator.integers(len(background))
        place[row] = generator.random()
        snr[row] = generator.uniform(*settings["snr"])
    files = [str(background.file(index)) for index in range(len(background))]
    label: dict[str, Label] = dict(speech.label)
    for name, values in background.label.items():
        assert isinstance(values, MultiHot)
        label[name] = MultiHot(values.packed[chosen], values.width)
    return Listing(
        kind="mixtures",
        root=speech.root,
        path=speech.path,
        label=label,
        columns={
            **speech.columns,
            "background": as_paths(files)[chosen],
            "place": place,
            "snr": snr,
        },
        settings=speech.settings,
    )


def _store_references(
    clips: pd.DataFrame, references: Sequence[Reference], settings: dict[str, Any]
) -> Split:
    """Store the references, clean and at the study's level."""
    rows = clips.iloc[[one.row for one in references]]
    places = [
        f"{path} at {onset:.3f} s"
        for path, onset in zip(rows["path"], rows["onset"], strict=True)
    ]
    split = make_split(
        normalize(np.stack([one.sound for one in references]), settings["rms"]),
        rows["word"].tolist(),
        {"word": rows["label"].to_numpy()},
        places,
    )
    split.details["corpus"] = rows["source"].to_numpy(dtype=str)
    return split
