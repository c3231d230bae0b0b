"""Metamer files: what is written is read, what does not belong is refused."""

import dataclasses

import h5py
import numpy as np
import pytest

from metamers.errors import StudyError
from metamers.provenance import settings_hash
from metamers.stimuli.files import Split
from metamers.synthesis.shards import (
    MetamerShard,
    pack_shards,
    read_metamers,
    read_shard,
    select_shard,
    write_shard,
)

ARRAYS = (
    "metamer", "stimulus_id", "loss", "logged_step", "distances", "response",
    "natural_response",
)  # fmt: skip


def shard_of(
    ids: list[str], seed: int = 0, checksum: str | None = None
) -> MetamerShard:
    generator = np.random.default_rng(seed)
    count = len(ids)
    return MetamerShard(
        metamer=generator.random((count, 1, 4, 4), dtype=np.float32),
        stimulus_id=np.array(ids),
        loss=generator.random((count, 3)).astype(np.float32),
        logged_step=np.array([0, 10, 20]),
        distances=generator.random((count, 3)),
        response=np.arange(count),
        natural_response=np.arange(count)[::-1].copy(),
        gradient="straight_through",
        reference_checksum="+".join(ids) if checksum is None else checksum,
    )


def provenance(stage: str, shard: int, code: str = "c0de", **changes) -> dict:
    settings = {
        "seed": 517, "study": "demo", "model": "toy", "stage": stage,
        "path": stage.upper(), "straight_through": True, "shard": shard,
        "synthesis": {"rounds": 2}, **changes,
    }  # fmt: skip
    return {
        "settings": settings,
        "settings_hash": settings_hash(settings),
        "code_fingerprint": code,
        "versions": {"torch": "2.0"},
        "device": "cpu",
        "threads": 1,
        "seconds": 1.5,
    }


def assert_equal(one: MetamerShard, other: MetamerShard) -> None:
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_a_shard_comes_back_with_how_it_was_made(tmp_path):
    shard = shard_of(["a", "ü"])
    write_shard(shard, tmp_path / "0.h5", provenance("relu0", 0))
    read = read_shard(tmp_path / "0.h5")
    assert_equal(read, shard)
    assert read.metamer.dtype == np.float32
    assert (read.gradient, read.reference_checksum) == ("straight_through", "a+ü")
    expected = {
        "format_version": 1, "study": "demo", "model": "toy", "stage": "relu0",
        "shard": 0, "seed": 517, "code_fingerprint": "c0de", "torch_version": "2.0",
        "device": "cpu", "threads": 1, "seconds": 1.5,
    }  # fmt: skip
    assert expected.items() <= read.attributes.items()
    assert read.attributes["settings_hash"]


@pytest.fixture
def files(tmp_path):
    """Two stages of two shards each: three stimuli, then one."""
    paths: dict[str, list] = {}
    for seed, stage in enumerate(("relu0", "final")):
        for number, ids in enumerate((["a", "b", "c"], ["d"])):
            path = tmp_path / stage / f"{number}.h5"
            write_shard(shard_of(ids, seed), path, provenance(stage, number))
            paths.setdefault(stage, []).append(path)
    return paths


def test_packing_joins_all_stages(tmp_path, files):
    ids = ["a", "b", "c", "d"]
    pack_shards(files, tmp_path / "toy.h5", stimulus_ids=ids)
    packed = read_metamers(tmp_path / "toy.h5")
    assert list(packed) == ["relu0", "final"]
    for seed, stage in enumerate(files):
        assert packed[stage].stimulus_id.tolist() == ids
        first, second = shard_of(["a", "b", "c"], seed), shard_of(["d"], seed)
        expected = np.concatenate([first.metamer, second.metamer])
        np.testing.assert_array_equal(packed[stage].metamer, expected)
        assert packed[stage].loss.shape == (4, 3)
        assert packed[stage].attributes["stage"] == stage
        assert packed[stage].attributes["seconds"] == 3.0
    assert list(read_metamers(tmp_path / "toy.h5", ["final"])) == ["final"]
    with pytest.raises(StudyError, match=r"no stage 'finals'.*did you mean 'final'"):
        read_metamers(tmp_path / "toy.h5", ["finals"])


@pytest.mark.parametrize(
    ("shard", "record", "message"),
    [
        (["d"], provenance("relu0", 1), "is shard 1 of stage 'relu0', but stands for"),
        (["d"], provenance("final", 0), "stands for shard 1 of stage 'final'"),
        (
            ["d"],
            provenance("final", 1, synthesis={"rounds": 9}),
            r"different settings \(synthesis\)",
        ),
        (["d"], provenance("final", 1, code="other"), r"different settings \(code\)"),
        (["e"], provenance("final", 1), "not of the same stimuli"),
    ],
)
def test_foreign_shards_are_refused(tmp_path, files, shard, record, message):
    write_shard(shard_of(shard), files["final"][1], record)
    with pytest.raises(StudyError, match=message):
        pack_shards(files, tmp_path / "toy.h5")
    assert not (tmp_path / "toy.h5").exists()


def test_other_stimuli_of_the_same_names_are_refused(tmp_path, files):
    other = shard_of(["d"], checksum="others")
    write_shard(other, files["final"][1], provenance("final", 1))
    with pytest.raises(StudyError, match="not of the same stimuli"):
        pack_shards(files, tmp_path / "toy.h5")


def test_stages_of_different_models_are_refused(tmp_path, files):
    for number, path in enumerate(files["final"]):
        record = provenance("final", number, model="another")
        write_shard(read_shard(path), path, record)
    with pytest.raises(StudyError, match=r"different settings \(model\)"):
        pack_shards(files, tmp_path / "toy.h5")


def test_ids_must_be_those_of_the_references(tmp_path, files):
    with pytest.raises(StudyError, match="4 metamers that are not those of the 3"):
        pack_shards(files, tmp_path / "toy.h5", stimulus_ids=["a", "b", "c"])
    for stage in files:
        write_shard(shard_of(["a"]), files[stage][1], provenance(stage, 1))
    with pytest.raises(StudyError, match="a stimulus id twice"):
        pack_shards(files, tmp_path / "toy.h5")


def test_damaged_files_are_refused(tmp_path, files):
    path = files["relu0"][0]
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StudyError, match="delete it and run"):
        read_shard(path)
    path.write_bytes(whole)
    with h5py.File(path, "a") as file:
        del file["distances"]
    with pytest.raises(StudyError, match="distances"):
        read_shard(path)
    path.write_bytes(whole)
    with h5py.File(path, "a") as file:
        file.attrs["format_version"] = 99
    with pytest.raises(StudyError, match="format version 99"):
        read_shard(path)
    with pytest.raises(StudyError, match=r"absent\.h5"):
        read_shard(tmp_path / "absent.h5")


def test_an_inconsistent_shard_is_refused(tmp_path):
    shard = dataclasses.replace(shard_of(["a", "b"]), response=np.arange(3))
    write_shard(shard, tmp_path / "0.h5", provenance("relu0", 0))
    with pytest.raises(StudyError, match="inconsistent: 2 stimulus ids"):
        read_shard(tmp_path / "0.h5")


def test_shards_divide_the_references():
    reference = Split(
        stimulus=np.arange(5, dtype=np.uint8).reshape(5, 1, 1, 1),
        id=np.array(list("abcde")),
        label={"category": np.arange(5)},
    )
    parts = [select_shard(reference, number, 2) for number in range(3)]
    assert [part.id.tolist() for part in parts] == [["a", "b"], ["c", "d"], ["e"]]
    with pytest.raises(StudyError, match="no shard 3: 5 references in shards of 2"):
        select_shard(reference, 3, 2)
