"""The study as a whole: its sections and what must hold between them."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from metamers.errors import suggest
from metamers.study.base import Name, Section
from metamers.study.models import FrontEnd, ModelEntry, Recipes
from metamers.study.settings import (
    CollapseSettings,
    Controls,
    NullSettings,
    Robustness,
    ScreeningSettings,
    StatisticsSettings,
    Synthesis,
    TransferSettings,
)
from metamers.study.sources import Stimuli, Task

MODALITIES = ("vision", "audio")
RESERVED_STAGES = ("natural",)
# Folders of results that belong to no study.
RESERVED_NAMES = ("published", "showcase", "weights")


def fail(path: str, message: str) -> PydanticCustomError:
    """Return the error of a rule between sections, with the field's path."""
    return PydanticCustomError(
        "study", "{path}: {message}", {"path": path, "message": message}
    )


class Study(Section):
    """A study: stimuli, models and the settings of each step."""

    name: Name = Field(description="folder of the results under results/")
    description: str = Field("", description="what the study is, for the report")
    seed: int = Field(ge=0, lt=2**32, description="the one seed of the study")
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="cuda: a job without a GPU is an error; auto: it warns"
    )
    tasks: dict[Name, Task] = Field(min_length=1, description="tasks of the models")
    stimuli: Stimuli = Field(description="what is shown")
    front_ends: dict[Name, FrontEnd] = Field(
        default_factory=dict, description="front ends of auditory models"
    )
    recipes: Recipes = Field(
        Recipes(), description="training of models that give none of their own"
    )
    models: dict[Name, ModelEntry] = Field(min_length=1, description="the networks")
    synthesis: Synthesis = Field(description="metamer synthesis")
    null_distribution: NullSettings = Field(description="null distribution")
    screening: ScreeningSettings = Field(
        ScreeningSettings(), description="screening of metamers"
    )
    transfer: TransferSettings = Field(
        TransferSettings(), description="networks judging metamers"
    )
    robustness: Robustness = Field(Robustness(), description="adversarial attacks")
    collapse: CollapseSettings | None = Field(
        None, description="collapse of noisy and clean speech; null: not measured"
    )
    controls: Controls = Field(Controls(), description="controls of the method")
    statistics: StatisticsSettings = Field(
        StatisticsSettings(), description="intervals and claims"
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, data: Any) -> Any:
        """Give models the modality of their task and the recipe they leave out."""
        if not isinstance(data, dict) or not isinstance(data.get("models"), dict):
            return data
        tasks, recipes = data.get("tasks") or {}, data.get("recipes") or {}
        models = {}
        for name, entry in data["models"].items():
            if isinstance(entry, dict) and isinstance(tasks, dict):
                entry = dict(entry)
                task = tasks.get(entry.get("task"))
                if entry.get("modality") is None and isinstance(task, dict):
                    entry["modality"] = task.get("modality")
                if "training" not in entry and entry.get("weights") is None:
                    recipe = isinstance(recipes, dict) and recipes.get(
                        entry.get("modality")
                    )
                    if not recipe:
                        raise fail(
                            f"models.{name}.training",
                            "is left out and the study has no recipe for its modality; "
                            "give a training recipe, or null for an untrained network",
                        )
                    entry["training"] = recipe
            models[name] = entry
        return {**data, "models": models}

    @model_validator(mode="after")
    def _consistent(self) -> Study:
        self._check_names()
        for name, entry in self.models.items():
            self._check_model(name, entry)
        self._check_sections()
        self._check_blocks()
        return self

    def _check_names(self) -> None:
        if self.name.lower() in RESERVED_NAMES:
            raise fail(
                "name",
                f"'{self.name}' is the folder of other results under results/; choose "
                f"a name that is not {', '.join(RESERVED_NAMES)}",
            )
        for section, names in (("models", self.models), ("tasks", self.tasks)):
            folded: dict[str, str] = {}
            for name in names:
                other = folded.setdefault(name.lower(), name)
                if other != name:
                    raise fail(
                        f"{section}.{name}",
                        f"differs from '{other}' only in case; file systems that "
                        "ignore case would mix their files: rename one",
                    )

    def _check_model(self, name: str, entry: ModelEntry) -> None:
        path = f"models.{name}"
        if entry.task not in self.tasks:
            raise fail(
                f"{path}.task",
                f"'{entry.task}' is no task of this study"
                f"{suggest(entry.task, self.tasks)} Allowed: {', '.join(self.tasks)}",
            )
        if entry.modality != self.tasks[entry.task].modality:
            raise fail(
                f"{path}.modality",
                f"'{entry.modality}', but task '{entry.task}' is "
                f"{self.tasks[entry.task].modality}",
            )
        front_end = entry.preprocessing.front_end
        if front_end is not None and front_end not in self.front_ends:
            raise fail(
                f"{path}.preprocessing.front_end",
                f"'{front_end}' is no front end{suggest(front_end, self.front_ends)} "
                f"Allowed: {', '.join(self.front_ends) or 'none is defined'}",
            )
        if entry.modality == "vision" and front_end is not None:
            raise fail(f"{path}.preprocessing.front_end", "is for auditory models only")
        self._check_stages(path, entry)

    def _check_stages(self, path: str, entry: ModelEntry) -> None:
        folded = set()
        for stage in entry.stages:
            if stage.lower() in RESERVED_STAGES or stage.lower() in folded:
                raise fail(
                    f"{path}.stages.{stage}",
                    "is reserved (natural stimuli) or differs only in case from "
                    "another stage: rename it",
                )
            folded.add(stage.lower())
        for stage in entry.straight_through:
            if stage not in entry.stages:
                raise fail(
                    f"{path}.straight_through.{stage}",
                    f"is no stage of this model{suggest(stage, entry.stages)} "
                    f"Allowed: {', '.join(entry.stages)}",
                )

    def _check_sections(self) -> None:
        for modality in self.modalities:
            for section in ("stimuli", "synthesis", "robustness"):
                if getattr(getattr(self, section), modality) is None:
                    raise fail(
                        f"{section}.{modality}",
                        f"is missing, but the study has {modality} models; add it, or "
                        "remove these models",
                    )
        for modality in MODALITIES:
            control = getattr(self.controls, modality)
            if control is None:
                continue
            path = f"controls.{modality}"
            mine = self.models_of(modality)
            if control.model not in mine:
                raise fail(
                    f"{path}.model",
                    f"'{control.model}' is no {modality} model"
                    f"{suggest(control.model, mine)} Allowed: {', '.join(mine)}",
                )
            if self.models[control.model].preprocessing.native:
                raise fail(
                    f"{path}.model",
                    f"metamers of '{control.model}' have a shape of their own "
                    "(preprocessing.native), and noise of their error cannot be added "
                    "to the references; name another model",
                )
            stages = self.models[control.model].stages
            if control.stage not in stages:
                raise fail(
                    f"{path}.stage",
                    f"'{control.stage}' is no stage of {control.model}"
                    f"{suggest(control.stage, stages)} Allowed: {', '.join(stages)}",
                )

    def _check_blocks(self) -> None:
        seen: dict[str, str] = {}
        given = self.transfer.blocks
        for block, members in (given if isinstance(given, dict) else {}).items():
            for model in members:
                if model not in self.models:
                    raise fail(
                        f"transfer.blocks.{block}",
                        f"'{model}' is no model{suggest(model, self.models)}",
                    )
                if model in seen:
                    raise fail(
                        f"transfer.blocks.{block}",
                        f"'{model}' is in block '{seen[model]}' already",
                    )
                seen[model] = block
            if len({self.models[model].modality for model in members}) > 1:
                raise fail(f"transfer.blocks.{block}", "mixes vision and audio models")

    @cached_property
    def modalities(self) -> list[str]:
        """Modalities that have models."""
        used = {entry.modality for entry in self.models.values()}
        return [modality for modality in MODALITIES if modality in used]

    def models_of(self, modality: str) -> list[str]:
        """Return the models of one modality, in the order of the study."""
        return [
            name for name, entry in self.models.items() if entry.modality == modality
        ]
