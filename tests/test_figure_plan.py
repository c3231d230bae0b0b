"""The figures of a study and their pages."""

from __future__ import annotations

import pytest

from metamers.outputs import MODALITY_FIGURES, MOST_ON_A_PAGE
from metamers.plan import Plan


@pytest.fixture(scope="module")
def demo():
    return Plan("demo")


@pytest.fixture(scope="module")
def paper():
    return Plan("paper")


@pytest.mark.parametrize("figure", MODALITY_FIGURES)
def test_a_small_study_has_one_page_under_the_plain_name(demo, figure):
    assert demo.figures.pages(figure, "vision") == {"": demo.study.models_of("vision")}
    assert f"{figure}_vision" in demo.figures.names
    assert not [name for name in demo.figures.names if name.endswith("_2")]


@pytest.mark.parametrize("modality", ["vision", "audio"])
@pytest.mark.parametrize("figure", MOST_ON_A_PAGE)
def test_pages_hold_every_model_once_and_are_about_equally_full(
    paper, figure, modality
):
    pages = paper.figures.pages(figure, modality)
    models = [model for page in pages.values() for model in page]
    assert models == paper.study.models_of(modality)
    sizes = [len(page) for page in pages.values()]
    assert max(sizes) <= MOST_ON_A_PAGE[figure]
    assert len(set(sizes[:-1])) <= 1 and 1 <= sizes[-1] <= sizes[0]


def test_names_of_pages(paper):
    # 34 models, 8 on a page at most.
    found = paper.figures.pages("examples", "vision")
    assert list(found) == ["", "_2", "_3", "_4", "_5"]
    assert [len(page) for page in found.values()] == [7, 7, 7, 7, 6]
    assert {"examples_vision", "examples_vision_5"} <= set(paper.figures.names)


def test_a_page_reads_its_own_models_only(paper):
    wildcards = {"modality": "audio", "page": "_2"}
    shown = paper.figures.pages("examples", "audio")["_2"]
    settings = paper.settings_of("plot_examples", wildcards)
    assert list(settings["models"]) == shown
    files = paper.figures.metamers("plot_examples")(wildcards)
    assert files == [f"results/paper/metamers/{model}.h5" for model in shown]
    tables = paper.figures.screening("plot_examples")(wildcards)
    assert tables == [f"results/paper/screening/{model}.csv" for model in shown]


def test_figures_without_data_are_left_out(demo):
    assert {"collapse", "controls", "scores"} <= set(demo.figures.names)
    without = demo.study.model_copy(update={"collapse": None})
    plan = Plan("demo")
    plan.study = without
    assert "collapse" not in plan.figures.names
    assert "controls" in plan.figures.names
