"""A copy of the repository in which Snakemake runs a tiny study, once a session."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

STUDY = "config/studies/tiny.yaml"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Clone:
    """A copy of the repository, perhaps with results."""

    folder: Path

    def snakemake(
        self, *arguments: str, study: str | None = STUDY, fail: bool = False
    ) -> str:
        """Run snakemake here and return all that it writes."""
        chosen = ["--config", f"study={study}"] if study else []
        command = [sys.executable, "-m", "snakemake", *arguments, *chosen]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert bool(done.returncode) == fail, done.stdout[-6000:]
        return done.stdout

    def planned(self, study: str = STUDY) -> set[str]:
        """Return the messages of the jobs that a dry run plans."""
        text = self.snakemake("-n", study=study)
        jobs = set(re.findall(r"^Job \d+: (.+)$", text, flags=re.MULTILINE))
        assert jobs or "Nothing to be done" in text, text[-3000:]
        return jobs

    def copy(
        self, folder: Path, *, results: bool = True, records: bool = True
    ) -> Clone:
        """Copy everything, or leave out the results or Snakemake's records of them."""
        skipped = [] if results else ["results"]
        skipped += [] if records else [".snakemake"]
        ignore = shutil.ignore_patterns(*skipped) if skipped else None
        shutil.copytree(self.folder, folder, symlinks=True, ignore=ignore)
        return Clone(folder)

    def add_code(self, path: str) -> None:
        """Add a line to a file of Python that changes nothing but its code."""
        with open(self.folder / path, "a") as file:
            file.write("\nADDED_BY_A_TEST = 1\n")

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace a text that a file holds."""
        file = self.folder / path
        text = file.read_text()
        assert old in text, f"{old!r} is not in {path}"
        file.write_text(text.replace(old, new, 1))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests here in one worker, which runs the tiny study once for all."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("workflow"))


@pytest.fixture(scope="session")
def clone(
    copy_repository: Callable[[Path], None], tmp_path_factory: pytest.TempPathFactory
) -> Clone:
    """Return a copy of the repository's files, with the tiny study and no results."""
    folder = tmp_path_factory.mktemp("clone") / "repository"
    copy_repository(folder)
    shutil.copy2(Path(__file__).parent / "studies" / "tiny.yaml", folder / STUDY)
    return Clone(folder)


@pytest.fixture(scope="session")
def finished(clone: Clone, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Return a copy in which the tiny study has run to its end."""
    folder = tmp_path_factory.mktemp("finished") / "repository"
    done = clone.copy(folder)
    done.snakemake("--cores", "2")
    return done
