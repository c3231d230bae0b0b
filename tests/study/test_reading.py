"""Studies that must be refused, each with a message a user can act on."""

from __future__ import annotations

import copy

import pytest
import yaml

from metamers.errors import StudyError
from metamers.study import load_study, slices
from metamers.study.reading import ROOT, drop_in_models

DELETE = object()


@pytest.fixture(scope="module")
def demo():
    return yaml.safe_load((ROOT / "config/studies/demo.yaml").read_text())


def write(tmp_path, content, name="study.yaml"):
    path = tmp_path / name
    path.write_text(
        content
        if isinstance(content, str)
        else yaml.safe_dump(content, sort_keys=False)
    )
    return path


def changed(demo, path, value):
    study = copy.deepcopy(demo)
    *parents, last = path.split(".")
    place = study
    for part in parents:
        place = place[part]
    if value is DELETE:
        del place[last]
    else:
        place[last] = value
    return study


BAD = [
    # path, value, words the message must hold
    ("sead", 1, ["unknown key 'sead'", "did you mean 'seed'"]),
    ("name", "Published", ["name: 'Published'", "published, showcase, weights"]),
    (
        "synthesis.vision.steps_per_rund",
        3,
        ["synthesis.vision", "'steps_per_rund'", "did you mean 'steps_per_round'"],
    ),
    (
        "models.alexnet_standard.stagess",
        {},
        ["models.alexnet_standard", "did you mean 'stages'"],
    ),
    (
        "models.alexnet_adversarial.training.perturbation.epsilonn",
        1.0,
        ["perturbation", "did you mean 'epsilon'"],
    ),
    (
        "models.alexnet_adversarial.training.perturbation.epsilon",
        -1.0,
        ["perturbation.epsilon", "-1.0", "greater than or equal to 0"],
    ),
    (
        "models.alexnet_adversarial.training.perturbation.norm",
        "l3",
        ["perturbation.norm", "'l3'", "'l2' or 'linf'"],
    ),
    (
        "models.alexnet_adversarial.training.perturbation.kind",
        "adversariel",
        ["did you mean 'adversarial'"],
    ),
    ("seed", -3, ["seed", "-3", "greater than or equal to 0"]),
    ("seed", "517", ["seed", "'517'", "integer"]),
    ("seed", DELETE, ["seed", "required"]),
    ("name", "my study", ["name", "'my study'"]),
    ("name", "../other", ["name", "'../other'"]),
    ("device", "gpu", ["device", "'gpu'", "'auto', 'cpu' or 'cuda'"]),
    ("stimuli.vision.source.kind", "minst", ["did you mean 'mnist'"]),
    ("stimuli.vision.channels", 2, ["stimuli.vision.channels", "2"]),
    ("stimuli.vision.size", 4, ["stimuli.vision.size", "4"]),
    ("stimuli.vision", DELETE, ["stimuli.vision", "missing"]),
    (
        "stimuli.vision.source",
        {"kind": "image_folder", "path": "no/such/folder"},
        ["stimuli.vision.source.path", "no/such/folder", "does not exist"],
    ),
    (
        "stimuli.audio.source.backgrounds",
        ["babble", "pink_nois"],
        ["backgrounds.1", "did you mean 'pink_noise'"],
    ),
    ("stimuli.audio.source.words", ["one"], ["words", "at least 2"]),
    ("stimuli.audio.snr", [0.0], ["stimuli.audio.snr", "at least 2"]),
    ("stimuli.audio.duration", 0.0, ["duration", "greater than 0"]),
    ("models.alexnet_standard.task", "digit", ["did you mean 'digits'"]),
    ("models.alexnet_standard.task", "words", ["modality", "'vision'", "audio"]),
    (
        "models.alexnet_standard.architecture",
        "SmallAlexNet",
        ["architecture", "'SmallAlexNet'"],
    ),
    ("models.alexnet_standard.stages", {}, ["stages", "at least 1"]),
    (
        "models.alexnet_standard.stages",
        {"natural": "relu0"},
        ["stages.natural", "reserved"],
    ),
    (
        "models.alexnet_standard.stages",
        {"a/b": "relu0"},
        ["letters, digits"],
    ),
    (
        "models.alexnet_standard.straight_through",
        {"relu9": False},
        ["straight_through.relu9", "no stage"],
    ),
    (
        "models.alexnet_standard.weights",
        {"path": "weights/none.safetensors"},
        ["weights.path", "none.safetensors", "does not exist"],
    ),
    (
        "models.alexnet_standard.weights",
        {"url": "https://example.org/w.pt"},
        ["weights", "sha256"],
    ),
    (
        "models.alexnet_standard.preprocessing",
        {"front_end": "cochleagram"},
        ["front_end", "auditory"],
    ),
    (
        "models.cochcnn_words.preprocessing.front_end",
        "cochleogram",
        ["did you mean 'cochleagram'"],
    ),
    ("models.ALEXNET_STANDARD", {"copy": True}, ["models.ALEXNET_STANDARD"]),
    ("models", {}, ["models", "at least 1"]),
    ("models", ["alexnet"], ["models", "dictionary"]),
    ("recipes.vision.learning_rate", "1e-3", ["learning_rate", "1.0e-4"]),
    ("recipes.vision.schedule", {"kind": "step"}, ["schedule", "every"]),
    ("screening", {"rule": "quantile"}, ["screening", "quantile"]),
    ("screening.rule", "max", ["screening.rule", "'max'"]),
    ("null_distribution.pairs", 5, ["null_distribution.pairs", "100"]),
    ("controls.vision.model", "alexnet", ["controls.vision.model", "alexnet_"]),
    ("controls.vision.stage", "fc1", ["controls.vision.stage", "'fc1'"]),
    (
        "transfer.blocks",
        {"one": ["alexnet_standard", "cochcnn_words"]},
        ["transfer.blocks.one", "mixes"],
    ),
    (
        "transfer.blocks",
        {"a": ["alexnet_standard"], "b": ["alexnet_standard"]},
        ["transfer.blocks.b", "already"],
    ),
    ("statistics.claims", "resources/none.yaml", ["statistics.claims"]),
    ("statistics.confidence", 95, ["statistics.confidence", "less than 1"]),
    ("robustness.vision.epsilons", [0.0, -0.5], ["epsilons.1", "-0.5"]),
]


@pytest.mark.parametrize(("path", "value", "words"), BAD)
def test_bad_study_is_refused(demo, tmp_path, path, value, words):
    if path == "models.ALEXNET_STANDARD":
        value = demo["models"]["alexnet_standard"]
        words = [*words, "only in case"]
    file = write(tmp_path, changed(demo, path, value))
    with pytest.raises(StudyError) as raised:
        load_study(file)
    message = str(raised.value)
    assert str(file) in message
    for word in words:
        assert word in message


def test_every_mistake_is_listed_at_once(demo, tmp_path):
    study = changed(demo, "seed", -1)
    study = changed(study, "device", "tpu")
    with pytest.raises(StudyError, match="2 mistake") as raised:
        load_study(write(tmp_path, study))
    assert "seed" in str(raised.value)
    assert "device" in str(raised.value)


def test_two_models_of_one_name_are_refused(tmp_path):
    text = (ROOT / "config/studies/demo.yaml").read_text()
    twice = text.replace("  alexnet_random:\n", "  alexnet_standard:\n")
    with pytest.raises(StudyError, match="'alexnet_standard' is given twice"):
        load_study(write(tmp_path, twice))


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("a: [", "not valid YAML"),
        ("- a\n- b\n", "mapping"),
        ("", "mapping"),
        ("!!python/object/apply:os.system ['true']", "not valid YAML"),
    ],
)
def test_file_that_is_no_study_is_refused(tmp_path, content, word):
    with pytest.raises(StudyError, match=word):
        load_study(write(tmp_path, content))


def test_unknown_study_names_the_nearest():
    with pytest.raises(StudyError, match="did you mean 'demo'"):
        load_study("dmeo")


@pytest.fixture
def with_drop_in(demo, tmp_path):
    def make(content):
        path = write(tmp_path, demo)
        (tmp_path / "study.d").mkdir()
        write(tmp_path / "study.d", content, "mine.yaml")
        return path

    return make


MINE = {
    "models": {
        "mine": {
            "architecture": "torchvision:resnet18",
            "arguments": {"num_classes": 10},
            "task": "digits",
            "preprocessing": {"channels": 3},
            "stages": {"layer1": "layer1", "final": "fc"},
        }
    }
}


def test_drop_in_adds_a_model_with_the_study_recipe(with_drop_in):
    path = with_drop_in(MINE)
    study = load_study(path)
    assert study.models["mine"].modality == "vision"
    assert study.models["mine"].training == study.recipes.vision
    assert slices.blocks(study, drop_in_models(path))["mine"] == ["mine"]


def test_drop_in_may_only_add_models(with_drop_in):
    with pytest.raises(StudyError, match="'seed' is not allowed in a drop-in"):
        load_study(with_drop_in({**MINE, "seed": 1}))


def test_drop_in_of_an_existing_name_is_refused(with_drop_in, demo):
    name = "alexnet_standard"
    with pytest.raises(StudyError, match="exists already"):
        load_study(with_drop_in({"models": {name: demo["models"][name]}}))


def test_a_model_changes_no_slice_of_another(with_drop_in, demo):
    before, after = load_study("demo"), load_study(with_drop_in(MINE))
    for rule in ("train_model", "sample_null", "screen_metamers", "measure_robustness"):
        for model in before.models:
            assert slices.settings(before, rule, model=model) == slices.settings(
                after, rule, model=model
            )


def test_seed_siblings_differ_in_seed_alone():
    study = load_study("demo")
    assert slices.siblings(study, "alexnet_standard") == ["alexnet_second_seed"]
    assert slices.siblings(study, "alexnet_adversarial") == []
    assert slices.siblings(study, "cochcnn_words") == ["cochcnn_second_seed"]


def test_training_slice_does_not_hold_stages_or_group():
    study = load_study("demo")
    entry = slices.settings(study, "train_model", model="alexnet_standard")["entry"]
    assert not {"stages", "group", "published"} & set(entry)
