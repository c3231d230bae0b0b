"""Fetching: from a local copy and over HTTP, checked, resumable, never half."""

from __future__ import annotations

import functools
import hashlib
import http.server
import threading
from pathlib import Path

import pytest

from metamers import downloads
from metamers.errors import StudyError
from metamers.recognition.published.fetching import (
    fetch,
    files_here,
    read_inventory,
)
from metamers.recognition.published.manifest import (
    PARTS,
    PublishedFile,
    read_manifest,
)

COMMIT = "f" * 40


@pytest.fixture
def mirror(tmp_path):
    folder = tmp_path / "mirror"
    for number in range(12):
        path = folder / f"a'b {number % 2}" / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes([number]) * (number + 1))
    return folder


@pytest.fixture
def files(mirror):
    found = []
    for path in sorted(mirror.rglob("*.txt")):
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        name = path.relative_to(mirror).as_posix()
        found.append(PublishedFile(COMMIT, name, len(content), digest))
    return found


@pytest.fixture
def server(mirror, monkeypatch):
    """Serve the mirror on this machine, and count what is asked of it."""
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            super().do_GET()

        def log_message(self, *arguments):
            pass

    handler = functools.partial(Handler, directory=str(mirror))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        source = f"http://127.0.0.1:{running.server_port}"
        monkeypatch.setattr(
            PublishedFile,
            "url",
            property(lambda file: source + "/" + file.path.replace("'", "%27")),
        )
        monkeypatch.setattr(downloads, "WAIT_SECONDS", 0.0)
        yield asked
        running.shutdown()


def same(folder, mirror):
    here = {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*.txt")}
    there = {p.relative_to(mirror): p.read_bytes() for p in mirror.rglob("*.txt")}
    return here == there


def test_a_local_copy_is_taken_over(tmp_path, mirror, files):
    table = fetch(files, tmp_path / "originals", mirror)
    assert table["status"].tolist() == ["here"] * 12
    assert same(tmp_path / "originals", mirror)


def test_files_come_over_http_and_only_once(tmp_path, mirror, files, server):
    folder = tmp_path / "originals"
    (folder / files[0].path).parent.mkdir(parents=True)
    (folder / files[0].path).write_bytes((mirror / files[0].path).read_bytes())
    (folder / files[1].path).write_bytes(b"half")
    fetch(files, folder)
    assert same(folder, mirror)
    assert len(server) == 11, "what was there and whole was asked for"
    fetch(files, folder)
    assert len(server) == 11
    assert not [p for p in folder.rglob("*") if p.is_file() and p.suffix != ".txt"]


def test_changed_content_is_refused_and_not_kept(tmp_path, mirror, files, server):
    (mirror / files[3].path).write_bytes(b"changed on the way")
    folder = tmp_path / "originals"
    with pytest.raises(StudyError, match="is not the published file"):
        fetch(files, folder)
    assert not (folder / files[3].path).exists()
    with pytest.raises(StudyError, match="is not the published one"):
        fetch(files, folder, mirror)
    assert not (folder / files[3].path).exists()


def test_no_network_is_said_with_what_to_do(tmp_path, files, server, monkeypatch):
    monkeypatch.setattr(
        PublishedFile, "url", property(lambda file: "http://127.0.0.1:9/nothing")
    )
    with pytest.raises(StudyError, match=r"cannot be downloaded .* published_mirror"):
        fetch(files, tmp_path / "originals")
    assert not [p for p in (tmp_path / "originals").rglob("*") if p.is_file()]


def test_what_a_local_copy_lacks_is_listed(tmp_path, mirror, files):
    (mirror / files[2].path).unlink()
    inventory = tmp_path / "originals" / "part.csv"
    table = fetch(files, inventory.parent, mirror)
    table.to_csv(inventory, index=False)
    here, missing = read_inventory(inventory)
    assert missing == [files[2].path]
    assert files_here(inventory) == [str(inventory.parent / path) for path in here]
    Path(inventory.parent / here[0]).unlink()
    with pytest.raises(StudyError, match="has gone since it was fetched"):
        files_here(inventory)


def test_a_local_copy_must_exist(tmp_path, files):
    with pytest.raises(StudyError, match=r"published_mirror: .* is no folder"):
        fetch(files, tmp_path, tmp_path / "nowhere")


def test_the_manifest_has_all_parts(root):
    path = root / "resources" / "published" / "manifest.csv"
    counts = {part: len(read_manifest(path, part)) for part in PARTS}
    assert counts == {
        "people": 59,
        "brain_scores": 1,
        "transfer": 689,
        "regressions": 52,
    }
    everything = read_manifest(path)
    assert len(everything) == sum(counts.values())
    quoted = next(file for file in everything if "'" in file.path)
    assert "%27" in quoted.url
    assert "'" not in quoted.url
    assert quoted.url.startswith("https://raw.githubusercontent.com/")


@pytest.mark.parametrize(
    "line",
    [
        "x,notebooks/a.csv,1," + "0" * 64,
        COMMIT + ",../../etc/passwd,1," + "0" * 64,
        COMMIT + ",notebooks/../../a.csv,1," + "0" * 64,
        COMMIT + ",notebooks/a.csv,one," + "0" * 64,
        COMMIT + ",notebooks/a.csv,1,abc",
        COMMIT + ",/notebooks/a.csv,1," + "0" * 64,
    ],
)
def test_lines_that_are_no_published_file_are_refused(tmp_path, line):
    path = tmp_path / "manifest.csv"
    path.write_text("commit,path,bytes,sha256\n" + line + "\n")
    with pytest.raises(StudyError, match=r"line 2: .* is no file of the public data"):
        read_manifest(path)


def test_an_unknown_part_is_answered_with_the_nearest(root):
    path = root / "resources" / "published" / "manifest.csv"
    with pytest.raises(StudyError, match="people"):
        read_manifest(path, "peple")
