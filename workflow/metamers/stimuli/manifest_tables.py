"""The two tables of a manifest: recorded words, and labelled backgrounds."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from metamers.errors import StudyError, suggest
from metamers.stimuli.listed import NULL_NAME
from metamers.stimuli.splitting import read_lines

if TYPE_CHECKING:
    import pandas as pd

CLIP_COLUMNS = ("path", "word", "onset", "source")
BACKGROUND_COLUMNS = ("path", "labels")
LABEL_SEPARATOR = ";"
# How many of the files that are missing a message names.
NAMED_FILES = 5


def read_clip_table(path: Path) -> pd.DataFrame:
    """Read the table of speech: path, word, onset (float, s) and source of each clip.

    An empty word is the null word.
    """
    import pandas as pd

    table = _read_table(path, CLIP_COLUMNS, "source.clips")
    onset = pd.to_numeric(table["onset"], errors="coerce")
    wrong = np.flatnonzero(~(onset >= 0))
    if len(wrong):
        raise StudyError(
            f"{path}, line {wrong[0] + 2}: the onset is "
            f"'{table['onset'].iloc[wrong[0]]}'; give the seconds from the start of "
            f"the recording to the word ({len(wrong)} such lines)"
        )
    word = table["word"].where(table["word"] != "", NULL_NAME)
    return table.assign(onset=onset.astype(np.float64), word=word)


def read_background_table(path: Path) -> pd.DataFrame:
    """Read the table of backgrounds: path and labels (a list) of each recording.

    A background without labels has the null label.
    """
    table = _read_table(path, BACKGROUND_COLUMNS, "source.backgrounds")
    if table["path"].duplicated().any():
        twice = table["path"][table["path"].duplicated()].iloc[0]
        raise StudyError(
            f"{path} names {twice} twice; name it once, with all its labels separated "
            f"by '{LABEL_SEPARATOR}'"
        )
    labels = [
        [name.strip() for name in text.split(LABEL_SEPARATOR) if name.strip()]
        or [NULL_NAME]
        for text in table["labels"]
    ]
    table["labels"] = labels
    return table


def _read_table(path: Path, columns: Sequence[str], name: str) -> pd.DataFrame:
    """Read the columns of a table as text."""
    import pandas as pd

    if not path.is_file():
        raise StudyError(
            f"{name} is {path}, which is not there; give a csv file with the columns "
            f"{', '.join(columns)}"
        )
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    present = [str(column) for column in table.columns]
    for column in columns:
        if column not in present:
            raise StudyError(
                f"{path} has no column '{column}'; it has {', '.join(present)} and "
                f"needs {', '.join(columns)}{suggest(column, present)}"
            )
    if table.empty:
        raise StudyError(f"{path} has no rows; it needs one for each sound")
    return table[list(columns)]


def names_in_order(found: set[str], path: str | None, field: str) -> list[str]:
    """Return the names of a label in the order of the outputs, the null name first.

    Parameters
    ----------
    found
        The names that the table has.
    path
        A text file with a name in each line, with or without the null name as its
        first; None for those of the table, in alphabetical order.
    field
        What gave the file, for the message.

    Raises
    ------
    StudyError
        If the file is missing, names something twice, or lacks a name of the table.
    """
    if path is None:
        names = sorted(found - {NULL_NAME})
    else:
        names = read_lines(path, field)
        names = names[1:] if names[:1] == [NULL_NAME] else names
    seen: set[str] = {NULL_NAME}
    for name in names:
        if name in seen:
            raise StudyError(
                f"{field}: {path} names '{name}' twice, or the null name elsewhere "
                "than first; each name is one output"
            )
        seen.add(name)
    unknown = sorted(found - seen)
    if unknown:
        raise StudyError(
            f"{field}: {path} lacks {len(unknown)} names of the table, the first "
            f"'{unknown[0]}'{suggest(unknown[0], seen)}; add them, or take their rows "
            "out of the table"
        )
    if not names:
        raise StudyError(f"{field}: the table names nothing but the null class")
    return [NULL_NAME, *names]


def refuse_missing(paths: pd.Series, table: Path) -> None:
    """Refuse a table that names files which are not there."""
    folder = str(table.parent)
    missing = [
        path
        for path in paths.drop_duplicates()
        if not os.path.isfile(os.path.join(folder, path))
    ]
    if missing:
        raise StudyError(
            f"{table} names {len(missing)} files that are not there: "
            f"{', '.join(missing[:NAMED_FILES])}"
            f"{', ...' if len(missing) > NAMED_FILES else ''}; paths are absolute or "
            f"relative to {table.parent.absolute()}"
        )
