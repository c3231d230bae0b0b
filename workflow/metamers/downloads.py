"""Files from the network: whole and checked under their name, or not there."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from pathlib import Path

from metamers.errors import StudyError
from metamers.files import atomic_path

logger = logging.getLogger(__name__)

ATTEMPTS = 3
WAIT_SECONDS = 1.0
SECONDS = 30.0


def download(
    url: str, target: str | Path, check: Callable[[Path], None], otherwise: str
) -> None:
    """Download one file, and try again where the network fails.

    Parameters
    ----------
    url
        Where it is.
    target
        Where it goes, once it is whole and checked.
    check
        Raises `StudyError` if the content of the file is not the right one.
    otherwise
        What the user can do without the network, for the error.

    Raises
    ------
    StudyError
        If the network cannot be reached, or as `check` says.
    """
    import pooch
    import requests

    downloader = pooch.HTTPDownloader(timeout=SECONDS)
    pooch.get_logger().setLevel(logging.WARNING)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with atomic_path(target) as temporary:
                pooch.retrieve(
                    url,
                    known_hash=None,
                    fname=temporary.name,
                    path=temporary.parent,
                    downloader=downloader,
                )
                check(temporary)
            return
        except (requests.RequestException, OSError) as error:
            logger.info("%s, attempt %d: %s", url, attempt, error)
            reason = error
            time.sleep(WAIT_SECONDS * (attempt < ATTEMPTS))
    raise StudyError(
        f"{url}: cannot be downloaded ({reason}). Check the network and run the same "
        f"command again, which goes on where it stopped; {otherwise}"
    )


def sha256_of(path: str | Path) -> str:
    """Return the sha256 of a file, as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
