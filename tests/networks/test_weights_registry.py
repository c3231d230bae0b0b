"""The registry of public weights, and that the studies can be planned with it."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest
import yaml

from metamers.errors import StudyError
from metamers.networks.weights_registry import public_weights, read_registry
from metamers.plan import Plan
from metamers.weights_plan import WeightsPlan

ENTRY = {
    "url": "https://example.org/of/weights-01234567.pth.tar?dl=1",
    "licence": "MIT",
    "source": "nobody",
    "architecture": "torchvision:alexnet",
    "checked": "never",
}
# Those that the study's tables name by digits.
NAMED = {
    "cornet_s-1d3f7974",
    "vgg19-dcbb9e9d",
    "resnet50-19c8e357",
    "resnet101-5d3b4d8f",
    "alexnet-owt-4df8aa71",
    "swsl-resnet50-16a12f1b",
    "swsl-resnext101-32x8d-b4712904",
    "stylized-resnet50-c8e5653e",
    "stylized-alexnet-b4aa5238",
}


@pytest.fixture
def registry(tmp_path):
    """Return a function that writes a registry."""

    def write(**entries):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.yaml"
        path.write_text(yaml.safe_dump(entries, sort_keys=False))
        return path

    return write


@pytest.fixture(scope="module")
def paper():
    return Plan("paper")


def test_every_entry_says_where_it_comes_from():
    entries = read_registry()
    assert set(entries) >= NAMED
    for name, entry in entries.items():
        digits = name.rpartition("-")[2]
        if name in NAMED:
            assert entry.sha256_prefix == digits and digits in entry.url
        assert entry.url is not None or "https://" in entry.how, name
        assert entry.sha256_prefix is None or entry.sha256 is None


def test_the_paper_study_is_planned_from_the_registry(paper):
    used = WeightsPlan(paper.study).used
    assert len(used) >= 23
    for model in paper.models:
        entry, wildcards = paper.study.models[model], SimpleNamespace(model=model)
        files, heads = paper.given_weights(wildcards), paper.given_head(wildcards)
        if entry.weights is None:
            assert files == heads == []
            continue
        public = entry.weights.public
        assert used[public].architecture == entry.architecture, model
        assert files == [f"results/weights/{public}.json"]
        clip = model.startswith("CLIP")
        assert heads == ([f"results/weights/{public}_head.safetensors"] if clip else [])


def test_planning_needs_neither_torch_nor_network():
    code = (
        "import socket, sys\n"
        "def refuse(*arguments): raise OSError('offline')\n"
        "socket.socket = socket.create_connection = refuse\n"
        "from metamers.plan import Plan\n"
        "from metamers.weights_plan import WeightsPlan\n"
        "plan = Plan('paper')\n"
        "WeightsPlan(plan.study)\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_is_by_hand_is_listed_until_it_is_there(paper, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    weights = WeightsPlan(paper.study)
    lines = weights.by_hand(None)
    assert len(lines) == 3
    assert lines[0].startswith(
        "results/weights/openselfsup-simclr.pth: Download simclr"
    )
    (tmp_path / "mirror").mkdir()
    for name in ("simclr", "byol"):
        (tmp_path / "mirror" / f"openselfsup-{name}.pth").touch()
    assert weights.by_hand(None) == lines
    assert len(weights.by_hand("mirror")) == 1
    (tmp_path / "results/weights").mkdir(parents=True)
    (tmp_path / "results/weights/openselfsup-moco-v2.pth").touch()
    assert weights.by_hand("mirror") == []


def test_settings_hold_what_fetching_and_reading_depend_on(paper):
    settings = WeightsPlan(paper.study).settings("fetch_weights")
    found = settings(SimpleNamespace(public="stylized-alexnet-b4aa5238"))
    assert found == {
        "public": "stylized-alexnet-b4aa5238",
        "suffix": ".pth",
        "url": found["url"],
        "how": None,
        "sha256": None,
        "sha256_prefix": "b4aa5238",
        "rules": {"rename": {r"^features\.module\.": "features."}},
    }


def changed(study, model, **changes):
    """Return the study with one of its models changed, and no other."""
    entry = study.models[model].model_copy(update=changes)
    return study.model_copy(update={"models": {model: entry}})


def test_wrong_names_are_answered_with_the_nearest(paper):
    entry = paper.study.models["vgg_19"]
    weights = entry.weights.model_copy(update={"public": "vgg19-dcbb9e9e"})
    with pytest.raises(
        StudyError, match=r"models\.vgg_19\.weights\.public.*did you mean 'vgg19-dcbb9e"
    ):
        WeightsPlan(changed(paper.study, "vgg_19", weights=weights))


def test_what_a_file_lacks_must_be_trained_or_given(paper):
    model = "resnet50_simclr"
    recipe = paper.study.models[model].training
    with pytest.raises(StudyError, match=r"resnet50_simclr: .* lack fc; train it"):
        WeightsPlan(changed(paper.study, model, training=None))
    other = recipe.model_copy(update={"trainable": ["layer4"]})
    with pytest.raises(StudyError, match="lack fc"):
        WeightsPlan(changed(paper.study, model, training=other))
    for trainable in ([], ["layer4", "fc"]):
        fine = recipe.model_copy(update={"trainable": trainable})
        WeightsPlan(changed(paper.study, model, training=fine))
    weights = paper.study.models[model].weights.model_copy(update={"head": "h"})
    WeightsPlan(changed(paper.study, model, training=None, weights=weights))


def test_an_entry_is_read_with_its_defaults(registry):
    found = public_weights("mine", registry(mine=ENTRY))
    assert found.file_suffix == ".pth"
    assert found.rules.model_dump(exclude_defaults=True) == {}
    assert not found.zero_shot


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"licence": ...}, r"mine\.licence: Field required"),
        ({"licens": "MIT"}, r"mine: unknown key 'licens'.*did you mean 'licence'"),
        ({"url": "http://example.org/x.pth"}, r"mine\.url"),
        ({"url": None, "suffix": ".pth"}, "without a url say 'how'"),
        ({"url": "https://example.org/x"}, "no known suffix"),
        ({"sha256": "0" * 63}, r"mine\.sha256"),
        ({"sha256_prefix": "0" * 7}, r"mine\.sha256_prefix"),
        (
            {"sha256": "0" * 64, "sha256_prefix": "0" * 8},
            "sha256 or sha256_prefix, not both",
        ),
        ({"rules": {"rename": {"(": ""}}}, r"mine\.rules: '\(' is no regular expr"),
        ({"rules": {"renames": {}}}, r"unknown key 'renames'.*mean 'rename'"),
        ({"rules": {"reader": "os:system"}}, r"mine\.rules\.reader"),
        ({"rules": {"lacks": ["fc."]}}, r"mine\.rules\.lacks\.0"),
    ],
)
def test_wrong_entries_are_refused(registry, changes, message):
    entry = {k: v for k, v in {**ENTRY, **changes}.items() if v is not ...}
    with pytest.raises(StudyError, match=message):
        read_registry(registry(mine=entry))


def test_wrong_files_are_refused(registry, tmp_path):
    with pytest.raises(StudyError, match=r"'a\.b' may hold only letters"):
        read_registry(registry(**{"a.b": ENTRY}))
    with pytest.raises(StudyError, match=r"'yours' in .*there are mine"):
        public_weights("yours", registry(mine=ENTRY))
    twice = tmp_path / "twice.yaml"
    twice.write_text("mine: {}\nmine: {}\n")
    with pytest.raises(StudyError, match="'mine' is given twice"):
        read_registry(twice)
