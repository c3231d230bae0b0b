"""Public weights as files here: fetched once, checked, and held to what came first.

A file whose checksum was not published is taken as it first came. Its checksum then
stands in config/weights.lock.yaml, and another content is refused from then on, also in
other clones of a repository that holds that file.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from metamers.downloads import download, sha256_of
from metamers.errors import StudyError
from metamers.files import atomic_path

logger = logging.getLogger(__name__)

# Relative to the repository, so that the checksums are kept with the studies.
LOCK = "config/weights.lock.yaml"
MIRROR_VARIABLE = "METAMERS_WEIGHTS_MIRROR"
LOCK_HEADER = """\
# Checksums of the public weights that were fetched, as they first came. Keep this file
# with the study: fetched again, a file must have the same content. To accept another
# one, remove its lines.
"""


def fetch_weights(
    name: str,
    entry: Mapping[str, Any],
    folder: str | Path,
    lock: str | Path,
    mirror: str | Path | None = None,
) -> dict[str, Any]:
    """Bring the file of public weights here, and check it.

    A file that is there already is checked and kept, whether it was downloaded or put
    there by hand.

    Parameters
    ----------
    name
        Its name in the registry; the file has it too, with the entry's ``suffix``.
    entry
        ``url``, ``how``, ``suffix``, ``sha256``, ``sha256_prefix`` and ``rules`` of it
        (`metamers.networks.weights_registry`).
    folder
        Where it goes.
    lock
        Yaml file of the checksums of what was fetched before; written to.
    mirror
        Folder with files of these names that is read instead of the network.

    Returns
    -------
    dict
        The card: ``public``, ``file``, ``bytes``, ``sha256`` and ``rules``; no more, so
        that networks are not loaded again for a new address or date.

    Raises
    ------
    StudyError
        If the content is not the right one, the file is not in the mirror, or there is
        no way to get it from here. Nothing is left under its name then.
    """
    target, url = Path(folder) / f"{name}{entry['suffix']}", entry["url"]
    expected = {
        "published": entry["sha256"] or entry["sha256_prefix"],
        f"in {lock}": _locked(lock).get(name, {}).get("sha256"),
    }
    check = functools.partial(_check, name=name, expected=expected)
    if target.is_file():
        check(target, target)
    elif mirror is not None:
        _copy(Path(mirror), target, check)
    elif url is None:
        raise StudyError(
            f"the public weights {name} cannot be downloaded from here. Get the file "
            f"by hand and put it at {target}, or name it with weights: {{path: ...}}. "
            f"{entry['how']}"
        )
    else:
        without = (
            f"without network, put the file at {target}, or set weights_mirror to a "
            f"folder that holds {target.name}"
        )
        download(url, target, lambda path: check(path, url), without)
    card = {
        "public": name,
        "file": target.name,
        "bytes": target.stat().st_size,
        "sha256": sha256_of(target),
        "rules": entry["rules"],
    }
    if not entry["sha256"]:
        _record(Path(lock), card)
    return card


def mirror_folder(config: Mapping[str, Any]) -> str | None:
    """Return the folder to read instead of the network, if one is named.

    Parameters
    ----------
    config
        Snakemake's configuration; ``weights_mirror`` in it comes before the
        environment variable METAMERS_WEIGHTS_MIRROR.
    """
    return config.get("weights_mirror") or os.environ.get(MIRROR_VARIABLE) or None


def _copy(
    mirror: Path, target: Path, check: Callable[[Path, str | Path], None]
) -> None:
    """Take a file over from a local folder."""
    source = mirror / target.name
    if not source.is_file():
        raise StudyError(
            f"weights_mirror: {mirror} holds no {target.name}; put it there, or leave "
            "the setting out to download it"
        )
    check(source, source)
    with atomic_path(target) as temporary:
        shutil.copyfile(source, temporary)


def _check(
    path: Path, found_at: str | Path, name: str, expected: Mapping[str, str | None]
) -> None:
    """Refuse a file that is not the one expected.

    Parameters
    ----------
    path
        The file.
    found_at
        Where it comes from, for the error.
    name
        Of the public weights.
    expected
        Checksums, or their first digits, by where they are told.
    """
    with open(path, "rb") as file:
        start = file.read(512).lstrip()
    # Some servers answer with a page that asks something, instead of the file.
    if start.startswith(b"<"):
        raise StudyError(
            f"{found_at}: this is a web page and no file of weights; open the address "
            "in a browser, download the file there and put it in its place"
        )
    found = sha256_of(path)
    for where, digits in expected.items():
        if digits and not found.startswith(digits):
            raise StudyError(
                f"{found_at}: its sha256 is {found}, the one {where} for the weights "
                f"{name} is {digits}: it is another file, or not whole. Remove it and "
                "fetch it again; if its publisher has replaced it and you want the new "
                "one, change the entry in resources/weights.yaml or the lock file"
            )


def _locked(lock: str | Path) -> dict[str, Any]:
    """Read the checksums of what was fetched before."""
    try:
        content = yaml.safe_load(Path(lock).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except yaml.YAMLError as error:
        raise StudyError(
            f"{lock}: is not valid YAML ({error}); restore it, or remove it to accept "
            "the weights as they are"
        ) from None
    if content is not None and not isinstance(content, dict):
        raise StudyError(
            f"{lock}: holds no entries by name; restore it, or remove it to accept the "
            "weights as they are"
        )
    return content or {}


def _record(lock: Path, card: Mapping[str, Any]) -> None:
    """Write down the checksum of a file that came for the first time."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with _alone(lock):
        content = _locked(lock)
        if card["public"] in content:
            return
        content[card["public"]] = {
            "sha256": card["sha256"],
            "bytes": card["bytes"],
            "first_fetched": datetime.now(UTC).date().isoformat(),
        }
        ordered = {key: content[key] for key in sorted(content)}
        text = yaml.safe_dump(ordered, sort_keys=False, width=100)
        with atomic_path(lock) as temporary:
            temporary.write_text(LOCK_HEADER + text, encoding="utf-8")
    logger.info("%s: its sha256 is now in %s", card["public"], lock)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Let one process at a time change a file, where the file system has locks.

    A file is replaced as a whole, so the lock is on the folder.
    """
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
