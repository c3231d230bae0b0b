"""Daemons by their pid files, the processes of a node, and waiting."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path


def running(pid_file: Path, name: str) -> bool:
    """Say whether the daemon of a pid file runs."""
    with contextlib.suppress(OSError, ValueError):
        pid = int(pid_file.read_text())
        return Path(f"/proc/{pid}/comm").read_text().strip() == name
    return False


def end(pid_file: Path, name: str, number: signal.Signals) -> None:
    """End the daemon of a pid file, if it runs, and wait for its end."""
    if not running(pid_file, name):
        return
    pid = int(pid_file.read_text())
    os.kill(pid, number)
    try:
        wait_until(lambda: not running(pid_file, name), 20, f"{name} ends")
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    pid_file.unlink(missing_ok=True)


def processes_on(node: str) -> Iterator[int]:
    """Yield the processes of a node's jobs; its name is in their environment."""
    yield from _processes_with(f"SLURMD_NODENAME={node}")


def work_of(job: int) -> list[int]:
    """Return the processes that do a job's work: those that run a rule's script."""
    found = []
    for pid in _processes_with(f"SLURM_JOB_ID={job}"):
        with contextlib.suppress(OSError):
            if b"/.snakemake/scripts/" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


def _processes_with(variable: str) -> Iterator[int]:
    """Yield the processes in whose environment a variable has a value."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if variable.encode() in (folder / "environ").read_bytes().split(b"\0"):
                yield int(folder.name)


def step_daemon(pid: int) -> int | None:
    """Return the step daemon that a process descends from, if there is one."""
    while pid > 1:
        try:
            name = Path(f"/proc/{pid}/comm").read_text().strip()
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        if name == "slurmstepd":
            return pid
        pid = int(fields[1])
    return None


def wait_until(
    reached: Callable[[], object],
    seconds: float,
    what: str,
    seen: Callable[[], object] = lambda: "",
) -> None:
    """Wait for something, looking five times a second.

    Parameters
    ----------
    reached
        Says whether it has happened.
    seconds
        When to give up; generous, since other work may slow the machine down.
    what
        What is awaited, in words.
    seen
        What to show where it does not happen.

    Raises
    ------
    TimeoutError
        Saying what did not happen, and what was seen instead.
    """
    deadline = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:g} s: {what}\n{seen()}")
        time.sleep(0.2)


def output(*command: str) -> str:
    """Return what a command prints; empty where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""
