"""A real cluster, a study to disturb, and what its results are undisturbed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

# The modules beside the tests, which are no package.
sys.path.insert(0, str(Path(__file__).parent))
from cluster import FOLDER, Cluster, install
from driving import MADE, SETTINGS, TRAINED, Site, environment

# Of all tests together.
MOST_JOBS = 80


@pytest.fixture(scope="session")
def cluster(pytestconfig: pytest.Config) -> Iterator[Cluster]:
    """Start the cluster, or skip where that is not possible; end it in any case."""
    if os.name != "posix" or not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("a real Slurm needs root: its daemons are started here")
    if not shutil.which("apt-get") and not shutil.which("slurmctld"):
        pytest.skip("a real Slurm needs Debian's packages, and there is no apt-get")
    try:
        install()
    except subprocess.CalledProcessError as error:
        pytest.skip(f"Debian's Slurm cannot be installed here: {error}")
    with open(FOLDER.with_suffix(".lock"), "w") as lock:
        _take_for_these_tests(lock)
        found = Cluster()
        # What stops the tests from outside must not leave the daemons behind.
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _interrupted)
        try:
            found.start()
            yield found
            count = len(found.jobs())
            pytestconfig.stash[JOBS] = count
            assert count <= MOST_JOBS, f"{count} Slurm jobs are no small test"
        finally:
            # Nobody's second Ctrl-C may cut this short.
            stops = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
            known = [signal.signal(number, signal.SIG_IGN) for number in stops]
            found.stop()
            for number, handler in zip(stops, known, strict=True):
                signal.signal(number, handler)


JOBS = pytest.StashKey[int]()


def _take_for_these_tests(lock: IO[str]) -> None:
    """Lock the machine's one cluster until the file is closed."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RuntimeError(
            f"other tests have the cluster ({lock.name} is locked); start these again "
            "when they have ended"
        ) from None


def _interrupted(number: int, frame: object) -> None:
    raise KeyboardInterrupt(f"signal {number}")


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say how many jobs the cluster had."""
    if JOBS in config.stash:
        terminalreporter.write_line(f"{config.stash[JOBS]} Slurm jobs")


@pytest.fixture(scope="session")
def prepared(
    copy_repository: Callable[[Path], None], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return a copy of the repository in which the stimuli are made."""
    folder = tmp_path_factory.mktemp("prepared") / "repository"
    copy_repository(folder)
    here = Path(__file__).parent
    shutil.copy2(here / "faults.yaml", folder / "config/studies/faults.yaml")
    tiny = (here.parent / "workflow/studies/tiny.yaml").read_text()
    # On the cluster GPUs are asked for; where torch finds none, it computes without.
    tiny = tiny.replace("device: cpu", "device: auto")
    (folder / "config/studies/tiny.yaml").write_text(tiny)
    # The untrained network takes no time.
    _make(folder, "results/faults/stimuli/vision.h5", TRAINED.format(model="still"))
    return folder


@pytest.fixture(scope="session")
def undisturbed(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy in which all has run locally and undisturbed."""
    folder = tmp_path_factory.mktemp("undisturbed") / "repository"
    shutil.copytree(prepared, folder, symlinks=True)
    trained = [TRAINED.format(model=model) for model in ("quick", "slow")]
    _make(folder, *trained, MADE.format(model="still", stage="final"))
    return folder


@pytest.fixture
def site(prepared: Path, cluster: Cluster, tmp_path: Path) -> Iterator[Site]:
    """Return a fresh copy with the stimuli, on a cluster in which all is well."""
    folder = tmp_path / "repository"
    shutil.copytree(prepared, folder, symlinks=True)
    cluster.start()
    before = len(cluster.jobs())
    found = Site(folder, cluster)
    try:
        yield found
        count = len(cluster.jobs()) - before
        assert count <= found.most_jobs, f"{count} Slurm jobs are no small test"
    finally:
        for driver in found.drivers:
            if not driver.has_ended():
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(driver.process.pid, signal.SIGKILL)
        subprocess.run(["scancel", "--user=root"], check=False)


def _make(folder: Path, *targets: str) -> None:
    """Make some files of the study here, without the cluster."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *SETTINGS, "--"]
    done = subprocess.run(
        [*command, *targets],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
