"""What a job sets up, and how a result's provenance is found again."""

from __future__ import annotations

import logging
import os
import pickle
from base64 import urlsafe_b64encode
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

from metamers.compared import Slice, compact
from metamers.errors import StudyError
from metamers.files import write_json, write_parquet
from metamers.jobs import choose_device, file_digest, sidecar
from metamers.plan import Plan
from metamers.stale import read_provenance, recorded


@pytest.mark.parametrize(
    ("wanted", "available", "chosen"),
    [
        ("auto", True, "cuda"),
        ("auto", False, "cpu"),
        ("cpu", True, "cpu"),
        ("cpu", False, "cpu"),
        ("cuda", True, "cuda"),
    ],
)
def test_device(wanted, available, chosen):
    assert choose_device(wanted, available) == chosen


def test_device_demanded_but_absent():
    with pytest.raises(StudyError, match="device: 'cuda' is demanded"):
        choose_device("cuda", False)


def test_device_absent_is_said(caplog):
    with caplog.at_level(logging.WARNING):
        choose_device("auto", False)
    assert "no GPU found" in caplog.text


def test_sidecar_lies_beside_the_results():
    found = sidecar("results/demo/figures/scores.svg")
    assert found == Path("results/demo/provenance/figures/scores.svg.json")
    assert sidecar("results/demo/gallery") == Path(
        "results/demo/provenance/gallery.json"
    )


def test_provenance_is_read_from_every_kind_of_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = Path("results/study")
    folder.mkdir(parents=True)
    made = {"rule": "some", "settings": {"seed": 1}}
    text = '{"rule": "some", "settings": {"seed": 1}}'
    with h5py.File(folder / "a.h5", "w") as file:
        file.attrs["provenance"] = text
    save_file({"w": np.ones(2)}, folder / "a.safetensors", {"provenance": text})
    write_parquet(pd.DataFrame({"x": [1]}), folder / "a.parquet", made)
    (folder / "a.csv").write_text("x\n1\n")
    write_json(made, sidecar(folder / "a.csv"))
    for name in ("a.h5", "a.safetensors", "a.parquet", "a.csv"):
        assert read_provenance(folder / name) == made, name


def test_files_that_tell_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = Path("results/study")
    folder.mkdir(parents=True)
    for name in ("a.h5", "a.safetensors", "a.parquet", "a.csv"):
        (folder / name).write_bytes(b"neither this nor that")
        assert read_provenance(folder / name) == {}, name
    with h5py.File(folder / "b.h5", "w"):
        pass
    assert read_provenance(folder / "b.h5") == {}


@pytest.mark.parametrize("length", [5, 400])
@pytest.mark.parametrize("kind", ["metadata", "incomplete"])
def test_records_are_found_as_snakemake_writes_them(tmp_path, length, kind):
    from snakemake.persistence.file import FilePersistence

    path = Path("results", "x" * length)
    persistence = FilePersistence.__new__(FilePersistence)
    persistence._max_len = os.pathconf(tmp_path, "PC_NAME_MAX")
    records = tmp_path / ".snakemake"
    assert not recorded(path, records)
    place = Path(persistence._record_path(str(records / kind), str(path)))
    place.parent.mkdir(parents=True)
    place.write_text("{}")
    assert recorded(path, records)
    assert urlsafe_b64encode(b"results/").decode()[:8] in str(place)


def test_digest_of_a_folder_is_none(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert file_digest(tmp_path / "file") == known
    assert file_digest(tmp_path) is None


def test_slice_is_compared_without_fields_that_are_off():
    old = Slice(a=1, b={"c": [0.0, None], "d": "x"})
    new = Slice(a=1, b={"c": [0.0, None], "d": "x", "new": None}, off=False, empty={})
    assert repr(old) == repr(new)
    assert repr(old) != repr(Slice(a=1, b={"c": [0.0, None], "d": "y"}))
    assert repr(old) != repr(Slice(a=1, b={"c": [0.0], "d": "x"}))
    assert compact({"a": {"b": None}}) == {}


def test_scripts_get_a_plain_dictionary_with_all_fields():
    loaded = pickle.loads(pickle.dumps(Slice(a=None, b={"c": 0})))
    assert type(loaded) is dict
    assert loaded == {"a": None, "b": {"c": 0}}


def test_every_network_rule_counts_its_architecture_and_no_other():
    plan = Plan("demo")
    train = {
        model: plan.code_of("train_model", {"model": model}) for model in plan.models
    }
    assert train["alexnet_standard"] == train["alexnet_adversarial"]
    assert train["alexnet_standard"] != train["resnet_standard"]
    assert train["cochcnn_words"] != train["alexnet_standard"]


def test_plan_of_the_demo():
    plan = Plan("demo")
    jobs = list(plan.jobs())
    made = [path for job in jobs for path in plan.outputs(*job)]
    assert len(made) == len(set(made))
    stages = sum(len(plan.stages(model)) for model in plan.models)
    shards = [job for job in jobs if job[0] == "synthesize_metamers"]
    assert len(shards) == stages, "the demo has one shard a stage"
    assert len([job for job in jobs if job[0] == "judge_metamers"]) == len(plan.models)


def test_time_between_saves_must_be_above_zero():
    from metamers.errors import StudyError
    from metamers.jobs import positive_seconds

    assert positive_seconds(0.3) == 0.3
    for value in (0, -1, "soon", None):
        with pytest.raises(StudyError, match=r"save_seconds: .* above 0"):
            positive_seconds(value)
