"""Processes that train one network together, one on each GPU of a machine.

Each takes its part of every batch, and torch's DistributedDataParallel averages their
gradients. The process that starts them computes nothing: it passes signals on, and
when one of them fails it ends the others and says why.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

import numpy as np
import torch
import torch.distributed
from torch import Tensor, nn
from torch.multiprocessing.spawn import ProcessException, start_processes

from metamers.errors import StudyError
from metamers.files import write_json
from metamers.resume import SIGNALS, Interrupted
from metamers.training.evaluation import TaskLogits, label_losses, labelled
from metamers.training.stimuli import Target

logger = logging.getLogger(__name__)

# What is agreed upon between processes is on the CPU, so that no GPU is waited for.
BACKENDS = {"cpu": "gloo", "cuda": "cpu:gloo,cuda:nccl"}
# How long processes wait for one another: the first one also tests the network.
PATIENCE = timedelta(hours=2)
# How long the others have to end by themselves when one has failed; then twice as long
# until they are killed.
GRACE_SECONDS = 10.0
RESULT = "result.safetensors"


@dataclass(frozen=True)
class Group:
    """The processes that train a network, seen from one of them.

    With one process alone, all of these do nothing and cost nothing.

    Attributes
    ----------
    rank
        Which of them this one is, from 0; the first one saves, tests and reports.
    size
        How many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process is the first."""
        return self.rank == 0

    def part(self, count: int) -> slice:
        """Return which of a batch's `count` stimuli this process takes."""
        return slice(
            count * self.rank // self.size, count * (self.rank + 1) // self.size
        )

    def parallel(self, module: nn.Module, device: torch.device) -> nn.Module:
        """Return a module whose backward pass averages gradients over the processes."""
        if self.size == 1:
            return module
        # With a search for parameters without a gradient, gradients keep the buckets
        # that they have in the first step: their sums are rounded alike in all steps,
        # also after a restart. Networks may have such parameters, too.
        return nn.parallel.DistributedDataParallel(
            module,
            device_ids=[device] if device.type == "cuda" else None,
            forward_sync_buffers=False,
            find_unused_parameters=True,
        )

    def share(self, number: Tensor) -> Tensor:
        """Return an equal share of what a number on the device is in all processes."""
        if self.size == 1:
            return number
        total = number.clone()
        torch.distributed.all_reduce(total)
        return total / self.size

    def totals(self, *values: float) -> list[float]:
        """Return the sums of some values over the processes."""
        if self.size == 1:
            return list(values)
        sums = torch.tensor(values, dtype=torch.float64)
        torch.distributed.all_reduce(sums)
        return sums.tolist()

    def of_first(self, *values: float) -> list[float]:
        """Return the values that the first process gives; those of others are lost."""
        if self.size == 1:
            return list(values)
        given = torch.tensor(values, dtype=torch.float64)
        torch.distributed.broadcast(given, src=0)
        return given.tolist()

    def match_buffers(self, module: nn.Module) -> None:
        """Give a module the statistics of batch norm that it has in the first process.

        Each process normalizes its own part of a batch; the first one's statistics are
        kept, as by torch's DataParallel.
        """
        if self.size == 1:
            return
        buffers = [buffer for buffer in module.buffers() if buffer.is_floating_point()]
        for dtype in {buffer.dtype: None for buffer in buffers}:
            alike = [buffer for buffer in buffers if buffer.dtype == dtype]
            joined = torch.cat([buffer.detach().flatten() for buffer in alike])
            torch.distributed.broadcast(joined, src=0)
            parts = joined.split([buffer.numel() for buffer in alike])
            for buffer, part in zip(alike, parts, strict=True):
                buffer.detach().copy_(part.view_as(buffer))


ALONE = Group()


def part_of_loss(
    outputs: Tensor, label: Target, task: TaskLogits, group: Group
) -> Tensor:
    """Return `task_loss` of which each process has a part of the batch.

    Parameters
    ----------
    outputs, label
        Of this process's part.
    task
        What is learned.
    group
        The processes.

    Returns
    -------
    Tensor
        The mean of it over the processes is the loss of the whole batch, whose mean is
        over the stimuli that have the label: parts may have other numbers of them.
    """
    parts = []
    for weight, logits, own, several in task.terms(outputs, label):
        count = group.share(labelled(own).sum()).clamp(min=1 / group.size)
        summed = label_losses(logits, own, several).sum()
        parts.append(weight * (summed / count))
    return sum(parts[1:], start=parts[0])


def process_count(wanted: int, device: str, visible: int) -> int:
    """Return how many processes train together: one on each GPU that there is.

    Parameters
    ----------
    wanted
        GPUs that were asked for.
    device
        Type of the device: ``cpu`` or ``cuda``.
    visible
        GPUs that torch sees here.
    """
    if device == "cpu":
        return 1
    if visible < wanted:
        logger.warning(
            "%d GPUs were asked for and %d can be seen here: training on %d",
            *(wanted, visible, visible),
        )
    return max(min(wanted, visible), 1)


def run_together(
    function: Callable[..., Mapping[str, Any] | None],
    arguments: Mapping[str, Any],
    processes: int,
    device: str = "cpu",
) -> dict[str, np.ndarray]:
    """Run a function in several new processes, one on each GPU.

    Parameters
    ----------
    function
        Of a module. Called with its `Group` as ``group``, its torch device as
        ``device``, and the arguments; returns arrays in the first process.
    arguments
        What else it is called with, in all processes.
    processes
        How many.
    device
        Type of the device: ``cpu`` or ``cuda``.

    Returns
    -------
    dict
        What the first process returned.

    Raises
    ------
    StudyError, Interrupted
        As one of the processes raised it; the first, if several did.
    RuntimeError
        If one of them failed otherwise; the others are ended.
    """
    from safetensors.numpy import load_file

    with TemporaryDirectory(prefix="metamers-") as name:
        folder = Path(name)
        given = (function, dict(arguments), processes, device, folder, _manner())
        with _quiet():
            context = start_processes(_member, given, nprocs=processes, join=False)
        assert context is not None
        try:
            with _signals_passed_to(context.processes[0]) as received:
                while not context.join(grace_period=GRACE_SECONDS):
                    pass
        except ProcessException as error:
            raise _failure(folder, processes, received, error) from None
        finally:
            for process in context.processes:
                if process.is_alive():
                    process.kill()
        return load_file(folder / RESULT)


def _member(
    rank: int,
    function: Callable[..., Mapping[str, Any] | None],
    arguments: dict[str, Any],
    size: int,
    device: str,
    folder: Path,
    manner: dict[str, Any],
) -> None:
    """Be one of the processes: meet the others, and run the function."""
    from safetensors.numpy import save_file

    _take_over(manner, rank)
    if rank > 0:
        # All processes of a batch job may be signalled; the first one stops them all.
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
    own = torch.device("cpu")
    if device == "cuda":
        own = torch.device("cuda", rank)
        torch.cuda.set_device(own)
    torch.distributed.init_process_group(
        BACKENDS[device],
        init_method=f"file://{folder / 'meeting'}",
        rank=rank,
        world_size=size,
        timeout=PATIENCE,
    )
    try:
        result = function(group=Group(rank, size), device=own, **arguments)
    except (StudyError, Interrupted) as error:
        told = {"kind": type(error).__name__, "message": str(error)}
        write_json(told, folder / f"error_{rank:04d}.json")
        # At once: an orderly end would wait for processes that may wait for this one.
        logging.shutdown()
        os._exit(1)
    if result is not None:
        arrays = {name: np.asarray(value) for name, value in result.items()}
        save_file(
            {name: value.copy(order="C") for name, value in arrays.items()},
            folder / RESULT,
        )
    torch.distributed.destroy_process_group()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Have processes that are started now show no warnings of torch's C++ library.

    Each would show one that advises against the search that `Group.parallel` wants.
    """
    name = "TORCH_CPP_LOG_LEVEL"
    given = os.environ.get(name)
    os.environ.setdefault(name, "ERROR")
    try:
        yield
    finally:
        if given is None:
            del os.environ[name]


def _manner() -> dict[str, Any]:
    """Return how this process computes and logs, for those that it starts."""
    return {
        "threads": torch.get_num_threads(),
        "matmul": torch.backends.cuda.matmul.allow_tf32,
        "convolution": torch.backends.cudnn.allow_tf32,
        "level": logging.getLogger().getEffectiveLevel(),
    }


def _take_over(manner: Mapping[str, Any], rank: int) -> None:
    """Compute and log as the process that started this one; others than the first warn.

    They talk over the loopback interface, whatever network the machine is in.
    """
    torch.set_num_threads(manner["threads"])
    torch.backends.cuda.matmul.allow_tf32 = manner["matmul"]
    torch.backends.cudnn.allow_tf32 = manner["convolution"]
    logging.basicConfig(
        level=manner["level"] if rank == 0 else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    names = [name for _, name in socket.if_nameindex() if name.startswith("lo")]
    if names:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", names[0])


@contextlib.contextmanager
def _signals_passed_to(process: BaseProcess) -> Iterator[list[str]]:
    """Hand signals on to a process, and keep their names."""
    received: list[str] = []
    pid = process.pid
    assert pid is not None

    def pass_on(number: int, frame: FrameType | None) -> None:
        received.append(signal.Signals(number).name)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

    in_main = threading.current_thread() is threading.main_thread()
    handled = SIGNALS if in_main else ()
    previous = {number: signal.signal(number, pass_on) for number in handled}
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _failure(
    folder: Path, processes: int, received: list[str], error: ProcessException
) -> Exception:
    """Return what to raise when one of the processes has failed."""
    for path in sorted(folder.glob("error_*.json")):
        told = json.loads(path.read_text())
        kind = StudyError if told["kind"] == "StudyError" else Interrupted
        return kind(told["message"])
    if received:
        return Interrupted(
            f"stopped by {received[0]} before the training had begun: run the same "
            "step again"
        )
    return RuntimeError(
        f"process {error.error_index} of {processes} that train together has failed, "
        f"and the others were ended: {error.msg.strip()}\nWhat was saved last is kept: "
        "run the same step again to go on from there"
    )
