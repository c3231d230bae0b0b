"""What the controls of the method are about, and who judges them."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from metamers.study.definition import Study
from metamers.study.slices import screening_of


class ControlPlan:
    """Models and files of the controls.

    Methods that take Snakemake's wildcards are the workflow's input functions.

    Parameters
    ----------
    study
        The study.
    results
        Folder of its results.
    drop_ins
        Models that are dropped in. They do not judge the controls, so that they make
        nothing run again that exists.
    """

    def __init__(self, study: Study, results: str, drop_ins: list[str]) -> None:
        self.study = study
        self.results = results
        self.drop_ins = drop_ins

    @cached_property
    def modalities(self) -> list[str]:
        """Modalities that have controls."""
        return [m for m in self.study.modalities if getattr(self.study.controls, m)]

    def model(self, modality: str) -> str:
        """Return the model that a modality's controls are about."""
        return str(getattr(self.study.controls, modality).model)

    def judges(self, modality: str) -> list[str]:
        """Return the networks that judge a modality's controls."""
        mine = self.study.models_of(modality)
        return [model for model in mine if model not in self.drop_ins]

    def networks(self, modality: str) -> list[str]:
        """Return the model that the controls are about, then all that judge them."""
        return [self.model(modality), *self.judges(modality)]

    def settings(self, found: dict[str, Any], modality: str) -> dict[str, Any]:
        """Complete the slice of the study that a job reads which runs the controls."""
        entries, models = found["evaluators"], self.study.models
        return {
            **found,
            "evaluators": {name: entries[name] for name in self.judges(modality)},
            "stages": {
                name: dict(models[name].stages) for name in self.networks(modality)
            },
            "screening": screening_of(self.study, self.model(modality)),
        }

    # --------------------------------------------------- input functions of the rules

    def metamers(self, wildcards: Any) -> str:
        """Return the metamers of the model that the controls are about."""
        return f"{self.results}/metamers/{self.model(wildcards.modality)}.h5"

    def weights(self, wildcards: Any) -> list[str]:
        """Return the weights of `networks`."""
        return [
            f"{self.results}/models/{model}/weights.safetensors"
            for model in self.networks(wildcards.modality)
        ]

    def nulls(self, wildcards: Any) -> list[str]:
        """Return the null distributions of `networks`."""
        found = self.networks(wildcards.modality)
        return [f"{self.results}/nulls/{model}.h5" for model in found]
