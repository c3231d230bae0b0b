"""The places that name versions agree: pyproject.toml, the lock and the conda file."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib

import pytest
import yaml


@pytest.fixture(scope="module")
def project(root):
    return tomllib.loads((root / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def lock(root):
    lines = (root / "envs/requirements.txt").read_text().splitlines()
    pins = [line.split(";")[0].strip() for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.+]+", pin) for pin in pins)
    return {pin.lower().replace("_", "-") for pin in pins}


def normal(requirements):
    return {requirement.lower().replace("_", "-") for requirement in requirements}


def test_direct_dependencies_are_those_of_the_lock(project, lock):
    direct = normal(project["dependencies"])
    direct |= normal(project["optional-dependencies"]["development"])
    assert direct <= lock


def test_the_small_environment_is_a_part_of_the_large_one(root, lock):
    lines = (root / "envs/published.txt").read_text().splitlines()
    pins = {line.split(";")[0].strip() for line in lines if not line.startswith("#")}
    small = {pin.lower().replace("_", "-") for pin in pins}
    assert small <= lock
    names = {pin.split("==")[0] for pin in small}
    assert {"snakemake", "pandas", "scipy", "matplotlib", "pooch"} <= names
    assert not {name for name in names if "torch" in name or "cuda" in name}


def test_conda_environment_has_the_versions_of_the_project(root, project):
    content = yaml.safe_load((root / "envs/metamers.yaml").read_text())
    pip = next(
        item["pip"] for item in content["dependencies"] if isinstance(item, dict)
    )
    launcher = {"snakemake", "snakemake-executor-plugin-slurm"}
    wanted = {
        pin
        for pin in normal(project["dependencies"])
        if pin.split("==")[0] not in launcher
    }
    assert normal(pip) == wanted
    assert "nodefaults" in content["channels"]


def test_python_version_is_said_alike(root, project):
    sys.path.insert(0, str(root / "envs"))
    try:
        import install
    finally:
        sys.path.remove(str(root / "envs"))
    wanted = ".".join(map(str, install.PYTHON))
    assert project["requires-python"] == f">={wanted}"
    assert f"Python {wanted}" in (root / "README.md").read_text()


def test_full_disk_is_refused_before_anything_is_made(root, tmp_path):
    script = (
        "import sys, shutil, types; sys.argv = ['install.py', sys.argv[1]];"
        f"sys.path.insert(0, {str(root / 'envs')!r}); import install;"
        "shutil.disk_usage = lambda path: types.SimpleNamespace(free=1e9);"
        "install.main()"
    )
    target = tmp_path / "environment"
    process = subprocess.run(
        [sys.executable, "-c", script, str(target)], capture_output=True, text=True
    )
    assert process.returncode == 1
    assert "1.0 GB free" in process.stderr
    assert not target.exists()


def test_old_python_is_refused(root, tmp_path):
    script = (
        "import sys; sys.argv = ['install.py', sys.argv[1]];"
        f"sys.path.insert(0, {str(root / 'envs')!r}); import install;"
        "install.PYTHON = (99, 0); install.main()"
    )
    process = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "environment")],
        capture_output=True,
        text=True,
    )
    assert process.returncode == 1
    assert "Python 99.0 or newer is needed" in process.stderr


def test_an_environment_that_fits_is_left_alone(root):
    stamp = root / ".venv" / "installed-lock"
    if not stamp.is_file():
        pytest.skip("the environment was not made by `make`")
    before = stamp.stat().st_mtime_ns
    command = [sys.executable, str(root / "envs/install.py"), str(root / ".venv")]
    process = subprocess.run(command, capture_output=True, text=True)
    assert process.returncode == 0
    assert process.stdout == ""
    assert stamp.stat().st_mtime_ns == before
