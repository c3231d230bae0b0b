"""Several processes that train one network: they give what one alone gives."""

import os
import signal
import threading
import time
from types import SimpleNamespace

import members
import numpy as np
import pytest
import torch
import yaml
from torch.multiprocessing.spawn import ProcessExitedException

from metamers.errors import StudyError
from metamers.plan import Plan
from metamers.resume import Interrupted
from metamers.study.reading import ROOT
from metamers.training.distributed import (
    ALONE,
    Group,
    _failure,
    part_of_loss,
    process_count,
    run_together,
)
from metamers.training.evaluation import TaskLogits, task_loss
from metamers.training.loop import train
from metamers.training.stimuli import Labels

ADVERSARIAL = {"kind": "adversarial", "norm": "l2", "epsilon": 0.5, "steps": 2}


@pytest.mark.parametrize(("count", "size"), [(16, 1), (16, 2), (17, 4), (5, 5)])
def test_parts_are_the_batch(count, size):
    batch = np.arange(count)
    parts = [batch[Group(rank, size).part(count)] for rank in range(size)]
    assert np.array_equal(np.concatenate(parts), batch)
    lengths = [len(part) for part in parts]
    assert max(lengths) - min(lengths) <= 1


def test_one_process_alone_changes_nothing():
    module, number = torch.nn.BatchNorm1d(2), torch.tensor(3)
    assert ALONE.is_first
    assert ALONE.parallel(module, torch.device("cpu")) is module
    assert ALONE.share(number) is number
    assert ALONE.totals(1.5, 2.0) == ALONE.of_first(1.5, 2.0) == [1.5, 2.0]
    ALONE.match_buffers(module)


class Halves(Group):
    """One of two processes, where the other one has given numbers of labels."""

    def __init__(self, rank, other):
        super().__init__(rank, 2)
        object.__setattr__(self, "other", list(other))

    def share(self, number):
        return (number + self.other.pop(0)) / 2


@pytest.mark.parametrize("cut", [8, 3])
def test_losses_of_parts_are_averaged_to_that_of_the_batch(cut):
    """Also where labels are missing, and parts have different numbers of them."""
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(16, 5, generator=generator)
    first = torch.randint(-1, 3, (16,), generator=generator)
    second = torch.randint(0, 2, (16, 2), generator=generator)
    second[:3] = 0
    first[:2] = -1
    beside = {"label": "background", "multi_label": True, "weight": 0.5}
    task = TaskLogits({"kind": "argmax"}, "abc", False, beside, 2)
    labels = Labels(first, second)
    counts = [
        [int((first[part] >= 0).sum()), int(second[part].any(dim=1).sum())]
        for part in (slice(0, cut), slice(cut, 16))
    ]
    whole = task_loss(outputs, labels, task)
    assert torch.equal(part_of_loss(outputs, labels, task, ALONE), whole)
    parts = []
    for rank, part in enumerate((slice(0, cut), slice(cut, 16))):
        own = Labels(first[part], second[part])
        group = Halves(rank, counts[1 - rank])
        parts.append(part_of_loss(outputs[part], own, task, group))
    torch.testing.assert_close((parts[0] + parts[1]) / 2, whole)


def test_a_process_for_each_gpu_that_there_is(caplog):
    assert process_count(4, "cuda", 4) == 4
    assert process_count(1, "cuda", 8) == 1
    assert not caplog.records
    assert process_count(4, "cuda", 2) == 2
    assert "4 GPUs were asked for and 2 can be seen" in caplog.text
    assert process_count(4, "cpu", 0) == 1


def test_a_signal_before_the_training_is_an_interruption(tmp_path):
    error = ProcessExitedException("terminated with signal SIGTERM", 0, 1, -15)
    found = _failure(tmp_path, 2, ["SIGTERM"], error)
    assert isinstance(found, Interrupted)
    assert "stopped by SIGTERM before the training had begun" in str(found)
    assert isinstance(_failure(tmp_path, 2, [], error), RuntimeError)


@pytest.fixture
def plan_of(tmp_path):
    def make(device="auto", **training):
        path = ROOT / "tests/workflow/studies/tiny.yaml"
        content = yaml.safe_load(path.read_text())
        content["device"] = device
        content["recipes"]["vision"].update(training)
        (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(content))
        return Plan(tmp_path / "tiny.yaml")

    return make


def test_gpus_and_workers_are_resources_and_no_settings(plan_of):
    net = SimpleNamespace(model="net")
    plain, large = plan_of(), plan_of(gpus=4, workers=16)
    assert (plain.training_gpus(net), plain.training_threads(net)) == (1, 1)
    assert (large.training_gpus(net), large.training_threads(net)) == (4, 20)
    for rule, wildcards in plain.jobs():
        assert repr(plain.settings_of(rule, wildcards)) == repr(
            large.settings_of(rule, wildcards)
        )
        assert plain.code_of(rule, wildcards) == large.code_of(rule, wildcards)


def test_a_processor_takes_one_core(plan_of):
    net = SimpleNamespace(model="net")
    plan = plan_of(device="cpu", gpus=4, workers=16)
    assert (plan.training_gpus(net), plan.training_threads(net)) == (0, 1)


def test_a_network_that_is_not_trained_takes_one_gpu_and_the_readers():
    paper = Plan("paper")
    given = SimpleNamespace(model="resnet50")
    assert paper.training_gpus(given) == 1
    workers = paper.study.recipes.vision.workers
    assert paper.training_threads(given) == 1 + workers
    trained = SimpleNamespace(model="cochresnet50")
    assert paper.training_gpus(trained) == 4


# --------------------------------------------------------- of several processes


@pytest.fixture(scope="module")
def cases(image_file, sound_file):
    """Return entries that two processes train as one alone, up to rounding."""
    plain = {
        "modality": "vision",
        "architecture": "toy_networks:Plain",
        "arguments": {"classes": 3},
        "weights": None,
        "seed": 1,
        "task": {"name": "bars", "label": "category", "decision": {"kind": "argmax"}},
        "preprocessing": {"mean": [0.5], "std": [0.25]},
        "training": {
            "epochs": 2,
            "batch_size": 15,
            "learning_rate": 0.1,
            "momentum": 0.9,
            "weight_decay": 1e-4,
            "schedule": {"kind": "one_cycle"},
            "augmentation": {"shift": 0.5, "rotation": 5.0, "scale": 0.05},
        },
    }

    def changed(**training):
        return {**plain, "training": {**plain["training"], **training}}

    normalized = {"architecture": "toy_networks:Images", "arguments": {"dropout": 0.0}}
    return {
        "plain": (plain, image_file),
        "attacked": (
            changed(perturbation=ADVERSARIAL, gradient_limit=0.5, warm_up_steps=3),
            image_file,
        ),
        "read-out": (
            {**changed(trainable=["final"]), **normalized},
            image_file,
        ),
        "normalized": ({**plain, **normalized}, image_file),
    }


@pytest.fixture(scope="module")
def together(cases):
    """Return the states that two processes come to."""
    found = run_together(members.train_all, {"cases": cases}, 2)
    states = {}
    for key, value in found.items():
        name, _, rest = key.partition("/")
        states.setdefault(name, {})[rest] = value
    return states


@pytest.mark.slow
@pytest.mark.parametrize("name", ["plain", "attacked", "read-out"])
def test_two_processes_take_the_steps_of_one(cases, together, name):
    entry, path = cases[name]
    alone = train(entry, path, study_seed=0)
    for key, value in alone.network.state_dict().items():
        found = torch.from_numpy(together[name][f"network/{key}"])
        torch.testing.assert_close(found, value, rtol=1e-4, atol=1e-5)
    history = alone.history.drop(columns="seconds").to_numpy()
    found = together[name]["history"][:, : history.shape[1]]
    np.testing.assert_allclose(found, history, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["plain", "attacked", "read-out", "normalized"])
def test_all_processes_end_with_one_network(together, name):
    assert together[name]["apart"] == 0


@pytest.mark.slow
def test_batch_norm_keeps_the_statistics_of_the_first_part(cases, together):
    """Each part is normalized by itself: another network, but one that learns."""
    entry, path = cases["normalized"]
    alone = train(entry, path, study_seed=0)
    mean = alone.network.body.norm.running_mean.numpy()
    found = together["normalized"]["network/body.norm.running_mean"]
    assert not np.allclose(found, mean, rtol=1e-5)
    assert np.allclose(found, mean, atol=0.1)
    assert together["normalized"]["network/body.norm.num_batches_tracked"] == 12
    assert together["normalized"]["history"][-1, 4] > 0.8


@pytest.mark.slow
def test_processes_tell_each_other():
    found = run_together(members.add, {"numbers": [1, 2, 3, 4, 5, 6, 7]}, 3)
    assert found["total"].tolist() == [28.0, 3.0]
    assert found["first"].tolist() == [5.0]
    assert found["share"] == pytest.approx(7 / 3)
    assert found["mean"].tolist() == [1.0, 1.0]
    assert found["threads"] == torch.get_num_threads()


@pytest.mark.slow
def test_a_killed_process_ends_all_and_is_named():
    started = time.monotonic()
    with pytest.raises(RuntimeError, match=r"process 1 of 2 .* SIGKILL") as caught:
        run_together(members.die, {}, 2)
    assert "run the same step again" in str(caught.value)
    assert time.monotonic() - started < 60


@pytest.mark.slow
def test_a_failing_process_ends_one_that_is_stuck(monkeypatch):
    monkeypatch.setattr("metamers.training.distributed.GRACE_SECONDS", 1.0)
    with pytest.raises(RuntimeError, match="something unforeseen"):
        run_together(members.fail, {}, 2)


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_mistake_of_the_user_stays_one_message(rank):
    with pytest.raises(StudyError) as caught:
        run_together(members.refuse, {"rank": rank}, 2)
    assert str(caught.value) == "the mistake is here"


@pytest.mark.slow
def test_an_interrupted_training_of_two_goes_on_bit_for_bit(cases, tmp_path):
    entry, image_file = cases["attacked"]
    entry = {**entry, "architecture": "toy_networks:Images"}
    entry["training"] = {**entry["training"], "epochs": 40}
    whole = train(entry, image_file, study_seed=0, processes=2)
    path = tmp_path / "state"
    given = {"study_seed": 0, "processes": 2, "state_path": path}
    given["save_interval_seconds"] = 0.2

    def stop_when_it_saves():
        deadline = time.monotonic() + 120
        while not path.is_file() and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGUSR1)

    late = []
    previous = signal.signal(signal.SIGUSR1, lambda number, frame: late.append(number))
    threading.Thread(target=stop_when_it_saves, daemon=True).start()
    try:
        with pytest.raises(Interrupted, match="stopped by SIGUSR1; the state is kept"):
            train(entry, image_file, **given)
        assert not late
    finally:
        handler = signal.signal(signal.SIGUSR1, previous)
    handler(signal.SIGUSR1, None)
    assert late, "the handler of before is there again"
    assert path.is_file()
    resumed = train(entry, image_file, **given)
    assert list(tmp_path.iterdir()) == [path]
    for name, value in whole.network.state_dict().items():
        assert torch.equal(resumed.network.state_dict()[name], value), name
    columns = [name for name in whole.history if name != "seconds"]
    assert resumed.history[columns].equals(whole.history[columns])
