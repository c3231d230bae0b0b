"""The paper's figures with a study's networks and the published people."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from metamers.figures.published.catalogue import OF_STUDY, STUDY_TABLES, table_names
from metamers.figures.published.drawing import draw
from metamers.figures.published.panels import CLASSICAL, PANELS, holds
from metamers.figures.published.source import of_study
from metamers.figures.style import save_figure
from metamers.files import write_csv, write_parquet
from metamers.recognition.published.people import (
    published_participants,
    read_published_folder,
)
from metamers.recognition.tables import recognition_table
from metamers.statistics.paper import OWN_EXPERIMENT, paper_tables

INPUT = "input_after_preproc"


@pytest.fixture(scope="module")
def resources(root):
    return root / "resources" / "published"


@pytest.fixture(scope="module")
def originals(shared):
    return read_published_folder(shared / "published" / "originals")


@pytest.fixture(scope="module")
def people(originals):
    return published_participants(originals)


@pytest.fixture(scope="module")
def models(resources):
    """Return a study that has every published model, under another name."""
    stages = pd.read_csv(resources / "model_stages.csv")
    found = {}
    for (modality, model), rows in stages.groupby(["modality", "model"], sort=False):
        names = rows["stage"].tolist()
        found[f"my_{model}"] = {
            "modality": modality,
            "task": "objects" if modality == "vision" else "words",
            "trained": True,
            "siblings": [],
            "published": model,
            "stages": [n for n in names if modality == "audio" or n != INPUT],
        }
    return found


def study_recognition(models):
    generator = np.random.default_rng(2)
    rows = []
    for name, facts in models.items():
        for other, rest in models.items():
            if rest["modality"] != facts["modality"]:
                continue
            for index, stage in enumerate(["natural", *facts["stages"]]):
                depth = 0 if name == other else index / len(facts["stages"])
                n = 400 - index
                correct = generator.binomial(n, 0.93 - 0.8 * depth)
                key = (facts["modality"], "mock", other, other, "network", name)
                rows.append((*key, stage, index, n, correct / n))
    columns = ["modality", "experiment", "participant", "observer", "observer_kind"]
    columns += ["generator", "stage", "stage_index", "n", "proportion_correct"]
    return recognition_table(pd.DataFrame(rows, columns=columns))


def study_robustness(models):
    attacked = [
        name
        for name, facts in models.items()
        if holds("figure_6d-h", facts["modality"], facts["published"])
    ]
    rows = [
        (name, "vision", "l2", epsilon, 64, 1024, 0.8 / (1 + epsilon) - place / 16)
        for place, name in enumerate(attacked)
        for epsilon in (0.0, 0.1, 1.0)
    ]
    columns = ["model", "modality", "norm", "epsilon", "steps", "n", "accuracy"]
    return pd.DataFrame(rows, columns=columns)


class Study:
    """A study's tables on disk, and its figures."""

    def __init__(self, folder, resources, people, models):
        self.folder, self.resources = folder, resources
        self.tables = paper_tables(
            study_recognition(models),
            study_robustness(models),
            people,
            pd.read_csv(resources / "model_stages.csv"),
            models,
            study="mock",
            classical=CLASSICAL,
        )
        (folder / "statistics" / "paper").mkdir(parents=True)
        for name, table in self.tables.items():
            path = folder / STUDY_TABLES[name]
            (write_parquet if path.suffix == ".parquet" else write_csv)(table, path)

    def draw(self, name):
        """Return a figure and the csv beside it."""
        names = table_names(name, of_study=True)[:-1]
        paths = [self.folder / STUDY_TABLES[one] for one in names]
        source = of_study({"vision": 1 / 16, "audio": 1 / 100})
        paths.append(self.resources / "plot_models.csv")
        figure, table = draw(name, paths, source)
        save_figure(figure, table, self.folder / name)
        path = self.folder / f"{name}.csv"
        return figure, pd.read_csv(path)


@pytest.fixture(scope="module")
def study(tmp_path_factory, resources, people, models):
    return Study(tmp_path_factory.mktemp("all"), resources, people, models)


@pytest.fixture(scope="module")
def small(tmp_path_factory, resources, people, models):
    """Return a study of few models: most panels have none."""
    kept = ("resnet50", "resnet50_byol", "vgg_19", "alexnet_early_checkpoint")
    kept += ("cochresnet50_l2_p5_robust_waveform", "kell2018")
    few = {name: m for name, m in models.items() if m["published"] in kept}
    return Study(tmp_path_factory.mktemp("few"), resources, people, few)


def words(figure):
    found = [text.get_text() for text in figure.texts]
    for axes in figure.axes:
        found += [text.get_text() for text in axes.texts]
        found += [axes.get_title(loc="right")]
    for legend in figure.legends:
        found += [text.get_text() for text in legend.get_texts()]
    return " | ".join(" ".join(text.split()) for text in found)


@pytest.mark.parametrize("name", OF_STUDY)
def test_every_figure_draws_and_overlaps_no_edge(name, study):
    figure, _ = study.draw(name)
    figure.canvas.draw()
    everything = figure.get_tightbbox(figure.canvas.get_renderer())
    width, height = figure.get_size_inches()
    assert everything.x0 >= 0 and everything.y0 >= 0
    assert everything.x1 <= width and everything.y1 <= height


@pytest.mark.parametrize("name", PANELS)
def test_networks_are_the_study_s_and_people_the_published(name, study, originals):
    _, table = study.draw(name)
    networks = table[table["observer_kind"] == "network"]
    assert set(networks["experiment"]) == {OWN_EXPERIMENT}
    own = study.tables["people"].set_index(["observer", "stage"])
    for row in networks.to_dict("records"):
        given = own.loc[(row["observer"], row["stage"])]
        assert row["observer"] == f"my_{row['model']}"
        assert row["mean"] == given["proportion_correct"]
        assert row["n"] == given["n"]
        share = row["mean"]
        assert row["sem"] == pytest.approx(np.sqrt(share * (1 - share) / row["n"]))
    published = {(p.modality, p.repo_experiment, p.model): p for p in originals}
    humans = table[table["observer_kind"] == "human"]
    keys = ["modality", "experiment", "model"]
    panels = {
        (panel.modality, f"published_{panel.experiment}", model)
        for panel in PANELS[name]
        for model in panel.models
    }
    assert {key for key, _ in humans.groupby(keys)} == panels
    for (modality, experiment, model), rows in humans.groupby(keys):
        number = int(experiment.removeprefix("published_"))
        values = published[modality, number, model].proportion_correct[:, :, 0]
        rows = rows.sort_values("stage_index")
        # A mean depends on the order of summation in its last digit.
        np.testing.assert_allclose(rows["mean"], values.mean(axis=0), rtol=1e-14)
        error = values.std(axis=0) / np.sqrt(len(values))
        np.testing.assert_allclose(rows["sem"], error, rtol=1e-10)
        assert set(rows["n"]) == {len(values)}


def test_other_networks_are_those_of_the_study(study):
    transfer = study.tables["transfer"].set_index(["generator", "evaluator", "stage"])
    _, pairs = study.draw("figure_s3_audio")
    assert set(pairs["generator"]) == set(pairs["evaluator"])
    assert pairs["generator"].nunique() == 17
    index = pd.MultiIndex.from_frame(pairs[["generator", "evaluator", "stage"]])
    expected = transfer.loc[index, "proportion_correct"].tolist()
    assert pairs["proportion_correct"].tolist() == expected
    _, group = study.draw("figure_8d")
    row = group[(group["group"] == "standard") & (group["stage"] == "final")]
    line = transfer.xs("cochresnet50").xs("final", level="stage")
    others = line.drop("cochresnet50")["proportion_correct"]
    assert row["mean"].item() == pytest.approx(others.mean(), abs=1e-12)
    assert row["chance"].item() == 1 / 100


def test_people_and_networks_of_the_scatter(study, people):
    figure, table = study.draw("figure_8e")
    # As many stages and models as the printed figure has.
    assert (len(table), table["model"].nunique()) == (219, 29)
    row = table[(table["model"] == "resnet50") & (table["stage"] == "avgpool")]
    seen = people[
        (people["generator"] == "resnet50")
        & (people["stage"] == "avgpool")
        & (people["observer_kind"] == "human")
    ]
    mean = seen["proportion_correct"].mean()
    assert row["people"].item() == pytest.approx(mean, rel=1e-14)
    rho = study.tables["correlations"].set_index(["quantity", "statistic"])["value"]
    rho = rho["human vs other networks, visual (29 models, 219 stages)", "rho"]
    assert f"Spearman's ρ = {rho:.3f}" in " ".join(t.get_text() for t in figure.texts)
    assert "29 of the paper's 29 networks" in words(figure)


def test_attacks_are_those_of_the_study(study, small):
    figure, table = study.draw("figure_6d-h")
    attacks = table[table["panel"].isin(["d", "e", "f"])]
    assert set(attacks["norm"]) == {"l2"}
    assert set(attacks["origin"]) == {OWN_EXPERIMENT}
    assert sorted(set(attacks["eps"])) == [0.1, 1.0]
    given = study.tables["adversarial"]["accuracy"]
    assert sorted(attacks["accuracy"]) == sorted(given)
    assert "no L1 attack in this study" in words(figure)
    assert "no L∞ attack in this study" in words(figure)
    assert "on 1,024 attacked images" in words(figure)
    assert set(table.loc[table["panel"] == "h", "model"]) == set(attacks["model"])
    figure, table = small.draw("figure_6d-h")
    assert set(table["model"]) == {"alexnet_early_checkpoint"}
    assert "VOneAlexNet: not in this study" in words(figure)


def test_models_that_are_not_in_the_study_are_labelled_gaps(small):
    figure, table = small.draw("figure_2c")
    assert set(table["model"]) == {"resnet50", "vgg_19"}
    assert words(figure).count("not in this study") == 3
    figure, table = small.draw("figure_3c")
    assert set(table["model"]) == {"resnet50", "resnet50_byol"}
    assert "n = 21; gray: not in this study" in words(figure)
    legend = figure.legends[0]
    colors = {text.get_text(): text.get_color() for text in legend.get_texts()}
    assert colors["SimCLR"] == colors["MoCo v2"] != colors["BYOL"] == "black"
    figure, _ = small.draw("figure_8b")
    assert "self-supervised (1 of 3 networks)" in words(figure)
    assert "adversarial: not in this study" in words(figure)
    figure, _ = small.draw("figure_s3_vision")
    assert "Of the paper's 29 networks, not in this study: CORnet-S;" in words(figure)
    figure, _ = small.draw("figure_8f")
    assert "2 of the paper's 17 networks; the others are not" in words(figure)


def test_figures_of_the_brain_are_gaps(study):
    figure, table = study.draw("figure_7b")
    assert table.empty
    assert words(figure).count("no Brain-Scores of this study's networks") == 4
    figure, table = study.draw("figure_7d")
    assert table.empty
    assert words(figure).count("no regressions of this study's networks") == 5


def test_networks_are_drawn_without_the_published_people(
    tmp_path, resources, people, models
):
    few = {"my_resnet50": models["my_resnet50"]}
    study = Study(tmp_path, resources, people[:0], few)
    figure, table = study.draw("figure_2c")
    assert set(table["observer_kind"]) == {"network"}
    assert "people: not here" in words(figure)
    for name in ("figure_8b", "figure_8e"):
        figure, table = study.draw(name)
        assert table.empty
        assert "no answers of networks of this study" in words(figure)


def test_a_network_without_own_answers_is_marked(tmp_path, resources, people, models):
    names = ["my_resnet50", "my_resnet50_byol"]
    few = {name: models[name] for name in names}
    few["my_resnet50_byol"] = few["my_resnet50_byol"] | {"stages": ["other"]}
    study = Study(tmp_path, resources, people, few)
    figure, table = study.draw("figure_3c")
    kinds = table.groupby("model")["observer_kind"].unique()
    assert set(kinds["resnet50"]) == {"human", "network"}
    assert set(kinds["resnet50_byol"]) == {"human"}
    assert "BYOL †" in words(figure)
    assert "†: no own answers" in words(figure)


def test_a_stage_where_nothing_passed_is_a_gap_in_the_line(study, resources, tmp_path):
    people = study.tables["people"].copy()
    lost = (people["generator"] == "vgg_19") & (people["stage"] == "avgpool")
    lost &= people["observer_kind"] == "network"
    people.loc[lost, ["n", "proportion_correct"]] = [0, np.nan]
    write_parquet(people, tmp_path / "people.parquet")
    paths = [tmp_path / "people.parquet", resources / "plot_models.csv"]
    _, table = draw("figure_2c", paths, of_study({}))
    row = table[(table["model"] == "vgg_19") & (table["stage"] == "avgpool")]
    row = row[row["observer_kind"] == "network"]
    assert row["n"].item() == 0
    assert row[["mean", "sem"]].isna().all(axis=None)
