"""What the rules of the workflow need to know of a study: files, settings and code.

The rules say what is made of what; this says for which models, stages and shards, and
gives each job the slice of the study and the fingerprint of the code that it runs.
Nothing here imports torch, since Snakemake reads it at every start.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

from metamers.compared import Slice
from metamers.control_plan import ControlPlan
from metamers.errors import StudyError, suggest
from metamers.figure_plan import FigurePlan
from metamers.fingerprint import code_fingerprint
from metamers.networks.registry import front_end_module
from metamers.networks.weights_registry import public_weights
from metamers.outputs import MODALITY_FIGURES, OUTPUTS, STUDY_FIGURES
from metamers.paper_plan import PAPER_RULES, PaperPlan
from metamers.study.definition import Study
from metamers.study.reading import ROOT, drop_in_models, load_study
from metamers.study.slices import (
    blocks,
    model_facts,
    reference_count,
    resolved_entry,
    settings,
    synthesis_of,
)
from metamers.weights_plan import card_of, head_of

DEVICES = get_args(Study.model_fields["device"].annotation)
OfWildcards = Callable[[Any], Any]
Job = tuple[str, dict[str, str]]

# What the rules that summarize the study read of it; `settings` serves all others.
ANALYSIS = ("seed", "draws", "confidence", "models")
SUMMARIES: dict[str, tuple[str, ...]] = {
    "collect_recognition": ("study",),
    "analyse_recognition": ANALYSIS,
    "analyse_anova": ("seed", "draws", "models"),
    "analyse_correlations": ANALYSIS,
    "analyse_controls": ANALYSIS,
    "analyse_convergence": ("confidence",),
    "analyse_noisiness": ANALYSIS,
    "analyse_scores": ANALYSIS,
    "analyse_claims": ANALYSIS,
    **{f"plot_{name}": ("models",) for name in (*MODALITY_FIGURES, *STUDY_FIGURES)},
    "plot_examples": ("models", "front_end"),
    "plot_controls": (),
    "plot_claims": (),
    "plot_showcase": (),
    "build_model_page": ("study", "models"),
    "build_gallery": ("study", "models"),
    "build_report": ("study", "description", "models"),
}


def tracked(path: str) -> str:
    """Return a file of the repository or of the user as seen from here.

    Paths in a study are relative to the repository, which Snakemake need not run in.
    Relative paths stay relative, so that they are the same in another clone.
    """
    return path if os.path.isabs(path) else os.path.relpath(ROOT / path)


class Plan:
    """The files, settings and code of a study's jobs.

    Methods that take Snakemake's wildcards are the workflow's input functions.

    Parameters
    ----------
    name
        The study, by name or by the path of its file.
    only
        Figures, groups or models that are left in; None: all.
    device
        Where to compute, if not where the study says.

    Attributes
    ----------
    results
        Folder of the study's results, relative to the working directory.

    Raises
    ------
    StudyError
        If the study or the device is not valid.
    """

    def __init__(
        self, name: str | Path, only: object = None, device: object = None
    ) -> None:
        self.name = str(name)
        self.study: Study = load_study(name, only=only)
        self.drop_ins = [m for m in drop_in_models(name) if m in self.study.models]
        self.results = f"results/{self.study.name}"
        self.device = str(self.study.device if device is None else device)
        if self.device not in DEVICES:
            raise StudyError(
                f"device: {self.device!r} is not one of {', '.join(DEVICES)}"
                f"{suggest(self.device, DEVICES)}"
            )

    # -------------------------------------------------------- what the study has

    @cached_property
    def models(self) -> list[str]:
        """Names of the models."""
        return list(self.study.models)

    @cached_property
    def modalities(self) -> list[str]:
        """Modalities that have models."""
        return list(self.study.modalities)

    @cached_property
    def blocks(self) -> dict[str, list[str]]:
        """Generators by block."""
        return blocks(self.study, self.drop_ins)

    @cached_property
    def collapsing(self) -> list[str]:
        """Models whose collapse of noisy and clean speech is measured."""
        return self.study.models_of("audio") if self.study.collapse else []

    @cached_property
    def controls(self) -> ControlPlan:
        """What the controls are about, and who judges them."""
        return ControlPlan(self.study, self.results, self.drop_ins)

    @cached_property
    def figures(self) -> FigurePlan:
        """The figures, and which models each page of them shows."""
        data = {"collapse": self.collapsing, "controls": self.controls.modalities}
        lacking = [name for name, found in data.items() if not found]
        return FigurePlan(self.study, self.results, lacking)

    @cached_property
    def paper(self) -> PaperPlan:
        """The paper's figures with the study's networks."""
        return PaperPlan(self.study, self.results)

    @cached_property
    def gpus(self) -> int:
        """GPUs that a job on networks asks a cluster for."""
        return 0 if self.device == "cpu" else 1

    def modality(self, model: str) -> str:
        """Return the modality of a model."""
        return str(self.study.models[model].modality)

    def stages(self, model: str) -> list[str]:
        """Return the names of a model's stages."""
        return list(self.study.models[model].stages)

    def shards(self, model: str) -> list[str]:
        """Return the names of the shards of each of a model's stages."""
        size = synthesis_of(self.study, model)["shard_size"]
        count = math.ceil(self._reference_counts[self.modality(model)] / size)
        return [f"{number:03d}" for number in range(count)]

    def judges(self, block: str) -> list[str]:
        """Return the networks that judge a block: all of its modality."""
        return self.study.models_of(self.modality(self.blocks[block][0]))

    @cached_property
    def _reference_counts(self) -> dict[str, int]:
        return {m: reference_count(self.study, m) for m in self.modalities}

    # -------------------------------------------------------------------- files

    def stimuli(self, wildcards: Any) -> str:
        """Return the stimulus file of a job's model or evaluator."""
        model = wildcards.get("model") or wildcards.get("evaluator")
        return f"{self.results}/stimuli/{self.modality(model)}.h5"

    def stimulus_sources(self, wildcards: Any) -> list[str]:
        """Return the user's own files and folders that stimuli are made of.

        Data that a study can be planned without are no inputs; a run is refused where
        they are missing (`metamers.study.reading.missing_data`).
        """
        source = getattr(self.study.stimuli, wildcards.modality).source
        if source.kind in ("imagenet", "manifest"):
            return []
        fields = ("path", "training", "test", "clips", "backgrounds")
        given = [getattr(source, field, None) for field in fields]
        return [tracked(path) for path in given if isinstance(path, str)]

    def stimulus_tables(self, wildcards: Any) -> list[str]:
        """Return the small files that say which stimuli there are, as far as here."""
        source = getattr(self.study.stimuli, wildcards.modality).source
        fields = ("category_map", "rejected", "vocabulary", "background_labels")
        given = [getattr(source, field, None) for field in fields]
        paths = [tracked(path) for path in given if isinstance(path, str)]
        return [path for path in paths if os.path.exists(path)]

    def given_weights(self, wildcards: Any) -> list[str]:
        """Return the file of weights that a model is given, or its card, if any."""
        weights = self.study.models[wildcards.model].weights
        if weights and weights.public:
            return [card_of(weights.public)]
        return [tracked(weights.path)] if weights and weights.path else []

    def given_head(self, wildcards: Any) -> list[str]:
        """Return the file of the read-out that a model is given, if any."""
        weights = self.study.models[wildcards.model].weights
        if weights and weights.head:
            return [tracked(weights.head)]
        if weights and weights.public and public_weights(weights.public).zero_shot:
            return [head_of(weights.public)]
        return []

    def shards_of_model(self, wildcards: Any) -> list[str]:
        """Return the shards of all stages of a model."""
        return [
            f"{self.results}/metamers/{wildcards.model}/{stage}/{shard}.h5"
            for stage in self.stages(wildcards.model)
            for shard in self.shards(wildcards.model)
        ]

    def metamers_of_block(self, wildcards: Any) -> list[str]:
        """Return the packs of metamers of a block's generators."""
        members = self.blocks[wildcards.block]
        return [f"{self.results}/metamers/{model}.h5" for model in members]

    def screening_of_block(self, wildcards: Any) -> list[str]:
        """Return the screening tables of a block's generators."""
        members = self.blocks[wildcards.block]
        return [f"{self.results}/screening/{model}.csv" for model in members]

    def all_trials(self) -> list[str]:
        """Return the trial tables of all blocks and evaluators."""
        return [
            f"{self.results}/transfer/{block}/{evaluator}.parquet"
            for block in self.blocks
            for evaluator in self.judges(block)
        ]

    # --------------------------------------------------------- jobs' parameters

    def settings(self, rule: str) -> OfWildcards:
        """Return the function that gives a rule's jobs their slice of the study."""

        def slice_of(wildcards: Any) -> Slice:
            return Slice(self.settings_of(rule, dict(wildcards.items())))

        return slice_of

    def code(self, rule: str) -> OfWildcards:
        """Return the function that gives a rule's jobs their code's fingerprint."""

        def fingerprint_of(wildcards: Any) -> str:
            return self.code_of(rule, dict(wildcards.items()))

        return fingerprint_of

    def synthesis_threads(self, wildcards: Any) -> int:
        """Return the threads of an optimization, which the study fixes."""
        modality = self.modality(wildcards.model)
        return int(getattr(self.study.synthesis, modality).threads)

    def training_gpus(self, wildcards: Any) -> int:
        """Return the GPUs that a model is trained on; one if it is not trained."""
        training = self.study.models[wildcards.model].training
        return self.gpus * (training.gpus if training else 1)

    def training_threads(self, wildcards: Any) -> int:
        """Return a core for each process that trains a model, or reads its stimuli.

        One in all on a processor. Models that come with weights are tested only.
        """
        processes = max(self.training_gpus(wildcards), 1)
        return processes + self.reading_threads(wildcards) - 1

    def reading_threads(self, wildcards: Any) -> int:
        """Return a core for a job on a GPU, and one for each reader of its recipe."""
        entry = self.study.models[wildcards.model]
        recipe = entry.training or getattr(self.study.recipes, str(entry.modality))
        return 1 + (recipe.workers if recipe and self.gpus else 0)

    def settings_of(self, rule: str, wildcards: dict[str, str]) -> dict[str, Any]:
        """Return the slice of the study that one job reads."""
        if rule in PAPER_RULES:
            return self.paper.settings_of(rule, wildcards)
        if rule in SUMMARIES:
            return self._summary(rule, wildcards)
        if rule == "judge_metamers":
            return settings(self.study, rule, **wildcards, drop_ins=self.drop_ins)
        found = settings(self.study, rule, **wildcards)
        if rule == "screen_metamers":
            entry = resolved_entry(self.study, wildcards["model"])
            found["task"] = entry["task"]
        if rule == "run_controls":
            found = self.controls.settings(found, wildcards["modality"])
        return found

    def _summary(self, rule: str, wildcards: dict[str, str]) -> dict[str, Any]:
        """Return what a job reads that summarizes the study or a part of it."""
        study = self.study
        facts = model_facts(study)
        modality = wildcards.get("modality")
        if modality:
            facts = {k: v for k, v in facts.items() if v["modality"] == modality}
        if "model" in wildcards:
            facts = {wildcards["model"]: facts[wildcards["model"]]}
        if "page" in wildcards:
            facts = {name: facts[name] for name in self.figures.shown(rule, wildcards)}
        if rule == "plot_collapse":
            facts = {name: facts[name] for name in self.collapsing}
        fronts = {
            entry.preprocessing.front_end: None
            for entry in study.models.values()
            if entry.modality == modality and entry.preprocessing.front_end
        }
        front = study.front_ends[next(iter(fronts))].model_dump() if fronts else None
        known: dict[str, Any] = {
            "study": study.name,
            "description": study.description,
            "seed": study.seed,
            "models": facts,
            "front_end": front,
            "draws": study.statistics.bootstrap,
            "confidence": study.statistics.confidence,
        }
        return {**wildcards, **{key: known[key] for key in SUMMARIES[rule]}}

    def code_of(self, rule: str, wildcards: dict[str, str]) -> str:
        """Return the fingerprint of the code that one job runs.

        It is that of the rule's script and of all that it imports; of architectures
        and front ends, those of the networks in the job.
        """
        if rule in PAPER_RULES:
            return self.paper.code_of(rule, wildcards)
        if rule in SUMMARIES:
            return code_fingerprint(scripts=(rule,))
        found = self.settings_of(rule, wildcards)
        entries = list(found.get("evaluators", {}).values())
        entries += [found["entry"]] if "entry" in found else []
        modules = {entry["architecture"] for entry in entries}
        fronts = (front_end_module(e["preprocessing"]["front_end"]) for e in entries)
        modules.update(front for front in fronts if front)
        return code_fingerprint(architecture=modules, scripts=(rule,))

    # --------------------------------------------------------------------- jobs

    def jobs(self) -> Iterator[Job]:
        """Yield the rule and wildcards of every job of the study."""
        for rule, patterns in OUTPUTS.items():
            if rule.endswith("_controls") and not self.controls.modalities:
                continue
            if rule == "plot_collapse" and not self.collapsing:
                continue
            for wildcards in self._wildcards(rule, patterns[0]):
                yield rule, wildcards

    def outputs(self, rule: str, wildcards: dict[str, str]) -> list[str]:
        """Return the files and folders that one job makes."""
        return [
            f"{self.results}/{pattern}".format(**wildcards) for pattern in OUTPUTS[rule]
        ]

    def _wildcards(self, rule: str, pattern: str) -> Iterator[dict[str, str]]:
        if rule in PAPER_RULES:
            yield from self.paper.wildcards(rule)
        elif "{stage}" in pattern:
            for model in self.models:
                for stage in self.stages(model):
                    for shard in self.shards(model):
                        yield {"model": model, "stage": stage, "shard": shard}
        elif "{block}" in pattern:
            for block in self.blocks:
                for evaluator in self.judges(block):
                    yield {"block": block, "evaluator": evaluator}
        elif "{model}" in pattern:
            mine = self.collapsing if rule == "measure_collapse" else self.models
            yield from ({"model": model} for model in mine)
        elif "{page}" in pattern:
            yield from self.figures.wildcards(rule)
        elif "{modality}" in pattern:
            controlled = self.controls.modalities
            mine = controlled if rule == "run_controls" else self.modalities
            yield from ({"modality": modality} for modality in mine)
        else:
            yield {}
