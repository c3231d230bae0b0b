"""Public weights through the real rules: fetched, recorded, loaded, held to."""

from __future__ import annotations

import hashlib
import json
import shutil

import pytest
import torch
import yaml
from safetensors import safe_open
from safetensors.torch import load_file

from metamers.networks.network import build_network
from metamers.study.reading import load_study
from metamers.study.slices import resolved_entry

STUDY = "config/studies/tiny.yaml"
TARGET = "results/tiny/models/given/weights.safetensors"
CARD, FILE = "results/weights/tiny-net.json", "results/weights/tiny-net.pth"
LOCK = "config/weights.lock.yaml"
LOG = "logs/weights/fetch_weights/tiny-net.log"
ENTRY = {
    "url": "https://127.0.0.1:9/tiny-net.pth",
    "licence": "MIT",
    "source": "this test",
    "architecture": "metamers:SmallAlexNet",
    "checked": "by this test",
    "rules": {"rename": {r"^net\.": ""}},
}


def register(copied, **changes):
    """Replace the registry of a copy by one entry."""
    content = yaml.safe_dump({"tiny-net": {**ENTRY, **changes}}, sort_keys=False)
    (copied.folder / "resources/weights.yaml").write_text(content)


@pytest.fixture
def given(clone, tmp_path):
    """Return a copy with a model of public weights, its mirror and the weights."""
    copied = clone.copy(tmp_path / "repository")
    study = yaml.safe_load((copied.folder / STUDY).read_text())
    study["models"]["given"] = {
        **study["models"]["net"],
        "weights": {"public": "tiny-net"},
        "training": None,
    }
    (copied.folder / STUDY).write_text(yaml.safe_dump(study, sort_keys=False))
    register(copied)
    entry = resolved_entry(load_study(copied.folder / STUDY), "given")
    state = build_network(entry, seed=7).body.state_dict()
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    content = {"model": {f"net.{key}": value for key, value in state.items()}}
    torch.save(content, mirror / "tiny-net.pth")
    return copied, mirror, state


def snakemake(copied, *arguments, mirror=None, target=TARGET, fail=False):
    config = ["--config", f"study={STUDY}"]
    config += [f"weights_mirror={mirror}"] if mirror else []
    return copied.snakemake(*arguments, target, *config, study=None, fail=fail)


def test_weights_are_fetched_recorded_and_loaded(given):
    copied, mirror, state = given
    planned = snakemake(copied, "-n")
    assert "Fetching the weights tiny-net" in planned
    assert not (copied.folder / "results").exists()
    snakemake(copied, "--cores", "2", mirror=mirror)
    loaded = load_file(copied.folder / TARGET)
    assert set(loaded) == {f"body.{key}" for key in state}
    for key, value in state.items():
        assert torch.equal(loaded[f"body.{key}"], value), key
    sha256 = hashlib.sha256((mirror / "tiny-net.pth").read_bytes()).hexdigest()
    with safe_open(copied.folder / TARGET, "pt") as file:
        assert json.loads(file.metadata()["given"]) == {"weights": sha256}
    locked = yaml.safe_load((copied.folder / LOCK).read_text())
    assert locked["tiny-net"]["sha256"] == sha256
    made = "results/weights/provenance/tiny-net.json.json"
    assert json.loads((copied.folder / made).read_text())["rule"] == "fetch_weights"

    # Where a file is and what fetches it changes nothing that was made with it.
    url = "https://127.0.0.1:9/other/tiny-net.pth"
    register(copied, checked="again", url=url, sha256=sha256)
    copied.add_code("workflow/metamers/networks/weights_fetching.py")
    assert "Nothing to be done" in snakemake(copied, "-n")
    # How its names are read does; the file is not fetched again for that.
    rules = {"rename": {r"^(net|of)\.": ""}}
    register(copied, url=url, rules=rules)
    assert "Training given" in snakemake(copied, "--cores", "2")
    assert json.loads((copied.folder / CARD).read_text())["rules"] == rules
    assert "Nothing to be done" in snakemake(copied, "-n")

    # What came first is held to.
    shutil.rmtree(copied.folder / "results/weights")
    (mirror / "tiny-net.pth").write_bytes(b"replaced")
    snakemake(copied, "--cores", "1", mirror=mirror, target=CARD, fail=True)
    assert f"is {sha256}: it is another file" in (copied.folder / LOG).read_text()
    assert not (copied.folder / FILE).exists()


def test_what_cannot_be_downloaded_is_put_there_by_hand(given):
    copied, mirror, _ = given
    register(copied, url=None, suffix=".pth", how="Ask its authors.")
    assert "Fetching the weights tiny-net" in snakemake(copied, "-n")
    text = snakemake(copied, "--cores", "1", target=CARD, fail=True)
    assert "nothing was started" in text
    assert FILE in text
    assert "Ask its authors." in text
    (copied.folder / FILE).parent.mkdir(parents=True)
    shutil.copyfile(mirror / "tiny-net.pth", copied.folder / FILE)
    snakemake(copied, "--cores", "1", target=CARD)
    assert json.loads((copied.folder / CARD).read_text())["file"] == "tiny-net.pth"


def test_unknown_weights_are_refused_before_any_job(given):
    copied, _, _ = given
    copied.edit(STUDY, "public: tiny-net", "public: tiny-ned")
    text = snakemake(copied, "-n", fail=True)
    assert "models.given.weights.public" in text and "mean 'tiny-net'" in text
