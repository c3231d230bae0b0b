"""The classes of a data set that make up each category of a task."""

from __future__ import annotations

import csv
from pathlib import Path

from metamers.errors import StudyError


def read_category_map(path: str | Path) -> dict[str, list[int]]:
    """Read which classes belong to which category.

    Parameters
    ----------
    path
        A csv file with the columns ``category`` and ``index`` (0-based class).

    Returns
    -------
    dict
        {category: class indices, ascending}, in the order of the file.

    Raises
    ------
    StudyError
        Where the file or a column is missing, an index is no whole number, or a class
        is in the map twice.
    """
    if not Path(path).is_file():
        raise StudyError(
            f"there is no category map {path}; give a csv file with the columns "
            "category and index"
        )
    owners: dict[int, str] = {}
    mapping: dict[str, list[int]] = {}
    with Path(path).open(newline="", encoding="utf-8") as lines:
        table = csv.DictReader(lines)
        if table.fieldnames is None or {"category", "index"} - set(table.fieldnames):
            raise StudyError(
                f"{path}: the columns are {table.fieldnames}; "
                "a category map has category and index"
            )
        for row in table:
            name, index = row["category"], str(row["index"])
            if not name or not index.isdecimal():
                raise StudyError(
                    f"{path}, line {table.line_num}: category {name!r}, "
                    f"index {index!r}; give a name and a class from 0"
                )
            if int(index) in owners:
                raise StudyError(
                    f"{path}, line {table.line_num}: class {index} belongs to two "
                    f"categories, {owners[int(index)]} and {name}; give it once"
                )
            owners[int(index)] = name
            mapping.setdefault(name, []).append(int(index))
    return {name: sorted(indices) for name, indices in mapping.items()}
