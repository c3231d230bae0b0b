"""From a network's outputs to its answer.

A network answers with its largest output. Where its classes are finer than the
categories of the task (1000 ImageNet classes, 16 categories), the answer is the
category of the largest output among the classes that belong to one: never a sum or a
mean (the study's released code, analysis_scripts/helpers_16_choice.py). Equal outputs
go to the higher class index, as its flipped ascending sort has it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from metamers.errors import StudyError, suggest
from metamers.stimuli.category_map import read_category_map

if TYPE_CHECKING:
    import torch

Logits = TypeVar("Logits", np.ndarray, "torch.Tensor")

KINDS = ("argmax", "mapped_maximum")
RESOURCES = Path(__file__).resolve().parents[3] / "resources"


def decide(logits: Logits, decision: Mapping[str, Any]) -> Logits:
    """Return the answer to each stimulus as an index.

    Parameters
    ----------
    logits
        (n, classes), array or tensor.
    decision
        ``{"kind": "argmax"}``, with ``"outputs"`` of the first so many logits; or
        ``{"kind": "mapped_maximum", "map": {category: [class indices]}}``.

    Returns
    -------
    ndarray or Tensor
        (n,) int64 of the kind of `logits`, on its device: the class, or the position
        of the category in the map; names by `answer_names`.

    Raises
    ------
    StudyError
        Where the decision is of no known kind or its map does not fit the outputs.
    ValueError
        Where an output is not a number.
    """
    kind = decision.get("kind")
    if kind not in KINDS:
        raise StudyError(
            f"decision.kind is {kind!r}; allowed are {' and '.join(KINDS)}"
            + suggest(kind, KINDS)
        )
    if bool((logits != logits).any()):  # NaN is the value that differs from itself
        raise ValueError(
            "a network's outputs are not numbers: its training has diverged; "
            "train it again with a smaller learning rate"
        )
    if kind == "argmax":
        return _last_argmax(logits[..., : decision.get("outputs")])
    classes, owners = _classes_and_owners(decision["map"], logits.shape[-1])
    position = _last_argmax(logits[..., classes])
    if isinstance(position, np.ndarray):
        return owners[position]
    return position.new_tensor(owners)[position]


def answer_names(
    task: Mapping[str, Any], categories: Mapping[str, Sequence[str]]
) -> list[str]:
    """Name the answers that `decide` gives as indices.

    Parameters
    ----------
    task
        A resolved task: its ``label`` and ``decision``.
    categories
        {label: names} of the stimulus file.

    Returns
    -------
    list of str
        The name of each index.

    Raises
    ------
    StudyError
        Where the stimuli have no such label.
    """
    if task["decision"]["kind"] == "mapped_maximum":
        return [str(name) for name in task["decision"]["map"]]
    label = task["label"]
    if label not in categories:
        raise StudyError(
            f"task {task['name']!r} is about the label {label!r}, which the stimuli "
            f"do not have; they have {', '.join(categories)}"
            + suggest(label, categories)
        )
    return list(categories[label])


def imagenet_16_categories() -> dict[str, list[int]]:
    """Return the 208 ImageNet classes of the 16 categories of the study.

    Returns
    -------
    dict
        {category: 0-based class indices}, categories in the order of the published
        stimulus set (airplane first, truck last).
    """
    return read_category_map(RESOURCES / "imagenet_16_categories.csv")


def _last_argmax(logits: Logits) -> Logits:
    """Return the index of the largest value along the last axis, the last of equals."""
    if isinstance(logits, np.ndarray):
        return logits.shape[-1] - 1 - np.flip(logits, -1).argmax(-1)
    return logits.shape[-1] - 1 - logits.flip(-1).argmax(-1)


def _classes_and_owners(
    mapping: Mapping[str, Sequence[int]], outputs: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mapped classes in ascending order and the category of each."""
    pairs = sorted(
        (int(index), owner)
        for owner, indices in enumerate(mapping.values())
        for index in indices
    )
    empty = [category for category, indices in mapping.items() if len(indices) == 0]
    if not pairs or empty:
        raise StudyError(
            f"categories without a class: {', '.join(empty) or 'all'}; "
            "give each category at least one class index"
        )
    classes = np.array([index for index, _ in pairs])
    twice = classes[1:][np.diff(classes) == 0]
    if twice.size:
        raise StudyError(
            f"class {twice[0]} belongs to two categories; give each class once"
        )
    if classes[0] < 0 or (outputs is not None and classes[-1] >= outputs):
        wrong = classes[0] if classes[0] < 0 else classes[-1]
        limit = "" if outputs is None else f" to {outputs - 1}"
        raise StudyError(
            f"class {wrong} is in the category map; the network's classes are 0{limit}"
        )
    return classes, np.array([owner for _, owner in pairs])
