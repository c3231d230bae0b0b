"""Fixtures shared by all tests."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TRACKED = ("Snakefile", "config", "envs", "profiles", "resources", "slurm", "workflow")


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def copy_repository(root: Path) -> Callable[[Path], None]:
    """Return a function that fills a new folder with what a run needs of the files."""

    def copy(folder: Path) -> None:
        folder.mkdir()
        for name in TRACKED:
            source = root / name
            if source.is_symlink():
                (folder / name).symlink_to(os.readlink(source))
            elif source.is_dir():
                ignore = shutil.ignore_patterns("__pycache__", "*.d")
                shutil.copytree(source, folder / name, ignore=ignore)
            else:
                shutil.copy2(source, folder / name)

    return copy


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of downloaded data beside the repository, or skip."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs the downloaded data in ../shared, which is not here")
    return folder
