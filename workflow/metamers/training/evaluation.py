"""What a network answers to labelled stimuli: logits of the task, loss, accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from metamers.errors import StudyError, suggest
from metamers.training.data import (
    StimulusRows,
    evaluation_batches,
    names_of_label,
)
from metamers.training.stimuli import Labels, Target, learned_label

ARGMAX = {"kind": "argmax"}


class TaskLogits:
    """From a network's outputs to one logit a category that it learns.

    Where the outputs are finer than the categories (1000 ImageNet classes, 16
    categories), the logit of a category is the largest of its classes, so that the
    largest logit is the published answer and has a gradient.

    Parameters
    ----------
    decision
        The task's decision, ``argmax`` or ``mapped_maximum``.
    categories
        Names of the categories, in the order that labels index.
    multi_label
        Whether a stimulus may have several of them.
    second
        The task's second label (label, multi_label, weight), if it has one.
    second_categories
        How many categories that has; its outputs come after the others.

    Raises
    ------
    StudyError
        If a category has no class in the map, or a map and a second label meet.
    """

    def __init__(
        self,
        decision: Mapping[str, Any],
        categories: Sequence[str],
        multi_label: bool = False,
        second: Mapping[str, Any] | None = None,
        second_categories: int = 0,
    ) -> None:
        self.categories, self.multi_label = list(categories), multi_label
        self.second, self.second_categories = second, second_categories
        self.classes: list[list[int]] | None = None
        if decision["kind"] == "mapped_maximum":
            mapping = decision["map"]
            for name in categories:
                if not mapping.get(name):
                    raise StudyError(
                        f"category '{name}' has no class in the task's map, which has "
                        f"{', '.join(mapping)}" + suggest(name, mapping)
                    )
            if second is not None:
                raise StudyError(
                    "a task with a map from classes to categories learns a second "
                    "label only beside the classes themselves: give training_label"
                )
            self.classes = [list(mapping[name]) for name in categories]

    @classmethod
    def of(cls, entry: Mapping[str, Any], stimuli_path: str | Path) -> TaskLogits:
        """Return the logits of what a model entry's network learns.

        With ``training_label`` these are the network's outputs, one for each of that
        label's categories, whatever is made of them in the end.
        """
        task = entry["task"]
        names = names_of_label(entry, stimuli_path, learned_label(task))
        finer = learned_label(task) != task["label"]
        second = task.get("second")
        beside = names_of_label(entry, stimuli_path, second["label"]) if second else []
        if second and second["after"] != len(names):
            raise StudyError(
                f"the task's second.after is {second['after']}, but the stimuli have "
                f"{len(names)} categories of the label {task['label']!r}: "
                "give that number"
            )
        return cls(
            ARGMAX if finer else task["decision"],
            names,
            bool(task.get("multi_label")),
            second,
            len(beside),
        )

    def __call__(self, outputs: Tensor) -> Tensor:
        """Return logits (n, categories) of outputs (n, classes).

        Raises
        ------
        StudyError
            If the network has another number of outputs than the task needs.
        """
        if self.classes is None:
            needed = len(self.categories) + self.second_categories
            if outputs.shape[1] != needed:
                raise StudyError(
                    f"the network has {outputs.shape[1]} outputs and its task "
                    f"{needed} categories: give the architecture as "
                    "many (arguments), or the task a map from classes to categories"
                )
            return outputs[:, : len(self.categories)]
        largest = max(max(indices) for indices in self.classes)
        if largest >= outputs.shape[1]:
            raise StudyError(
                f"the task's map names class {largest}, but the network's classes "
                f"are 0 to {outputs.shape[1] - 1}"
            )
        columns = [outputs[:, indices].amax(dim=1) for indices in self.classes]
        return torch.stack(columns, dim=1)

    def terms(
        self, outputs: Tensor, labels: Target
    ) -> list[tuple[float, Tensor, Tensor, bool]]:
        """Return weight, logits, label and multi-label of each part of the loss."""
        first = labels.first if isinstance(labels, Labels) else labels
        found = [(1.0, self(outputs), first, self.multi_label)]
        if self.second is not None:
            assert isinstance(labels, Labels)
            beside = outputs[:, len(self.categories) :]
            several = bool(self.second.get("multi_label"))
            weight = float(self.second["weight"])
            found.append((weight, beside, labels.second, several))
        return found


def label_losses(logits: Tensor, label: Tensor, multi_label: bool) -> Tensor:
    """Return the loss (n,) of each stimulus for one label, 0 where it has none.

    Parameters
    ----------
    logits
        (n, categories).
    label
        Indices (n), -1 for none; or rows (n, categories) of 0 and 1.
    multi_label
        False for the cross-entropy; True for the mean over the categories of the
        binary cross-entropy of each with its sigmoid.
    """
    if not multi_label:
        return nn.functional.cross_entropy(
            logits, label, ignore_index=-1, reduction="none"
        )
    if label.ndim == 1:
        # Index -1 becomes a column that is cut off.
        label = nn.functional.one_hot(label + 1, logits.shape[1] + 1)[:, 1:]
    losses = nn.functional.binary_cross_entropy_with_logits(
        logits, label.to(logits), reduction="none"
    )
    return losses.mean(dim=1) * (label != 0).any(dim=1)


def labelled(label: Tensor) -> Tensor:
    """Say which stimuli (n) have a label."""
    return label >= 0 if label.ndim == 1 else (label != 0).any(dim=1)


def task_losses(outputs: Tensor, labels: Target, task: TaskLogits) -> Tensor:
    """Return the loss (n,) of each stimulus: what adversarial perturbations raise.

    Arguments as in `task_loss`.
    """
    terms = task.terms(outputs, labels)
    parts = [
        weight * label_losses(logits, label, several)
        for weight, logits, label, several in terms
    ]
    return parts[0] if len(parts) == 1 else parts[0] + parts[1]


def task_loss(outputs: Tensor, labels: Target, task: TaskLogits) -> Tensor:
    """Return the loss that training lowers.

    Parameters
    ----------
    outputs
        Of the network (n, classes).
    labels
        Of the batch, as `TrainingStimuli.batch` and `evaluation_batches` give them.
    task
        What is learned.

    Returns
    -------
    Tensor
        The mean over the stimuli that have the label, 0 if none has; plus, where there
        is a second label, its weight times its own mean.
    """
    total = None
    for weight, logits, label, several in task.terms(outputs, labels):
        summed = label_losses(logits, label, several).sum()
        mean = summed / labelled(label).sum().clamp(min=1)
        total = mean if total is None else total + weight * mean
    assert total is not None
    return total


def correct_answers(outputs: Tensor, labels: Target, task: TaskLogits) -> Tensor:
    """Say for which stimuli (n) the largest logit is that of a label of theirs.

    Arguments as in `task_loss`; a second label does not count, and a stimulus without
    a label is answered wrongly.
    """
    _, logits, label, _ = task.terms(outputs, labels)[0]
    answer = logits.argmax(dim=1)
    if label.ndim == 1:
        return answer == label
    return label.gather(1, answer[:, None])[:, 0] != 0


def evaluate(
    network: nn.Module,
    task_logits: TaskLogits,
    entry: Mapping[str, Any],
    rows: StimulusRows,
    device: str | torch.device = "cpu",
    batch_size: int = 100,
    workers: int = 0,
) -> tuple[float, float]:
    """Measure mean loss and accuracy on a split, in evaluation mode.

    Parameters
    ----------
    network
        Takes stimuli in their units; left in the mode it was in.
    task_logits
        From its outputs to the categories that it learns.
    entry
        The resolved model entry.
    rows
        The stimuli, with the labels that the entry's task learns.
    device
        Where the network is.
    batch_size
        Stimuli a forward pass.
    workers
        Processes that read; 0: this one.

    Returns
    -------
    loss, accuracy
        Means over the stimuli that have the label, of `task_loss` and of
        `correct_answers`; accuracy in [0, 1].

    Raises
    ------
    StudyError
        If no stimulus has the label.
    """
    was_training = network.training
    network.eval()
    # Sums stay on the device: each number that is looked at would wait for it.
    sums = torch.zeros(2, dtype=torch.float64, device=device)
    counts = torch.zeros_like(sums)
    correct = torch.zeros_like(sums[0])
    batches = evaluation_batches(entry, rows, None, batch_size, device, workers)
    with torch.no_grad():
        for x, label, _ in batches:
            outputs = network(x)
            for place, term in enumerate(task_logits.terms(outputs, label)):
                weight, logits, own, several = term
                sums[place] += weight * label_losses(logits, own, several).sum()
                counts[place] += labelled(own).sum()
            correct += correct_answers(outputs, label, task_logits).sum()
    network.train(was_training)
    if counts[0] == 0:
        raise StudyError(
            f"{rows.path}: no stimulus of split '{rows.split}' has the label "
            f"'{learned_label(entry['task'])}' that networks of the task "
            f"'{entry['task']['name']}' learn"
        )
    means = sums / counts.clamp(min=1)
    return float(means.sum()), float(correct / counts[0])
