"""A study in miniature: valid, complete, and small."""

from __future__ import annotations

import csv

import pytest
import soundfile
import yaml
from PIL import Image

from metamers.errors import StudyError
from metamers.plan import Plan
from metamers.rehearsal import MINIATURE, rehearse, shared_stages
from metamers.study.reading import load_study, missing_data


@pytest.fixture(scope="module")
def miniature(tmp_path_factory):
    return rehearse("paper", tmp_path_factory.mktemp("rehearsal"))


def test_every_model_is_in_it_and_nothing_is_missing(miniature):
    small, paper = load_study(miniature), load_study("paper")
    assert list(small.models) == list(paper.models)
    assert missing_data(small) == []
    for name, entry in small.models.items():
        assert entry.architecture == paper.models[name].architecture
        assert entry.weights is None
        assert set(entry.stages) <= set(paper.models[name].stages)


def test_models_of_one_architecture_have_all_its_stages_between_them(miniature):
    small, paper = load_study(miniature), load_study("paper")
    for network in ("torchvision:alexnet", "torchvision:resnet50"):
        wanted, kept = set(), set()
        for name, entry in paper.models.items():
            if entry.architecture == network:
                wanted |= set(entry.stages.values())
                kept |= set(small.models[name].stages.values())
        assert kept == wanted, network


def test_kinds_of_training_are_kept_and_only_their_size_changes(miniature):
    small, paper = load_study(miniature), load_study("paper")
    for name, entry in paper.models.items():
        mine, given = small.models[name].training, entry.training
        if given is None:
            continue
        assert mine.trainable == given.trainable
        assert (mine.stop_after is None) == (given.stop_after is None)
        if given.perturbation is None:
            assert mine.perturbation is None
        else:
            for field in ("kind", "norm", "epsilon", "domain"):
                ours, theirs = mine.perturbation, given.perturbation
                assert getattr(ours, field) == getattr(theirs, field), name
    assert small.models["word_network_2019_untrained"].training is None


def test_jobs_of_a_rehearsal_can_be_counted_on(miniature):
    plan, counted = Plan(miniature), {}
    for rule, _ in plan.jobs():
        counted[rule] = counted.get(rule, 0) + 1
    kept = sum(len(plan.stages(model)) for model in plan.models)
    assert counted["synthesize_metamers"] == kept < 100
    assert counted["judge_metamers"] == counted["train_model"] == len(plan.models)


def test_data_are_what_the_sources_expect(miniature):
    data = miniature.parent / "data"
    small = yaml.safe_load(MINIATURE.read_text())
    folders = sorted((data / "imagenet/train").iterdir())
    assert len(folders) == len(small["images"]["categories"])
    with Image.open(next(folders[0].iterdir())) as image:
        assert image.mode == "RGB"
        assert min(image.size) >= small["vision"]["size"]
    with open(data / "clips.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["source"] for row in rows} == {"made"}
    sound, rate = soundfile.read(data / rows[0]["path"])
    assert rate == small["audio"]["sample_rate"]
    assert len(sound) / rate >= small["audio"]["duration"]


def test_stages_are_shared_in_turn():
    stages = {"a": "x", "b": "y", "c": "z"}
    models = {
        f"m{i}": {"architecture": "net", "stages": stages, "seed": i} for i in range(4)
    }
    models |= {f"two{i}": {"architecture": "few", "stages": stages} for i in range(2)}
    models["alone"] = {"architecture": "other", "stages": stages}
    found = shared_stages(models, of_one=2)
    assert [found[f"m{i}"] for i in range(4)] == [["a"], ["b"], ["c"], ["a"]]
    assert [found[f"two{i}"] for i in range(2)] == [["a"], ["c"]]
    assert found["alone"] == ["a", "c"]


def test_a_study_with_other_sources_cannot_be_rehearsed(tmp_path):
    with pytest.raises(StudyError, match="'mnist' cannot be rehearsed"):
        rehearse("demo", tmp_path)


def test_an_architecture_without_small_arguments_is_named(tmp_path):
    small = yaml.safe_load(MINIATURE.read_text())
    del small["arguments"]["metamers:HMAX"]
    path = tmp_path / "miniature.yaml"
    path.write_text(yaml.safe_dump(small))
    with pytest.raises(StudyError, match=r"hmax_standard.*metamers:HMAX has no small"):
        rehearse("paper", tmp_path, path)
