"""The published study from its public data, through the real workflow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from metamers.figures.published.catalogue import FIGURES
from metamers.outputs import FIGURE_KINDS

pytestmark = pytest.mark.xdist_group("published")
# Numbers of the reference that come out; a number more is as much a change as one less.
MATCHES = 3138
NOT_PUBLIC = 63


def snakemake(root: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "snakemake", "-s", str(root / "Snakefile")]
    command += ["--directory", str(folder), "--cores", "2", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="module")
def mirror(shared):
    return shared / "published" / "originals"


@pytest.fixture(scope="module")
def folder(root, mirror, tmp_path_factory):
    """Run the published study once, in a folder of its own."""
    folder = tmp_path_factory.mktemp("published")
    setting = f"published_mirror={mirror}"
    done = snakemake(root, folder, "published", "--config", setting)
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


@pytest.fixture(scope="module")
def statistics(folder):
    return folder / "results" / "published" / "statistics"


def test_every_number_that_public_data_allow_comes_out(statistics):
    table = pd.read_csv(statistics / "reproduction.csv")
    wrong = table[table["verdict"] == "mismatch"]
    assert wrong.empty, wrong.to_string()
    assert table["verdict"].value_counts().to_dict() == {
        "match": MATCHES,
        "not reproducible": NOT_PUBLIC,
    }
    assert table["reason"].notna().all()


def test_all_93_tables_are_there(root, statistics):
    anova = pd.read_csv(statistics / "anova.csv")
    keys = ["modality", "repo_experiment", "analysis", "label", "models"]
    wanted = pd.read_csv(root / "resources/published/comparisons.csv")
    assert len(wanted) == 93
    missing = wanted.merge(anova[keys].drop_duplicates(), how="left", indicator=True)
    assert (missing["_merge"] == "both").all()
    clip = anova[anova["label"] == "EXP12 - CLIP_ResNet50"].set_index("effect")
    assert clip.loc["network_or_human:layer", "DF"] == 6, "without its final stage"
    tested = anova[anova["permutation_p"].notna()]
    assert set(tested["n_permutations"]) == {10_000}
    assert tested["permutation_p"].between(1e-5, 1).all()


def test_shuffled_and_enumerated_p_agree(statistics):
    anova = pd.read_csv(statistics / "anova.csv").dropna(subset=["permutation_p_exact"])
    assert len(anova) > 30
    exact, drawn = anova["permutation_p_exact"], anova["permutation_p"]
    error = 4 * np.sqrt(exact * (1 - exact) / 10_000) + 2e-4
    assert ((exact - drawn).abs() <= error).all()


def test_values_that_must_appear(statistics):
    table = pd.read_csv(statistics / "correlations.csv")
    values = table.set_index(["quantity", "statistic"])["value"]
    vision = "human vs other networks, visual (20 models, 148 stages)"
    assert values[vision, "R2"] == pytest.approx(0.860, abs=5e-4)
    assert values[vision, "rho"] == pytest.approx(0.919, abs=1e-3)
    assert values[vision, "tau"] == pytest.approx(0.747, abs=1e-3)
    for quantity in (vision, "human vs other networks, audio (17 models, 144 stages)"):
        assert -0.9 < values[quantity, "rho_depth_only"] < -0.7
        assert 0 < values[quantity, "rho_given_depth"] < values[quantity, "rho"]
    areas = table[table["figure"] == "7b"]["quantity"].str.split().str[1]
    assert set(areas) == {"V1", "V2", "V4", "IT"}
    tests = table[table["figure"] == "preprint 8"]
    assert tests["quantity"].nunique() == 50


def test_best_stages_and_cortex_are_those_of_the_regressions(statistics):
    best = pd.read_csv(statistics / "best_stages.csv").set_index(["model", "roi"])
    row = best.loc[("kell2018", "all_aud_voxels")]
    assert row["score"] == pytest.approx(0.746, abs=5e-4)
    assert row["best_stage"] == "relu2_fakerelu"
    assert row["people"] == pytest.approx(0.643, abs=5e-4)
    row = best.loc[("cochresnet50_l2_p5_robust_cochleagram", "all_aud_voxels")]
    assert row["score"] == pytest.approx(0.728, abs=5e-4)
    assert row["people"] == pytest.approx(0.854, abs=5e-4)
    voxels = pd.read_csv(statistics / "voxels.csv")
    assert len(voxels) == 9 * 5 * 8
    assert voxels["difference"].abs().max() < 1e-12


def test_every_figure_is_there_with_its_numbers(folder):
    for name in FIGURES:
        for kind in FIGURE_KINDS:
            path = folder / f"results/published/figures/{name}.{kind}"
            assert path.stat().st_size > 200, path
        assert len(pd.read_csv(folder / f"results/published/figures/{name}.csv")) > 0


def test_plotted_means_are_the_published_ones(folder):
    table = pd.read_csv(folder / "results/published/figures/figure_4.csv")
    line = table[
        (table["model"] == "resnet50_l2_3_robust") & (table["observer_kind"] == "human")
    ].sort_values("stage_index")
    expected = [0.952, 0.940, 0.906, 0.959, 0.947, 0.880, 0.750, 0.644]
    np.testing.assert_allclose(line["mean"], expected, atol=5e-4)


def test_the_page_says_how_much_comes_out(folder):
    page = (folder / "results/published/report.html").read_text()
    assert f"{MATCHES} of {MATCHES + NOT_PUBLIC}" in page
    assert "Panels that are not drawn" in page
    assert "43 of regressions" in page


def test_a_second_run_plans_nothing(root, mirror, folder):
    setting = f"published_mirror={mirror}"
    done = snakemake(root, folder, "-n", "published", "--config", setting)
    assert "Nothing to be done" in done.stdout + done.stderr


def test_people_alone_give_most_and_the_rest_are_gaps(root, mirror, tmp_path):
    settings = ["published_parts=people", f"published_mirror={mirror}"]
    target = "results/published/statistics/reproduction_totals.csv"
    figures = [
        f"results/published/figures/{name}.png" for name in ("figure_7b", "figure_8e")
    ]
    done = snakemake(root, tmp_path, target, *figures, "--config", *settings)
    assert done.returncode == 0, done.stderr[-4000:]
    first = pd.read_csv(tmp_path / target).iloc[0]
    assert first["mismatch"] == 0
    assert first["match"] > 3000
    assert not list(tmp_path.rglob("*.pckl"))


def test_an_unknown_part_is_refused(root, tmp_path):
    setting = "published_parts=peple"
    done = snakemake(root, tmp_path, "-n", "published", "--config", setting)
    assert done.returncode != 0
    assert "'peple' is not a part of the public data" in done.stdout + done.stderr


def test_tables_of_people_are_those_of_statsmodels(root, folder, statistics):
    """AnovaRM covers the designs without groups: those of people alone."""
    from statsmodels.stats.anova import AnovaRM

    people = pd.read_parquet(folder / "results/published/recognition.parquet")
    people = people[people["observer_kind"] == "human"]
    anova = pd.read_csv(statistics / "anova.csv")
    within = {"compare_models": ["layer", "model_type"], "stage_main_effect": ["stage"]}
    tables = anova[anova["analysis"].isin(within)]
    keys = ["modality", "repo_experiment", "analysis", "label", "models"]
    compared = 0
    for key, table in tables.groupby(keys):
        modality, experiment, analysis, _, models = key
        rows = people[
            (people["modality"] == modality)
            & (people["experiment"] == f"published_{experiment}")
            & people["generator"].isin(models.split("|"))
        ].rename(columns={"stage_index": "layer", "generator": "model_type"})
        if analysis == "stage_main_effect":
            rows = rows[rows["layer"] < rows["layer"].max()]
            rows = rows.rename(columns={"layer": "stage", "stage": "name"})
        design = AnovaRM(
            rows, "proportion_correct", "participant", within=within[analysis]
        )
        ours = table.set_index("effect")
        for term, row in design.fit().anova_table.iterrows():
            mine = ours.loc[f"(Intercept):{term}"]
            assert mine["F"] == pytest.approx(row["F Value"], rel=1e-6), key
            assert mine["pValue"] == pytest.approx(row["Pr > F"], rel=1e-4), key
            compared += 1
    assert compared > 100
