"""The demo's tiny sibling through a real Slurm, with the profile as it stands."""

from __future__ import annotations

import subprocess
import sys

import yaml
from driving import PROFILE, documented, environment

SLURM = "profiles/slurm/profile.v9+.yaml"


def on_networks(folder):
    """Return the rules that the profile sends to the nodes with GPUs."""
    return set(yaml.safe_load((folder / SLURM).read_text())["set-resources"])


def test_tiny_study_runs_through_slurm(site, cluster):
    site.most_jobs = 45
    settings = ["--config", "study=tiny"]
    driver = site.start(settings=settings)
    driver.ends_well(1200)
    assert (site.folder / "results/tiny/report.html").is_file()
    jobs = site.ended(driver.prefix())
    assert {job.state for job in jobs} == {"COMPLETED"}
    networks = on_networks(site.folder)
    # This study takes no read-out from a published network.
    assert {job.rule for job in jobs} >= networks - {"make_zero_shot_head"}
    for job in jobs:
        node, devices = ("g", "gres:gpu:1") if job.rule in networks else ("c", "N/A")
        assert job.node.startswith(node), job
        assert job.devices == devices, job
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


def test_partitions_that_a_site_describes_and_a_model_of_gpu(site):
    """As docs/slurm.md says: the partitions are chosen by what they have."""
    (site.folder / "partitions.yaml").write_text(documented("Many partitions"))
    profile = yaml.safe_load((site.folder / SLURM).read_text())
    del profile["default-resources"]["slurm_partition"]
    profile["set-resources"] = {"train_model": {"gpu_model": "fake"}}
    profile["slurm-partition-config"] = "partitions.yaml"
    (site.folder / SLURM).write_text(yaml.safe_dump(profile))
    weights = "results/tiny/models/net/weights.safetensors"
    driver = site.start(weights, settings=["--config", "study=tiny"])
    driver.ends_well()
    stimuli, training = site.ended(driver.prefix())
    assert (stimuli.rule, stimuli.node[0]) == ("prepare_stimuli", "c")
    assert (training.rule, training.node) == ("train_model", "g1")
    assert training.devices == "gres:gpu:fake:1"
    assert {stimuli.state, training.state} == {"COMPLETED"}
