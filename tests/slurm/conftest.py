"""A real cluster, a study to disturb, and what its results are undisturbed."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# The modules beside the tests, which are no package.
sys.path.insert(0, str(Path(__file__).parent))
from cluster import Cluster
from driving import MADE, SETTINGS, TRAINED, Site, environment


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Start the cluster, or skip where that is not possible."""
    if os.name != "posix" or not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("a real Slurm needs root: its daemons are started here")
    if not shutil.which("apt-get") and not shutil.which("slurmctld"):
        pytest.skip("a real Slurm needs Debian's packages, and there is no apt-get")
    found = Cluster()
    found.start()
    yield found
    found.stop()


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
    command = [sys.executable, "-m", "snakemake", "--cores", "1", *SETTINGS, "--"]
    # The untrained network takes no time.
    targets = ["results/faults/stimuli/vision.h5", TRAINED.format(model="still")]
    subprocess.run(
        [*command, *targets],
        cwd=folder,
        env=environment(),
        check=True,
        capture_output=True,
    )
    return folder


@pytest.fixture
def site(prepared: Path, cluster: Cluster, tmp_path: Path) -> Iterator[Site]:
    """Return a fresh copy with the stimuli, on a cluster in which all is well."""
    folder = tmp_path / "repository"
    shutil.copytree(prepared, folder, symlinks=True)
    cluster.start()
    found = Site(folder, cluster)
    yield found
    for driver in found.drivers:
        if driver.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(driver.process.pid, signal.SIGKILL)
    subprocess.run(["scancel", "--user=root"], check=False)


@pytest.fixture(scope="session")
def undisturbed(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy in which all has run locally and undisturbed."""
    folder = tmp_path_factory.mktemp("undisturbed") / "repository"
    shutil.copytree(prepared, folder, symlinks=True)
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *SETTINGS, "--"]
    targets = [TRAINED.format(model=model) for model in ("quick", "slow")]
    targets += [MADE.format(model="still", stage=s) for s in ("relu0", "final")]
    subprocess.run(
        [*command, *targets],
        cwd=folder,
        env=environment(),
        check=True,
        capture_output=True,
    )
    return folder
