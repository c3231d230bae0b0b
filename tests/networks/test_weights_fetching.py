"""Public weights come once, are checked, and are held to their first checksum."""

from __future__ import annotations

import datetime
import functools
import hashlib
import http.server
import json
import multiprocessing
import threading

import pytest
import yaml

from metamers import downloads
from metamers.errors import StudyError
from metamers.networks.weights_cards import checksums, given_weights, read_card
from metamers.networks.weights_fetching import fetch_weights, mirror_folder

CONTENT = b"weights of a network"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
ENTRY = {
    "url": "https://127.0.0.1:9/weights.pth",
    "how": None,
    "suffix": ".pth",
    "sha256": None,
    "sha256_prefix": None,
    "rules": {"lacks": ["fc"]},
}
CARD = {
    "public": "mine",
    "file": "mine.pth",
    "bytes": len(CONTENT),
    "sha256": SHA256,
    "rules": {"lacks": ["fc"]},
}


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "results" / "weights"


@pytest.fixture
def lock(tmp_path):
    return tmp_path / "config" / "weights.lock.yaml"


@pytest.fixture
def mirror(tmp_path):
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "mine.pth").write_bytes(CONTENT)
    return tmp_path / "mirror"


@pytest.fixture
def served(mirror, monkeypatch):
    """Serve the mirror on this machine, and note what is asked of it."""
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            super().do_GET()

        def log_message(self, *arguments):
            pass

    handler = functools.partial(Handler, directory=str(mirror))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(
            target=running.serve_forever, args=(0.01,), daemon=True
        ).start()
        monkeypatch.setattr(downloads, "WAIT_SECONDS", 0.0)
        address = f"http://127.0.0.1:{running.server_port}/mine.pth"
        yield {**ENTRY, "url": address}, asked
        running.shutdown()


def test_a_file_is_downloaded_once_and_recorded(served, folder, lock):
    entry, asked = served
    assert fetch_weights("mine", entry, folder, lock) == CARD
    assert (folder / "mine.pth").read_bytes() == CONTENT
    day = datetime.datetime.now(datetime.UTC).date().isoformat()
    first = {"sha256": SHA256, "bytes": len(CONTENT), "first_fetched": day}
    assert yaml.safe_load(lock.read_text()) == {"mine": first}
    assert lock.read_text().startswith("# Checksums of the public weights")
    written = lock.stat().st_mtime_ns
    assert fetch_weights("mine", entry, folder, lock) == CARD
    assert asked == ["/mine.pth"]
    assert lock.stat().st_mtime_ns == written
    assert sorted(path.name for path in folder.iterdir()) == ["mine.pth"]


def test_another_content_than_the_first_is_refused(
    served, folder, lock, mirror, tmp_path
):
    entry, _ = served
    fetch_weights("mine", entry, folder, lock)
    (mirror / "mine.pth").write_bytes(b"replaced")
    found = hashlib.sha256(b"replaced").hexdigest()
    message = rf"its sha256 is {found}, the one in .*weights\.lock\.yaml .* is {SHA256}"
    other = tmp_path / "other"
    for source in (None, mirror):
        with pytest.raises(StudyError, match=message):
            fetch_weights("mine", entry, other, lock, source)
        assert not (other / "mine.pth").exists()
    # What lies here already is checked as well.
    (folder / "mine.pth").write_bytes(b"replaced")
    with pytest.raises(StudyError, match=message):
        fetch_weights("mine", entry, folder, lock)


def test_published_digits_are_checked(served, folder, lock):
    entry, asked = served
    with pytest.raises(
        StudyError, match=rf"is {SHA256}, the one published .* is 0123456789;?"
    ):
        fetch_weights("mine", {**entry, "sha256_prefix": "0123456789"}, folder, lock)
    assert len(asked) == 1
    assert not lock.exists()
    right = {**entry, "sha256_prefix": SHA256[:10]}
    assert fetch_weights("mine", right, folder, lock) == CARD
    assert yaml.safe_load(lock.read_text())["mine"]["sha256"] == SHA256


def test_a_published_checksum_needs_no_record(mirror, folder, lock):
    with pytest.raises(StudyError, match="the one published"):
        fetch_weights("mine", {**ENTRY, "sha256": "0" * 64}, folder, lock, mirror)
    right = {**ENTRY, "sha256": SHA256}
    assert fetch_weights("mine", right, folder, lock, mirror) == CARD
    assert not lock.exists()


def test_a_page_in_place_of_the_file_is_refused(served, mirror, folder, lock):
    entry, _ = served
    (mirror / "mine.pth").write_bytes(b"\n<!DOCTYPE html><html>sure?</html>")
    with pytest.raises(StudyError, match="this is a web page and no file of weights"):
        fetch_weights("mine", entry, folder, lock)
    assert not lock.exists()


def test_a_mirror_must_have_the_file(mirror, folder, lock):
    (mirror / "mine.pth").unlink()
    with pytest.raises(StudyError, match=r"weights_mirror: .* holds no mine\.pth"):
        fetch_weights("mine", ENTRY, folder, lock, mirror)


def test_no_network_is_said_with_what_to_do(folder, lock, monkeypatch):
    monkeypatch.setattr(downloads, "WAIT_SECONDS", 0.0)
    with pytest.raises(
        StudyError, match=r"cannot be downloaded .*mine\.pth, or set weights_mirror"
    ):
        fetch_weights("mine", ENTRY, folder, lock)


def test_a_file_without_address_is_taken_where_it_was_put_by_hand(folder, lock):
    entry = {**ENTRY, "url": None, "how": "Ask its authors."}
    with pytest.raises(
        StudyError,
        match=r"put it at .*mine\.pth, or name it with weights: \{path: .* Ask its au",
    ):
        fetch_weights("mine", entry, folder, lock)
    folder.mkdir(parents=True)
    (folder / "mine.pth").write_bytes(CONTENT)
    assert fetch_weights("mine", entry, folder, lock) == CARD
    assert yaml.safe_load(lock.read_text())["mine"]["sha256"] == SHA256


@pytest.mark.parametrize("content", ["mine: [", "- mine\n"])
def test_a_damaged_lock_file_is_not_replaced(mirror, folder, lock, content):
    lock.parent.mkdir()
    lock.write_text(content)
    with pytest.raises(StudyError, match=r"(?s)weights\.lock\.yaml: .*restore it"):
        fetch_weights("mine", ENTRY, folder, lock, mirror)
    assert lock.read_text() == content


def fetch_many(names, folder, lock, mirror, start):
    start.wait()
    for name in names:
        fetch_weights(name, ENTRY, folder, lock, mirror)


def test_processes_that_fetch_together_lose_no_record(mirror, folder, lock):
    names = [f"number_{number}" for number in range(40)]
    for name in names:
        (mirror / f"{name}.pth").write_bytes(name.encode())
    context = multiprocessing.get_context("fork")
    start = context.Barrier(4)
    running = [
        context.Process(
            target=fetch_many, args=(names[part::4], folder, lock, mirror, start)
        )
        for part in range(4)
    ]
    for process in running:
        process.start()
    for process in running:
        process.join()
    assert [process.exitcode for process in running] == [0] * 4
    recorded = yaml.safe_load(lock.read_text())
    assert list(recorded) == sorted(names)
    for name in names:
        digest = hashlib.sha256(name.encode()).hexdigest()
        assert recorded[name]["sha256"] == digest


def test_the_mirror_is_a_setting_or_a_variable(monkeypatch):
    monkeypatch.delenv("METAMERS_WEIGHTS_MIRROR", raising=False)
    assert mirror_folder({}) is None
    monkeypatch.setenv("METAMERS_WEIGHTS_MIRROR", "/there")
    assert mirror_folder({}) == "/there"
    assert mirror_folder({"weights_mirror": "here"}) == "here"


def test_a_job_is_given_the_file_of_the_card_and_its_rules(tmp_path):
    card = tmp_path / "mine.json"
    card.write_text(json.dumps(CARD))
    study = {"path": None, "url": None, "public": "mine", "sha256": None, "head": None}
    with pytest.raises(StudyError, match=r"mine\.pth has gone .* --force .*mine\.json"):
        read_card(card)
    (tmp_path / "mine.pth").write_bytes(CONTENT)
    head = tmp_path / "head.safetensors"
    head.write_bytes(b"head")
    found = given_weights(study, [str(card)], [str(head)])
    assert found == {
        **study,
        "path": str(tmp_path / "mine.pth"),
        "sha256": SHA256,
        "rules": {"lacks": ["fc"]},
        "head": str(head),
    }
    digest = hashlib.sha256(b"head").hexdigest()
    assert checksums(found) == {"weights": SHA256, "head": digest}


def test_a_job_is_given_its_own_file_or_address_as_it_is(tmp_path):
    study = {"path": "w.pth", "url": None, "public": None, "sha256": None, "head": None}
    file = tmp_path / "w.pth"
    file.write_bytes(CONTENT)
    found = given_weights(study, [str(file)], [])
    assert found == {**study, "path": str(file)}
    assert checksums(found) == {"weights": SHA256}
    study = {**study, "path": None, "url": "https://example.org/w.pth", "sha256": "a"}
    assert given_weights(study, [], []) == study
    assert checksums(study) == {"weights": "a"}
