"""What a study's jobs cost: time, memory and storage, before they run.

A job's work is counted in passes of one stimulus through its network, and a pass in
floating-point operations, which the check of the networks counts. How fast a processor
or a GPU does them stands in ``resources/costs.yaml``. Where jobs of a rule have already
run for the study, their benchmark files replace the count. Estimates are for planning:
they are right within a factor of a few, and jobs go on where they were when time is up.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml

from metamers.network_check import known_facts
from metamers.plan import Plan
from metamers.study.reading import ROOT
from metamers.study.slices import (
    categories_count,
    input_shape,
    reference_count,
    synthesis_of,
)

SPEEDS = ROOT / "resources" / "costs.yaml"
# A backward pass to the stimulus costs about as much as a forward pass, one to the
# weights as well.
STIMULUS_GRADIENT, WEIGHT_GRADIENT = 2.0, 3.0
# A training set that cannot be counted from the study file alone.
UNKNOWN_TRAINING = 10_000
# The sources of which training stimuli are read as they lie, and their numbers: of
# ImageNet-1k, and about that of the published speech (230,000 clips an epoch).
LISTED_TRAINING = {"imagenet": 1_281_167, "manifest": 230_000}
# Where no network was checked: of ResNet50 for a photograph, of CochCNN9 for 2 s.
UNKNOWN_FLOPS, UNKNOWN_PARAMETERS = 8e9, 30e6
# A job asks for this many times its estimate, within these minutes.
MARGIN, LEAST_MINUTES, MOST_MINUTES = 4.0, 30, 1440
BASE_MB = 1500
# Memory of one more process that trains, and of one that reads stimuli for it.
PROCESS_MB, WORKER_MB = 3000, 500


@dataclass(frozen=True)
class Estimate:
    """The cost of one job.

    Attributes
    ----------
    seconds
        On its GPUs if `gpu`, else on its cores.
    gpu
        Whether the job runs on a GPU.
    memory_mb
        Of the machine.
    storage_mb
        Of its results.
    processors
        Number of GPUs if `gpu`, else of cores.
    measured
        Whether `seconds` is the mean of jobs of this rule that have run.
    """

    seconds: float
    gpu: bool
    memory_mb: float
    storage_mb: float
    processors: int = 1
    measured: bool = False


class Costs:
    """Estimates of a study's jobs.

    Parameters
    ----------
    plan
        The plan of the study.
    speeds
        ``flops_per_second`` of ``cpu`` and ``gpu``, and ``startup_seconds`` of a job
        that imports torch and of one that does not.
    """

    def __init__(self, plan: Plan, speeds: Path = SPEEDS) -> None:
        self.plan = plan
        self.speeds = yaml.safe_load(speeds.read_text())
        self.facts = known_facts(plan.study)
        self.categories = {
            modality: categories_count(plan.study, modality)
            for modality in plan.modalities
        }
        self._references = {
            modality: reference_count(plan.study, modality)
            for modality in plan.modalities
        }
        self._means: dict[str, float | None] = {}

    def estimate(self, rule: str, wildcards: Mapping[str, str]) -> Estimate:
        """Return the cost of one job of a rule."""
        work = WORK.get(rule)
        gpu = work is not None and self.plan.gpus > 0
        startup = self.speeds["startup_seconds"]
        seconds = startup["torch" if work else "other"]
        flops = 0.0
        if work is not None:
            model = self._model(rule, wildcards)
            flops = work(self, wildcards) * self._fact(model, "flops", UNKNOWN_FLOPS)
            flops /= self._processes(rule, wildcards)
            seconds += flops / self.speeds["flops_per_second"]["gpu" if gpu else "cpu"]
        mean = self._measured(rule)
        return Estimate(
            seconds=seconds if mean is None else mean,
            gpu=gpu,
            memory_mb=self._memory(rule, wildcards),
            storage_mb=self._storage(rule, wildcards),
            processors=self._processes(rule, wildcards),
            measured=mean is not None,
        )

    def minutes(self, rule: str) -> Callable[[Any, int], int]:
        """Return the resource function of a rule's time: more with each attempt."""

        def of(wildcards: Any, attempt: int) -> int:
            found = self.estimate(rule, dict(wildcards.items()))
            asked = MARGIN * found.seconds / 60 + LEAST_MINUTES / 2
            rounded = 10 * math.ceil(asked / 10)
            return min(max(rounded, LEAST_MINUTES), MOST_MINUTES) * attempt

        return of

    def memory(self, rule: str) -> Callable[[Any, int], int]:
        """Return the resource function of a rule's memory: more with each attempt."""

        def of(wildcards: Any, attempt: int) -> int:
            asked = self._memory(rule, dict(wildcards.items()))
            return 100 * math.ceil(asked / 100) * attempt

        return of

    # ------------------------------------------------------------------- parts

    def _processes(self, rule: str, wildcards: Mapping[str, str]) -> int:
        """Return on how many GPUs, or else cores, a job computes."""
        if rule != "train_model":
            return 1
        return max(self.plan.training_gpus(SimpleNamespace(**wildcards)), 1)

    def _model(self, rule: str, wildcards: Mapping[str, str]) -> str:
        if rule == "run_controls":
            return self.plan.controls.model(wildcards["modality"])
        return wildcards.get("model") or wildcards["evaluator"]

    def _modality(self, rule: str, wildcards: Mapping[str, str]) -> str | None:
        if "modality" in wildcards:
            return wildcards["modality"]
        model = wildcards.get("model") or wildcards.get("evaluator")
        return self.plan.modality(model) if model else None

    def _fact(self, model: str, name: str, unknown: float) -> float:
        found = self.facts.get(model, {}).get(name)
        return unknown if found is None else float(found)

    def _memory(self, rule: str, wildcards: Mapping[str, str]) -> float:
        modality = self._modality(rule, wildcards)
        needed = float(BASE_MB)
        if modality:
            needed += 2 * self.stimuli_mb(modality)
        if WORK.get(rule):
            model = self._model(rule, wildcards)
            # Weights, gradients, momentum and a copy, four bytes each.
            parameters = self._fact(model, "parameters", UNKNOWN_PARAMETERS)
            needed += 16 * parameters / 1e6
        if rule == "screen_metamers":
            needed += 2 * self.metamers_mb(wildcards["model"])
        if rule == "train_model" and self.plan.gpus:
            threads = self.plan.training_threads(SimpleNamespace(**wildcards))
            processes = self._processes(rule, wildcards)
            # Each process that trains imports torch; those that read stimuli less.
            needed += PROCESS_MB * (processes - 1) + WORKER_MB * (threads - processes)
        return needed

    def _storage(self, rule: str, wildcards: Mapping[str, str]) -> float:
        if rule == "prepare_stimuli":
            return self.stimuli_mb(wildcards["modality"])
        if rule == "train_model":
            parameters = self._fact(
                wildcards["model"], "parameters", UNKNOWN_PARAMETERS
            )
            return 4 * parameters / 1e6
        if rule == "screen_metamers":
            return self.metamers_mb(wildcards["model"])
        if rule == "synthesize_metamers":
            model = wildcards["model"]
            shards = len(self.plan.stages(model)) * len(self.plan.shards(model))
            return self.metamers_mb(model) / shards
        return 1.0

    def _measured(self, rule: str) -> float | None:
        """Return the mean time of a rule's jobs that have run for this study."""
        if rule not in self._means:
            folder = Path(self.plan.results) / "benchmarks" / rule
            times = []
            for path in folder.rglob("*.tsv"):
                with open(path, newline="") as file:
                    rows = csv.DictReader(file, delimiter="\t")
                    times += [float(row["s"]) for row in rows if _is_number(row["s"])]
            self._means[rule] = sum(times) / len(times) if times else None
        return self._means[rule]

    # ------------------------------------------------------------------ counts

    def references(self, modality: str) -> int:
        """Return how many natural stimuli have metamers."""
        return self._references[modality]

    def training(self, modality: str) -> int:
        """Return the number of training stimuli, as far as the study file tells."""
        stimuli = getattr(self.plan.study.stimuli, modality)
        if stimuli.source.kind in LISTED_TRAINING:
            return LISTED_TRAINING[stimuli.source.kind]
        count = self.categories[modality]
        each = getattr(stimuli, "training_per_category", None)
        each = each or getattr(stimuli.source, "training_renditions", None)
        return int(count * each) if each else UNKNOWN_TRAINING

    def elements(self, modality: str) -> int:
        """Return the pixels or samples of a stimulus."""
        return math.prod(input_shape(self.plan.study, modality))

    def stimuli_mb(self, modality: str) -> float:
        """Return the size of a modality's stimulus file."""
        source = getattr(self.plan.study.stimuli, modality).source
        listed = source.kind in LISTED_TRAINING
        stored = self.references(modality) if listed else 1.3 * self.training(modality)
        return 4e-6 * self.elements(modality) * stored

    def metamers_mb(self, model: str) -> float:
        """Return the size of all of a model's metamers."""
        modality = self.plan.modality(model)
        count = self.references(modality) * len(self.plan.stages(model))
        return 4e-6 * self.elements(modality) * count


def _train(costs: Costs, wildcards: Mapping[str, str]) -> float:
    training = costs.plan.study.models[wildcards["model"]].training
    if training is None:
        return float(min(costs.training(costs.plan.modality(wildcards["model"])), 1000))
    attack = getattr(training.perturbation, "steps", 0) if training.perturbation else 0
    count = costs.training(costs.plan.modality(wildcards["model"]))
    epochs = training.stop_after or training.epochs
    return count * epochs * (WEIGHT_GRADIENT + STIMULUS_GRADIENT * attack)


def _null(costs: Costs, wildcards: Mapping[str, str]) -> float:
    pairs = costs.plan.study.models[wildcards["model"]].null_pairs
    return 2.0 * (pairs or costs.plan.study.null_distribution.pairs)


def _synthesize(costs: Costs, wildcards: Mapping[str, str]) -> float:
    model, modality = wildcards["model"], costs.plan.modality(wildcards["model"])
    stages = costs.plan.stages(model)
    # The pass stops at the stage; operations are taken to be spread evenly over them.
    depth = (stages.index(wildcards["stage"]) + 1) / len(stages)
    shards = len(costs.plan.shards(model))
    return _steps(costs, model) * depth * costs.references(modality) / shards


def _steps(costs: Costs, model: str) -> float:
    settings = synthesis_of(costs.plan.study, model)
    steps = settings["rounds"] * settings["steps_per_round"]
    return float(STIMULUS_GRADIENT * steps)


def _judge(costs: Costs, wildcards: Mapping[str, str]) -> float:
    modality = costs.plan.modality(wildcards["evaluator"])
    generators = costs.plan.blocks[wildcards["block"]]
    shown = sum(1 + len(costs.plan.stages(generator)) for generator in generators)
    return 1.0 * shown * costs.references(modality)


def _attack(costs: Costs, wildcards: Mapping[str, str]) -> float:
    modality = costs.plan.modality(wildcards["model"])
    settings = getattr(costs.plan.study.robustness, modality)
    each = 1 + STIMULUS_GRADIENT * settings.steps
    return len(settings.epsilons) * settings.stimuli * each


def _collapse(costs: Costs, wildcards: Mapping[str, str]) -> float:
    collapse = costs.plan.study.collapse
    clips = costs.references("audio")
    return clips * (1.0 + (collapse.backgrounds_per_clip if collapse else 0))


def _control(costs: Costs, wildcards: Mapping[str, str]) -> float:
    modality = wildcards["modality"]
    control = getattr(costs.plan.study.controls, modality)
    steps = control.step_factor * _steps(costs, control.model)
    return steps * costs.references(modality)


# Passes of one stimulus, of the rules whose jobs run networks.
WORK: dict[str, Callable[[Costs, Mapping[str, str]], float]] = {
    "train_model": _train,
    "sample_null": _null,
    "synthesize_metamers": _synthesize,
    "judge_metamers": _judge,
    "measure_robustness": _attack,
    "measure_collapse": _collapse,
    "run_controls": _control,
}


def cost_report(costs: Costs) -> str:
    """Return a table of what a study costs, rule by rule, and in all.

    Parameters
    ----------
    costs
        Estimates of the study's jobs.
    """
    rows: dict[str, list[float]] = {}
    measured: set[str] = set()
    for rule, wildcards in costs.plan.jobs():
        found = costs.estimate(rule, wildcards)
        row = rows.setdefault(rule, [0, 0.0, 0.0, 0.0])
        row[0] += 1
        row[1 if found.gpu else 2] += found.processors * found.seconds / 3600
        # The shards of metamers are packed and stand twice.
        row[3] += found.storage_mb / 1000
        if found.measured:
            measured.add(rule)
    rows["all"] = [sum(column) for column in zip(*rows.values(), strict=True)]
    lines = [f"Study {costs.plan.study.name}: what all of it costs, from the start", ""]
    lines.append(
        f"{'rule':<28}{'jobs':>7}{'GPU hours':>12}{'core hours':>12}{'GB':>10}"
    )
    for rule, (jobs, gpu, core, storage) in rows.items():
        name = rule + (" *" if rule in measured else "")
        lines.append(f"{name:<28}{jobs:>7.0f}{gpu:>12.2f}{core:>12.2f}{storage:>10.2f}")
    speeds = costs.speeds["flops_per_second"]
    lines += [
        "",
        f"A GPU is taken to do {speeds['gpu']:.3g} operations a second, a core "
        f"{speeds['cpu']:.3g} ({SPEEDS.relative_to(ROOT)}).",
    ]
    if measured:
        lines.append("* From the jobs of this rule that have run for the study.")
    if not costs.facts:
        lines.append("The networks were not checked here: their sizes are guesses.")
    return "\n".join(lines)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
