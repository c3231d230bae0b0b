"""The command ``metamers`` and metamers without a workflow."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from torch import nn

from metamers.command_line import main
from metamers.errors import StudyError
from metamers.network_check import check_networks
from metamers.quick import make_metamer
from metamers.study import load_study
from metamers.study.reading import ROOT


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "cat.png"
    values = np.random.default_rng(0).integers(0, 255, (80, 100, 3), dtype=np.uint8)
    Image.fromarray(values).save(path)
    return path


def test_stages_are_lines_of_a_study_file(capsys, tmp_path):
    output = tmp_path / "stages.yaml"
    words = ["stages", "torchvision:resnet18", "--input", "3,32,32"]
    main([*words, "--argument", "num_classes=10", "--output", str(output)])
    printed = capsys.readouterr().out
    stages = yaml.safe_load(printed)["stages"]
    assert yaml.safe_load(output.read_text())["stages"] == stages
    assert {"layer1", "layer4", "fc"} <= set(stages.values())
    assert "straight_through" in printed


def test_stages_of_a_model_of_the_study(capsys):
    main(["stages", "alexnet_standard"])
    stages = yaml.safe_load(capsys.readouterr().out)["stages"]
    assert "final" in stages.values()


def test_try_makes_a_picture_of_both(capsys, tmp_path, picture):
    output = tmp_path / "pair.png"
    words = ["try", "--model", "torchvision:squeezenet1_1", "--stage", "features.1"]
    words += ["--image", str(picture), "--size", "40", "--steps", "2"]
    main([*words, "--output", str(output)])
    with Image.open(output) as image:
        assert image.size == (80, 40)
    printed = capsys.readouterr().out
    assert "straight_through gradient" in printed
    assert "random weights" in printed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "torchvision:alexnett"], "alexnet"),
        (["--model", "alexnet"], "form"),
        (["--stage", "features.l"], "did you mean 'features."),
        (["--image", "no-such.png"], "no-such.png"),
        (["--argument", "num_classes"], "name=value"),
    ],
)
def test_wrong_words_are_one_message(capsys, picture, words, message):
    right = ["try", "--model", "torchvision:squeezenet1_1", "--stage", "features.1"]
    with pytest.raises(SystemExit) as stopped:
        main([*right, "--image", str(picture), "--size", "40", *words])
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_check_accepts_the_studies_that_come_along(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    main(["check", "smoke"])
    assert "nothing wrong" in capsys.readouterr().out


def changed_study(tmp_path, change):
    study = yaml.safe_load((ROOT / "config/studies/smoke.yaml").read_text())
    change(study["models"])
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(study, sort_keys=False))
    return load_study(path)


@pytest.mark.parametrize(
    ("model", "field", "value", "words"),
    [
        ("alexnet_second_seed", "stages", {"relu0": "rellu0"}, ["relu0"]),
        ("alexnet_standard", "architecture", "metamers:SmalAlexNet", ["SmallAlexNet"]),
        ("alexnet_standard", "arguments", {"classes": 7}, ["7", "10 categories"]),
        ("alexnet_standard", "arguments", {"clases": 10}, ["clases"]),
        ("cochcnn_words", "preprocessing", {}, ["cochcnn_words"]),
    ],
)
def test_network_that_cannot_be_used_is_refused(tmp_path, model, field, value, words):
    study = changed_study(tmp_path, lambda models: models[model].update({field: value}))
    with pytest.raises(StudyError) as raised:
        check_networks(study, tmp_path / "checked.json")
    for word in [f"models.{model}", *words]:
        assert word in str(raised.value)


def test_checked_networks_are_not_checked_again(tmp_path, monkeypatch):
    study, cache = load_study("smoke"), tmp_path / "checked.json"
    check_networks(study, cache)
    monkeypatch.setattr("metamers.network_check._ask", None)
    check_networks(study, cache)


class Toy(nn.Module):
    """Two convolutions, the second after a ReLU."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.first = nn.Conv2d(3, 24, 3)
            self.relu = nn.ReLU(inplace=True)
            self.head = nn.Linear(24, 5)

    def forward(self, x):
        return self.head(self.relu(self.first(x)).mean((2, 3)))


def test_three_lines_give_a_metamer_that_matches():
    image = np.random.default_rng(1).random((3, 12, 12), dtype=np.float32)
    result = make_metamer(Toy(), "relu", image, steps_per_round=60)
    assert result.gradient == "straight_through"
    assert result.loss[-1] < result.loss[0] / 20
    assert result.spearman > 0.95
    assert result.metamer.shape == image.shape
    assert 0 <= result.metamer.min() <= result.metamer.max() <= 1


def test_metamer_of_an_early_stage_is_not_the_image_itself():
    image = np.random.default_rng(1).random((3, 12, 12), dtype=np.float32)
    result = make_metamer(Toy(), "head", image, steps_per_round=60)
    assert result.response == result.natural_response
    assert np.abs(result.metamer - image).mean() > 0.05
