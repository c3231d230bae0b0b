"""Results that were copied without Snakemake's records are never used silently."""

from __future__ import annotations

import subprocess
import sys

import pytest

STUDY = "config/studies/tiny.yaml"


@pytest.fixture
def foreign(finished, tmp_path):
    """Return a copy of the finished run without Snakemake's records."""
    return finished.copy(tmp_path / "repository", records=False)


def test_results_that_fit_are_used(foreign):
    assert foreign.planned() == set()


def test_results_of_other_settings_are_refused(foreign):
    foreign.edit(STUDY, "steps_per_round: 3", "steps_per_round: 5")
    text = foreign.snakemake("-n", fail=True)
    assert "results/tiny/metamers/net/relu0/000.h5" in text
    assert "other settings (synthesis.steps_per_round)" in text
    assert "metamers stale --remove" in text
    assert "models/net/weights" not in text


def test_results_of_other_code_are_refused(foreign):
    foreign.add_code("workflow/metamers/figures/claims.py")
    text = foreign.snakemake("-n", fail=True)
    assert "results/tiny/figures/claims_vision.svg: was made by other code" in text
    assert "results/tiny/figures/scores.svg" not in text


def test_a_file_that_was_replaced_is_refused(foreign):
    path = foreign.folder / "results" / "tiny" / "robustness" / "net.csv"
    path.write_text(path.read_text().replace("net", "net ", 1))
    text = foreign.snakemake("-n", fail=True)
    assert "robustness/net.csv: is not the file that" in text


def test_a_file_without_provenance_is_refused(foreign):
    provenance = foreign.folder / "results" / "tiny" / "provenance"
    (provenance / "screening" / "net.csv.json").unlink()
    text = foreign.snakemake("-n", fail=True)
    assert "screening/net.csv: does not say how it was made" in text


def test_removing_what_is_stale(foreign):
    foreign.add_code("workflow/metamers/figures/scores.py")
    program = (
        "import sys; sys.path.insert(0, 'workflow')\n"
        "from metamers.plan import Plan\n"
        "from metamers.stale import remove_stale\n"
        f"print(*remove_stale(Plan('{STUDY}')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=foreign.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    kinds = ("svg", "pdf", "png", "csv")
    stem = "results/tiny/figures/scores"
    assert sorted(done.stdout.split()) == sorted(f"{stem}.{kind}" for kind in kinds)
    assert foreign.planned() == {"Drawing scores", "Writing the report"}
