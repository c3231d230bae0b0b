"""Batches that are read while the device is busy: by a thread, or by processes."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from metamers.errors import StudyError
from metamers.training.stimuli import Batch, TrainingStimuli

Made = TypeVar("Made")

# Batches that each process may be ahead; they wait in shared memory.
BATCHES_AHEAD = 2


def batches(
    stimuli: TrainingStimuli,
    epoch: int | str,
    batches_of_indices: Sequence[np.ndarray],
    workers: int = 0,
    device: str | torch.device = "cpu",
) -> Iterator[Batch]:
    """Give batches of training stimuli as one epoch shows them, in their order.

    Parameters
    ----------
    stimuli
        The training stimuli.
    epoch
        The epoch, or a name for draws of another use.
    batches_of_indices
        Which stimuli (n) each batch has.
    workers
        Processes that read and augment, each a batch at a time; with 0 this one does,
        for a GPU in a thread that is one batch ahead. What is given does not depend on
        their number.
    device
        Where the tensors go.

    Yields
    ------
    x, label
        As `TrainingStimuli.batch` returns them.

    Raises
    ------
    StudyError
        If a stimulus cannot be read, also in another process.
    """
    read = partial(stimuli.read, epoch)
    finish = partial(stimuli.finish, device=device)
    yield from read_ahead(read, finish, batches_of_indices, workers, device)


def read_ahead(
    read: Callable[[np.ndarray], Any],
    finish: Callable[[Any], Made],
    batches_of_indices: Sequence[np.ndarray],
    workers: int,
    device: str | torch.device,
) -> Iterator[Made]:
    """Give ``finish(read(indices))`` of each batch; arguments as in `batches`.

    Parameters
    ----------
    read
        Reads a batch without the device, here or in another process.
    finish
        Brings it to the device, here.
    """
    on_gpu = torch.device(device).type == "cuda"
    if workers == 0:
        if on_gpu:
            yield from one_ahead(lambda item: finish(read(item)), batches_of_indices)
        else:
            yield from (finish(read(indices)) for indices in batches_of_indices)
        return
    loader = DataLoader(
        _Batches(read, batches_of_indices),
        batch_size=None,
        num_workers=min(workers, len(batches_of_indices)),
        prefetch_factor=BATCHES_AHEAD if batches_of_indices else None,
        pin_memory=on_gpu,
        worker_init_fn=_start_worker,
        # The loader draws a seed for its processes, which must not move the global one.
        generator=torch.Generator(),
    )
    for found in loader:
        if isinstance(found, StudyError):
            raise found
        yield finish(found)


class _Batches(Dataset[Any]):
    """Whole batches as the items of a data set, in the order they are wanted."""

    def __init__(
        self,
        read: Callable[[np.ndarray], Any],
        batches_of_indices: Sequence[np.ndarray],
    ) -> None:
        self._read, self._indices = read, batches_of_indices

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, place: int) -> Any:
        try:
            return self._read(self._indices[place])
        except StudyError as error:
            # Raised here, it would reach the user as text with a traceback.
            return error


def _start_worker(number: int) -> None:
    """Leave signals to the main process, which tells its workers when to end.

    A batch system signals all processes of a job; the main one then saves its state,
    for which the step that is under way needs its batches.
    """
    for received in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
        signal.signal(received, signal.SIG_IGN)


def one_ahead(
    make: Callable[[np.ndarray], Made], items: Iterable[np.ndarray]
) -> Iterator[Made]:
    """Give ``make(item)`` of each item, and make the next in a thread meanwhile."""
    with ThreadPoolExecutor(max_workers=1) as reader:
        coming: Future[Made] | None = None
        for item in items:
            following = reader.submit(make, item)
            if coming is not None:
                yield coming.result()
            coming = following
        if coming is not None:
            yield coming.result()
