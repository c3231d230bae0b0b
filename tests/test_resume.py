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
from metamers.resume import Interrupted, ResumeState, state_path


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


def test_finish_leaves_nothing_behind(tmp_path):
    with ResumeState(tmp_path / "state", "one") as state:
        state.save({"step": 1})
        state.finish()
    assert list(tmp_path.iterdir()) == []


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
        state.finish()
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


def write_owner(path, *, age, job=None, restart=0):
    owner = {"host": "elsewhere", "pid": 1, "started": "1", "job": job}
    path.write_text(json.dumps({**owner, "restart": restart}))
    os.utime(path, (time.time() - age, time.time() - age))


def test_an_owner_on_another_host_is_alive_while_it_gives_signs(tmp_path):
    write_owner(tmp_path / "state.owner", age=10)
    with (
        pytest.raises(StudyError, match="elsewhere"),
        ResumeState(tmp_path / "state", "one"),
    ):
        pass
    write_owner(tmp_path / "state.owner", age=3600)
    with ResumeState(tmp_path / "state", "one"):
        pass


def test_a_requeued_batch_job_takes_over_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "71")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    write_owner(tmp_path / "state.owner", age=1, job="71")
    with ResumeState(tmp_path / "state", "one"):
        pass
