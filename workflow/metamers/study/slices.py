"""What each step reads of a study, as plain values: no more, so no less is cached.

A slice goes into the rule's params and, hashed, into the outputs. A step reruns when
its slice changes; a field that is not in the slice reruns nothing.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Callable
from typing import Any

from metamers.errors import StudyError
from metamers.study.definition import Study
from metamers.study.models import ModelEntry
from metamers.study.reading import ROOT
from metamers.study.sources import Task

Settings = dict[str, Any]

# Fields of a recipe that say how it runs, not what it gives.
NO_SETTINGS = {"gpus", "workers"}


def trained(entry: ModelEntry) -> bool:
    """Return whether the network's weights come from training."""
    return entry.training is not None or entry.weights is not None


def resolved_entry(study: Study, model: str) -> Settings:
    """Return what defines a network and its training; not its stages or its group."""
    entry = study.models[model]
    task = study.tasks[entry.task]
    preprocessing = entry.preprocessing.model_dump()
    front_end = entry.preprocessing.front_end
    if front_end is not None:
        preprocessing["front_end"] = study.front_ends[front_end].model_dump()
    audio = study.stimuli.audio if entry.modality == "audio" else None
    recipe = entry.training
    training = recipe.model_dump(exclude=NO_SETTINGS) if recipe else None
    return {
        "modality": entry.modality,
        "architecture": entry.architecture,
        "arguments": entry.arguments,
        "weights": entry.weights.model_dump() if entry.weights else None,
        "seed": entry.seed,
        "task": {
            "name": entry.task,
            "label": task.label,
            "decision": _decision(study, task),
            "training_label": task.training_label,
            "multi_label": task.multi_label,
            "second": task.second.model_dump() if task.second else None,
        },
        "preprocessing": preprocessing,
        "sample_rate": audio.sample_rate if audio else None,
        "duration": audio.duration if audio else None,
        "training": training,
    }


def _decision(study: Study, task: Task) -> Settings:
    """Return how logits become an answer, with its map."""
    if task.decision is None:
        first = {"outputs": task.second.after} if task.second else {}
        return {"kind": "argmax", **first}
    decision = task.decision.model_dump()
    source = getattr(study.stimuli.vision, "source", None)
    if decision["map"] is None and source is not None and source.kind == "imagenet":
        decision["map"] = category_map(source.category_map)
    return decision


@functools.cache
def category_map(path: str) -> dict[str, list[int]]:
    """Read which classes belong to which category, in the order of the table.

    Parameters
    ----------
    path
        A table with the columns category and index, relative to the repository.

    Raises
    ------
    StudyError
        If the file is missing or is no such table.
    """
    found: dict[str, list[int]] = {}
    try:
        with open(ROOT / path, newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                found.setdefault(row["category"], []).append(int(row["index"]))
    except (OSError, KeyError, ValueError) as error:
        raise StudyError(
            f"{path} is no table with the columns category and index ({error}); mend "
            "it, or leave category_map out of the study"
        ) from None
    return found


def screening_of(study: Study, model: str) -> Settings:
    """Return the settings by which a model's metamers are screened."""
    own = {"any_answer": True} if study.models[model].any_answer else {}
    return {**study.screening.model_dump(), **own}


def siblings(study: Study, model: str) -> list[str]:
    """Return the models that differ from `model` in their seed alone."""

    def identity(name: str) -> Settings:
        return {**resolved_entry(study, name), "seed": None}

    mine = identity(model)
    return [name for name in study.models if name != model and identity(name) == mine]


def model_facts(study: Study) -> dict[str, Settings]:
    """Return what tables and figures need to know of each model, in study order."""
    return {
        name: {
            "modality": entry.modality,
            "task": entry.task,
            "label": study.tasks[entry.task].label,
            "group": entry.group,
            "published": entry.published,
            "trained": trained(entry),
            "siblings": siblings(study, name),
            "stages": list(entry.stages),
        }
        for name, entry in study.models.items()
    }


def input_shape(study: Study, modality: str) -> list[int]:
    """Return the shape of one stimulus: (channels, size, size) or (samples,)."""
    if modality == "vision":
        vision = study.stimuli.vision
        assert vision is not None
        return [vision.channels, vision.size, vision.size]
    audio = study.stimuli.audio
    assert audio is not None
    return [round(audio.sample_rate * audio.duration)]


def categories_count(study: Study, modality: str) -> int:
    """Return how many categories the references of a modality have.

    Folders are counted when their names are not listed in the study.
    """
    source = getattr(study.stimuli, modality).source
    if source.kind == "mnist":
        return 10
    if source.kind == "imagenet":
        return len(category_map(source.category_map))
    if source.kind == "manifest":
        return int(source.references)
    if source.kind == "image_folder":
        if source.categories is not None:
            return len(source.categories)
        folder = ROOT / (source.path or source.test or source.training)
        return sum(item.is_dir() for item in folder.iterdir())
    if source.words is not None:
        return len(source.words)
    with open(ROOT / source.clips / "clips.csv", newline="", encoding="utf-8") as file:
        return len({row["word"] for row in csv.DictReader(file)})


def reference_count(study: Study, modality: str) -> int:
    """Return how many natural stimuli of a modality have metamers."""
    stimuli = getattr(study.stimuli, modality)
    return int(categories_count(study, modality) * stimuli.references_per_category)


def blocks(study: Study, drop_ins: list[str]) -> dict[str, list[str]]:
    """Return the blocks of generators that are judged together.

    Parameters
    ----------
    study
        The study.
    drop_ins
        Models from drop-in files; each is a block of its own, named like the model.
    """
    given = study.transfer.blocks
    if given == "model":
        return {model: [model] for model in study.models}
    if given is None:
        found = {
            modality: [m for m in study.models_of(modality) if m not in drop_ins]
            for modality in study.modalities
        }
        found = {block: members for block, members in found.items() if members}
    else:
        found = {block: list(members) for block, members in given.items()}
    placed = {model for members in found.values() for model in members}
    for model in study.models:
        if model not in placed:
            if model in found:
                raise StudyError(
                    f"transfer.blocks.{model}: a block has the name of a model that is "
                    "in no block; rename the block"
                )
            found[model] = [model]
    return found


def _network(study: Study, model: str) -> Settings:
    """Return a network without its recipe: its weights file stands for that."""
    return {**resolved_entry(study, model), "training": None}


def _stages(study: Study, model: str) -> Settings:
    entry = study.models[model]
    return {
        "stages": dict(entry.stages),
        "straight_through": {
            stage: entry.straight_through.get(stage, True) for stage in entry.stages
        },
    }


def _prepare_stimuli(study: Study, modality: str) -> Settings:
    return {
        "seed": study.seed,
        "modality": modality,
        "stimuli": getattr(study.stimuli, modality).model_dump(),
    }


def _train_model(study: Study, model: str) -> Settings:
    return {"seed": study.seed, "model": model, "entry": resolved_entry(study, model)}


def _sample_null(study: Study, model: str) -> Settings:
    entry = study.models[model]
    training = entry.training or getattr(study.recipes, str(entry.modality))
    augmentation = entry.null_augmentation or (training and training.augmentation)
    sampling = study.null_distribution.model_dump()
    own = {"pairs": entry.null_pairs, "batch_size": entry.null_batch_size}
    sampling |= {key: value for key, value in own.items() if value is not None}
    return {
        "seed": study.seed,
        "model": model,
        "entry": _network(study, model),
        "augmentation": augmentation.model_dump() if augmentation else None,
        "stages": dict(entry.stages),
        "null_distribution": sampling,
    }


def synthesis_of(study: Study, model: str) -> Settings:
    """Return the settings of synthesis of a model: the study's, but for its changes."""
    entry = study.models[model]
    found: Settings = getattr(study.synthesis, str(entry.modality)).model_dump()
    changes = entry.synthesis.model_dump() if entry.synthesis else {}
    return found | {key: value for key, value in changes.items() if value is not None}


def _synthesize_metamers(study: Study, model: str, stage: str, shard: str) -> Settings:
    entry = study.models[model]
    return {
        "seed": study.seed,
        "study": study.name,
        "model": model,
        "entry": _network(study, model),
        "stage": stage,
        "path": entry.stages[stage],
        "straight_through": entry.straight_through.get(stage, True),
        "shard": int(shard),
        "synthesis": synthesis_of(study, model),
    }


def _screen_metamers(study: Study, model: str) -> Settings:
    return {
        "model": model,
        "stages": list(study.models[model].stages),
        "screening": screening_of(study, model),
        "task": study.models[model].task,
        "label": study.tasks[study.models[model].task].label,
    }


def _judge_metamers(
    study: Study, block: str, evaluator: str, drop_ins: list[str]
) -> Settings:
    return {
        "study": study.name,
        "evaluator": evaluator,
        "entry": _network(study, evaluator),
        "stages": dict(study.models[evaluator].stages),
        "block": block,
        "generators": {
            name: {
                "stages": list(study.models[name].stages),
                "task": study.models[name].task,
            }
            for name in blocks(study, drop_ins)[block]
        },
        "batch_size": study.transfer.batch_size,
    }


def _measure_robustness(study: Study, model: str) -> Settings:
    entry = study.models[model]
    return {
        "seed": study.seed,
        "model": model,
        "group": entry.group,
        "entry": resolved_entry(study, model),
        "robustness": getattr(study.robustness, str(entry.modality)).model_dump(),
        **_stages(study, model),
    }


def _measure_collapse(study: Study, model: str) -> Settings:
    assert study.collapse is not None
    return {
        "seed": study.seed,
        "model": model,
        "entry": _network(study, model),
        "stages": dict(study.models[model].stages),
        "collapse": study.collapse.model_dump(),
    }


def _run_controls(study: Study, modality: str) -> Settings:
    control = getattr(study.controls, modality)
    entry = study.models[control.model]
    return {
        "seed": study.seed,
        "study": study.name,
        "modality": modality,
        "model": control.model,
        "stage": control.stage,
        "stage_index": list(entry.stages).index(control.stage) + 1,
        "path": entry.stages[control.stage],
        "straight_through": entry.straight_through.get(control.stage, True),
        "step_factor": control.step_factor,
        "entry": _network(study, control.model),
        "synthesis": synthesis_of(study, control.model),
        "evaluators": {
            name: _network(study, name) for name in study.models_of(modality)
        },
    }


_SLICES: dict[str, Callable[..., Settings]] = {
    "prepare_stimuli": _prepare_stimuli,
    "train_model": _train_model,
    "sample_null": _sample_null,
    "synthesize_metamers": _synthesize_metamers,
    "screen_metamers": _screen_metamers,
    "judge_metamers": _judge_metamers,
    "measure_robustness": _measure_robustness,
    "measure_collapse": _measure_collapse,
    "run_controls": _run_controls,
}


def settings(study: Study, rule: str, **wildcards: Any) -> Settings:
    """Return the slice of the study that one job of a rule reads.

    Parameters
    ----------
    study
        The study.
    rule
        Name of a rule up to recognition; later rules read tables and `model_facts`.
    **wildcards
        The wildcards of the rule; judge_metamers also takes ``drop_ins``.

    Returns
    -------
    dict
        Plain, JSON-ready values.
    """
    return _SLICES[rule](study, **wildcards)
