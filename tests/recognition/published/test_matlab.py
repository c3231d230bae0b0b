"""The reader of MATLAB 5 files, against SciPy's and against damage."""

import io
import zlib
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metamers.errors import StudyError
from metamers.recognition.published.matlab import read_variables

VALUES = {
    "numbers": np.random.default_rng(0).random((3, 4, 2)),
    "singles": np.linspace(-1, 1, 7, dtype=np.float32),
    "whole": np.arange(5.0),
    "text": np.array(["first", "2nd  "]),
}


def stored(values=VALUES, **options):
    file = io.BytesIO()
    scipy.io.savemat(file, values, **options)
    return file.getvalue()


def read(folder, content, wanted=tuple(VALUES), most_bytes=1_000_000):
    path = folder / "file.mat"
    path.write_bytes(content)
    return read_variables(path, wanted, most_bytes)


@pytest.mark.parametrize("compressed", [True, False])
def test_numbers_and_text_come_back(tmp_path, compressed):
    found = read(tmp_path, stored(do_compression=compressed))
    assert list(found) == list(VALUES)
    for name in ("numbers", "singles", "whole"):
        assert found[name].dtype == np.float64
        assert np.array_equal(found[name].squeeze(), VALUES[name])
    assert found["text"].tolist() == ["first", "2nd  "]


def test_only_wanted_variables_are_read(tmp_path):
    content = stored({"cell": np.array([{}, 1], dtype=object), **VALUES})
    assert list(read(tmp_path, content, ["whole"])) == ["whole"]
    with pytest.raises(StudyError, match="cell is cell"):
        read(tmp_path, content, ["cell"])


def test_published_files_read_as_scipy_reads_them(shared):
    paths = sorted((shared / "published" / "originals").rglob("*_public.mat"))
    assert len(paths) == 59
    for path in paths:
        expected = scipy.io.loadmat(path)
        names = [name for name in expected if not name.startswith("__")]
        found = read_variables(path, names, 10_000)
        assert set(found) == set(names)
        for name in names:
            assert np.array_equal(found[name], expected[name])


def test_files_of_matlab_itself_read_as_scipy_reads_them():
    folder = Path(scipy.io.__path__[0]) / "matlab" / "tests" / "data"
    kinds = ("testdouble", "testmatrix", "test3dmatrix", "teststring", "testminus")
    paths = [path for kind in kinds for path in sorted(folder.glob(f"{kind}_[67]*"))]
    if not paths:
        pytest.skip("this SciPy comes without its test files")
    for path in paths:
        expected = scipy.io.loadmat(path)
        names = [name for name in expected if not name.startswith("__")]
        found = read_variables(path, names, 1_000_000)
        assert set(found) == set(names)
        for name in names:
            assert np.array_equal(found[name], expected[name])


def test_unpacking_is_bounded(tmp_path):
    bomb = zlib.compress(bytes(2_000_000))
    tag = np.array([15, len(bomb)], dtype="<u4").tobytes()
    with pytest.raises(StudyError, match="unpacks to over 1000000"):
        read(tmp_path, stored()[:128] + tag + bomb)


def test_other_versions_and_byte_orders(tmp_path):
    content = stored()
    with pytest.raises(StudyError, match="version is 0x0200"):
        read(tmp_path, content[:124] + b"\x00\x02" + content[126:])
    with pytest.raises(StudyError, match="no MATLAB header"):
        read(tmp_path, content[:126] + b"XX" + content[128:])
    with pytest.raises(StudyError, match="more than 100"):
        read(tmp_path, content, most_bytes=100)
    with pytest.raises(StudyError, match="twice"):
        read(tmp_path, content + stored()[128:])


def test_big_endian_files_are_read(tmp_path):
    words = np.array([6, 8, 6, 0, 5, 8, 1, 2], dtype=">u4").tobytes()
    name = np.array([1 << 16 | 1], dtype=">u4").tobytes() + b"x\0\0\0"
    data = (
        np.array([9, 16], dtype=">u4").tobytes() + np.array([0.5, 2], ">f8").tobytes()
    )
    body = words + name + data
    head = stored()[:124] + b"\x01\x00MI" + np.array([14, len(body)], ">u4").tobytes()
    assert read(tmp_path, head + body, ["x"])["x"].tolist() == [[0.5, 2]]


@settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    changes=st.dictionaries(st.integers(0, 5000), st.integers(0, 255), max_size=6),
    keep=st.one_of(st.none(), st.integers(0, 5000)),
)
def test_damage_is_an_error_or_harmless(tmp_path, changes, keep):
    content = bytearray(stored(do_compression=False)[:keep])
    for position, value in changes.items():
        if position < len(content):
            content[position] = value
    try:
        found = read(tmp_path, bytes(content))
    except StudyError:
        return
    assert all(values.nbytes < 10_000 for values in found.values())
