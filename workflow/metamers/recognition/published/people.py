"""The published human data of Feather et al. 2023, as recognition tables.

The released code holds 59 MATLAB 5 files (``*_network_vs_humans_datamatrix_*_public
.mat``), one for each experiment and model, with the proportions correct of each
participant and, beside them, of the generating network on exactly the stimuli that
this participant got. Files from elsewhere are not trusted: only numbers and text are
read, and their types, shapes, names and ranges are checked.

``python -m metamers.recognition.published.people FOLDER OUT`` writes the means.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from metamers.errors import StudyError
from metamers.files import write_csv
from metamers.recognition.published.matlab import read_variables
from metamers.recognition.tables import (
    PEOPLE,
    RECOGNITION_COLUMNS,
    recognition_table,
)

FILE_NAME = re.compile(
    r"(?P<sense>Vision|Audio)Experiment(?P<experiment>[0-9]{1,3})"
    r"_network_vs_humans_datamatrix_(?P<model>[A-Za-z0-9_.-]{1,100})_public\.mat"
)
STAGE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
MODALITIES = {"Vision": "vision", "Audio": "audio"}
NATURAL = {"vision": "natural_image", "audio": "natural_audio"}
CONDITIONS = ("Human", "Network")
AXES = ("participants", "model_layers", "conditions")
MATRIX = "participant_data_matrix"
# {variable: its dimensions}; the one of three holds numbers, the others text.
VARIABLES = {
    MATRIX: 3,
    "participants": 1,
    "model_layers": 1,
    "conditions": 1,
    "axis_order": 1,
}
# The published files hold 4 kB and at most 23 x 10 x 2 values.
MOST_BYTES = 1_000_000
MOST_ITEMS = 1_000
SUMMARY_COLUMNS = [
    "modality",
    "repo_experiment",
    "model",
    "stage",
    "stage_index",
    "observer_kind",
    "n",
    "mean",
    "sem",
]


@dataclass(frozen=True)
class PublishedSet:
    """One published file: one model in one experiment.

    Attributes
    ----------
    modality
        ``vision`` or ``audio``.
    repo_experiment
        The number of the experiment in the released code (not that of the paper).
    model
        Name of the generating network in the released code.
    participants
        Their ids, which mean something in this experiment only.
    stages
        ``natural``, then the stages as the file names them; vision omits the input.
    proportion_correct
        (participants, stages, 2) in [0, 1]: people, then the generating network.
    """

    modality: str
    repo_experiment: int
    model: str
    participants: tuple[str, ...]
    stages: tuple[str, ...]
    proportion_correct: np.ndarray


def read_published_set(path: str | Path) -> PublishedSet:
    """Read one published file.

    Parameters
    ----------
    path
        A ``.mat`` file with its published name.

    Returns
    -------
    PublishedSet
        Checked content, text without its padding.

    Raises
    ------
    StudyError
        Where the name, the format, a shape, a name or a range is not as published.
    """
    path = Path(path)
    named = FILE_NAME.fullmatch(path.name)
    if named is None:
        raise StudyError(
            f"{path}: not the name of a published file; they are called "
            "VisionExperiment<number>_network_vs_humans_datamatrix_<model>_public.mat "
            "or AudioExperiment..."
        )
    content = _load(path)
    modality = MODALITIES[named["sense"]]
    stages = _names(path, "model_layers", content)
    participants = _names(path, "participants", content)
    for variable, expected in (("conditions", CONDITIONS), ("axis_order", AXES)):
        found = tuple(_names(path, variable, content))
        if found != expected:
            raise StudyError(f"{path}: {variable} is {found}; it must be {expected}")
    if stages[0] != NATURAL[modality]:
        raise StudyError(
            f"{path}: the first of model_layers is {stages[0]!r}; "
            f"for {modality} it must be {NATURAL[modality]!r}"
        )
    return PublishedSet(
        modality=modality,
        repo_experiment=int(named["experiment"]),
        model=named["model"],
        participants=tuple(participants),
        stages=("natural", *stages[1:]),
        proportion_correct=_proportions(
            path, content[MATRIX], (len(participants), len(stages), len(CONDITIONS))
        ),
    )


def read_published_folder(folder: str | Path) -> list[PublishedSet]:
    """Read all published files in a folder and the folders in it.

    Parameters
    ----------
    folder
        A clone of the released code, or any folder with its ``.mat`` files.

    Returns
    -------
    list of PublishedSet
        By modality, experiment and model.

    Raises
    ------
    StudyError
        Where there is no such file, a set is there twice, or one is not as published.
    """
    paths = [
        path for path in Path(folder).rglob("*.mat") if FILE_NAME.fullmatch(path.name)
    ]
    if not paths:
        raise StudyError(
            f"{folder}: no file in it is called *_network_vs_humans_datamatrix_*_public"
            ".mat; name the folder of the downloaded data"
        )
    return read_published_sets(paths)


def read_published_sets(paths: Iterable[str | Path]) -> list[PublishedSet]:
    """Read published files, in the order of modality, experiment and model.

    Raises
    ------
    StudyError
        Where one is not as published, or two are the same set.
    """
    sets = {}
    for path in sorted(map(str, paths)):
        published = read_published_set(path)
        key = (published.modality, published.repo_experiment, published.model)
        if key in sets:
            raise StudyError(f"{path}: the same set is there twice; remove one")
        sets[key] = published
    return [sets[key] for key in sorted(sets)]


def published_participants(sets: Sequence[PublishedSet]) -> pd.DataFrame:
    """Return one row for each participant, generator, stage and kind of observer.

    Parameters
    ----------
    sets
        Published files.

    Returns
    -------
    DataFrame
        Recognition table. The experiment is ``published_`` and its number in the
        released code; the natural stage repeats under each generator of an
        experiment; ``n`` (trials) was not published. In the rows of a network,
        ``participant`` is the person whose stimuli it got.
    """
    parts = []
    for published in sets:
        people, stages, kinds = published.proportion_correct.shape
        person, stage, kind = np.indices((people, stages, kinds)).reshape(3, -1)
        parts.append(
            pd.DataFrame(
                {
                    "modality": published.modality,
                    "experiment": f"published_{published.repo_experiment}",
                    "participant": np.array(published.participants)[person],
                    "observer": np.array([PEOPLE, published.model])[kind],
                    "observer_kind": np.array(["human", "network"])[kind],
                    "generator": published.model,
                    "stage": np.array(published.stages)[stage],
                    "stage_index": stage,
                    "n": pd.NA,
                    "proportion_correct": published.proportion_correct.ravel(),
                }
            )
        )
    if not parts:
        return recognition_table(pd.DataFrame(columns=list(RECOGNITION_COLUMNS)))
    return recognition_table(pd.concat(parts, ignore_index=True))


def summarize(sets: Sequence[PublishedSet]) -> pd.DataFrame:
    """Return the means over participants.

    Parameters
    ----------
    sets
        Published files.

    Returns
    -------
    DataFrame
        `SUMMARY_COLUMNS`: ``n`` participants, their ``mean`` proportion correct and
        ``sem`` (standard deviation with ddof 0 over the root of n, as the study plots
        it), both to 10 significant digits; one row for each set, stage and kind.
    """
    rows = []
    for published in sets:
        people = len(published.participants)
        means = published.proportion_correct.mean(axis=0)
        errors = published.proportion_correct.std(axis=0) / np.sqrt(people)
        for kind, observer_kind in enumerate(("human", "network")):
            for index, stage in enumerate(published.stages):
                rows.append(
                    (
                        published.modality,
                        published.repo_experiment,
                        published.model,
                        stage,
                        index,
                        observer_kind,
                        people,
                        float(f"{means[index, kind]:.10g}"),
                        float(f"{errors[index, kind]:.10g}"),
                    )
                )
    return pd.DataFrame(rows, columns=SUMMARY_COLUMNS)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the table of means of the published files in a folder."""
    parser = argparse.ArgumentParser(
        prog="python -m metamers.recognition.published.people",
        description="Summarize the published human data as a csv of means.",
    )
    parser.add_argument("folder", type=Path, help="folder with the .mat files")
    parser.add_argument("out", type=Path, help="csv file to write")
    options = parser.parse_args(arguments)
    try:
        write_csv(summarize(read_published_folder(options.folder)), options.out)
    except StudyError as error:
        parser.error(str(error))


def _load(path: Path) -> dict[str, np.ndarray]:
    """Read the variables of a file, of the expected types and of sensible shapes."""
    content = read_variables(path, VARIABLES, MOST_BYTES)
    for name, dimensions in VARIABLES.items():
        if name not in content:
            raise StudyError(f"{path}: has no variable {name}; download it again")
        values = content[name]
        text = values.dtype.kind == "U"
        if text != (name != MATRIX) or values.ndim != dimensions:
            raise StudyError(
                f"{path}: {name} is {'text' if text else 'numbers'} of shape "
                f"{values.shape}; it must be {'numbers' if name == MATRIX else 'text'} "
                f"with {dimensions} dimension(s)"
            )
        if min(values.shape) < 1 or max(values.shape) > MOST_ITEMS:
            raise StudyError(
                f"{path}: {name} has the shape {values.shape}; "
                f"each length must be 1 to {MOST_ITEMS}"
            )
    return content


def _names(path: Path, variable: str, content: dict[str, np.ndarray]) -> list[str]:
    """Return the texts of a variable without padding, all different and plain."""
    names = [str(value).strip() for value in content[variable]]
    for name in names:
        if not STAGE_NAME.fullmatch(name):
            raise StudyError(
                f"{path}: {name!r} in {variable} is no name; "
                "allowed are letters, digits, dot, hyphen and underscore"
            )
        if names.count(name) > 1:
            raise StudyError(f"{path}: {name!r} is in {variable} twice")
    return names


def _proportions(path: Path, matrix: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the proportions correct, all there and in [0, 1]."""
    if matrix.shape != shape:
        raise StudyError(
            f"{path}: {MATRIX} has the shape {matrix.shape}; participants, "
            f"model_layers and conditions make {shape}"
        )
    outside = ~((matrix >= 0) & (matrix <= 1))  # true for NaN as well
    if outside.any():
        position = tuple(int(axis) for axis in np.argwhere(outside)[0])
        raise StudyError(
            f"{path}: {MATRIX} is {matrix[position]} at {position}; "
            "proportions correct are in [0, 1]"
        )
    return matrix


if __name__ == "__main__":
    main()
