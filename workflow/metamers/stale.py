"""Results that came without Snakemake's records, and whether they fit the study.

Snakemake compares parameters with the records that it keeps in ``.snakemake``. Results
that were copied without them would be taken as they are, whatever they were made with.
Every result therefore holds how it was made, or has it beside it, and what does not fit
is refused before any job runs.
"""

from __future__ import annotations

import json
import os
import shutil
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metamers.compared import compact
from metamers.errors import StudyError
from metamers.jobs import file_digest, sidecar
from metamers.plan import Plan
from metamers.provenance import settings_hash

RECORDS = Path(".snakemake")
# A record's name is cut into parts of this length at most (as Snakemake does).
LONGEST_NAME = 255
SHOWN = 20


@dataclass(frozen=True)
class StaleOutput:
    """A result that is not what the study would make now.

    Attributes
    ----------
    path
        The file or folder.
    rule
        The rule that makes it.
    reason
        What does not fit.
    """

    path: Path
    rule: str
    reason: str


def stale_outputs(plan: Plan, records: Path = RECORDS) -> list[StaleOutput]:
    """Find results without a record whose settings or code are not those of now.

    Parameters
    ----------
    plan
        The plan of the study, whose results lie below the working directory.
    records
        Snakemake's folder of records.

    Returns
    -------
    list of StaleOutput
        In the order of the rules; empty if all fit, or if there are no results.
    """
    if not Path(plan.results).is_dir():
        return []
    found = []
    for rule, wildcards in plan.jobs():
        for path in map(Path, plan.outputs(rule, wildcards)):
            if not path.exists() or recorded(path, records):
                continue
            reason = misfit(path, plan, rule, wildcards)
            if reason:
                found.append(StaleOutput(path, rule, reason))
    return found


def refuse_stale(plan: Plan, records: Path = RECORDS) -> None:
    """Refuse to go on with results that do not fit.

    Raises
    ------
    StudyError
        Naming the files, and what to do.
    """
    found = stale_outputs(plan, records)
    if not found:
        return
    lines = [f"{stale.path}: {stale.reason}" for stale in found[:SHOWN]]
    if len(found) > SHOWN:
        lines.append(f"... and {len(found) - SHOWN} more")
    raise StudyError(
        f"{len(found)} result(s) in {plan.results} came without Snakemake's records "
        f"(the folder {records}) and are not what the study would make now:\n  "
        + "\n  ".join(lines)
        + "\nThey are not used. Remove them with `metamers stale --remove "
        f"{plan.name}`, after which they are made again; or copy the folder "
        f"{records} from where they come from; or undo the change to the study or code."
    )


def remove_stale(plan: Plan, records: Path = RECORDS) -> list[Path]:
    """Remove the results that `stale_outputs` finds, and return their paths."""
    removed = []
    for stale in stale_outputs(plan, records):
        if stale.path.is_dir():
            shutil.rmtree(stale.path)
        else:
            stale.path.unlink()
        sidecar(stale.path).unlink(missing_ok=True)
        removed.append(stale.path)
    return removed


def recorded(path: Path, records: Path = RECORDS) -> bool:
    """Say whether Snakemake knows a result, or is making it just now."""
    name = urlsafe_b64encode(str(path).encode()).decode()
    parts = [
        name[start : start + LONGEST_NAME - 1]
        for start in range(0, len(name), LONGEST_NAME - 1)
    ]
    place = [*(f"@{part}" for part in parts[:-1]), parts[-1]]
    return any(
        os.path.exists(records.joinpath(kind, *place))
        for kind in ("metadata", "incomplete")
    )


def misfit(path: Path, plan: Plan, rule: str, wildcards: dict[str, str]) -> str:
    """Say why a result does not fit; nothing if it does.

    Parameters
    ----------
    path
        A result that exists.
    plan, rule, wildcards
        The plan, and the job that would make the result.
    """
    made = read_provenance(path)
    if not made:
        return "does not say how it was made"
    if "sha256" in made and made["sha256"] != file_digest(path):
        return f"is not the file that {sidecar(path)} tells of"
    wanted = compact(plan.settings_of(rule, wildcards))
    settings = compact(made.get("settings", {}))
    if settings_hash(settings) != settings_hash(wanted):
        differing = _differing(settings, wanted)
        return f"was made with other settings ({', '.join(differing)})"
    if made.get("code_fingerprint") != plan.code_of(rule, wildcards):
        return "was made by other code"
    return ""


def read_provenance(path: Path) -> dict[str, Any]:
    """Read how a result was made, from itself or from the file beside it.

    Returns
    -------
    dict
        Empty where nothing is told.
    """
    readers: dict[str, Callable[[Path], str]] = {
        ".h5": _from_hdf5,
        ".safetensors": _from_safetensors,
        ".parquet": _from_parquet,
    }
    try:
        return dict(json.loads(readers.get(path.suffix, _from_sidecar)(path)))
    except (OSError, KeyError, TypeError, ValueError):
        # No such file, or not of this kind, or without provenance: it tells nothing.
        return {}


def _from_hdf5(path: Path) -> str:
    import h5py

    with h5py.File(path, "r") as file:
        return str(file.attrs["provenance"])


def _from_safetensors(path: Path) -> str:
    # The format: 8 bytes, the length of a JSON header, little endian; the header.
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > path.stat().st_size:
            raise ValueError(f"{path} is cut off or no safetensors file")
        header = json.loads(file.read(length))
    return str(header["__metadata__"]["provenance"])


def _from_parquet(path: Path) -> str:
    import pyarrow.parquet

    metadata = pyarrow.parquet.read_schema(path).metadata or {}
    return bytes(metadata[b"provenance"]).decode()


def _from_sidecar(path: Path) -> str:
    return sidecar(path).read_text()


def _differing(made: dict[str, Any], wanted: dict[str, Any], prefix: str = "") -> list:
    """List the fields in which two settings differ, as dotted paths."""
    found = []
    for key in sorted({*made, *wanted}):
        old, new = made.get(key), wanted.get(key)
        if old == new and (key in made) == (key in wanted):
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            found += _differing(old, new, f"{prefix}{key}.")
        else:
            found.append(f"{prefix}{key}")
    return found[:5]
