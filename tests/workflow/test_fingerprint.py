"""The fingerprint of code: what counts and what does not."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from metamers import fingerprint
from metamers.fingerprint import CARRIERS, code_fingerprint, module_file, reached

PACKAGE = Path(fingerprint.__file__).parent


@pytest.fixture
def package(tmp_path):
    """Return a small package of the same name, in which all can be edited."""
    folder = tmp_path / "workflow" / "metamers"
    (folder / "networks").mkdir(parents=True)
    (tmp_path / "workflow" / "scripts").mkdir()
    for name in ("__init__.py", "fingerprint.py", "errors.py", "networks/registry.py"):
        shutil.copy(PACKAGE / name, folder / name)
    (folder / "networks" / "__init__.py").write_text("")
    (folder / "top.py").write_text(
        '"""Top."""\n\n'
        "from typing import TYPE_CHECKING\n\n"
        "if TYPE_CHECKING:\n    from metamers import typed\n\n\n"
        "def work():\n"
        '    """Work."""\n'
        "    from metamers.deep import value\n\n    return value\n"
    )
    (folder / "deep.py").write_text("from . import deeper\n\nvalue = deeper.number\n")
    (folder / "deeper.py").write_text("number = 1\n")
    (folder / "typed.py").write_text("kind = 1\n")
    (folder / "other.py").write_text("thing = 1\n")
    (folder / "networks" / "mine.py").write_text("layers = 1\n")
    script = "from metamers.top import work\n\nwork()\n"
    (tmp_path / "workflow" / "scripts" / "step.py").write_text(script)
    return folder


def taken(package: Path, call: str = "'metamers.top'") -> str:
    """Take a fingerprint in a fresh process, in the small package."""
    program = (
        "from metamers.fingerprint import code_fingerprint\n"
        f"print(code_fingerprint({call}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=package.parent,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_is_sixteen_hexadecimal_digits(package):
    digits = taken(package)
    assert len(digits) == 16 and int(digits, 16) >= 0


def test_comments_docstrings_and_layout_do_not_count(package):
    before = taken(package)
    path = package / "top.py"
    text = path.read_text().replace('"""Work."""', '"""Work hard, and\n    long."""')
    path.write_text(
        "# comment\n" + text.replace("return value", "return (value)") + "\n"
    )
    assert taken(package) == before


@pytest.mark.parametrize("name", ["top", "deep", "deeper"])
def test_code_counts_through_imports_also_in_functions(package, name):
    before = taken(package)
    path = package / f"{name}.py"
    path.write_text(path.read_text() + "\nadded = 1\n")
    assert taken(package) != before


@pytest.mark.parametrize("name", ["other", "typed", "errors", "networks/registry"])
def test_other_code_does_not_count(package, name):
    before = taken(package)
    path = package / f"{name}.py"
    path.write_text(path.read_text() + "\nadded = 1\n")
    assert taken(package) == before


def test_script_counts_with_its_imports(package):
    call = "scripts=('step',)"
    before = taken(package, call)
    script = package.parent / "scripts" / "step.py"
    script.write_text(script.read_text() + "# comment\n")
    assert taken(package, call) == before
    script.write_text(script.read_text() + "work()\n")
    edited = taken(package, call)
    assert edited != before
    (package / "deeper.py").write_text("number = 2\n")
    assert taken(package, call) not in (before, edited)


def test_only_the_given_architecture_counts(package):
    call = "'metamers.top', architecture='metamers.networks.mine:Net'"
    plain, before = taken(package), taken(package, call)
    (package / "networks" / "mine.py").write_text("layers = 2\n")
    assert taken(package, call) != before
    assert taken(package) == plain


def test_a_module_outside_the_package_counts_if_it_is_not_installed(package):
    outside = package.parent / "my_networks.py"
    call = "'metamers.top', architecture='my_networks:Net'"
    outside.write_text("layers = 1\n")
    before = taken(package, call)
    outside.write_text("layers = 2\n")
    assert taken(package, call) != before
    installed = "'metamers.top', architecture='torchvision:alexnet'"
    assert taken(package, installed) == taken(package)


def test_unknown_module_is_an_error():
    with pytest.raises(ModuleNotFoundError, match=r"metamers\.nothing"):
        code_fingerprint("metamers.nothing")


def test_training_does_not_reach_figures_or_the_study():
    found = reached("metamers.training.loop")
    assert "metamers.training.loop" in found and "metamers.networks.network" in found
    for name in found:
        assert not name.startswith(("metamers.figures", "metamers.study"))
        assert name not in CARRIERS


def test_no_script_reads_the_study():
    for path in sorted((PACKAGE.parent / "scripts").glob("*.py")):
        tree = ast.parse(path.read_text())
        modules = [
            node.module
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module
        ]
        assert modules, path
        for name in reached(*(m for m in modules if m.startswith("metamers"))):
            assert not name.startswith("metamers.study"), (path.name, name)


def test_module_file():
    assert module_file("metamers.fingerprint") == PACKAGE / "fingerprint.py"
    assert module_file("metamers.networks") == PACKAGE / "networks" / "__init__.py"
    assert module_file("metamers.fingerprint.cache") is None
    assert module_file("torch") is None
