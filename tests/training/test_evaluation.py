"""From outputs to the categories of a task, and accuracy."""

import shutil

import h5py
import listed_files
import numpy as np
import pytest
import torch

from metamers.errors import StudyError
from metamers.recognition.decisions import decide
from metamers.stimuli.listed import NULL_NAME
from metamers.training.data import Labels, StimulusRows
from metamers.training.evaluation import (
    TaskLogits,
    correct_answers,
    evaluate,
    task_loss,
    task_losses,
)


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


def test_loss_and_accuracy_are_means_over_all_stimuli(
    image_file, image_entry, tmp_path
):
    path = shutil.copy(image_file, tmp_path / "vision.h5")
    with h5py.File(path, "r+") as file:
        answers = file["test/label/category"][:].astype(int)
        answers[:10] = (answers[:10] + 1) % 3
        images = np.zeros_like(file["test/stimulus"][:])
        images[:, 0, 0, 0] = np.rint(answers / 10 * 255)
        file["test/stimulus"][:] = images
    rows = StimulusRows(path, "test")
    network = Answers().train()
    task_logits = TaskLogits({"kind": "argmax"}, ["high", "middle", "low"])
    loss, accuracy = evaluate(network, task_logits, image_entry, rows)
    assert accuracy == 0.75
    right = np.log(np.exp(2) + 2) - 2
    assert loss == pytest.approx(0.75 * right + 0.25 * (right + 2), rel=1e-5)
    assert network.training


SECOND = {"label": "background", "multi_label": True, "weight": 0.5}


def joint_task():
    return TaskLogits({"kind": "argmax"}, ["a", "b", "c"], False, SECOND, 2)


def test_the_loss_is_cross_entropy_bit_for_bit():
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(64, 3, generator=generator, requires_grad=True)
    label = torch.randint(0, 3, (64,), generator=generator)
    task = TaskLogits({"kind": "argmax"}, ["a", "b", "c"])
    loss = task_loss(outputs, label, task)
    expected = torch.nn.functional.cross_entropy(outputs, label)
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=0)
    (gradient,) = torch.autograd.grad(loss, outputs)
    assert torch.equal(gradient, torch.autograd.grad(expected, outputs)[0])
    losses = torch.nn.functional.cross_entropy(outputs, label, reduction="none")
    assert torch.equal(task_losses(outputs, label, task), losses)


def test_stimuli_without_a_label_do_not_count():
    outputs = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    task = TaskLogits({"kind": "argmax"}, ["a", "b", "c"])
    label = torch.tensor([0, -1, 2, -1])
    expected = torch.nn.functional.cross_entropy(outputs[::2], label[::2])
    torch.testing.assert_close(task_loss(outputs, label, task), expected)
    assert task_losses(outputs, label, task)[1::2].tolist() == [0.0, 0.0]
    assert not correct_answers(outputs, label, task)[1::2].any()
    nothing = torch.full((4,), -1)
    assert float(task_loss(outputs, nothing, task)) == 0.0


def test_several_labels_are_learned_one_by_one():
    outputs = torch.tensor([[0.0, 2.0], [-1.0, 0.5], [3.0, 3.0]])
    label = torch.tensor([[1, 1], [1, 0], [0, 0]], dtype=torch.uint8)
    task = TaskLogits({"kind": "argmax"}, ["rain", "wind"], multi_label=True)

    def surprise(logit, target):
        return np.log1p(np.exp(-logit if target else logit))

    first = (surprise(0.0, 1) + surprise(2.0, 1)) / 2
    second = (surprise(-1.0, 1) + surprise(0.5, 0)) / 2
    losses = task_losses(outputs, label, task)
    assert losses.tolist() == pytest.approx([first, second, 0.0])
    assert float(task_loss(outputs, label, task)) == pytest.approx((first + second) / 2)
    # The largest output is a label of the first only.
    assert correct_answers(outputs, label, task).tolist() == [True, False, False]
    indices = torch.tensor([1, 0, -1])
    rows = torch.tensor([[0, 1], [1, 0], [0, 0]])
    assert torch.equal(
        task_losses(outputs, indices, task), task_losses(outputs, rows, task)
    )


def test_the_outputs_before_a_second_label_are_those_of_the_first(tmp_path):
    path = listed_files.write_sound_list(tmp_path)
    second = listed_files.sound_task()["second"]
    task = listed_files.sound_task(second={**second, "after": 5})
    with pytest.raises(StudyError, match=r"second\.after is 5, but the stimuli have 3"):
        TaskLogits.of({"modality": "audio", "task": task}, path)


def test_a_second_label_is_learned_by_the_outputs_after_the_first():
    outputs = torch.randn(5, 5, generator=torch.Generator().manual_seed(0))
    first = torch.tensor([0, 2, -1, 1, 1])
    second = torch.tensor([[1, 0], [0, 0], [1, 1], [0, 1], [0, 0]])
    task, labels = joint_task(), Labels(first, second)
    assert torch.equal(task(outputs), outputs[:, :3])
    words = torch.nn.functional.cross_entropy(
        outputs[:, :3], first, ignore_index=-1, reduction="none"
    )
    sounds = torch.nn.functional.binary_cross_entropy_with_logits(
        outputs[:, 3:], second.float(), reduction="none"
    ).mean(dim=1) * torch.tensor([1, 0, 1, 1, 0])
    torch.testing.assert_close(task_losses(outputs, labels, task), words + 0.5 * sounds)
    expected = words.sum() / 4 + 0.5 * sounds.sum() / 3
    torch.testing.assert_close(task_loss(outputs, labels, task), expected)
    answers = outputs[:, :3].argmax(dim=1)
    assert (
        correct_answers(outputs, labels, task).tolist() == (answers == first).tolist()
    )
    with pytest.raises(StudyError, match="3 outputs and its task 5 categories"):
        task_loss(outputs[:, :3], labels, task)


def test_a_second_label_beside_a_map_needs_the_classes():
    decision = {"kind": "mapped_maximum", "map": {"a": [0], "b": [1]}}
    with pytest.raises(StudyError, match="give training_label"):
        TaskLogits(decision, ["a", "b"], False, SECOND, 2)


def test_the_task_of_an_entry_is_what_its_networks_learn(tmp_path):
    (tmp_path / "images").mkdir()
    path = listed_files.write_image_list(tmp_path / "images")
    learned = TaskLogits.of({"task": listed_files.image_task()}, path)
    assert (learned.categories, learned.classes) == (["n00", "n01", "n02"], None)
    answered = listed_files.image_task(training_label=None)
    assert TaskLogits.of({"task": answered}, path).classes == [[2], [0]]
    (tmp_path / "sounds_of").mkdir()
    path = listed_files.write_sound_list(tmp_path / "sounds_of")
    joint = TaskLogits.of({"task": listed_files.sound_task()}, path)
    assert joint.categories == [NULL_NAME, "high", "low"]
    assert joint.second_categories == 3
    wrong = listed_files.sound_task(second={**SECOND, "label": "backgrounds"})
    with pytest.raises(StudyError, match="did you mean 'background'"):
        TaskLogits.of({"task": wrong}, path)


class Fixed(torch.nn.Module):
    """Gives the outputs it was made with, in turn."""

    def __init__(self, outputs):
        super().__init__()
        self.outputs, self.given = outputs, 0

    def forward(self, x):
        """Return the next outputs, as many as there are stimuli."""
        self.given += len(x)
        return self.outputs[self.given - len(x) : self.given]


def test_both_labels_are_evaluated_over_the_stimuli_that_have_them(tmp_path):
    path = listed_files.write_sound_list(tmp_path)
    rows = StimulusRows(path, "test_noisy")
    entry = {"modality": "audio", "task": listed_files.sound_task()}
    outputs = torch.randn(len(rows), 6, generator=torch.Generator().manual_seed(0))
    task = TaskLogits.of(entry, path)
    loss, accuracy = evaluate(Fixed(outputs), task, entry, rows, batch_size=2)
    labels = Labels(
        torch.from_numpy(rows.label("word")), torch.from_numpy(rows.label("background"))
    )
    assert loss == pytest.approx(float(task_loss(outputs, labels, task)), rel=1e-5)
    answers = outputs[:, :3].argmax(dim=1).numpy()
    assert accuracy == pytest.approx((answers == rows.label("word")).mean())


def test_only_stimuli_of_a_category_are_evaluated(tmp_path):
    path = listed_files.write_image_list(tmp_path)
    rows = StimulusRows(path, "test")
    task = listed_files.image_task(training_label=None)
    entry = {"modality": "vision", "task": task}
    # Of the 12 images 4 are of no category: those of the class in the middle.
    outputs = torch.zeros(12, 3)
    outputs[:6, 0] = 1.0
    outputs[6:11, 1] = 9.0
    outputs[8:10, 2] = 5.0
    loss, accuracy = evaluate(Fixed(outputs), TaskLogits.of(entry, path), entry, rows)
    assert accuracy == (4 + 4) / 8
    right = [np.log1p(np.exp(-1.0))] * 4 + [np.log1p(np.exp(-5.0))] * 2
    assert loss == pytest.approx((sum(right) + 2 * np.log(2)) / 8, rel=1e-5)


def test_a_split_without_the_label_is_refused(image_file, image_entry, tmp_path):
    path = shutil.copy(image_file, tmp_path / "vision.h5")
    with h5py.File(path, "r+") as file:
        file["test/label/category"][:] = -1
    task = TaskLogits({"kind": "argmax"}, ["high", "middle", "low"])
    rows = StimulusRows(path, "test")
    with pytest.raises(StudyError, match="no stimulus of split 'test' has the label"):
        evaluate(Fixed(torch.zeros(40, 3)), task, image_entry, rows)
