"""What a study costs: counts of passes, resources that grow, and the table."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest
import yaml

from metamers.cost_report import PROFILE_RETRIES, RESUMED, cost_report
from metamers.costs import (
    LEAST_COUNTED_SECONDS,
    WORK,
    WORKER_MB,
    Costs,
    growing_memory,
)
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


def trained(epochs):
    return {"epochs": epochs, "batch_size": 20, "learning_rate": 0.05}


def counted(plan, rule="train_model"):
    costs = Costs(plan)
    jobs = [wildcards for job, wildcards in plan.jobs() if job == rule]
    return {"/".join(w.values()): costs.estimate(rule, w).seconds for w in jobs}


def test_jobs_that_have_run_scale_the_estimates_of_their_rule(study, tmp_path):
    plan = study(models__perturbed__training=trained(20))
    before = counted(plan)
    assert before["perturbed"] > 10 * before["net"] > 10 * LEAST_COUNTED_SECONDS
    net, perturbed = 3 * before["net"], 5 * before["perturbed"]
    times = {"net": net, "perturbed": perturbed, "broken": "-"}
    # Not of this study: a model that was there once.
    write_benchmarks(tmp_path, "train_model", **times, gone=1e9)
    # Its start is most of its time, which says nothing about the others.
    assert before["coch"] < LEAST_COUNTED_SECONDS
    write_benchmarks(tmp_path, "train_model", coch=100 * before["coch"])
    assert Costs(plan).estimate("train_model", {"model": "net"}).measured
    after = counted(plan)
    assert after == pytest.approx({model: 4 * before[model] for model in before})
    assert not Costs(plan).estimate("sample_null", {"model": "net"}).measured


def test_a_shard_that_has_run_is_found_by_its_file(study, tmp_path):
    plan = study(synthesis__vision__steps_per_round=30)
    shard = {"model": "net", "stage": "final", "shard": "000"}
    write_benchmarks(tmp_path, "synthesize_metamers", net__final__000=7.5)
    assert Costs(plan).estimate("synthesize_metamers", shard).seconds == 7.5


def test_a_step_without_a_network_takes_what_it_took(study, tmp_path):
    write_benchmarks(tmp_path, "prepare_stimuli", vision=900)
    found = Costs(study()).estimate("prepare_stimuli", {"modality": "audio"})
    assert (found.seconds, found.measured) == (900, True)


def test_benchmark_files_lie_where_the_rules_write_them(root, study):
    text = "".join(path.read_text() for path in (root / "workflow/rules").glob("*.smk"))
    written = re.findall(r'"<benchmarks>/(\w+)/(.+)\.tsv"', text)
    wildcards = {rule: found for rule, found in study().jobs()}
    assert {"train_model", "judge_metamers"} < {rule for rule, _ in written}
    for rule, pattern in written:
        names = "/".join(f"{{{name}}}" for name in wildcards[rule])
        assert names == pattern, rule


def test_a_short_measurement_makes_no_request_shorter(study, tmp_path):
    plan = study(models__net__training=trained(10))
    job = SimpleNamespace(items={"model": "net"}.items)
    before = Costs(plan).minutes("train_model")(job, 1)
    assert 30 < before < 1440
    write_benchmarks(tmp_path, "train_model", net=1.0)
    assert Costs(plan).estimate("train_model", {"model": "net"}).seconds == 1.0
    assert Costs(plan).minutes("train_model")(job, 1) == before
    write_benchmarks(tmp_path, "train_model", net=2 * counted(plan)["net"] + 1e5)
    assert Costs(plan).minutes("train_model")(job, 1) > before


def test_the_last_of_several_attempts_measures_nothing(study, tmp_path):
    plan = study(models__net__training=trained(10_000))
    before = counted(plan)
    write_benchmarks(tmp_path, "train_model", net=40.0)
    assert counted(plan) == before


def test_no_job_asks_for_more_time_than_the_longest(study):
    costs = Costs(study(models__net__training=trained(10_000)), longest_minutes=100)
    job = SimpleNamespace(items={"model": "net"}.items)
    assert {costs.minutes("train_model")(job, attempt) for attempt in (1, 5)} == {100}
    assert [costs.growing_minutes(30, attempt) for attempt in (1, 3, 4)] == [
        30,
        90,
        100,
    ]
    hours = costs.estimate("train_model", {"model": "net"}).seconds / 3600
    text = cost_report(costs)
    assert f"1 job, the longest train_model net, {hours:.0f} h." in text
    attempts = int(text.partition("--retries ")[2].split()[0]) + 1
    assert (attempts - 2) * 100 / 60 < hours <= (attempts - 1) * 100 / 60
    assert "cannot end" not in text
    assert "--retries" not in cost_report(Costs(study()))


def test_jobs_without_a_state_need_a_longer_limit(study):
    plan = study(robustness__vision__stimuli=100, robustness__vision__steps=100)
    text = cost_report(Costs(plan, longest_minutes=60))
    assert "2 jobs, the longest measure_robustness net" in text
    assert "unless longest_minutes is raised" in text and "--retries" not in text


def test_what_is_said_of_attempts_is_so(root):
    scripts = (root / "workflow/scripts").glob("*.py")
    assert set(RESUMED) == {p.stem for p in scripts if "state_path" in p.read_text()}
    profile = yaml.safe_load((root / "profiles/slurm/profile.v9+.yaml").read_text())
    assert profile["retries"] == PROFILE_RETRIES


@pytest.mark.parametrize("value", [0, -5, True, 1.5, "1-00:00:00"])
def test_a_wrong_longest_time_is_refused(study, value):
    with pytest.raises(StudyError, match=r"longest_minutes: .* is no whole number"):
        Costs(study(), longest_minutes=value)


def test_every_rule_asks_for_what_grows_and_ends(root):
    text = "".join(path.read_text() for path in (root / "workflow/rules").glob("*.smk"))
    times = re.findall(r"runtime=(\w+(?:\.\w+)?)\(", text)
    memories = re.findall(r"mem_mb=(\w+(?:\.\w+)?)\(", text)
    assert set(times) == {"costs.minutes", "lasting"}
    assert set(memories) == {"costs.memory", "growing"}
    assert len(times) == text.count("runtime=") == text.count("mem_mb=")
    assert [growing_memory(500, attempt) for attempt in (1, 3, 9)] == [500, 1500, 1500]


def test_device_and_longest_time_of_one_run(root, study, tmp_path):
    plan = study(device="auto", models__net__training=trained(10_000_000))

    def printed(*config):
        command = [sys.executable, "-m", "snakemake", "-n", "plan"]
        command += ["--snakefile", str(root / "Snakefile")]
        command += ["--config", f"study={plan.name}", *config]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        return done.stdout + done.stderr

    text = printed("device=cpu", "longest_minutes=30")
    rows = [line.split() for line in text.splitlines()]
    gpu, core = next(row[2:4] for row in rows if row[:1] == ["all"])
    assert float(gpu) == 0 < float(core)
    assert "0.5 h (longest_minutes): " in text
    assert "longest_minutes: 'soon' is no whole number" in printed(
        "longest_minutes=soon"
    )


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
