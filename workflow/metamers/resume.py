"""State of a long step, kept beside its output so that a killed job goes on.

A step saves its arrays at intervals and when it is told to stop (SIGTERM, SIGUSR1),
and reads them when it starts again; what it computes is then what it would have
computed without the interruption. The file is safetensors: no pickles.
"""

from __future__ import annotations

import json
import logging
import signal
import threading
import time
from collections.abc import Mapping
from glob import escape
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

import numpy as np

from metamers.files import atomic_path, remove_leftovers
from metamers.owners import claim, give_sign, this_owner

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


def discard(path: str | Path) -> None:
    """Remove the state of a step whose result is written, with all its parts.

    Parameters
    ----------
    path
        The state file; parts of a step add an ending to its name.
    """
    path = Path(path)
    for part in [path, *path.parent.glob(f"{escape(path.name)}.*")]:
        part.unlink(missing_ok=True)
        remove_leftovers(part, of_all_machines=True)


class ResumeState:
    """The saved state of one step, owned by one live process.

    Use as a context manager: entering claims the state for this process and installs
    the signal handlers (in the main thread only); leaving undoes both. The saved state
    stays until the result is written and `discard` removes it, so that a full disk at
    the very end costs no more than a kill before.

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
        On entering, if another live process owns the state. An owner on another machine
        that gives no sign is waited for, five minutes or five intervals at most.

    Examples
    --------
    >>> with ResumeState(path, fingerprint) as state:
    ...     saved = state.load()
    ...     step = int(saved["step"]) if saved else 0
    ...     while step < steps:
    ...         step += 1  # work
    ...         if state.due():
    ...             state.save({"step": step})  # raises Interrupted after a signal
    ...     state.complete()
    >>> write(result)
    >>> discard(path)
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
        self._completed = False

    def __enter__(self) -> Self:
        """Claim the state and install the signal handlers."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        silence = max(SILENT_INTERVALS * self.interval_seconds, SILENT_SECONDS)
        claim(self._owner_path, self.path, silence)
        remove_leftovers(self.path, of_all_machines=True)
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
        if self._received is not None and error is None and not self._completed:
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
            give_sign(self._owner_path)
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

    def complete(self) -> None:
        """Say that all is computed: a signal no longer stops the step."""
        self._completed = True

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self._received = number

    def _interruption(self) -> Interrupted:
        name = signal.Signals(self._received or 0).name
        return Interrupted(
            f"stopped by {name}; the state is kept in {self.path}: "
            "run the same step again to go on from there"
        )
