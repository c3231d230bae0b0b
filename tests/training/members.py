"""What processes that train together do in tests: functions that they can import."""

from __future__ import annotations

import os
import signal
import time

import numpy as np
import torch
import torch.distributed

from metamers.errors import StudyError
from metamers.training.loop import _trained


def train_all(group, device, cases):
    """Train networks together, one after another; return the last state of each.

    Parameters
    ----------
    cases
        By name, an entry and its stimulus file.
    """
    found = {}
    for name, (entry, path) in cases.items():
        run = _trained(
            entry=entry,
            stimuli_path=path,
            study_seed=0,
            workers=0,
            state_path=None,
            fingerprint="",
            interval=60.0,
            group=group,
            device=device,
        )
        state = run.snapshot()
        # How far the network of any process is from that of the first one.
        apart = 0.0
        for value in run.network.state_dict().values():
            mine = value.double()
            first = mine.clone()
            torch.distributed.broadcast(first, src=0)
            apart = max(apart, float((mine - first).abs().max()))
        state["apart"] = np.array(group.totals(apart)[0])
        found |= {f"{name}/{key}": value for key, value in state.items()}
    return found if group.is_first else None


def die(group, device):
    """Be killed in the second process, while the first one waits for it."""
    if group.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    group.totals(1.0)
    return {}


def refuse(group, device, rank):
    """Find a mistake of the user in one process, while the other one waits."""
    if group.rank == rank:
        raise StudyError("the mistake is here")
    group.totals(1.0)
    return {}


def fail(group, device):
    """Fail in the second process, and be stuck in the first one."""
    if group.rank == 1:
        raise ValueError("something unforeseen")
    time.sleep(600)


def add(group, device, numbers):
    """Use what processes tell each other."""
    part = numbers[group.part(len(numbers))]
    network = torch.nn.BatchNorm1d(2)
    network.running_mean += 1 + group.rank
    group.match_buffers(network)
    return {
        "total": np.array(group.totals(sum(part), 1.0)),
        "first": np.array(group.of_first(5.0 + group.rank)),
        "share": group.share(torch.tensor(len(part))),
        "mean": network.running_mean,
        "threads": np.array(torch.get_num_threads()),
    }
