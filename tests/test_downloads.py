"""Downloads: whole and checked, or not there."""

from __future__ import annotations

import http.server
import threading

import pytest

from metamers import downloads
from metamers.downloads import download, sha256_of
from metamers.errors import StudyError

CONTENT = bytes(range(256)) * 4000


@pytest.fixture
def server(monkeypatch):
    """Serve /whole, /broken (ends early) and /late (only at the third time)."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            if self.path == "/late" and len(asked) < 3:
                self.send_error(503)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            half = len(CONTENT) // 2
            self.wfile.write(CONTENT[:half] if self.path == "/broken" else CONTENT)

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(
            target=running.serve_forever, args=(0.01,), daemon=True
        ).start()
        monkeypatch.setattr(downloads, "WAIT_SECONDS", 0.0)
        yield f"http://127.0.0.1:{running.server_port}", asked
        running.shutdown()


def accept(path):
    assert path.read_bytes() == CONTENT


def test_a_file_comes_whole(server, tmp_path):
    address, asked = server
    target = tmp_path / "new" / "file.pth"
    download(f"{address}/whole", target, accept, "")
    assert target.read_bytes() == CONTENT
    assert asked == ["/whole"]
    assert list(target.parent.iterdir()) == [target]


def test_a_failing_server_is_asked_again(server, tmp_path):
    address, asked = server
    download(f"{address}/late", tmp_path / "file", accept, "")
    assert asked == ["/late"] * 3


def test_half_a_file_is_none(server, tmp_path):
    address, asked = server
    seen = []
    with pytest.raises(StudyError, match=r"cannot be downloaded .*; do without it"):
        download(f"{address}/broken", tmp_path / "file", seen.append, "do without it")
    assert asked == ["/broken"] * 3
    assert seen == []
    assert not list(tmp_path.iterdir())


def test_a_wrong_file_is_refused_at_once_and_not_kept(server, tmp_path):
    address, asked = server

    def refuse(path):
        raise StudyError(f"of {sha256_of(path)[:8]}")

    with pytest.raises(StudyError, match=r"of [0-9a-f]{8}"):
        download(f"{address}/whole", tmp_path / "file", refuse, "")
    assert asked == ["/whole"]
    assert not list(tmp_path.iterdir())


def test_checksums_are_those_of_sha256(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256_of(tmp_path / "abc") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
