"""Who works on a step: one process on one machine, alive or dead.

A process that was killed leaves the file that names it. On the same machine the system
says whether it still runs; of another machine the batch system can, and otherwise its
silence does.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from time import sleep, time
from typing import Any

from metamers.errors import StudyError
from metamers.files import this_machine

# Between two looks at an owner on another machine.
LOOK_SECONDS = 5.0
# States in which no process of a job is left.
ENDED = {
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "DEADLINE",
    "FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "TIMEOUT",
}


def claim(path: Path, of: Path, silence: float) -> None:
    """Make this process the owner of a step, or wait until its owner is known dead.

    Parameters
    ----------
    path
        The file that names the owner.
    of
        What is owned, for the error.
    silence
        Seconds without a sign of life (`give_sign`) after which an owner on another
        machine is taken for dead. At the next sign it is known to live.

    Raises
    ------
    StudyError
        If another live process is the owner.
    """
    seen: float | None = None
    while True:
        with locked(path) as file:
            owner = _read(file)
            sign = os.fstat(file.fileno()).st_mtime
            if owner is None or is_dead(owner, sign, silence):
                file.seek(0)
                file.truncate()
                file.write(json.dumps(this_owner()))
                return
        if owner["host"] == this_machine() or (seen is not None and sign > seen):
            raise StudyError(
                f"{of} belongs to process {owner['pid']} on {owner['host']}, which is "
                "still working on it; wait for it, or end it and run this step again"
            )
        seen = sign
        sleep(LOOK_SECONDS)


def give_sign(path: Path) -> None:
    """Let others see that the owner lives."""
    with contextlib.suppress(OSError):
        os.utime(path)


def this_owner() -> dict[str, Any]:
    """Name this process: machine, pid, start time and batch job."""
    return {
        "host": this_machine(),
        "pid": os.getpid(),
        "started": process_start(os.getpid()),
        "job": os.environ.get("SLURM_JOB_ID"),
        "cluster": os.environ.get("SLURM_CLUSTER_NAME"),
        "restart": int(os.environ.get("SLURM_RESTART_COUNT", "0")),
    }


def process_start(pid: int) -> str | None:
    """Return the start of a process in kernel ticks; None if it has ended.

    None too on systems that do not tell. The start tells a process from a later one
    that was given the same pid.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The command, the second field, may hold blanks and brackets itself.
    fields = text.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]


def is_dead(owner: Mapping[str, Any], sign: float, silence: float) -> bool:
    """Say whether the process that an owner file names is known to have ended.

    Parameters
    ----------
    owner
        What `this_owner` returned there.
    sign
        Its last sign of life, in seconds since the epoch.
    silence
        Seconds without a sign after which an owner on another machine is taken for
        dead, where the batch system does not know.
    """
    here = this_owner()
    if owner["host"] == here["host"]:
        try:
            os.kill(owner["pid"], 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return process_start(owner["pid"]) != owner["started"]
    if owner["job"] is not None and owner.get("cluster") == here["cluster"]:
        if owner["job"] == here["job"]:
            # Its node died, and the batch system began the same job again here.
            return bool(here["restart"] > owner["restart"])
        if job_has_ended(owner["job"]):
            return True
    return time() - sign >= silence


def job_has_ended(job: str) -> bool:
    """Ask Slurm whether a job has ended; False where that cannot be known."""
    command = ["squeue", "-h", "-t", "all", "-j", job, "-o", "%T"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    if done.returncode:
        # It ended so long ago that Slurm has forgotten it.
        return "Invalid job id" in done.stderr
    states = done.stdout.split()
    return bool(states) and set(states) <= ENDED


@contextlib.contextmanager
def locked(path: Path) -> Iterator[Any]:
    """Open a file for reading and writing while no other process has it so open."""
    while True:
        with open(path, "a+") as file:
            # Where a file system knows no locks, two claims of one instant can both
            # succeed; any later one is still refused.
            with contextlib.suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX)
            # The owner before may have removed the file while this one waited for it.
            opened = os.fstat(file.fileno()).st_ino
            if not path.exists() or path.stat().st_ino != opened:
                continue
            file.seek(0)
            yield file
            return


def _read(file: Any) -> dict[str, Any] | None:
    """Read an owner; None if there is none, or it died while it wrote its name."""
    try:
        owner = json.loads(file.read())
    except json.JSONDecodeError:
        return None
    return owner if isinstance(owner, dict) else None
