"""Pickles from elsewhere: numbers come in, nothing else."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from metamers.errors import StudyError
from metamers.recognition.published import unpickling
from metamers.recognition.published.unpickling import load_numbers


class Hostile:
    """An object whose unpickling would run a command."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_numbers_text_and_arrays_are_read(tmp_path):
    content = {
        "mean": np.float64(0.25),
        "answers": ["dog", "cat"],
        "array": np.arange(6).reshape(2, 3),
        "fields": np.array([(1, b"a")], dtype=[("x", "<i8"), ("y", "S1")]),
    }
    path = tmp_path / "numbers.pckl"
    path.write_bytes(pickle.dumps(content, protocol=4))
    found = load_numbers(path)
    assert found["mean"] == 0.25
    assert found["answers"] == content["answers"]
    np.testing.assert_array_equal(found["array"], content["array"])
    assert found["fields"]["y"][0] == b"a"


def test_a_hostile_pickle_is_refused_and_nothing_runs(tmp_path):
    proof = tmp_path / "it_ran"
    path = tmp_path / "hostile.pckl"
    path.write_bytes(pickle.dumps({"r2s": [Hostile(proof)]}))
    with pytest.raises(StudyError, match=r"refused: it names posix\.system"):
        load_numbers(path)
    assert not proof.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"cnumpy.core.multiarray\nfromfile\n.",
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"cnumpy\nload\n.",
        b"Psomewhere\n.",  # a reference to an object outside the file
        b"\x80\x04\x95\xff",
        b"",
        b"garbage",
    ],
)
def test_other_names_and_damage_are_refused(tmp_path, content):
    path = tmp_path / "x.pckl"
    path.write_bytes(content)
    with pytest.raises(StudyError, match="refused"):
        load_numbers(path)


def test_a_name_inside_an_allowed_one_is_refused(tmp_path):
    # With protocol 4, a dotted name could reach an attribute of an allowed object.
    path = tmp_path / "x.pckl"
    path.write_bytes(b"\x80\x04\x8c\x05numpy\x8c\x0endarray.tofile\x93.")
    with pytest.raises(StudyError, match="it names"):
        load_numbers(path)


def test_a_file_that_is_too_large_is_not_opened(tmp_path, monkeypatch):
    monkeypatch.setattr(unpickling, "MOST_BYTES", 10)
    path = Path(tmp_path / "x.pckl")
    path.write_bytes(pickle.dumps(list(range(100))))
    with pytest.raises(StudyError, match="bytes; the published files have fewer"):
        load_numbers(path)
