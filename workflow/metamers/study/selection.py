"""A part of a study: the models of some figures or groups, and no others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from metamers.errors import StudyError, suggest
from metamers.study.definition import Study


def wanted_names(only: object) -> list[str]:
    """Return the names in ``--config only=``: text with commas, or a list of names.

    Raises
    ------
    StudyError
        If it is neither.
    """
    if only is None:
        return []
    parts = only.split(",") if isinstance(only, str) else only
    if isinstance(parts, Iterable) and not isinstance(parts, Mapping):
        names = [part.strip() if isinstance(part, str) else part for part in parts]
        if all(isinstance(name, str) and name for name in names):
            return names
    raise StudyError(
        f"only: {only!r} is no name of a figure, group or model, nor several with "
        "commas between them; write e.g. `--config only=figure_4`"
    )


def select_models(
    data: Mapping[str, Any], study: Study, wanted: Iterable[str]
) -> dict[str, Any]:
    """Leave only some models in the content of a study file.

    Parameters
    ----------
    data
        Content of the file, with the models of drop-in files.
    study
        The whole study, made of `data`.
    wanted
        Names of figures, groups or models; a model with any of them stays.

    Returns
    -------
    dict
        `data` without the other models, the blocks of generators that are empty
        without them, and the controls of other models.

    Raises
    ------
    StudyError
        If no model has one of the names.
    """
    names = {
        model: {model, entry.group, *entry.figures}
        for model, entry in study.models.items()
    }
    known = list(dict.fromkeys(name for found in names.values() for name in found))
    for name in wanted:
        if name not in known:
            raise StudyError(
                f"only: '{name}' is no figure, group or model of this study"
                f"{suggest(name, known)} Known: {', '.join(sorted(known))}"
            )
    kept = [model for model, found in names.items() if found & set(wanted)]
    found = {**data, "models": {model: data["models"][model] for model in kept}}
    if isinstance(study.transfer.blocks, dict):
        blocks = {
            block: [model for model in members if model in kept]
            for block, members in study.transfer.blocks.items()
        }
        blocks = {block: members for block, members in blocks.items() if members}
        found["transfer"] = {**data["transfer"], "blocks": blocks or None}
    controls = data.get("controls") or {}
    found["controls"] = {
        modality: control
        for modality, control in controls.items()
        if control and control.get("model") in kept
    }
    return found
