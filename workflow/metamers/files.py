"""Files that appear whole or not at all."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

# A temporary file of another machine, silent for so long, is of a process that died.
ABANDONED_SECONDS = 3600.0


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that is renamed onto it at success.

    The name is unique to the process and keeps the suffix. At failure the temporary
    file is removed and whatever stood at `path` stays. What a process of this machine
    left that was killed while it wrote the same file is removed first.

    Parameters
    ----------
    path
        The final path; its folder is made if need be.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path)
    owner = f"{this_machine()}-{os.getpid()}"
    temporary = path.with_name(f".{path.stem}.{owner}{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(path: str | Path, *, of_all_machines: bool = False) -> None:
    """Remove temporary files of `path` whose process has died.

    Parameters
    ----------
    path
        The final path.
    of_all_machines
        Nobody but this process writes it now: what processes of other machines left
        goes too. Otherwise only what has not grown for an hour.
    """
    path = Path(path)
    prefix = f".{path.stem}."
    for leftover in path.parent.glob(f"{escape(prefix)}*{escape(path.suffix)}"):
        owner = leftover.name.removeprefix(prefix).removesuffix(path.suffix)
        machine, _, pid = owner.rpartition("-")
        if not machine or not pid.isdecimal():
            continue
        if machine == this_machine():
            dead = not _is_running(int(pid))
        else:
            dead = of_all_machines or _age(leftover) > ABANDONED_SECONDS
        if dead:
            leftover.unlink(missing_ok=True)


def this_machine() -> str:
    """Return the name of this machine; in a job of Slurm that of the node."""
    return os.environ.get("SLURMD_NODENAME") or socket.gethostname()


def _age(path: Path) -> float:
    """Return the seconds since a file was written to; 0 if it is gone."""
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def write_json(content: object, path: str | Path) -> None:
    """Write `content` as indented JSON with a final newline."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")


def write_csv(frame: pd.DataFrame, path: str | Path) -> None:
    """Write a table without its index; missing values are empty fields."""
    with atomic_path(path) as temporary:
        frame.to_csv(temporary, index=False)


def write_parquet(
    frame: pd.DataFrame, path: str | Path, provenance: dict[str, Any] | None = None
) -> None:
    """Write a table as Parquet, with how it was made in the file's metadata."""
    import pyarrow as pa
    import pyarrow.parquet

    table = pa.Table.from_pandas(frame, preserve_index=False)
    if provenance is not None:
        metadata = dict(table.schema.metadata or {})
        metadata[b"provenance"] = json.dumps(provenance).encode()
        table = table.replace_schema_metadata(metadata)
    with atomic_path(path) as temporary:
        pa.parquet.write_table(table, temporary)


def read_parquet(path: str | Path) -> pd.DataFrame:
    """Read a table that `write_parquet` wrote."""
    import pandas as pd

    return pd.read_parquet(path)
