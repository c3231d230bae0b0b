"""The state of a long step: who owns it, when it is used, what signals do."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from metamers.errors import StudyError
from metamers.owners import this_owner
from metamers.resume import Interrupted, ResumeState, discard, state_path


def test_arrays_and_scalars_come_back_bit_for_bit(tmp_path):
    saved = {
        "iterate": np.random.default_rng(0).normal(size=(3, 4)).T,
        "step": 7,
        "eta": 0.1,
        "flags": np.array([True, False]),
        "generator": np.arange(5, dtype=np.uint8),
    }
    with ResumeState(tmp_path / "state", "one") as state:
        assert state.load() is None
        state.save(saved)
    with ResumeState(tmp_path / "state", "one") as state:
        loaded = state.load()
    assert loaded is not None
    assert set(loaded) == set(saved)
    for name, value in saved.items():
        np.testing.assert_array_equal(loaded[name], value)
        assert loaded[name].dtype == np.asarray(value).dtype
    assert loaded["step"].shape == ()


def test_a_state_of_other_settings_is_not_used(tmp_path):
    with ResumeState(tmp_path / "state", "one") as state:
        state.save({"step": 1})
    with ResumeState(tmp_path / "state", "two") as state:
        assert state.load() is None
    assert state_path(tmp_path / "0.h5", "one") != state_path(tmp_path / "0.h5", "two")


def test_a_damaged_state_starts_anew(tmp_path):
    with ResumeState(tmp_path / "state", "one") as state:
        state.save({"step": np.zeros(100)})
    content = (tmp_path / "state").read_bytes()
    (tmp_path / "state").write_bytes(content[: len(content) // 2])
    with ResumeState(tmp_path / "state", "one") as state:
        assert state.load() is None


def test_a_complete_state_is_there_until_it_is_discarded(tmp_path):
    for name in ("state", "state.0", "state.1", "other"):
        with ResumeState(tmp_path / name, "one") as state:
            state.save({"step": 1})
            state.complete()
    with ResumeState(tmp_path / "state", "one") as state:
        assert state.load()
    (tmp_path / ".state.elsewhere-17").touch()
    discard(tmp_path / "state")
    assert [path.name for path in tmp_path.iterdir()] == ["other"]
    discard(tmp_path / "state")


def test_due_follows_the_interval(tmp_path):
    with ResumeState(tmp_path / "a", "one", interval_seconds=3600) as state:
        assert not state.due()
    with ResumeState(tmp_path / "b", "one", interval_seconds=0) as state:
        assert state.due()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_saves_and_stops(tmp_path, number):
    before = signal.getsignal(number)
    with (
        pytest.raises(Interrupted, match=f"{number.name}.*state is kept"),
        ResumeState(tmp_path / "state", "one", interval_seconds=3600) as state,
    ):
        os.kill(os.getpid(), number)
        assert state.due()
        state.save({"step": 3})
    assert signal.getsignal(number) is before
    with ResumeState(tmp_path / "state", "one") as state:
        loaded = state.load()
    assert loaded is not None
    assert loaded["step"] == 3


def test_a_signal_is_not_swallowed_where_nothing_is_saved(tmp_path):
    with (
        pytest.raises(Interrupted),
        ResumeState(tmp_path / "state", "one", interval_seconds=3600),
    ):
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_signal_after_the_end_does_not_lose_the_result(tmp_path):
    with ResumeState(tmp_path / "state", "one") as state:
        state.complete()
        os.kill(os.getpid(), signal.SIGTERM)


OWNER = """
import sys, time
from metamers.resume import ResumeState
with ResumeState(sys.argv[1], "one") as state:
    state.save({"step": 5})
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def other_owner(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path / "state")],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.wait()


def test_a_second_live_owner_is_refused(tmp_path, other_owner):
    with (
        pytest.raises(StudyError, match=f"process {other_owner.pid} on"),
        ResumeState(tmp_path / "state", "one"),
    ):
        pass
    other_owner.kill()
    # Not waited for: a process that has ended but is still listed is dead too.
    for _ in range(500):
        try:
            with ResumeState(tmp_path / "state", "one") as state:
                loaded = state.load()
            break
        except StudyError:
            time.sleep(0.01)
    assert loaded is not None
    assert loaded["step"] == 5


def test_one_process_cannot_own_a_state_twice(tmp_path):
    with (
        ResumeState(tmp_path / "state", "one"),
        pytest.raises(StudyError, match="still working"),
        ResumeState(tmp_path / "state", "one"),
    ):
        pass


def write_owner(path, *, age, job=None, restart=0, cluster=None):
    owner = {"host": "elsewhere", "pid": 1, "started": "1", "job": job}
    path.write_text(json.dumps({**owner, "restart": restart, "cluster": cluster}))
    os.utime(path, (time.time() - age, time.time() - age))


@pytest.fixture
def slept(monkeypatch):
    """Return the seconds that are waited for, without waiting for them."""
    seconds: list[float] = []
    monkeypatch.setattr("metamers.owners.sleep", seconds.append)
    return seconds


def test_an_owner_on_another_machine_that_gives_a_sign_is_alive(
    tmp_path, slept, monkeypatch
):
    owner = tmp_path / "state.owner"
    write_owner(owner, age=200)

    def sleep(seconds):
        slept.append(seconds)
        if len(slept) == 3:
            os.utime(owner)

    monkeypatch.setattr("metamers.owners.sleep", sleep)
    with (
        pytest.raises(StudyError, match="process 1 on elsewhere"),
        ResumeState(tmp_path / "state", "one"),
    ):
        pass
    assert len(slept) == 3
    # It is still named: nothing was taken from it.
    assert json.loads(owner.read_text())["host"] == "elsewhere"


def test_a_silent_owner_on_another_machine_is_waited_for_and_replaced(
    tmp_path, slept, monkeypatch
):
    write_owner(tmp_path / "state.owner", age=200)
    started = time.time()
    clock = lambda: started + sum(slept)  # noqa: E731
    monkeypatch.setattr("metamers.owners.time", clock)
    (tmp_path / ".state.elsewhere-1").touch()
    with ResumeState(tmp_path / "state", "one", interval_seconds=60):
        assert 100 <= sum(slept) <= 110
        # What it had begun to write is removed with it.
        assert sorted(p.name for p in tmp_path.iterdir()) == ["state.owner"]
    slept.clear()
    write_owner(tmp_path / "state.owner", age=3600)
    with ResumeState(tmp_path / "state", "one"):
        assert not slept


@pytest.fixture
def squeue(tmp_path, monkeypatch):
    """Return a function that makes a `squeue` which knows a job's state."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_CLUSTER_NAME", "here")
    monkeypatch.setenv("SLURM_JOB_ID", "72")

    def write(answer):
        path = folder / "squeue"
        path.write_text(f'#!/bin/sh\necho "$*" > {tmp_path}/asked\n{answer}\n')
        path.chmod(0o755)

    return write


@pytest.mark.parametrize(
    "answer",
    [
        "echo OUT_OF_MEMORY",
        "echo NODE_FAIL",
        "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1",
    ],
)
def test_an_owner_whose_job_has_ended_is_dead_at_once(tmp_path, slept, squeue, answer):
    squeue(answer)
    write_owner(tmp_path / "state.owner", age=1, job="71", cluster="here")
    with ResumeState(tmp_path / "state", "one"):
        assert not slept
    assert "-j 71" in (tmp_path / "asked").read_text()


@pytest.mark.parametrize(
    "answer",
    ["echo RUNNING", "echo COMPLETING", "echo 'Unable to contact' >&2; exit 1", ""],
)
def test_an_owner_whose_job_may_run_is_waited_for(tmp_path, slept, squeue, answer):
    squeue(answer)
    write_owner(tmp_path / "state.owner", age=297, job="71", cluster="here")
    with ResumeState(tmp_path / "state", "one"):
        assert slept
    slept.clear()
    # Of another cluster's jobs this one's controller knows nothing.
    squeue("echo COMPLETED")
    write_owner(tmp_path / "state.owner", age=297, job="71", cluster="there")
    with ResumeState(tmp_path / "state", "one"):
        assert slept


def test_a_requeued_batch_job_takes_over_at_once(tmp_path, slept, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "71")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    write_owner(tmp_path / "state.owner", age=1, job="71")
    with ResumeState(tmp_path / "state", "one"):
        assert not slept


def test_a_node_is_named_as_slurm_names_it(monkeypatch):
    monkeypatch.setenv("SLURMD_NODENAME", "c7")
    assert this_owner()["host"] == "c7"
