"""What a network answers to labelled stimuli: logits of the task, loss, accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from metamers.errors import StudyError, suggest
from metamers.training.data import StimulusRows, evaluation_batches


class TaskLogits:
    """From a network's outputs to one logit a category of its task.

    Where the outputs are finer than the categories (1000 ImageNet classes, 16
    categories), the logit of a category is the largest of its classes, so that the
    largest logit is the published answer and has a gradient.

    Parameters
    ----------
    decision
        The task's decision, ``argmax`` or ``mapped_maximum``.
    categories
        Names of the categories, in the order that labels index.

    Raises
    ------
    StudyError
        If a category has no class in the map.
    """

    def __init__(self, decision: Mapping[str, Any], categories: Sequence[str]) -> None:
        self.categories = list(categories)
        self.classes: list[list[int]] | None = None
        if decision["kind"] == "mapped_maximum":
            mapping = decision["map"]
            for name in categories:
                if not mapping.get(name):
                    raise StudyError(
                        f"category '{name}' has no class in the task's map, which has "
                        f"{', '.join(mapping)}" + suggest(name, mapping)
                    )
            self.classes = [list(mapping[name]) for name in categories]

    def __call__(self, outputs: Tensor) -> Tensor:
        """Return logits (n, categories) of outputs (n, classes).

        Raises
        ------
        StudyError
            If the network has another number of outputs than the task needs.
        """
        if self.classes is None:
            if outputs.shape[1] != len(self.categories):
                raise StudyError(
                    f"the network has {outputs.shape[1]} outputs and its task "
                    f"{len(self.categories)} categories: give the architecture as "
                    "many (arguments), or the task a map from classes to categories"
                )
            return outputs
        largest = max(max(indices) for indices in self.classes)
        if largest >= outputs.shape[1]:
            raise StudyError(
                f"the task's map names class {largest}, but the network's classes "
                f"are 0 to {outputs.shape[1] - 1}"
            )
        columns = [outputs[:, indices].amax(dim=1) for indices in self.classes]
        return torch.stack(columns, dim=1)


def evaluate(
    network: nn.Module,
    task_logits: TaskLogits,
    entry: Mapping[str, Any],
    rows: StimulusRows,
    device: str | torch.device = "cpu",
) -> tuple[float, float]:
    """Measure mean cross-entropy and accuracy on a split, in evaluation mode.

    Parameters
    ----------
    network
        Takes stimuli in their units; left in the mode it was in.
    task_logits
        From its outputs to the categories of its task.
    entry
        The resolved model entry.
    rows
        The stimuli, with the label of the entry's task.
    device
        Where the network is.

    Returns
    -------
    loss, accuracy
        Means over the stimuli; accuracy in [0, 1].
    """
    was_training = network.training
    network.eval()
    loss, correct = 0.0, 0
    with torch.no_grad():
        for x, label, _ in evaluation_batches(entry, rows, device=device):
            logits = task_logits(network(x))
            losses = nn.functional.cross_entropy(logits, label, reduction="sum")
            loss += float(losses)
            correct += int((logits.argmax(dim=1) == label).sum())
    network.train(was_training)
    return loss / len(rows), correct / len(rows)
