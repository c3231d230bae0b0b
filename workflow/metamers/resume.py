"""State of a long step, kept beside its output so that a killed job goes on.

A step saves its arrays at intervals and when it is told to stop (SIGTERM, SIGUSR1),
and reads them when it starts again; what it computes is then what it would have
computed without the interruption. The file is safetensors: no pickles.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

import numpy as np

from metamers.errors import StudyError
from metamers.files import atomic_path, remove_leftovers

logger = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
# An owner on another machine cannot be asked; it is taken for dead when it has not
# touched its file for this many save intervals, and never before these seconds.
SILENT_INTERVALS = 5
SILENT_SECONDS = 300.0


class Interrupted(RuntimeError):
    """The step was told to stop and has saved its state."""


def state_path(output: str | Path, fingerprint: str) -> Path:
    """Return where the state of the step that makes `output` is kept.

    Parameters
    ----------
    output
        The step's output.
    fingerprint
        Hash of everything the result depends on; another hash, another file.
    """
    output = Path(output)
    return output.with_name(f".{output.name}.{fingerprint}.state")


class ResumeState:
    """The saved state of one step, owned by one live process.

    Use as a context manager: entering claims the state for this process and installs
    the signal handlers (in the main thread only); leaving undoes both and keeps the
    saved state unless `finish` was called.

    Parameters
    ----------
    path
        The state file; its owner is named in the file of that name plus ``.owner``.
    fingerprint
        Hash of everything the result depends on. A state of another fingerprint is
        not used.
    interval_seconds
        Time between two saves.

    Raises
    ------
    StudyError
        On entering, if another live process owns the state.

    Examples
    --------
    >>> with ResumeState(path, fingerprint) as state:
    ...     saved = state.load()
    ...     step = int(saved["step"]) if saved else 0
    ...     while step < steps:
    ...         step += 1  # work
    ...         if state.due():
    ...             state.save({"step": step})  # raises Interrupted after a signal
    ...     state.finish()
    """

    def __init__(
        self, path: str | Path, fingerprint: str, interval_seconds: float = 60.0
    ) -> None:
        self.path = Path(path)
        self.fingerprint = fingerprint
        self.interval_seconds = interval_seconds
        self._owner_path = self.path.with_name(self.path.name + ".owner")
        self._previous_handlers: dict[signal.Signals, Any] = {}
        self._received: int | None = None
        self._last_save = time.monotonic()
        self._last_sign_of_life = time.monotonic()
        self._finished = False

    def __enter__(self) -> Self:
        """Claim the state and install the signal handlers."""
        self._claim()
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                self._previous_handlers[number] = signal.signal(number, self._receive)
        self._last_save = time.monotonic()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the signal handlers and the state back."""
        for number, handler in self._previous_handlers.items():
            signal.signal(number, handler)
        self._previous_handlers.clear()
        self._owner_path.unlink(missing_ok=True)
        if self._received is not None and error is None and not self._finished:
            raise self._interruption()

    def load(self) -> dict[str, np.ndarray] | None:
        """Read the saved state; scalars come back as arrays of no dimension.

        Returns
        -------
        dict or None
            None if there is no state, or none that fits the fingerprint.
        """
        from safetensors import SafetensorError, safe_open

        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, framework="np") as file:
                metadata = file.metadata() or {}
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except SafetensorError as error:
            logger.warning("%s cannot be read (%s): starting anew", self.path, error)
            return None
        if metadata.get("fingerprint") != self.fingerprint:
            logger.info("%s is of other settings: starting anew", self.path)
            return None
        logger.info("resuming from %s, left by %s", self.path, metadata.get("owner"))
        return arrays

    def due(self) -> bool:
        """Say whether to save now: the interval is over, or a signal has come."""
        now = time.monotonic()
        if now - self._last_sign_of_life >= self.interval_seconds:
            with contextlib.suppress(OSError):
                os.utime(self._owner_path)
            self._last_sign_of_life = now
        return self._received is not None or (
            now - self._last_save >= self.interval_seconds
        )

    def save(self, state: Mapping[str, Any]) -> None:
        """Write the state, whole or not at all.

        Parameters
        ----------
        state
            Arrays, tensors on the CPU and scalars.

        Raises
        ------
        Interrupted
            After writing, if a signal has told the step to stop.
        """
        from safetensors.numpy import save

        # safetensors writes the memory as it lies, so it must lie in C order.
        arrays = {
            name: np.asarray(value).copy(order="C") for name, value in state.items()
        }
        metadata = {"fingerprint": self.fingerprint, "owner": json.dumps(this_owner())}
        # `save_file` would write to a temporary file of its own, which a kill leaves.
        with atomic_path(self.path) as temporary:
            temporary.write_bytes(save(arrays, metadata=metadata))
        self._last_save = time.monotonic()
        if self._received is not None:
            raise self._interruption()

    def finish(self) -> None:
        """Remove the state: the result is complete."""
        self.path.unlink(missing_ok=True)
        remove_leftovers(self.path)
        self._finished = True

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self._received = number

    def _interruption(self) -> Interrupted:
        name = signal.Signals(self._received or 0).name
        return Interrupted(
            f"stopped by {name}; the state is kept in {self.path}: "
            "run the same step again to go on from there"
        )

    def _claim(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with locked(self._owner_path) as file:
            try:
                owner = json.loads(file.read())
            except json.JSONDecodeError:
                owner = None  # new, or of a process that died while writing it
            silence = SILENT_INTERVALS * self.interval_seconds
            if owner and is_alive(owner, file, max(silence, SILENT_SECONDS)):
                raise StudyError(
                    f"{self.path} belongs to process {owner['pid']} on "
                    f"{owner['host']}, which is still working on it; wait for it, "
                    "or end it and run this step again"
                )
            file.seek(0)
            file.truncate()
            file.write(json.dumps(this_owner()))


def this_owner() -> dict[str, Any]:
    """Name this process: host, pid, start time and batch job."""
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "started": process_start(os.getpid()),
        "job": os.environ.get("SLURM_JOB_ID"),
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


def is_alive(owner: Mapping[str, Any], file: Any, silence: float) -> bool:
    """Say whether the process that wrote an owner file still works.

    Parameters
    ----------
    owner
        What `this_owner` returned there.
    file
        The open owner file.
    silence
        Seconds without a sign after which an owner on another host is taken for dead.
    """
    here = this_owner()
    if owner["host"] == here["host"]:
        try:
            os.kill(owner["pid"], 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return process_start(owner["pid"]) == owner["started"]
    requeued = owner["job"] is not None and owner["job"] == here["job"]
    if requeued and here["restart"] > owner["restart"]:
        return False
    return time.time() - os.fstat(file.fileno()).st_mtime < silence


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
