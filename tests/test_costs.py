"""What a study costs: counts of passes, resources that grow, and the table."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest
import yaml

from metamers.costs import MOST_MINUTES, WORK, Costs, cost_report
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
    assert small(job, 1) < longer(job, 1) <= MOST_MINUTES
    memory = Costs(study()).memory("train_model")
    wide = Costs(study(stimuli__vision__size=256)).memory("train_model")
    assert memory(job, 3) == 3 * memory(job, 1)
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


def test_jobs_that_have_run_replace_the_estimate(study, tmp_path):
    plan = study()
    folder = tmp_path / "results/tiny/benchmarks/train_model"
    folder.mkdir(parents=True)
    for name, seconds in (("net", 3600), ("coch", 7200), ("broken", "-")):
        (folder / f"{name}.tsv").write_text(f"s\th:m:s\n{seconds}\t1:00:00\n")
    found = Costs(plan).estimate("train_model", {"model": "net"})
    assert found.measured
    assert found.seconds == 5400


def test_the_table_adds_up(study):
    plan = study()
    text = cost_report(Costs(plan))
    rows = [line.split() for line in text.splitlines()]
    jobs = {row[0]: int(row[1]) for row in rows if len(row) == 5 and row[1].isdigit()}
    total = jobs.pop("all")
    assert total == sum(jobs.values()) == len(list(plan.jobs()))
    assert jobs["synthesize_metamers"] == 5
    assert "operations a second" in text
