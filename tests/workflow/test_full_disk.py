"""An output that cannot be written: what was computed is not computed again."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys

import h5py
import numpy as np

SHARD = "metamers/net/relu0/000.h5"
# The state is saved at the end only, so that all would be lost without that.
COMMAND = [sys.executable, "-m", "snakemake", "--cores", "1", "--config"]
COMMAND += ["study=config/studies/tiny.yaml", "save_seconds=3600"]
COMMAND += ["--", f"results/tiny/{SHARD}"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def test_metamers_that_could_not_be_written_are_not_made_again(finished, tmp_path):
    clone = finished.copy(tmp_path / "repository")
    shard = clone.folder / "results" / "tiny" / SHARD
    before = tmp_path / "before.h5"
    shutil.move(shard, before)
    # No process may write a file as large as the shard; the state is smaller.
    largest = before.stat().st_size - 1

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))

    failed = subprocess.run(
        COMMAND,
        cwd=clone.folder,
        env=ENVIRONMENT,
        preexec_fn=limit,
        capture_output=True,
        text=True,
    )
    log = clone.folder / "logs/tiny/synthesize_metamers/net/relu0/000.log"
    assert failed.returncode != 0, failed.stderr
    assert "File too large" in log.read_text() or "errno = 27" in log.read_text()
    (state,) = shard.parent.glob(".*")
    assert state.name.endswith(".state"), "and nothing half written"
    assert not shard.exists()
    again = subprocess.run(
        COMMAND, cwd=clone.folder, env=ENVIRONMENT, capture_output=True, text=True
    )
    assert again.returncode == 0, again.stderr[-4000:]
    assert "resuming from" in log.read_text()
    assert "round 1 of" not in log.read_text()
    assert not list(shard.parent.glob(".*"))
    with h5py.File(shard) as made, h5py.File(before) as whole:
        for name in ("metamer", "loss", "distances", "response"):
            np.testing.assert_array_equal(made[name][:], whole[name][:])
