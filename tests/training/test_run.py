"""Single steps of a training: rates, perturbed inputs, reading ahead."""

import numpy as np
import pytest
import torch

from metamers.networks.network import build_network
from metamers.training.data import categories
from metamers.training.evaluation import TaskLogits
from metamers.training.run import TrainingRun, one_ahead
from metamers.training.schedule import learning_rate


def make_run(entry, path, **training):
    entry = {**entry, "training": {**entry["training"], **training}}
    task_logits = TaskLogits(entry["task"]["decision"], categories(entry, path))
    return TrainingRun(build_network(entry, 0), entry, task_logits, path, 0, "cpu")


def test_an_epoch_shows_each_stimulus_once_but_an_incomplete_batch(
    image_file, image_entry
):
    run = make_run(image_entry, image_file, augmentation={})
    batches = list(run.remaining_batches())
    assert [len(x) for x, _ in batches] == [16] * 6
    shown = torch.cat([x for x, _ in batches]).flatten(1)
    assert len(shown.unique(dim=0)) == 96
    run.progress.batch = 4
    rest = list(run.remaining_batches())
    assert len(rest) == 2
    assert torch.equal(rest[0][0], batches[4][0])


def test_a_step_is_torchs_step_of_sgd(image_file, image_entry):
    image_entry["arguments"]["dropout"] = 0.0
    run = make_run(image_entry, image_file)
    network = build_network(image_entry, 0).train()
    optimizer = torch.optim.SGD(
        network.parameters(), lr=1.0, momentum=0.9, weight_decay=1e-4
    )
    for batch, (x, label) in enumerate(run.remaining_batches()):
        loss, correct = run.step(x, label)
        run.progress.batch += 1
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(run.training, batch, 6)
        logits = network(x)
        expected = torch.nn.functional.cross_entropy(logits, label)
        optimizer.zero_grad()
        expected.backward()
        optimizer.step()
        assert loss == pytest.approx(float(expected.detach()))
        assert correct == int((logits.argmax(dim=1) == label).sum())
    for name, value in network.state_dict().items():
        torch.testing.assert_close(run.network.state_dict()[name], value)


def test_a_stimulus_perturbation_is_what_the_network_sees(image_file, image_entry):
    perturbation = {"kind": "random", "norm": "linf", "epsilon": 0.125}
    run = make_run(image_entry, image_file, perturbation=perturbation)
    x, label = next(run.remaining_batches())
    seen = []
    run.network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    run.step(x, label)
    offset = (seen[-1] - x).abs()
    inner = (x > 0.125) & (x < 0.875)
    torch.testing.assert_close(offset[inner], torch.full_like(offset[inner], 0.125))
    assert seen[-1].min() >= 0
    assert seen[-1].max() <= 1


def test_a_front_end_perturbation_begins_after_the_front_end(sound_file, sound_entry):
    perturbation = {
        "kind": "adversarial",
        "norm": "l2",
        "epsilon": 0.5,
        "steps": 3,
        "step_size": None,
        "domain": "front_end",
    }
    sound_entry["preprocessing"] = {"front_end": "any"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "metamers.networks.network._preprocessing", lambda entry: Magnitude()
        )
        run = make_run(sound_entry, sound_file, perturbation=perturbation)
    x, label = next(run.remaining_batches())
    seen = []
    run.network.body.register_forward_pre_hook(
        lambda module, inputs: seen.append(inputs[0])
    )
    run.step(x, label)
    offset = seen[-1] - x.abs()
    assert seen[-1].min() >= 0.0
    assert float(offset.flatten(1).norm(dim=1).max()) <= 0.5 + 1e-5
    assert float(offset.flatten(1).norm(dim=1).min()) > 0.1


class Magnitude(torch.nn.Module):
    """A front end that gives no negative values."""

    def forward(self, x):
        """Return magnitudes of sounds."""
        return x.abs()


def test_the_attack_sees_the_network_in_evaluation_mode(image_file, image_entry):
    perturbation = {"kind": "adversarial", "norm": "l2", "epsilon": 0.5, "steps": 2}
    run = make_run(image_entry, image_file, perturbation=perturbation)
    x, label = next(run.remaining_batches())
    modes = []
    run.network.register_forward_pre_hook(
        lambda module, inputs: modes.append(module.training)
    )
    run.step(x, label)
    assert modes == [False, False, True]
    assert int(run.network.body.norm.num_batches_tracked) == 1


def test_reading_ahead_keeps_the_order_and_can_be_left():
    made = []

    def make(item):
        made.append(int(item[0]))
        return torch.tensor(item), torch.tensor(item)

    items = [np.array([value]) for value in range(5)]
    assert [int(x) for x, _ in one_ahead(make, items)] == [0, 1, 2, 3, 4]
    made.clear()
    for x, _ in one_ahead(make, items):
        if int(x) == 1:
            break
    assert made == [0, 1, 2]
    assert list(one_ahead(make, [])) == []


def test_an_error_in_the_reading_thread_is_raised():
    def make(item):
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(one_ahead(make, [np.array([0])]))
