"""Which items of a category are for training, for test and for metamers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from metamers.errors import StudyError, suggest
from metamers.randomness import numpy_generator

# Part of a pool without a given split that is kept for test.
TEST_FRACTION = 0.2


def check_positive(name: str, value: int | None) -> None:
    """Refuse a number of stimuli that is not positive (None means no limit)."""
    if value is not None and value < 1:
        raise StudyError(f"{name} is {value}; it must be at least 1, or null for all")


def take(available: int, limit: int | None, place: str, name: str) -> int:
    """Return how many items to take of those available.

    Parameters
    ----------
    available
        How many there are.
    limit
        How many are wanted; None for all.
    place, name
        Where the items are and the field that sets the limit, for the message.

    Raises
    ------
    StudyError
        If there are fewer than wanted, or none.
    """
    check_positive(name, limit)
    if available == 0:
        raise StudyError(f"{place} holds no stimuli; add some or leave it out")
    if limit is not None and limit > available:
        raise StudyError(
            f"{name} is {limit}, but {place} holds {available}; lower it to at most "
            f"{available}, or set it to null for all"
        )
    return available if limit is None else limit


def split_counts(
    available: int, training: int | None, test: int | None, place: str, name: str
) -> tuple[int, int]:
    """Return how many items of one pool are for training and for test.

    Where both numbers are None a fifth is for test; where one is, it is the rest.

    Parameters
    ----------
    available
        How many items there are.
    training, test
        How many are wanted of each.
    place
        Where the items are, for the message.
    name
        What follows ``training_`` and ``test_`` in the fields' names.
    """
    check_positive(f"training_{name}", training)
    check_positive(f"test_{name}", test)
    if training is None and test is None:
        test = max(1, round(TEST_FRACTION * available))
    if training is None:
        training = available - (test or 0)
    elif test is None:
        test = available - training
    assert test is not None
    if training < 1 or test < 1 or training + test > available:
        raise StudyError(
            f"training_{name} and test_{name} need {max(training, 1)} + "
            f"{max(test, 1)} of {place}, which holds {available}; lower them so that "
            f"they sum to at most {available} with at least 1 each"
        )
    return training, test


def draw(available: int, number: int, seed: int, *purpose: str) -> np.ndarray:
    """Draw `number` of `available` indices without repeats, in ascending order.

    `purpose` names the random stream, so that one category's draw does not depend on
    which others there are.
    """
    order = numpy_generator(seed, "stimuli", *purpose).permutation(available)
    return np.sort(order[:number])


def draw_split(
    available: int, training: int, test: int, seed: int, *purpose: str
) -> tuple[np.ndarray, np.ndarray]:
    """Draw separate training and test indices of one pool, each in ascending order."""
    order = numpy_generator(seed, "stimuli", *purpose).permutation(available)
    return np.sort(order[test : test + training]), np.sort(order[:test])


def choose_references(
    labels: np.ndarray,
    categories: Sequence[str],
    per_category: int,
    seed: int,
    speakers: np.ndarray | None = None,
) -> np.ndarray:
    """Choose the test stimuli that metamers are made of.

    Parameters
    ----------
    labels
        Category index (n) of each test stimulus.
    categories
        Their names.
    per_category
        How many of each category.
    seed
        The seed of the study.
    speakers
        Who speaks (n); a category's references are of different speakers as far as
        there are enough.

    Returns
    -------
    ndarray
        Indices into the test stimuli, ordered by category.
    """
    chosen: list[int] = []
    for number, category in enumerate(categories):
        members = np.flatnonzero(labels == number)
        generator = numpy_generator(seed, "stimuli", "references", category)
        members = generator.permutation(members)
        if speakers is not None:
            # A speaker's second clip comes after every speaker's first, and so on.
            seen: Counter[str] = Counter()
            turn = []
            for speaker in speakers[members].tolist():
                turn.append(seen[speaker])
                seen[speaker] += 1
            members = members[np.argsort(turn, kind="stable")]
        chosen.extend(sorted(members[:per_category].tolist()))
    return np.array(chosen, dtype=np.int64)


def check_references(per_category: int, test: int, place: str) -> None:
    """Refuse more references than there are test stimuli in a category."""
    if not 1 <= per_category <= test:
        raise StudyError(
            f"references_per_category is {per_category}, but references are test "
            f"stimuli and {place} has {test} of them; use a number from 1 to {test}"
        )


def choose_names(
    wanted: Sequence[str] | None, present: Sequence[str], place: str, name: str
) -> list[str]:
    """Return the categories asked for, or all that are present, in order.

    Raises
    ------
    StudyError
        If one is asked for that is not present, or twice, or there are fewer than 2.
    """
    names = list(present) if wanted is None else list(wanted)
    for word in names:
        if word not in present:
            raise StudyError(
                f"{name} names '{word}', which {place} does not hold; it holds "
                f"{', '.join(present) or 'nothing'}{suggest(word, present)}"
            )
    return check_distinct(names, place, name)


def check_distinct(names: list[str], place: str, name: str) -> list[str]:
    """Refuse repeated names, and fewer than two of them."""
    repeated = [word for word, count in Counter(names).items() if count > 1]
    if repeated:
        raise StudyError(f"{name} names '{repeated[0]}' twice; name each only once")
    if len(names) < 2:
        raise StudyError(
            f"{name} of {place}: {len(names)} found ({', '.join(names) or 'none'}); "
            "a task needs at least 2"
        )
    return names


def read_lines(path: str | Path, name: str) -> list[str]:
    """Return the lines of a text file that are not empty.

    Parameters
    ----------
    path
        The file.
    name
        The field that gave it, for the message.
    """
    if not Path(path).is_file():
        raise StudyError(
            f"{name} is {path}, which is not there; give a text file with a name in "
            "each line, or null"
        )
    lines = Path(path).read_text(encoding="utf-8").split("\n")
    return [line.strip() for line in lines if line.strip()]


def class_folders(folder: Path, name: str, suffixes: Sequence[str]) -> dict[str, list]:
    """Return the files of each class folder inside `folder`, sorted by name.

    Parameters
    ----------
    folder
        Holds one folder for each class.
    name
        The field that gave it, for the message.
    suffixes
        Lower-case file name endings that count.
    """
    if not folder.is_dir():
        raise StudyError(
            f"{name} is {folder}, which is not a folder; give a folder that holds one "
            "folder for each class (a relative path starts at the working directory)"
        )
    classes = sorted(
        entry
        for entry in folder.iterdir()
        if entry.is_dir() and not entry.name.startswith(".")
    )
    if not classes:
        raise StudyError(
            f"{name} is {folder}, which holds no folders; it must hold one for each "
            "class"
        )
    return {
        entry.name: sorted(
            path
            for path in entry.iterdir()
            if path.suffix.lower() in suffixes and not path.name.startswith(".")
        )
        for entry in classes
    }


def identifiers(names: Sequence[str]) -> np.ndarray:
    """Make unique ids of letters, digits, ``_`` and ``-`` out of names.

    A name that repeats (ignoring case, since ids become file names) gets ``-2``,
    ``-3``, ... in the order given.
    """
    taken: set[str] = set()
    result = []
    for name in names:
        base = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-") or "stimulus"
        candidate, number = base, 1
        while candidate.lower() in taken:
            number += 1
            candidate = f"{base}-{number}"
        taken.add(candidate.lower())
        result.append(candidate)
    return np.array(result, dtype=str)
