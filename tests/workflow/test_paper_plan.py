"""The rehearsal of the paper study: what Snakemake plans is what the study says."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from metamers.plan import Plan

STUDY = "results/rehearsal/inputs/study.yaml"


@pytest.fixture(scope="module")
def rehearsed(clone, tmp_path_factory):
    done = clone.copy(tmp_path_factory.mktemp("rehearsed") / "repository")
    command = [sys.executable, "-m", "metamers.command_line", "rehearse", "paper"]
    subprocess.run(command, cwd=done.folder, check=True, capture_output=True)
    return done


def job_counts(text: str) -> dict[str, int]:
    """Read the table of jobs that Snakemake prints."""
    table = text.split("Job stats:")[1].split("\n\n")[0]
    rows = re.findall(r"^(\w+) +(\d+)$", table, flags=re.MULTILINE)
    return {rule: int(count) for rule, count in rows}


def test_snakemake_plans_the_jobs_that_the_study_has(rehearsed):
    planned = job_counts(rehearsed.snakemake("-n", study=STUDY))
    for other in ("all", "total"):
        del planned[other]
    counted: dict[str, int] = {}
    for rule, _ in Plan(rehearsed.folder / STUDY).jobs():
        counted[rule] = counted.get(rule, 0) + 1
    # The published data are made by rules of their own.
    ours = {rule: n for rule, n in planned.items() if "published" not in rule}
    assert ours == counted


def test_a_part_of_it_plans_its_own_models_and_no_others(rehearsed):
    arguments = ("-n", "--config", f"study={STUDY}", "only=figure_6")
    text = rehearsed.snakemake(*arguments, study=None)
    trained = set(re.findall(r"^Job \d+: Training (.+)$", text, flags=re.MULTILINE))
    assert trained == {
        "alexnet_early_checkpoint",
        "alexnet_reduced_aliasing_early_checkpoint",
        "vonealexnet_gaussian_noise_std4_fixed",
    }
