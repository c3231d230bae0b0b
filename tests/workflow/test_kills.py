"""kill -9 of random jobs at random times, many times, loses nothing."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file

KILLS = 20
NAME = "killed"
SETTINGS = ["--config", f"study={NAME}", "save_seconds=0.3"]
TARGETS = [
    f"results/{NAME}/models/net/weights.safetensors",
    f"results/{NAME}/models/perturbed/weights.safetensors",
    f"results/{NAME}/metamers/net/relu0/000.h5",
    f"results/{NAME}/metamers/net/final/000.h5",
    f"results/{NAME}/metamers/perturbed/relu0/000.h5",
    f"results/{NAME}/metamers/perturbed/final/000.h5",
]


def command(folder: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "snakemake", *options, *SETTINGS, "--", *TARGETS]


def jobs(folder: Path) -> list[int]:
    """Return the processes that run a script of the workflow for this folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (path / "cmdline").read_bytes().decode(errors="replace")
            here = os.readlink(path / "cwd") == str(folder)
        except OSError:
            continue
        if here and "/.snakemake/scripts/" in arguments and "bash" not in arguments:
            found.append(int(path.name))
    return found


def at_work(folder: Path) -> list[int]:
    """Return those of these processes that own a state which is on disk."""
    owners = []
    for path in (folder / "results").rglob(".*.state.owner"):
        with contextlib.suppress(OSError, ValueError):
            if path.with_suffix("").exists():
                owners.append(json.loads(path.read_text())["pid"])
    return sorted(set(owners) & set(jobs(folder)))


def resumptions(folder: Path) -> set[str]:
    """Return the lines of the jobs' logs, each with its time, that say "resuming"."""
    lines: set[str] = set()
    for path in folder.glob(f"logs/{NAME}/**/*.log"):
        lines.update(path.read_text().splitlines())
    return {line for line in lines if "resuming from" in line}


@pytest.fixture
def study(clone, tmp_path):
    """Return a copy with a study whose jobs last some seconds, its stimuli made."""
    copy = clone.copy(tmp_path / "repository")
    path = copy.folder / "config/studies/tiny.yaml"
    content = yaml.safe_load(path.read_text())
    content["name"] = NAME
    content["recipes"]["vision"]["epochs"] = 30
    content["models"]["perturbed"]["training"]["epochs"] = 30
    content["synthesis"]["vision"].update(rounds=4, steps_per_round=500, log_every=100)
    (copy.folder / f"config/studies/{NAME}.yaml").write_text(yaml.safe_dump(content))
    copy.snakemake("--cores", "1", f"results/{NAME}/stimuli/vision.h5", study=NAME)
    return copy


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds its jobs in /proc")
def test_twenty_random_kills_change_no_bit(study, tmp_path):
    undisturbed = study.copy(tmp_path / "undisturbed")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(
        command(undisturbed.folder, "--cores", "2"),
        cwd=undisturbed.folder,
        env=environment,
        check=True,
        capture_output=True,
    )
    chance = random.Random(7)
    kills = 0
    resumed: set[str] = set()
    with open(tmp_path / "log", "w") as log:
        driver = subprocess.Popen(
            command(study.folder, "--cores", "2", "--retries", "60"),
            cwd=study.folder,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        while kills < KILLS and driver.poll() is None:
            time.sleep(chance.uniform(0.2, 1.5))
            # Starting takes most of a job's time: every other kill is for one at work.
            running = (at_work if kills % 2 else jobs)(study.folder)
            # The next attempt at a job writes its log anew.
            resumed |= resumptions(study.folder)
            if running:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(chance.choice(running), signal.SIGKILL)
                    kills += 1
        assert driver.wait(timeout=300) == 0, (tmp_path / "log").read_text()[-3000:]
    assert kills == KILLS, f"the run was over after {kills} kills"
    resumed |= resumptions(study.folder)
    assert len(resumed) >= KILLS // 4, resumed
    for target in TARGETS:
        one, two = study.folder / target, undisturbed.folder / target
        if target.endswith(".safetensors"):
            first, second = load_file(one), load_file(two)
            for name in second:
                np.testing.assert_array_equal(first[name], second[name])
            continue
        with h5py.File(one) as first, h5py.File(two) as second:
            for name in ("metamer", "loss", "distances", "response"):
                np.testing.assert_array_equal(first[name][:], second[name][:])
    left = [path for path in (study.folder / "results").rglob(".*") if path.is_file()]
    assert not left, left
