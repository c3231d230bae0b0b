"""The paper's figures with a study's networks: only where they are asked for."""

from __future__ import annotations

import re

import pandas as pd
import pytest
import yaml

from metamers.outputs import FIGURE_KINDS
from metamers.plan import Plan

STUDY = "config/studies/tiny.yaml"
FIGURES = [
    *("figure_2c", "figure_2_audio", "figure_3_stylized", "figure_4", "figure_5"),
    *("figure_7b", "figure_7d", "figure_8e", "figure_8f"),
    *("figure_s3_vision", "figure_s3_audio"),
]
COMPARISON = "Laying the networks beside the published people"
PEOPLE = {
    "Fetching the published data: people",
    "Reading the published answers of people",
}


def drawing(figures):
    return {
        f"Drawing {name} of the paper with the study's networks" for name in figures
    }


def jobs(text):
    return set(re.findall(r"^Job \d+: (.+)$", text, flags=re.MULTILINE))


def ask(clone, study):
    """Set the study's field and return its path."""
    path = clone.folder / study
    content = yaml.safe_load(path.read_text())
    content.setdefault("statistics", {})["paper_figures"] = True
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return study


def test_the_demo_has_none_unless_they_are_asked_for():
    plan = Plan("demo")
    assert plan.paper.figures and not plan.paper.wanted
    rules = {rule for rule, _ in plan.jobs()}
    assert not rules & {"compare_with_paper", "plot_paper_figure"}


def test_a_study_that_asks_for_them_plans_them_in_all(clone, tmp_path):
    copied = clone.copy(tmp_path / "repository")
    smoke = "config/studies/smoke.yaml"
    before = jobs(copied.snakemake("-n", study=smoke))
    target = jobs(copied.snakemake("-n", "paper_figures", study=smoke))
    ask(copied, smoke)
    after = jobs(copied.snakemake("-n", study=smoke))
    assert after - before == PEOPLE | {COMPARISON} | drawing(FIGURES)
    assert before < after
    assert after - before < target, "the target draws them, asked for or not"


def test_settings_hold_what_the_jobs_read_and_no_more():
    plan = Plan("demo")
    found = plan.settings_of("compare_with_paper", {})
    assert list(found["models"]) == [
        name for name, entry in plan.study.models.items() if entry.published
    ]
    facts = {"modality", "task", "trained", "siblings", "published", "stages"}
    assert all(set(known) == facts for known in found["models"].values())
    drawn = plan.settings_of("plot_paper_figure", {"figure": "figure_4"})
    assert set(drawn) == {"figure", "title", "caption"}
    codes = {
        plan.code_of("plot_paper_figure", {"figure": name})
        for name in ("figure_2c", "figure_8b", "figure_8e")
    }
    assert len(codes) == 3, "each figure counts its own module"


@pytest.fixture(scope="module")
def mirror(shared):
    return shared / "published" / "originals"


def test_they_are_drawn_and_make_nothing_else_again(finished, mirror, tmp_path):
    copied = finished.copy(tmp_path / "repository")
    ask(copied, STUDY)
    new = PEOPLE | {COMPARISON} | drawing(FIGURES)
    assert copied.planned() == new | {"Writing the report"}
    settings = [f"study={STUDY}", f"published_mirror={mirror}"]
    copied.snakemake("--cores", "2", "--config", *settings, study=None)
    folder = copied.folder / "results" / "tiny"
    for name in FIGURES:
        for kind in FIGURE_KINDS:
            assert (folder / "figures" / "paper" / f"{name}.{kind}").stat().st_size
    table = pd.read_csv(folder / "figures" / "paper" / "figure_2c.csv")
    own = table[(table["observer_kind"] == "network") & (table["stage"] == "final")]
    assert own["observer"].tolist() == ["net"]
    recognition = pd.read_parquet(folder / "recognition.parquet")
    row = recognition[
        (recognition["experiment"] == "tiny")
        & (recognition["generator"] == "net")
        & (recognition["observer"] == "net")
        & (recognition["stage"] == "final")
    ]
    assert own["n"].item() == row["n"].item()
    values = [own["mean"].item(), row["proportion_correct"].item()]
    assert values[0] == values[1] or pd.isna(values).all()
    assert "figure 2c" in (folder / "report.html").read_text()
    assert copied.planned() == set()
    copied.add_code("workflow/metamers/figures/published/scatters.py")
    redrawn = ["figure_7b", "figure_7d", "figure_8e", "figure_8f"]
    assert copied.planned() == drawing(redrawn) | {"Writing the report"}
