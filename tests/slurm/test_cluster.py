"""The demo's tiny sibling through a real Slurm, with the profile as it stands."""

from __future__ import annotations

import subprocess
import sys

from driving import PROFILE, environment


def test_tiny_study_runs_through_slurm(site, cluster):
    settings = ["--config", "study=tiny"]
    command = [sys.executable, "-m", "snakemake", *PROFILE, *settings]
    before = {job.number for job in cluster.jobs()}
    done = subprocess.run(
        command,
        cwd=site.folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert (site.folder / "results/tiny/report.html").is_file()
    jobs = [job for job in cluster.jobs() if job.number not in before]
    assert {job.state for job in jobs} == {"COMPLETED"}
    on_networks = {
        "train_model",
        "sample_null",
        "synthesize_metamers",
        "judge_metamers",
        "measure_robustness",
        "measure_collapse",
        "run_controls",
    }
    for job in jobs:
        assert job.node.startswith("g" if job.rule in on_networks else "c"), job
    # Drawing and writing pages is not worth a job of the cluster.
    assert not {j.rule for j in jobs if j.rule.startswith(("plot_", "build_report"))}
    log = (site.folder / "logs/tiny/train_model/net.log").read_text()
    assert "no GPU found: computing on the processor" in log
    again = subprocess.run(
        [*command, "-n"],
        cwd=site.folder,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert "Nothing to be done" in again.stdout + again.stderr


def test_a_gpu_that_is_demanded_and_not_there_is_a_clear_error(site):
    settings = ["--config", "study=faults", "device=cuda"]
    command = [sys.executable, "-m", "snakemake", *PROFILE, "--retries", "0", *settings]
    done = subprocess.run(
        [*command, "--", "results/faults/models/quick/weights.safetensors"],
        cwd=site.folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode != 0
    text = done.stdout + done.stderr
    assert "'cuda' is demanded by the study, but torch finds no GPU here" in text
