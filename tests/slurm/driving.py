"""Running Snakemake on the cluster, watching it, and comparing what it made."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np
from cluster import Cluster, SlurmJob
from processes import wait_until
from safetensors.numpy import load_file

# The profile as it stands, but for waiting: the cluster here is near and idle.
PROFILE = ["--profile", "slurm", "--slurm-init-seconds-before-status-checks", "1"]
PROFILE += ["--max-status-checks-per-second", "1", "--latency-wait", "10"]
LONGEST_WAIT = 2.0
# States of long steps are saved every second, so that a test need not wait a minute.
SETTINGS = ["--config", "study=faults", "save_seconds=1"]
TRAINED = "results/faults/models/{model}/weights.safetensors"
MADE = "results/faults/metamers/{model}/{stage}/000.h5"
# For what takes some seconds here: on a busy machine it may take far longer.
PATIENCE = 240.0


@dataclass
class Driver:
    """A running Snakemake, and all that it has written."""

    process: subprocess.Popen
    log: Path

    def text(self) -> str:
        """Return what it has written so far."""
        return self.log.read_text()

    def tail(self) -> str:
        """Return the end of what it has written."""
        return self.text()[-4000:]

    def has_ended(self) -> bool:
        """Say whether it has ended."""
        return self.process.poll() is not None

    def says(self, pattern: str, seconds: float = PATIENCE) -> None:
        """Wait until it has written something."""
        wait_until(
            lambda: re.search(pattern, self.text()) or self.has_ended(),
            seconds,
            f"the driver says {pattern}",
            self.tail,
        )
        assert re.search(pattern, self.text()), self.tail()

    def ends(self, seconds: float = 2 * PATIENCE) -> int:
        """Wait for its end and return its exit status."""
        wait_until(self.has_ended, seconds, "the driver ends", self.tail)
        return self.process.returncode

    def ends_well(self, seconds: float = 2 * PATIENCE) -> None:
        """Wait for its end, which must be a good one."""
        assert self.ends(seconds) == 0, self.tail()

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
    # More would not be a small test.
    most_jobs: int = 6

    def start(
        self,
        *targets: str,
        options: tuple[str, ...] | list[str] = (),
        settings: list[str] = SETTINGS,
        accounting: bool = True,
        longest_wait: float = LONGEST_WAIT,
    ) -> Driver:
        """Start Snakemake here, as a user does who has logged in, with an empty $HOME.

        Parameters
        ----------
        targets
            Files to make; all of the study if there are none.
        options
            Further options of Snakemake.
        settings
            The study and the like.
        accounting
            Without: with the stand-in for sacct, as the documentation says.
        longest_wait
            Between two looks at the jobs, in seconds.
        """
        log = self.folder / f"driver_{len(self.drivers)}.log"
        hasty = Path(__file__).parent / "hasty.py"
        command = [sys.executable, str(hasty), str(longest_wait), *PROFILE]
        command += [*options, *settings, "--", *targets]
        with open(log, "w") as file:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self._environment(accounting),
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        driver = Driver(process, log)
        self.drivers.append(driver)
        return driver

    def unlock(self) -> None:
        """Take away the lock of a driver that is dead."""
        self.start(options=["--unlock"]).ends_well()

    def _environment(self, accounting: bool) -> dict[str, str]:
        found = environment()
        # All that the jobs need comes from the environment in the clone.
        home = self.folder.parent / "home"
        home.mkdir(exist_ok=True)
        found["HOME"] = str(home)
        if not accounting:
            stand_in = self.folder / "profiles" / "slurm" / "bin"
            found["PATH"] = f"{stand_in}:{found['PATH']}"
        return found

    def job_of(self, driver: Driver, rule: str) -> SlurmJob:
        """Wait until a job of a rule runs, and return it."""
        prefix = driver.prefix()
        found: list[SlurmJob] = []

        def runs() -> bool:
            job = self.cluster.running_on(rule, prefix)
            found.extend([job] if job else [])
            return bool(found) or driver.has_ended()

        def seen() -> str:
            return f"{self.cluster.jobs(prefix)}\n{driver.tail()}"

        wait_until(runs, PATIENCE, f"a job of {rule} runs", seen)
        assert found, driver.tail()
        return found[-1]

    def state_of(self, path: str) -> Path:
        """Wait until the state of a long step is on disk, and return its path."""
        output = self.folder / path
        pattern = f".{output.name}.*.state"

        def saved() -> list[Path]:
            return list(output.parent.glob(pattern)) if output.parent.is_dir() else []

        def seen() -> str:
            return f"{self.cluster.jobs()}\n{self.drivers[-1].tail()}"

        # Once made, it is too late for a state.
        wait_until(
            lambda: saved() or output.exists(), PATIENCE, f"state of {path}", seen
        )
        assert saved(), f"{path} was made before it could be disturbed"
        return saved()[0]

    def ended(self, *prefixes: str) -> list[SlurmJob]:
        """Wait until no job of some runs is left, and return them all."""

        def jobs() -> list[SlurmJob]:
            return [job for prefix in prefixes for job in self.cluster.jobs(prefix)]

        going = ("PENDING", "RUNNING", "COMPLETING", "CONFIGURING", "STAGE_OUT")
        wait_until(
            lambda: not any(job.state in going for job in jobs()),
            PATIENCE,
            "all jobs have ended",
            jobs,
        )
        return jobs()

    def ran(self, *drivers: Driver) -> dict[str, list[str]]:
        """Return how the jobs of some drivers ended, for each rule, in order."""
        found: dict[str, list[str]] = {}
        for job in self.ended(*[driver.prefix() for driver in drivers]):
            found.setdefault(job.rule, []).append(job.state)
        return found


def documented(heading: str) -> str:
    """Return the commands or the file below a heading of docs/slurm.md."""
    text = (Path(__file__).parents[2] / "docs" / "slurm.md").read_text()
    section = text.split(f"\n### {heading}\n")[1].split("\n### ")[0]
    return section.split("```\n")[1]


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
