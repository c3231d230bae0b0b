"""What a study costs: counts of passes, resources that grow, and the table."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest
import yaml

from metamers.cost_report import cost_report
from metamers.costs import SPEEDS, WORK, WORKER_MB, Costs
from metamers.errors import StudyError
from metamers.network_check import check_networks
from metamers.plan import Plan


@pytest.fixture
def study(root, tmp_path, monkeypatch):
    """Return a function that writes a changed tiny study and plans it."""
    monkeypatch.chdir(tmp_path)
    content = yaml.safe_load((root / "tests/workflow/studies/tiny.yaml").read_text())

    def planned(**changes) -> Plan:
        changed = copy.deepcopy(content)
        for place, value in changes.items():
            section = changed
            *path, last = place.split("__")
            for key in path:
                section = section[key]
            section[last] = value
        file = tmp_path / "tiny.yaml"
        file.write_text(yaml.safe_dump(changed, sort_keys=False))
        return Plan(str(file))

    return planned


def passes(plan, rule, **wildcards):
    return WORK[rule](Costs(plan), wildcards)


def test_passes_of_training_count_epochs_and_attacks(study):
    # 20 images of 10 categories, forward and backward to the weights.
    assert passes(study(), "train_model", model="net") == 200 * 1 * 3
    attack = {"kind": "adversarial", "norm": "l2", "epsilon": 1.0, "steps": 5}
    attack["step_size"] = 0.5
    plan = study(models__perturbed__training__perturbation=attack)
    assert passes(plan, "train_model", model="perturbed") == 200 * (3 + 2 * 5)


def test_passes_of_synthesis_count_steps_depth_and_stimuli(study):
    synthesis = {"model": "net", "shard": "000"}
    final = passes(study(), "synthesize_metamers", stage="final", **synthesis)
    assert final == 10 * 2 * (2 * 3)
    half = passes(study(), "synthesize_metamers", stage="relu0", **synthesis)
    assert half == final / 2
    judged = passes(study(), "judge_metamers", block="vision", evaluator="net")
    assert judged == 2 * (1 + 2) * 10, "two generators, natural and two stages"


def test_resources_grow_with_the_study_and_with_each_attempt(study):
    job = SimpleNamespace(items={"model": "net", "stage": "final", "shard": "0"}.items)
    small = Costs(study()).minutes("synthesize_metamers")
    assert small(job, 2) == 2 * small(job, 1)
    large = study(synthesis__vision__steps_per_round=1_000_000)
    longer = Costs(large).minutes("synthesize_metamers")
    assert small(job, 1) < longer(job, 1)
    memory = Costs(study()).memory("train_model")
    wide = Costs(study(stimuli__vision__size=256)).memory("train_model")
    assert memory(job, 3) == 3 * memory(job, 1)
    # What fails for the tenth time has not lacked memory.
    assert memory(job, 10) == memory(job, 3)
    assert wide(job, 1) > memory(job, 1)


def test_networks_that_were_checked_are_counted_by_their_size(study):
    plan = study()
    assert Costs(plan).facts == {}
    check_networks(plan.study)
    facts = Costs(plan).facts
    assert set(facts) == {"net", "perturbed", "coch"}
    assert 1e5 < facts["net"]["parameters"] < 1e6
    assert facts["coch"]["flops"] > 1e6, "the cochleagram is counted"
    assert "were not checked" not in cost_report(Costs(plan))


def test_gpu_hours_are_asked_where_the_study_may_use_a_gpu(study):
    job = {"model": "net"}
    assert Costs(study(device="auto")).estimate("train_model", job).gpu
    assert not Costs(study(device="cpu")).estimate("train_model", job).gpu
    assert not Costs(study(device="auto")).estimate("plot_claims", {}).gpu


def write_benchmarks(folder, rule, **seconds):
    for name, value in seconds.items():
        path = folder / f"results/tiny/benchmarks/{rule}/{name.replace('__', '/')}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"s\th:m:s\n{value}\t1:00:00\n")


def test_jobs_that_have_run_scale_the_estimates_of_their_rule(study, tmp_path):
    plan = study(
        models__perturbed__training={
            "epochs": 500,
            "batch_size": 20,
            "learning_rate": 0.05,
        }
    )
    counted = {
        model: Costs(plan).estimate("train_model", {"model": model}).seconds
        for model in plan.models
    }
    assert counted["perturbed"] > 10 * counted["net"]
    times = {"net": 3 * counted["net"], "coch": 5 * counted["coch"], "broken": "-"}
    write_benchmarks(tmp_path, "train_model", **times)
    # Not of this study: a model that was there once.
    write_benchmarks(tmp_path, "train_model", gone=1e9)
    for model in plan.models:
        found = Costs(plan).estimate("train_model", {"model": model})
        assert found.measured
        assert found.seconds == pytest.approx(4 * counted[model])
    assert not Costs(plan).estimate("sample_null", {"model": "net"}).measured
    shard = {"model": "net", "stage": "final", "shard": "000"}
    write_benchmarks(tmp_path, "synthesize_metamers", net__final__000=7.5)
    assert Costs(plan).estimate("synthesize_metamers", shard).seconds == 7.5


def test_a_short_measurement_makes_no_request_shorter(study, tmp_path):
    plan = study(
        models__net__training={
            "epochs": 100_000,
            "batch_size": 20,
            "learning_rate": 0.05,
        }
    )
    job = SimpleNamespace(items={"model": "net"}.items)
    before = Costs(plan).minutes("train_model")(job, 1)
    assert before > 30
    write_benchmarks(tmp_path, "train_model", net=1.0)
    assert Costs(plan).estimate("train_model", {"model": "net"}).seconds == 1.0
    assert Costs(plan).minutes("train_model")(job, 1) == before


def test_no_job_asks_for_more_time_than_the_longest(study, tmp_path):
    speeds = tmp_path / "costs.yaml"
    content = yaml.safe_load(SPEEDS.read_text())
    speeds.write_text(yaml.safe_dump({**content, "longest_minutes": 100}))
    plan = study(
        models__net__training={
            "epochs": 10_000_000,
            "batch_size": 20,
            "learning_rate": 0.05,
        }
    )
    costs = Costs(plan, speeds)
    job = SimpleNamespace(items={"model": "net"}.items)
    assert {costs.minutes("train_model")(job, attempt) for attempt in (1, 5)} == {100}
    hours = costs.estimate("train_model", {"model": "net"}).seconds / 3600
    text = cost_report(costs)
    assert f"the longest, train_model net, takes {hours:.0f}." in text
    attempts = int(text.partition("--retries ")[2].partition(".")[0]) + 1
    assert (attempts - 2) * 100 / 60 < hours <= (attempts - 1) * 100 / 60
    assert "--retries" not in cost_report(Costs(study()))


def test_readers_need_memory_in_training_and_in_null_distributions(study):
    recipe = {"epochs": 1, "batch_size": 20, "learning_rate": 0.05}
    job = SimpleNamespace(items={"model": "net"}.items)
    for rule in ("train_model", "sample_null"):
        asked = {}
        for workers in (0, 4):
            changes = {"models__net__training": {**recipe, "workers": workers}}
            costs = Costs(study(device="auto", **changes))
            asked[workers] = costs.memory(rule)(job, 1)
        assert asked[4] - asked[0] == 4 * WORKER_MB


def test_a_device_that_is_named_for_one_run_decides_on_gpus(study):
    path = study(device="auto").name
    assert Plan(path).gpus == 1
    plan = Plan(path, device="cpu")
    assert plan.gpus == 0
    assert not Costs(plan).estimate("train_model", {"model": "net"}).gpu
    with pytest.raises(StudyError, match="'gpu' is not one of auto, cpu, cuda"):
        Plan(path, device="gpu")


def test_the_table_adds_up(study):
    plan = study()
    text = cost_report(Costs(plan))
    rows = [line.split() for line in text.splitlines()]
    jobs = {row[0]: int(row[1]) for row in rows if len(row) == 5 and row[1].isdigit()}
    total = jobs.pop("all")
    assert total == sum(jobs.values()) == len(list(plan.jobs()))
    assert jobs["synthesize_metamers"] == 5
    assert "operations a second" in text
