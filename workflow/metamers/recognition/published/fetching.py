"""Get the published files, from the network or from a local copy, and check each.

Every file is compared with its sha256 before it appears under its name, whole. What is
there already and fits is not fetched again, so that a broken-off download goes on.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import pandas as pd

from metamers.downloads import download, sha256_of
from metamers.errors import StudyError
from metamers.files import atomic_path
from metamers.recognition.published.manifest import PublishedFile

logger = logging.getLogger(__name__)

PARALLEL = 8
COLUMNS = ["path", "bytes", "sha256", "status", "reason"]
MIRROR_VARIABLE = "METAMERS_PUBLISHED_MIRROR"
HERE, MISSING = "here", "missing"


def fetch(
    files: Sequence[PublishedFile],
    folder: str | Path,
    mirror: str | Path | None = None,
    *,
    parallel: int = PARALLEL,
) -> pd.DataFrame:
    """Bring published files into a folder.

    Parameters
    ----------
    files
        What to get (`read_manifest`).
    folder
        Where they are kept, at their paths in the public repository.
    mirror
        Folder with a copy of the repository, or of a part of it, that is read instead
        of the network.
    parallel
        Files fetched at once.

    Returns
    -------
    DataFrame
        `COLUMNS`, one row a file, in the order of `files`. ``status`` is ``here`` or,
        where a mirror lacks the file, ``missing``.

    Raises
    ------
    StudyError
        If a file's content is not the published one, the mirror does not exist, or
        the network cannot be reached. What came before stays and is not fetched again.
    """
    if mirror is not None and not Path(mirror).is_dir():
        raise StudyError(
            f"published_mirror: {mirror} is no folder; name one with a copy of the "
            "public repository, or leave the setting out to download"
        )
    statuses: dict[str, tuple[str, str]] = {}
    with ThreadPoolExecutor(parallel) as pool:
        waiting = {
            pool.submit(_get, file, Path(folder) / file.path, mirror): file
            for file in files
        }
        try:
            for done in as_completed(waiting):
                statuses[waiting[done].path] = done.result()
                if len(statuses) % 50 == 0 or len(statuses) == len(files):
                    logger.info("%d of %d files", len(statuses), len(files))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    rows = [(f.path, f.bytes, f.sha256, *statuses[f.path]) for f in files]
    return pd.DataFrame(rows, columns=COLUMNS)


def read_inventory(path: str | Path) -> tuple[list[str], list[str]]:
    """Read which files of a part are here.

    Parameters
    ----------
    path
        The csv of what `fetch` returned.

    Returns
    -------
    here, missing : list of str
        Paths in the public repository.
    """
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    return (
        table.loc[table["status"] == HERE, "path"].tolist(),
        table.loc[table["status"] != HERE, "path"].tolist(),
    )


def files_here(inventory: str | Path) -> list[str]:
    """Return the files of a part that are here, checked when they were fetched.

    Parameters
    ----------
    inventory
        The csv of what `fetch` returned, in the folder of the files.

    Raises
    ------
    StudyError
        If a file has gone since.
    """
    paths = [Path(inventory).parent / path for path in read_inventory(inventory)[0]]
    for path in paths:
        if not path.is_file():
            raise StudyError(
                f"{path} has gone since it was fetched; fetch it again: "
                f"snakemake --cores 1 --forcerun fetch_published published"
            )
    return [str(path) for path in paths]


def mirror_folder(config: Mapping[str, Any]) -> str | None:
    """Return the local copy to read instead of the network, if one is named.

    Parameters
    ----------
    config
        Snakemake's configuration; ``published_mirror`` in it comes before the
        environment variable METAMERS_PUBLISHED_MIRROR.
    """
    return config.get("published_mirror") or os.environ.get(MIRROR_VARIABLE) or None


def _get(
    file: PublishedFile, target: Path, mirror: str | Path | None
) -> tuple[str, str]:
    """Put one file in its place unless it is there; return its status and a reason."""
    if target.is_file() and sha256_of(target) == file.sha256:
        return HERE, ""
    if mirror is None:
        _download(file, target)
        return HERE, ""
    source = Path(mirror) / file.path
    if not source.is_file():
        return MISSING, f"not in the local copy {mirror}"
    if source.stat().st_size != file.bytes or sha256_of(source) != file.sha256:
        raise StudyError(
            f"{source}: its content is not the published one (sha256 {file.sha256}); "
            "remove it from the local copy, or copy it again"
        )
    with atomic_path(target) as temporary:
        shutil.copyfile(source, temporary)
    return HERE, ""


def _download(file: PublishedFile, target: Path) -> None:
    """Download one file of the public repository."""

    def check(path: Path) -> None:
        if sha256_of(path) != file.sha256:
            raise StudyError(
                f"{file.url}: what was downloaded is not the published file (sha256 "
                f"{file.sha256}). Something on the way changes it; try another "
                "network, or set published_mirror to a copy of the repository"
            )

    without = (
        "without network, set published_mirror to a folder with a copy of the public "
        "repository"
    )
    download(file.url, target, check, without)
