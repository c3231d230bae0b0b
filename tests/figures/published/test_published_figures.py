"""Figures of the published study: gaps where data are missing, and the catalogue."""

from __future__ import annotations

import importlib
import inspect

import pandas as pd
import pytest

from metamers.figures.published.catalogue import FIGURES, NOT_DRAWN, OF_STUDY, TABLES
from metamers.figures.published.looks import Looks
from metamers.figures.published.panels import COMPARED, PANELS, holds
from metamers.recognition.tables import RECOGNITION_COLUMNS
from metamers.statistics.published.adversarial import adversarial_table
from metamers.statistics.published.correlations import COLUMNS, POINT_COLUMNS
from metamers.statistics.published.cortex import BEST_COLUMNS
from metamers.statistics.published.recognition import COLUMNS as BY_STAGE


@pytest.fixture
def resources(root):
    return root / "resources" / "published"


@pytest.fixture
def empty(resources):
    """Return the tables of a study whose downloads are all missing."""
    read = {name: pd.read_csv(resources / f"{name}.csv") for name in ("plot_models",)}
    transfer = ["modality", "generator", "evaluator", "stage", "stage_index", "n"]
    return {
        "people": pd.DataFrame(columns=list(RECOGNITION_COLUMNS)),
        "transfer": pd.DataFrame(columns=[*transfer, "proportion_correct", "sem"]),
        "recognition": pd.DataFrame(columns=BY_STAGE),
        "correlations": pd.DataFrame(columns=COLUMNS),
        "brain_scores": pd.DataFrame(columns=POINT_COLUMNS),
        "best_stages": pd.DataFrame(columns=BEST_COLUMNS),
        "adversarial": adversarial_table(
            pd.read_csv(resources / "adversarial_evaluations.csv"),
            pd.read_csv(resources / "figure_curves.csv"),
        ),
        "models": read["plot_models"],
        "curves": pd.read_csv(resources / "figure_curves.csv"),
        "poster": pd.read_csv(resources / "poster_recognition.csv"),
    }


def draw(name, tables):
    entry = FIGURES[name]
    module = importlib.import_module(f"metamers.figures.published.{entry.module}")
    wanted = {table: tables[table] for table in (*entry.tables, "models")}
    return getattr(module, entry.function)(wanted, name)


def texts(figure):
    found = [text.get_text() for axes in figure.axes for text in axes.texts]
    return " ".join(" ".join(found).split())


@pytest.mark.parametrize("name", FIGURES)
def test_missing_data_give_a_labelled_gap_and_no_crash(name, empty):
    figure, table = draw(name, empty)
    reads = set(FIGURES[name].tables)
    if reads & {"people", "transfer", "recognition", "brain_scores"}:
        assert "not here" in texts(figure)
    if reads & {"curves", "poster", "adversarial"}:
        assert len(table)


def test_the_catalogue_names_what_exists():
    assert all(set(entry.tables) <= set(TABLES) for entry in FIGURES.values())
    for name, entry in FIGURES.items():
        module = importlib.import_module(f"metamers.figures.published.{entry.module}")
        parameters = inspect.signature(getattr(module, entry.function)).parameters
        wanted = (
            ["tables", "name", "source"] if name in OF_STUDY else ["tables", "name"]
        )
        assert list(parameters) == wanted
        assert len(entry.caption) > 60
    assert all(reason.endswith(".") for reason in NOT_DRAWN.values())


def test_every_experiment_of_people_is_drawn(resources):
    experiments = pd.read_csv(resources / "experiments.csv")
    published = {
        (row["modality"], row["repo_experiment"], row["model"])
        for row in experiments.to_dict("records")
    }
    drawn = {
        (panel.modality, panel.experiment, model)
        for panels in PANELS.values()
        for panel in panels
        for model in panel.models
    }
    # Experiment 9 is in figure 6.
    assert published - drawn == {
        row for row in published if row[0] == "vision" and row[1] == 9
    }
    assert drawn <= published


def test_figures_of_all_networks_hold_those_that_the_paper_compares(resources):
    models = pd.read_csv(resources / "plot_models.csv")
    for figure, modality in (("figure_8e", "vision"), ("figure_s3_audio", "audio")):
        held = [
            row["model"]
            for row in models.to_dict("records")
            if holds(figure, row["modality"], row["model"])
        ]
        assert len(held) == COMPARED[modality]
    assert holds("figure_8b", "vision", "resnet50_byol")
    assert not holds("figure_8b", "vision", "alexnet")
    assert holds("figure_ed4_hmax", "vision", "hmax_standard")
    assert not holds("figure_poster_3", "vision", "vgg_19")


def test_models_look_as_published(resources):
    models = pd.read_csv(resources / "plot_models.csv")
    looks = Looks(models)
    assert looks.look("cornet_s")["color"] == "#006ddb"
    assert looks.look("resnet50_l2_3_robust")["marker"] == "v"
    assert looks.order("vision")[:2] == ["cornet_s", "alexnet"]
    seen = [
        tuple(sorted((k, str(v)) for k, v in looks.look(m).items()))
        for m in models["model"]
    ]
    shown_apart = {"alexnet_early_checkpoint", "hmax_standard", "spectemp_filters"}
    for modality in ("vision", "audio"):
        rows = models[models["modality"] == modality].index
        kept = [seen[i] for i in rows if models["model"][i] not in shown_apart]
        assert len(kept) == len(set(kept)), "two models look alike"


def test_stages_are_those_of_each_panel(resources):
    experiments = pd.read_csv(resources / "experiments.csv")
    stages = {
        (row["modality"], row["repo_experiment"], row["model"]): row["stages"]
        for row in experiments.to_dict("records")
    }
    for panels in PANELS.values():
        for panel in panels:
            listed = {stages[panel.modality, panel.experiment, m] for m in panel.models}
            assert len(listed) == 1, "models of a panel must share their stages"
