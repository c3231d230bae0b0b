"""The demo's tiny sibling through a real Slurm, with the profile as it stands."""

from __future__ import annotations

import subprocess
import sys

from driving import PROFILE, environment

ON_NETWORKS = {
    "train_model",
    "sample_null",
    "synthesize_metamers",
    "judge_metamers",
    "measure_robustness",
    "measure_collapse",
    "run_controls",
}


def test_tiny_study_runs_through_slurm(site, cluster):
    site.most_jobs = 45
    settings = ["--config", "study=tiny"]
    driver = site.start(settings=settings)
    driver.ends_well(1200)
    assert (site.folder / "results/tiny/report.html").is_file()
    jobs = site.ended(driver.prefix())
    assert {job.state for job in jobs} == {"COMPLETED"}
    assert {job.rule for job in jobs} >= ON_NETWORKS
    for job in jobs:
        expected = "g" if job.rule in ON_NETWORKS else "c"
        assert job.node.startswith(expected), job
    # Drawing and writing pages is not worth a job of the cluster.
    assert not {j.rule for j in jobs if j.rule.startswith(("plot_", "build_report"))}
    log = (site.folder / "logs/tiny/train_model/net.log").read_text()
    assert "no GPU found: computing on the processor" in log
    # As a user calls it, from the command line.
    again = subprocess.run(
        [sys.executable, "-m", "snakemake", *PROFILE, *settings, "-n"],
        cwd=site.folder,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert "Nothing to be done" in again.stdout + again.stderr


def test_a_gpu_that_is_demanded_and_not_there_is_a_clear_error(site):
    driver = site.start(
        "results/faults/models/quick/weights.safetensors",
        options=["--retries", "0"],
        settings=["--config", "study=faults", "device=cuda"],
    )
    assert driver.ends() != 0
    demanded = "'cuda' is demanded by the study, but torch finds no GPU here"
    assert demanded in driver.text()
    assert site.ran(driver) == {"train_model": ["FAILED"]}
