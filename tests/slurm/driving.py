"""Running Snakemake on the cluster, watching it, and comparing what it made."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np
from cluster import Cluster, SlurmJob, wait_until
from safetensors.numpy import load_file

# The profile as it stands, but for waiting: the cluster here is near and idle.
PROFILE = ["--profile", "slurm", "--slurm-init-seconds-before-status-checks", "5"]
PROFILE += ["--latency-wait", "10"]
# States of long steps are saved every second, so that a test need not wait a minute.
SETTINGS = ["--config", "study=faults", "save_seconds=1"]
TRAINED = "results/faults/models/{model}/weights.safetensors"
MADE = "results/faults/metamers/{model}/{stage}/000.h5"


@dataclass
class Driver:
    """A running Snakemake, and all that it has written."""

    process: subprocess.Popen
    log: Path

    def text(self) -> str:
        """Return what it has written so far."""
        return self.log.read_text()

    def says(self, pattern: str, seconds: float = 90) -> None:
        """Wait until it has written something."""
        wait_until(
            lambda: re.search(pattern, self.text()) or self.process.poll() is not None,
            seconds,
            f"the driver says {pattern}",
        )
        assert re.search(pattern, self.text()), self.text()[-3000:]

    def ends(self, seconds: float = 300) -> int:
        """Wait for its end and return its exit status."""
        return self.process.wait(timeout=seconds)

    def prefix(self) -> str:
        """Return the beginning of the names of its jobs."""
        self.says("SLURM run ID: ")
        found = re.search(r"SLURM run ID: (\S+)", self.text())
        assert found
        return found[1]


@dataclass
class Site:
    """A copy of the repository on the cluster's file system."""

    folder: Path
    cluster: Cluster
    drivers: list[Driver] = field(default_factory=list)

    def start(self, *arguments: str, accounting: bool = True) -> Driver:
        """Start Snakemake here; with the stand-in for sacct if without accounting."""
        log = self.folder / f"driver_{len(self.drivers)}.log"
        command = [sys.executable, "-m", "snakemake"]
        command += PROFILE
        command += [*arguments[: _targets(arguments)], *SETTINGS]
        targets = arguments[_targets(arguments) :]
        with open(log, "w") as file:
            process = subprocess.Popen(
                [*command, "--", *targets] if targets else command,
                cwd=self.folder,
                env=environment() if accounting else self._without_accounting(),
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        driver = Driver(process, log)
        self.drivers.append(driver)
        return driver

    def run(self, *arguments: str, seconds: float = 300) -> Driver:
        """Run Snakemake here to its end, which must be a good one."""
        driver = self.start(*arguments)
        assert driver.ends(seconds) == 0, driver.text()[-4000:]
        return driver

    def _without_accounting(self) -> dict[str, str]:
        stand_in = self.folder / "profiles" / "slurm" / "bin"
        known = environment()
        return {**known, "PATH": f"{stand_in}:{known['PATH']}"}

    def job_of(self, driver: Driver, rule: str, seconds: float = 90) -> SlurmJob:
        """Wait until a job of a rule runs, and return it."""
        found: list[SlurmJob] = []

        def runs() -> bool:
            job = self.cluster.running_on(rule, driver.prefix())
            found.extend([job] if job else [])
            return bool(found) or driver.process.poll() is not None

        wait_until(runs, seconds, f"a job of {rule} runs")
        assert found, driver.text()[-3000:]
        return found[-1]

    def state_of(self, path: str, seconds: float = 90) -> Path:
        """Wait until the state of a long step is on disk, and return its path."""
        output = self.folder / path
        pattern = f".{output.name}.*.state"

        def saved() -> list[Path]:
            return list(output.parent.glob(pattern)) if output.parent.is_dir() else []

        wait_until(saved, seconds, f"the state of {path} is saved")
        return saved()[0]

    def jobs(self, *drivers: Driver) -> list[SlurmJob]:
        """Return the cluster's jobs of some drivers, when none is just ending."""

        def all_jobs() -> list[SlurmJob]:
            return [job for one in drivers for job in self.cluster.jobs(one.prefix())]

        wait_until(
            lambda: not any(job.state == "COMPLETING" for job in all_jobs()),
            40,
            "jobs have ended",
        )
        return all_jobs()


def _targets(arguments: tuple[str, ...]) -> int:
    """Return where the targets begin among arguments."""
    for place, argument in enumerate(arguments):
        if argument.startswith("results/"):
            return place
    return len(arguments)


def environment() -> dict[str, str]:
    """Return the environment of a user who has activated the repository's own."""
    folder = str(Path(sys.executable).parent)
    path = os.pathsep.join([folder, os.environ["PATH"]])
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    return {**kept, "PATH": path, "OMP_NUM_THREADS": "1"}


def assert_same(folder: Path, undisturbed: Path, *paths: str) -> None:
    """Require results to be those of the undisturbed run, bit for bit."""
    for path in paths:
        one, two = folder / path, undisturbed / path
        if path.endswith(".safetensors"):
            first, second = load_file(one), load_file(two)
            assert first.keys() == second.keys()
            for name in first:
                np.testing.assert_array_equal(first[name], second[name], name)
            continue
        with h5py.File(one) as first, h5py.File(two) as second:
            for name in ("metamer", "loss", "distances", "response"):
                np.testing.assert_array_equal(first[name][:], second[name][:], name)


def assert_clean(folder: Path) -> None:
    """Require that no state and no temporary file is left beside the results."""
    left = [p for p in (folder / "results").rglob(".*") if p.is_file()]
    assert not left, left


def pause(seconds: float) -> None:
    """Let a fault last for some time."""
    time.sleep(seconds)
