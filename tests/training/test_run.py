"""Single steps of a training: rates, what learns, perturbed inputs, reading ahead."""

import numpy as np
import pytest
import torch

from metamers.errors import StudyError
from metamers.networks.network import build_network
from metamers.training.distributed import Group
from metamers.training.evaluation import TaskLogits
from metamers.training.loading import one_ahead
from metamers.training.run import TrainingRun
from metamers.training.schedule import learning_rate


def make_run(entry, path, **training):
    entry = {**entry, "training": {**entry["training"], **training}}
    task_logits = TaskLogits.of(entry, path)
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


def state_of(run):
    return {name: value.clone() for name, value in run.network.state_dict().items()}


def changed(before, run):
    """Return the names of the weights and statistics that a step has changed."""
    after = run.network.state_dict()
    return {name for name in before if not torch.equal(before[name], after[name])}


def test_only_what_is_trainable_learns(image_file, image_entry):
    run = make_run(image_entry, image_file, trainable=["final"])
    body, before = run.network.body, state_of(run)
    x, label = next(run.remaining_batches())
    graphs = []
    body.flat.register_forward_hook(lambda *call: graphs.append(call[2].requires_grad))
    run.step(x, label)
    assert changed(before, run) == {"body.final.weight", "body.final.bias"}
    assert graphs == [False]
    # Batch norm keeps its statistics, and dropout is off.
    assert not any(m.training for m in (body.conv, body.norm, body.dropout))
    assert body.final.training
    assert all(p.grad is None for p in (*body.conv.parameters(), body.norm.weight))
    assert len(run.optimizer.param_groups[0]["params"]) == 2


def test_a_read_out_learns_as_if_its_features_were_given(image_file, image_entry):
    image_entry["arguments"]["dropout"] = 0.0
    run = make_run(image_entry, image_file, trainable=["final"])
    frozen = build_network(image_entry, 0).eval()
    final, frozen.body.final = frozen.body.final, torch.nn.Identity()
    optimizer = torch.optim.SGD(final.parameters(), 1.0, 0.9, weight_decay=1e-4)
    for batch, (x, label) in enumerate(run.remaining_batches()):
        run.step(x, label)
        run.progress.batch += 1
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(run.training, batch, 6)
        with torch.no_grad():
            features = frozen(x)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(final(features), label).backward()
        optimizer.step()
    torch.testing.assert_close(run.network.body.final.weight, final.weight)


def test_several_modules_can_learn_with_what_is_inside_them(image_file, image_entry):
    run = make_run(image_entry, image_file, trainable=["norm", "final"])
    before = state_of(run)
    run.step(*next(run.remaining_batches()))
    assert {name.split(".")[1] for name in changed(before, run)} == {"norm", "final"}
    assert "body.norm.running_mean" in changed(before, run)


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        (["finall"], "no module 'finall'; did you mean 'final'?"),
        (["conv", "final.weight"], "no module 'final.weight'"),
        ([""], "no module ''"),
        (["relu", "dropout"], "relu, dropout have no weights"),
    ],
)
def test_what_cannot_learn_is_refused(image_file, image_entry, paths, words):
    with pytest.raises(StudyError, match=r"training\.trainable") as caught:
        make_run(image_entry, image_file, trainable=paths)
    assert words in str(caught.value)


def test_gradients_are_limited_together(image_file, image_entry):
    limited = make_run(image_entry, image_file, gradient_limit=0.01, weight_decay=0.0)
    plain = make_run(image_entry, image_file, weight_decay=0.0)
    x, label = next(plain.remaining_batches())
    moves = []
    for run in (limited, plain):
        before = [value.detach().clone() for value in run.parameters]
        run.step(x, label)
        rate = run.optimizer.param_groups[0]["lr"]
        moved = [
            ((old - new) / rate).detach().flatten()
            for old, new in zip(before, run.parameters, strict=True)
        ]
        moves.append(torch.cat(moved))
    assert float(moves[0].norm()) == pytest.approx(0.01, rel=1e-3)
    assert float(moves[1].norm()) > 0.1
    cosine = torch.nn.functional.cosine_similarity(*moves, dim=0)
    assert float(cosine) == pytest.approx(1.0, abs=1e-4)


def test_the_first_of_the_warming_up_steps_changes_no_weight(image_file, image_entry):
    run = make_run(image_entry, image_file, warm_up_steps=4)
    weights = [value.detach().clone() for value in run.parameters]
    rates = []
    for x, label in run.remaining_batches():
        run.step(x, label)
        if run.progress.batch == 0:
            assert all(map(torch.equal, weights, run.parameters))
        rates.append(run.optimizer.param_groups[0]["lr"])
        run.progress.batch += 1
    schedule = [learning_rate(image_entry["training"], step, 6) for step in range(6)]
    factors = [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    assert rates == pytest.approx(np.multiply(schedule, factors))


def test_mixed_precision_is_bfloat16_inside_the_architecture_alone(
    image_file, image_entry
):
    perturbation = {"kind": "adversarial", "norm": "l2", "epsilon": 0.5, "steps": 1}
    run = make_run(
        image_entry, image_file, mixed_precision=True, perturbation=perturbation
    )
    exact = make_run(image_entry, image_file, perturbation=perturbation)
    types = []
    body = run.network.body
    run.network.preprocessing.register_forward_hook(
        lambda *call: types.append(call[2].dtype)
    )
    body.conv.register_forward_hook(lambda *call: types.append(call[2].dtype))
    x, label = next(run.remaining_batches())
    loss, _ = run.step(x, label)
    # The attack and the step: the preprocessing is exact, the layers are not.
    assert types == [torch.float32, torch.bfloat16] * 2
    assert {value.dtype for value in run.parameters} == {torch.float32}
    assert {value.grad.dtype for value in run.parameters} == {torch.float32}
    expected, _ = exact.step(x, label)
    assert loss != expected
    assert loss == pytest.approx(expected, rel=0.02)
    gradients = [
        torch.cat([value.grad.flatten() for value in each.parameters])
        for each in (run, exact)
    ]
    cosine = torch.nn.functional.cosine_similarity(*gradients, dim=0)
    assert float(cosine) > 0.99


def test_a_later_process_draws_what_follows_of_the_perturbation(
    image_file, image_entry
):
    perturbation = {"kind": "random", "norm": "l2", "epsilon": 0.5}
    run = make_run(image_entry, image_file, perturbation=perturbation)
    x, label = next(run.remaining_batches())
    whole = run._perturbed(x, label, (0, 3))
    parts = []
    for rank in range(3):
        run.group = Group(rank, 3)
        part = run.group.part(len(x))
        parts.append(run._perturbed(x[part], label[part], (0, 3)))
    assert [len(part) for part in parts] == [5, 5, 6]
    assert torch.equal(torch.cat(parts), whole)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_random_perturbations_have_their_exact_size_before_clipping(
    image_file, image_entry, norm
):
    epsilon = 0.05 if norm == "linf" else 0.3
    perturbation = {"kind": "random", "norm": norm, "epsilon": epsilon}
    run = make_run(image_entry, image_file, perturbation=perturbation)
    # Grey enough that nothing is clipped.
    x = 0.4 + 0.2 * torch.rand(4, 1, 8, 8)
    offset = (run._perturbed(x, torch.zeros(4).long(), (0, 0)) - x).flatten(1)
    if norm == "l2":
        sizes = offset.norm(dim=1)
    else:
        sizes = offset.abs().amin(dim=1)
        assert float(offset.abs().max()) <= epsilon + 1e-6
    torch.testing.assert_close(sizes, torch.full((4,), epsilon), rtol=1e-4, atol=1e-6)


def test_another_number_of_processes_is_said(image_file, image_entry, caplog):
    run = make_run(image_entry, image_file)
    state = {name: np.asarray(value) for name, value in run.snapshot().items()}
    run.restore(state)
    assert not caplog.records
    run.restore({**state, "processes": np.array(4)})
    assert "4 processes (GPUs) trained so far, and now 1 go on" in caplog.text
