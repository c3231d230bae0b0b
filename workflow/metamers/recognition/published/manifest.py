"""Which files the study published, in parts that can be fetched one by one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from metamers.errors import StudyError, suggest

# Part: how its files' paths look, and what it gives.
PARTS = {
    "people": r"(Vision|Auditory)BehavioralExperiments/[^/]+/[^/]+_public\.mat",
    "brain_scores": r"notebooks/[^/]+\.csv",
    "transfer": r"model_analysis_folders/.+/network_network_evaluations/[^/]+\.pckl",
    "regressions": r"model_analysis_folders/.+/regression_results/.+\.pckl",
}
SOURCE = "https://raw.githubusercontent.com/jenellefeather/model_metamers_pytorch"
COLUMNS = ["commit", "path", "bytes", "sha256"]


@dataclass(frozen=True)
class PublishedFile:
    """One file of the public repository.

    Attributes
    ----------
    commit
        Of the repository, 40 hexadecimal digits.
    path
        In the repository.
    bytes
        Its size.
    sha256
        Of its content.
    """

    commit: str
    path: str
    bytes: int
    sha256: str

    @property
    def url(self) -> str:
        """Where it is downloaded from."""
        from urllib.parse import quote

        return f"{SOURCE}/{self.commit}/{quote(self.path)}"


def read_manifest(path: str | Path, part: str | None = None) -> list[PublishedFile]:
    """Read the list of published files.

    Parameters
    ----------
    path
        ``resources/published/manifest.csv``: commit, path, bytes, sha256.
    part
        One of `PARTS`, or None for all files.

    Raises
    ------
    StudyError
        Where a line is not a file that could be fetched, or the part is unknown.
    """
    import csv

    if part is not None and part not in PARTS:
        raise StudyError(
            f"part {part!r} of the published data; allowed are {', '.join(PARTS)}"
            f"{suggest(part, PARTS)}"
        )
    with open(path, newline="") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames != COLUMNS:
            raise StudyError(f"{path}: its columns must be {', '.join(COLUMNS)}")
        files = [_entry(path, line, row) for line, row in enumerate(reader, 2)]
    return [
        file for file in files if part is None or re.fullmatch(PARTS[part], file.path)
    ]


def _entry(source: str | Path, line: int, row: dict[str, str]) -> PublishedFile:
    name = PurePosixPath(row["path"])
    fits = (
        re.fullmatch("[0-9a-f]{40}", row["commit"])
        and re.fullmatch("[0-9a-f]{64}", row["sha256"])
        and row["bytes"].isdecimal()
        and not name.is_absolute()
        and ".." not in name.parts
        and any(re.fullmatch(pattern, row["path"]) for pattern in PARTS.values())
    )
    if not fits:
        raise StudyError(
            f"{source}, line {line}: {row['path']!r} is no file of the public data "
            "with commit, size and sha256; take the manifest of this repository again"
        )
    return PublishedFile(row["commit"], row["path"], int(row["bytes"]), row["sha256"])
