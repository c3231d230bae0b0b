"""Fingerprint of the code a step runs, so that a change of code reruns that step only.

Snakemake sees files and parameters, not the modules that a script imports. Each rule
therefore has the fingerprint of those modules among its parameters. It is taken from
the syntax tree: comments, docstrings and layout do not count, and imports are followed
inside the package only, also those inside functions.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from metamers.networks.registry import architecture_module

PACKAGE = "metamers"
ROOT = Path(__file__).resolve().parent

# Modules that carry results about and cannot change one: an edit here reruns nothing.
# The registry is among them because it only names modules: that of a job's own
# architecture is given to the fingerprint, so a new architecture is no change.
CARRIERS = frozenset(
    f"{PACKAGE}.{name}"
    for name in (
        "downloads",
        "errors",
        "files",
        "fingerprint",
        "jobs",
        "networks.registry",
        "provenance",
        "resume",
    )
)


def code_fingerprint(
    *modules: str,
    architecture: str | Iterable[str] | None = None,
    scripts: Iterable[str] = (),
) -> str:
    """Return the fingerprint of modules and of all that they import in the package.

    Parameters
    ----------
    *modules
        Dotted names, e.g. ``"metamers.training.loop"``.
    architecture
        Architectures of the step's networks, as a study names them, or the modules of
        their front ends: the registry imports them by name at run time. Of a module
        outside the package its one file counts, if it is on the path and not
        installed.
    scripts
        Names of files in ``workflow/scripts``, without the suffix; their own code and
        their imports count too.

    Returns
    -------
    str
        16 hexadecimal digits.

    Raises
    ------
    ModuleNotFoundError
        If a module is not in the package.
    """
    named = [architecture] if isinstance(architecture, str) else architecture or ()
    own = {_module_of(name) for name in named}
    return _fingerprint(
        tuple(sorted(modules)), tuple(sorted(own)), tuple(sorted(scripts))
    )


def _module_of(architecture: str) -> str:
    """Return the module of an architecture given as in a study, or as a module."""
    if ":" not in architecture:
        return architecture
    return architecture_module(architecture) or architecture.partition(":")[0]


@cache
def _fingerprint(
    modules: tuple[str, ...], architectures: tuple[str, ...], scripts: tuple[str, ...]
) -> str:
    files = {name: ROOT.parent / "scripts" / f"{name}.py" for name in scripts}
    roots = [*modules, *(name for path in files.values() for name in _code(path)[1])]
    for name in architectures:
        if name.split(".")[0] == PACKAGE:
            roots.append(name)
        elif (found := uninstalled(name)) is not None:
            files[name] = found
    for module in modules:
        if module_file(module) is None:
            raise ModuleNotFoundError(f"no module {module} below {ROOT.parent}")
    for name in reached(*roots):
        path = module_file(name)
        assert path is not None
        files[name] = path
    text = "\n".join(f"{name} {_code(path)[0]}" for name, path in sorted(files.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def uninstalled(module: str) -> Path | None:
    """Find the file of a user's own module, without importing anything.

    Parameters
    ----------
    module
        Dotted name, looked for on ``sys.path`` and in the working directory.

    Returns
    -------
    Path or None
        None if it is not found, or lies in an installation: what is installed has a
        version and does not change by an edit.
    """
    relative = Path(*module.split("."))
    for entry in ("", *sys.path):
        if "site-packages" in entry or "dist-packages" in entry:
            continue
        for path in (relative / "__init__.py", relative.with_suffix(".py")):
            if Path(entry, path).is_file():
                return Path(entry, path)
    return None


def reached(*modules: str) -> set[str]:
    """Return the modules of the package that `modules` import, themselves included.

    The package's own ``__init__`` (its version) and `CARRIERS` are left out.
    """
    seen: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name in seen or name in CARRIERS or name == PACKAGE:
            continue
        path = module_file(name)
        if path is None:
            continue
        seen.add(name)
        waiting.extend(_code(path)[1])
        # Importing a.b.c also runs a/__init__ and a.b/__init__.
        waiting.append(name.rpartition(".")[0])
    return seen


def module_file(name: str) -> Path | None:
    """Return the file of a module of the package, or None where there is none."""
    first, *rest = name.split(".")
    if first != PACKAGE:
        return None
    base = ROOT.joinpath(*rest)
    package, module = base / "__init__.py", base.with_suffix(".py")
    if package.is_file():
        return package
    return module if rest and module.is_file() else None


@cache
def _code(path: Path) -> tuple[str, tuple[str, ...]]:
    """Return the digest of a file's code and the names that it may import."""
    tree = ast.parse(path.read_bytes(), filename=str(path))
    imports = tuple(sorted(_imports(tree, path)))
    digest = hashlib.sha256(repr(_canonical(tree)).encode()).hexdigest()
    return digest, imports


def _canonical(node: object) -> object:
    """Return a syntax tree as nested tuples, without positions and docstrings.

    Empty fields are left out, since Python versions differ in which they have.
    """
    if isinstance(node, list):
        return tuple(_canonical(item) for item in node)
    if not isinstance(node, ast.AST):
        return (type(node).__name__, repr(node))
    fields = []
    for name, value in ast.iter_fields(node):
        if name == "kind" or value is None:
            continue
        if name == "body" and isinstance(value, list) and _has_docstring(node):
            value = value[1:]
        if value != []:
            fields.append((name, _canonical(value)))
    return (type(node).__name__, *fields)


def _has_docstring(node: ast.AST) -> bool:
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return isinstance(node, owners) and ast.get_docstring(node, False) is not None


def _imports(tree: ast.Module, path: Path) -> set[str]:
    """Return the dotted names of the package that a file may import at run time."""
    names: set[str] = set()
    for node in _run_time_nodes(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, path)
            names.add(base)
            # "from package import name": the name may be a module.
            names.update(f"{base}.{alias.name}" for alias in node.names)
    return {name for name in names if name.split(".")[0] == PACKAGE}


def _run_time_nodes(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield the nodes of a tree, without what only type checkers read."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            waiting.extend(node.orelse)
        else:
            waiting.extend(ast.iter_child_nodes(node))


def _absolute(node: ast.ImportFrom, path: Path) -> str:
    """Return the absolute name of the module in a from-import."""
    if not node.level:
        return node.module or ""
    if not path.is_relative_to(ROOT):
        return ""
    parts = [PACKAGE, *path.relative_to(ROOT).with_suffix("").parts]
    parts = parts[: len(parts) - node.level]
    return ".".join([*parts, *(node.module.split(".") if node.module else [])])
