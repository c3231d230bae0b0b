"""From outputs to the categories of a task, and accuracy."""

import h5py
import numpy as np
import pytest
import torch

from metamers.errors import StudyError
from metamers.recognition.decisions import decide
from metamers.training.data import StimulusRows
from metamers.training.evaluation import TaskLogits, evaluate


def test_mapped_logits_give_the_published_answer():
    outputs = torch.randn(200, 12, generator=torch.Generator().manual_seed(0))
    mapping = {"dog": [3, 4, 9], "cat": [0], "bird": [11, 7]}
    decision = {"kind": "mapped_maximum", "map": mapping}
    logits = TaskLogits(decision, list(mapping))(outputs)
    assert logits.shape == (200, 3)
    assert logits.argmax(dim=1).tolist() == decide(outputs, decision).tolist()
    assert torch.equal(logits[:, 0], outputs[:, [3, 4, 9]].amax(dim=1))


def test_labels_index_the_stimuli_categories_not_the_map():
    decision = {"kind": "mapped_maximum", "map": {"dog": [1], "cat": [0], "car": [2]}}
    logits = TaskLogits(decision, ["cat", "dog"])(torch.tensor([[5.0, 1.0, 9.0]]))
    assert logits.tolist() == [[5.0, 1.0]]


def test_outputs_that_do_not_fit_the_task_are_refused():
    task_logits = TaskLogits({"kind": "argmax"}, ["a", "b", "c"])
    with pytest.raises(StudyError, match="8 outputs and its task 3 categories"):
        task_logits(torch.zeros(1, 8))
    decision = {"kind": "mapped_maximum", "map": {"cat": [0], "dog": [900]}}
    with pytest.raises(StudyError, match="names class 900"):
        TaskLogits(decision, ["cat", "dog"])(torch.zeros(1, 10))
    with pytest.raises(StudyError, match="did you mean 'cat'"):
        TaskLogits(decision, ["cats"])


class Answers(torch.nn.Module):
    """Answers with the image's top left pixel: an index times 0.1."""

    def forward(self, x):
        """Return logits (n, 3) with 2 at the answer and 0 elsewhere."""
        index = (x[:, 0, 0, 0] * 10).round().long()
        return 2.0 * torch.nn.functional.one_hot(index, 3).float()


def test_loss_and_accuracy_are_means_over_all_stimuli(image_file, image_entry):
    with h5py.File(image_file, "r+") as file:
        answers = file["test/label/category"][:].astype(int)
        answers[:10] = (answers[:10] + 1) % 3
        images = np.zeros_like(file["test/stimulus"][:])
        images[:, 0, 0, 0] = np.rint(answers / 10 * 255)
        file["test/stimulus"][:] = images
    rows = StimulusRows(image_file, "test")
    network = Answers().train()
    task_logits = TaskLogits({"kind": "argmax"}, ["high", "middle", "low"])
    loss, accuracy = evaluate(network, task_logits, image_entry, rows)
    assert accuracy == 0.75
    right = np.log(np.exp(2) + 2) - 2
    assert loss == pytest.approx(0.75 * right + 0.25 * (right + 2), rel=1e-5)
    assert network.training
