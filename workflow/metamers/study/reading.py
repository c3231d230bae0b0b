"""Reading a study file, its drop-in models, and saying what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from metamers.errors import StudyError, suggest
from metamers.study.definition import Study
from metamers.study.selection import select_models, wanted_names

ROOT = Path(__file__).resolve().parents[3]


class _StrictLoader(yaml.SafeLoader):
    """YAML without silent repetition: a key given twice is an error."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        if isinstance(node, yaml.MappingNode):
            seen: dict[Any, int] = {}
            for key_node, _ in node.value:
                if key_node.tag == "tag:yaml.org,2002:merge":
                    continue
                key = self.construct_object(key_node, deep=True)
                line = key_node.start_mark.line + 1
                if key in seen:
                    raise StudyError(
                        f"line {line}: '{key}' is given twice (first on line "
                        f"{seen[key]}); rename or remove one"
                    )
                seen[key] = line
        return super().construct_mapping(node, deep=deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read one YAML file that must hold a mapping without repeated keys.

    Raises
    ------
    StudyError
        The file is missing, is not YAML, repeats a key or holds no mapping.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)
    except FileNotFoundError:
        raise StudyError(f"{path}: there is no such file") from None
    except UnicodeDecodeError as error:
        raise StudyError(f"{path}: is not UTF-8 text ({error})") from None
    except yaml.YAMLError as error:
        raise StudyError(f"{path}: is not valid YAML: {error}") from None
    except StudyError as error:
        raise StudyError(f"{path}: {error}") from None
    if not isinstance(content, dict):
        raise StudyError(
            f"{path}: must hold a mapping of fields, not {type(content).__name__}"
        )
    return content


def find_study(name: str, root: Path) -> Path:
    """Return the file of a study given by name or by path.

    Raises
    ------
    StudyError
        There is no such study; the message names those there are.
    """
    folder = root / "config" / "studies"
    if name.endswith((".yaml", ".yml")) or "/" in name:
        path = Path(name)
        if path.is_file():
            return path
        raise StudyError(f"study file '{name}' does not exist")
    path = folder / f"{name}.yaml"
    if not path.is_file():
        known = sorted(file.stem for file in folder.glob("*.yaml"))
        raise StudyError(
            f"there is no study '{name}'{suggest(name, known) or '.'} Known: "
            f"{', '.join(known)}. A study is a file in config/studies/, or a path."
        )
    return path


def _drop_ins(path: Path, models: dict[str, Any]) -> dict[str, str]:
    """Add the models of `{study}.d/*.yaml` to `models`; return name: file."""
    origin: dict[str, str] = {}
    for file in sorted(path.with_suffix(".d").glob("*.y*ml")):
        content = read_yaml(file)
        for key in content:
            if key != "models":
                raise StudyError(
                    f"{file}: '{key}' is not allowed in a drop-in file, which may only "
                    "add models: put everything under 'models:'"
                )
        added = content.get("models")
        if not isinstance(added, dict) or not added:
            raise StudyError(f"{file}: 'models' must name at least one model")
        for name, entry in added.items():
            if name in models:
                raise StudyError(
                    f"{file}: model '{name}' exists already in "
                    f"{origin.get(name, str(path))}; choose another name"
                )
            models[name] = entry
            origin[name] = str(file)
    return origin


def _value_at(data: Any, location: tuple[Any, ...]) -> tuple[list[str], Any]:
    """Follow a validation error's location; skip the tags of unions."""
    path: list[str] = []
    for part in location:
        known = part in data if isinstance(data, dict) else isinstance(part, int)
        if isinstance(data, dict | list) and known:
            data = data[part]
        elif part == location[-1]:
            path.append(str(part))
            return path, None
        else:
            continue
        path.append(str(part))
    return path, data


def _explain(error: Any, data: dict[str, Any]) -> str:
    """Word one validation error: path, value, what is allowed, nearest name."""
    location = tuple(part for part in error["loc"] if part != "[key]")
    path, value = _value_at(data, location)
    where = ".".join(path)
    kind, message = error["type"], error["msg"]
    if kind == "study":
        return message
    if kind == "missing":
        return f"{where}: is required and missing"
    if kind == "unknown_key":
        return f"{where + ': ' if where else ''}{message}"
    if error["loc"] and error["loc"][-1] == "[key]":
        return (
            f"{where}: this name may hold only letters, digits, '_' and '-' "
            "(at most 100)"
        )
    if kind == "literal_error":
        allowed = error["ctx"]["expected"]
        words = [word.strip("' ") for word in allowed.replace(" or ", ",").split(",")]
        return (
            f"{where}: {value!r} is not allowed{suggest(value, words) or '.'} "
            f"Allowed: {allowed}"
        )
    if kind == "union_tag_invalid":
        allowed = error["ctx"]["expected_tags"]
        words = [word.strip("' ") for word in allowed.split(",")]
        tag = error["ctx"]["tag"]
        return (
            f"{where}.kind: '{tag}' is not allowed{suggest(tag, words) or '.'} "
            f"Allowed: {allowed}"
        )
    hint = ""
    if kind.startswith(("float", "int")) and isinstance(value, str):
        hint = " (write powers of ten with a point and a sign: 1.0e-4)"
    return f"{where}: {value!r}: {message}{hint}"


def missing_data(study: Study, root: Path | None = None) -> list[str]:
    """Return what is missing of data that is too large to come with the project.

    A study can be checked and planned without them, but not run.

    Returns
    -------
    list of str
        A line for each: the field, the path, and what belongs there.
    """
    root = root or ROOT
    wanted: list[tuple[str, str | None, str]] = []
    for modality in study.modalities:
        source = getattr(study.stimuli, modality).source
        field = f"stimuli.{modality}.source"
        if source.kind == "imagenet":
            for folder in ("train", "val"):
                content = (
                    "a folder for each of ImageNet's 1000 classes (n01440764, ...)"
                )
                wanted.append((f"{field}.path", f"{source.path}/{folder}", content))
            content = "a text file of image names"
            wanted.append((f"{field}.rejected", source.rejected, content))
        if source.kind == "manifest":
            content = "a table with the columns path, word, onset, source"
            wanted.append((f"{field}.clips", source.clips, content))
            content = "a table with the columns path and labels"
            wanted.append((f"{field}.backgrounds", source.backgrounds, content))
            for name in ("vocabulary", "background_labels"):
                content = "a text file with one name a line"
                wanted.append((f"{field}.{name}", getattr(source, name), content))
    return [
        f"{field}: there is no '{path}' (looked for {root / path}): {content}"
        for field, path, content in wanted
        if path is not None and not (root / path).exists()
    ]


def _check_files(study: Study, root: Path) -> None:
    """Refuse paths that lead nowhere, before any work starts."""
    wanted: list[tuple[str, str | None]] = [
        ("statistics.claims", study.statistics.claims)
    ]
    for modality in study.modalities:
        source = getattr(study.stimuli, modality).source
        if source.kind in ("imagenet", "manifest"):
            continue
        for field in ("path", "training", "test", "clips"):
            wanted.append(
                (f"stimuli.{modality}.source.{field}", getattr(source, field, None))
            )
        if isinstance(getattr(source, "backgrounds", None), str):
            wanted.append(
                (f"stimuli.{modality}.source.backgrounds", source.backgrounds)
            )
    for name, entry in study.models.items():
        if entry.weights is not None:
            wanted.append((f"models.{name}.weights.path", entry.weights.path))
            wanted.append((f"models.{name}.weights.head", entry.weights.head))
    for field, path in wanted:
        if path is not None and not (root / path).exists():
            raise StudyError(
                f"{field}: '{path}' does not exist (looked for {root / path}); paths "
                "are absolute or relative to the root of the repository"
            )


def load_study(
    name: str | Path, root: Path | None = None, only: object = None
) -> Study:
    """Read a study by name or path, with the drop-in models beside it.

    Parameters
    ----------
    name
        A name (``demo`` for ``config/studies/demo.yaml``) or the path of a file.
    root
        Root of the repository; by default found from this file.
    only
        Figures, groups or models to leave in (`metamers.study.selection`); None: all.

    Returns
    -------
    Study
        Validated: every field in bounds, every name known, every file there.

    Raises
    ------
    StudyError
        With one line a mistake: the field's path, the value, what is allowed and the
        nearest right name.
    """
    root = root or ROOT
    path = find_study(str(name), root)
    data = read_yaml(path)
    models = data.get("models")
    if isinstance(models, dict):
        data["models"] = dict(models)
        _drop_ins(path, data["models"])
    try:
        study = Study.model_validate(data)
        if wanted := wanted_names(only):
            study = Study.model_validate(select_models(data, study, wanted))
    except ValidationError as error:
        lines = [_explain(item, data) for item in error.errors()]
        raise StudyError(
            f"{path}: {len(lines)} mistake(s):\n  " + "\n  ".join(dict.fromkeys(lines))
        ) from None
    try:
        _check_files(study, root)
    except StudyError as error:
        raise StudyError(f"{path}: {error}") from None
    return study


def drop_in_models(name: str | Path, root: Path | None = None) -> list[str]:
    """Return the names of the models that come from drop-in files."""
    root = root or ROOT
    return list(_drop_ins(find_study(str(name), root), {}))
