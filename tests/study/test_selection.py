"""Leaving in the models of some figures or groups, and no others."""

from __future__ import annotations

import pytest

from metamers.errors import StudyError
from metamers.plan import Plan
from metamers.study.reading import load_study


def test_models_of_a_figure_in_the_order_of_the_study():
    whole, part = load_study("paper"), load_study("paper", only="figure_4")
    wanted = [m for m, entry in whole.models.items() if "figure_4" in entry.figures]
    assert list(part.models) == wanted
    assert part.modalities == ["vision"]
    assert whole.modalities == ["vision", "audio"]


def test_figures_groups_and_models_together():
    part = load_study("paper", only="self_supervised, cornet_s,extended_4")
    names = set(part.models)
    assert {"cornet_s", "resnet50_byol", "hmax_standard", "spectemp_filters"} <= names
    assert "resnet50" not in names
    assert load_study("paper", only=["cornet_s"]).models.keys() == {"cornet_s"}


def test_controls_go_with_their_model():
    assert load_study("paper", only="figure_4").controls.vision is not None
    assert load_study("paper", only="cornet_s").controls.vision is None


def test_what_is_left_is_planned_as_in_the_whole():
    whole, part = Plan("paper"), Plan("paper", "figure_4")
    assert part.results == whole.results
    for rule, wildcards in part.jobs():
        model = wildcards.get("model")
        if model and rule in ("train_model", "sample_null", "synthesize_metamers"):
            mine = part.settings_of(rule, wildcards)
            assert mine == whole.settings_of(rule, wildcards), (rule, wildcards)
        if rule == "judge_metamers":
            mine = part.settings_of(rule, wildcards)
            assert mine == whole.settings_of(rule, wildcards), wildcards


@pytest.mark.parametrize("only", ["figure_44", "figure_4,alexnett"])
def test_unknown_name_is_refused_with_the_nearest(only):
    with pytest.raises(StudyError, match="did you mean"):
        load_study("paper", only=only)


@pytest.mark.parametrize("only", [4, {"figure": 4}, "figure_4,,alexnet", [1]])
def test_only_must_be_names(only):
    with pytest.raises(StudyError, match=r"only: .* is no name"):
        load_study("paper", only=only)
