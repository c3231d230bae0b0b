"""The modules that all parts share: seeds, files, provenance, suggestions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

from metamers.errors import suggest
from metamers.files import (
    atomic_path,
    read_parquet,
    this_machine,
    write_json,
    write_parquet,
)
from metamers.provenance import provenance, settings_hash
from metamers.randomness import derive_seed, numpy_generator, torch_generator


def test_seeds_depend_on_every_part_and_on_their_order():
    seeds = {
        derive_seed(1, "initial", "a"),
        derive_seed(2, "initial", "a"),
        derive_seed(1, "initial", "b"),
        derive_seed(1, "a", "initial"),
        derive_seed(1, "initiala"),
    }
    assert len(seeds) == 5
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_seed_is_the_same_everywhere():
    # First eight bytes of sha256(b"517\x1finitial\x1fdigit_3"), halved.
    import hashlib

    digest = hashlib.sha256(b"517\x1finitial\x1fdigit_3").digest()
    assert derive_seed(517, "initial", "digit_3") == int.from_bytes(digest[:8]) // 2


def test_generators_repeat():
    first = numpy_generator(1, "x").standard_normal(5)
    assert np.array_equal(first, numpy_generator(1, "x").standard_normal(5))
    one, two = torch_generator(1, "x"), torch_generator(1, "x")
    assert one.initial_seed() == two.initial_seed() == derive_seed(1, "x")


def test_file_appears_only_when_it_is_whole(tmp_path):
    path = tmp_path / "folder" / "table.csv"
    with atomic_path(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"


def test_failure_keeps_what_was_there_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_left_is_removed_by_the_next_writer(tmp_path):
    path = tmp_path / "table.csv"
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    host = this_machine()
    half = tmp_path / f".table.{host}-{dead.pid}.csv"
    others = [
        tmp_path / f".table.{host}-{os.getppid()}.csv",  # of a process that is alive
        tmp_path / f".table.elsewhere-{dead.pid}.csv",
        tmp_path / f".tables.{host}-{dead.pid}.csv",
    ]
    abandoned = tmp_path / ".table.far-away-7.csv"
    for file in (half, abandoned, *others):
        file.write_text("half")
    os.utime(abandoned, (time.time() - 4000,) * 2)
    with atomic_path(path) as temporary:
        temporary.write_text("whole")
    assert sorted(tmp_path.iterdir()) == sorted([path, *others])


def test_json_refuses_what_json_does_not_have(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json({"loss": float("nan")}, tmp_path / "card.json")
    assert not list(tmp_path.iterdir())


def test_parquet_keeps_the_table_and_its_provenance(tmp_path):
    import pyarrow.parquet

    frame = pd.DataFrame(
        {"correct": pd.array([True, None, False], dtype="boolean"), "n": [1, 2, 3]}
    )
    write_parquet(frame, tmp_path / "t.parquet", {"settings_hash": "abc"})
    pd.testing.assert_frame_equal(read_parquet(tmp_path / "t.parquet"), frame)
    metadata = pyarrow.parquet.read_schema(tmp_path / "t.parquet").metadata
    assert json.loads(metadata[b"provenance"]) == {"settings_hash": "abc"}


def test_settings_hash_ignores_the_order_of_keys_only():
    assert settings_hash({"a": 1, "b": [1, 2]}) == settings_hash({"b": [1, 2], "a": 1})
    assert settings_hash({"b": [1, 2]}) != settings_hash({"b": [2, 1]})


def test_provenance_is_json_and_counts_its_time():
    made = provenance({"epochs": 3}, "f00", time.monotonic() - 2)
    assert json.loads(json.dumps(made)) == made
    assert made["seconds"] >= 2
    assert made["settings_hash"] == settings_hash({"epochs": 3})
    assert made["peak_memory_mb"] > 1


def test_suggestion_names_the_nearest_or_nothing():
    assert suggest("epsilonn", ["epsilon", "steps"]) == "; did you mean 'epsilon'?"
    assert suggest("xyz", ["epsilon", "steps"]) == ""
