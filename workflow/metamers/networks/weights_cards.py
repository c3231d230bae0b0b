"""The card of a file of public weights: what it is, and how it is read.

A card lies beside its file. It is what a job that reads the weights depends on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from metamers.downloads import sha256_of
from metamers.errors import StudyError


def read_card(path: str | Path) -> dict[str, Any]:
    """Read a card as the ``weights`` of a model entry.

    Parameters
    ----------
    path
        What `metamers.networks.weights_fetching.fetch_weights` returned, as JSON, in
        the folder of the file.

    Returns
    -------
    dict
        ``path``, ``sha256`` and ``rules``.

    Raises
    ------
    StudyError
        If the file has gone since.
    """
    path = Path(path)
    card = json.loads(path.read_text(encoding="utf-8"))
    file = path.parent / card["file"]
    if not file.is_file():
        raise StudyError(
            f"{file} has gone since it was fetched; fetch it again: snakemake "
            f"--cores 1 --force {path}"
        )
    return {"path": str(file), "sha256": card["sha256"], "rules": card["rules"]}


def given_weights(
    weights: Mapping[str, Any], files: Sequence[str], heads: Sequence[str]
) -> dict[str, Any]:
    """Complete the ``weights`` of a model entry with the files of its job.

    Parameters
    ----------
    weights
        As in a study.
    files
        The file of weights, or the card of public ones; empty for those from a url.
    heads
        The file of the read-out, if there is one.
    """
    found = dict(weights)
    if files and weights["public"]:
        found |= read_card(files[0])
    elif files:
        found["path"] = files[0]
    if heads:
        found["head"] = heads[0]
    return found


def checksums(weights: Mapping[str, Any]) -> dict[str, str]:
    """Return the sha256 of the files that a network's weights are read from.

    Parameters
    ----------
    weights
        What `given_weights` returned.
    """
    found = {"weights": weights["sha256"] or sha256_of(weights["path"])}
    if weights["head"]:
        found["head"] = sha256_of(weights["head"])
    return found
