"""What a study's jobs cost: time, memory and storage, before they run.

A job's work is counted in passes of one stimulus through its network, and a pass in
floating-point operations, which the check of the networks counts. How fast a processor
or a GPU does them stands in ``resources/costs.yaml``. Where jobs of a rule have already
run for the study, their benchmark files say how right the count is for this rule, and
the estimates of its other jobs follow. Estimates are for planning: they are right
within a factor of a few, and jobs go on where they were when time is up.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

import yaml

from metamers.errors import StudyError
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
# A job asks for this many times its estimate, and for this many minutes at least.
MARGIN, LEAST_MINUTES = 4.0, 30
# Attempts after which a job asks for no more memory: it ran out of time.
MEMORY_ATTEMPTS = 3
# A job on a network that is counted shorter says how long its start takes, not how
# right the count is.
LEAST_COUNTED_SECONDS = 60.0
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
        Whether `seconds` follows jobs of this rule that have run.
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
        ``flops_per_second`` of ``cpu`` and ``gpu``, ``startup_seconds`` of a job that
        imports torch and of one that does not, and ``longest_minutes``, which no job
        asks to exceed.
    longest_minutes
        In place of that in `speeds`; None: that.

    Raises
    ------
    StudyError
        If the longest time is no whole number of minutes.
    """

    def __init__(
        self, plan: Plan, speeds: Path = SPEEDS, longest_minutes: object = None
    ) -> None:
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
        self._factors: dict[str, float | None] = {}
        if longest_minutes is None:
            longest_minutes = self.speeds["longest_minutes"]
        self.longest_minutes = _whole_minutes(longest_minutes)

    def estimate(self, rule: str, wildcards: Mapping[str, str]) -> Estimate:
        """Return the cost of one job of a rule."""
        factor = self._measured(rule)
        return Estimate(
            seconds=self._counted(rule, wildcards) * (factor or 1.0),
            gpu=self._on_gpu(rule),
            memory_mb=self._memory(rule, wildcards),
            storage_mb=self._storage(rule, wildcards),
            processors=self._processes(rule, wildcards),
            measured=factor is not None,
        )

    def _on_gpu(self, rule: str) -> bool:
        return rule in WORK and self.plan.gpus > 0

    def _counted(self, rule: str, wildcards: Mapping[str, str]) -> float:
        """Return the seconds that a job takes by the count of its operations."""
        work = WORK.get(rule)
        startup = self.speeds["startup_seconds"]
        if work is None:
            return float(startup["other"])
        model = self._model(rule, wildcards)
        flops = work(self, wildcards) * self._fact(model, "flops", UNKNOWN_FLOPS)
        flops /= self._processes(rule, wildcards)
        speed = self.speeds["flops_per_second"]["gpu" if self._on_gpu(rule) else "cpu"]
        return float(startup["torch"] + flops / speed)

    def minutes(self, rule: str) -> Callable[[Any, int], int]:
        """Return the resource function of a rule's time: more with each attempt.

        What was measured can only lengthen it: a job that went on from a saved state
        has measured its last attempt only.
        """

        def of(wildcards: Any, attempt: int) -> int:
            job = dict(wildcards.items())
            seconds = max(self.estimate(rule, job).seconds, self._counted(rule, job))
            asked = MARGIN * seconds / 60 + LEAST_MINUTES / 2
            rounded = max(10 * math.ceil(asked / 10), LEAST_MINUTES)
            return self.growing_minutes(rounded, attempt)

        return of

    def memory(self, rule: str) -> Callable[[Any, int], int]:
        """Return the resource function of a rule's memory: more with each attempt."""

        def of(wildcards: Any, attempt: int) -> int:
            asked = self._memory(rule, dict(wildcards.items()))
            return growing_memory(100 * math.ceil(asked / 100), attempt)

        return of

    def growing_minutes(self, minutes: int, attempt: int) -> int:
        """Return the time that an attempt asks for, given that of the first."""
        return min(minutes * attempt, self.longest_minutes)

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
        if rule in ("train_model", "sample_null") and self.plan.gpus:
            processes = self._processes(rule, wildcards)
            readers = self.plan.reading_threads(SimpleNamespace(**wildcards)) - 1
            # Each process that trains imports torch; those that read stimuli less.
            needed += PROCESS_MB * (processes - 1) + WORKER_MB * readers
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
        """Return how much longer than counted the jobs of a rule took: the median.

        Left out are jobs on networks of which the count is mostly their start, and
        those that took several attempts, since a benchmark file holds the last.
        """
        if rule not in self._factors:
            folder = Path(self.plan.results) / "benchmarks" / rule
            files = {path.relative_to(folder): path for path in folder.rglob("*.tsv")}
            found = []
            for job, wildcards in self.plan.jobs() if files else ():
                if job != rule:
                    continue
                path = files.get(Path(*wildcards.values()).with_suffix(".tsv"))
                counted = self._counted(rule, wildcards)
                tells = LEAST_COUNTED_SECONDS <= counted <= 60 * self.longest_minutes
                if not path or (rule in WORK and not tells):
                    continue
                if (seconds := _seconds(path)) is not None:
                    found.append(seconds / counted)
            self._factors[rule] = median(found) if found else None
        return self._factors[rule]

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


def _seconds(path: Path) -> float | None:
    """Return how long the job of a benchmark file took; None where it does not say."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    try:
        return float(rows[-1]["s"])
    except (IndexError, KeyError, ValueError):
        return None


def growing_memory(megabytes: int, attempt: int) -> int:
    """Return the memory that an attempt asks for, given that of the first."""
    return megabytes * min(attempt, MEMORY_ATTEMPTS)


def _whole_minutes(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    raise StudyError(
        f"longest_minutes: {value!r} is no whole number of minutes, 1 or more; write "
        "the time limit of your partition, 2880 for two days, in "
        f"{SPEEDS.relative_to(ROOT)} or as --config longest_minutes=2880"
    )
