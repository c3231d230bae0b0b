"""What the rules of the paper's figures with a study's networks need to know of it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from metamers.figures.published.catalogue import (
    FIGURES,
    OF_STUDY,
    STUDY_TABLES,
    table_names,
)
from metamers.figures.published.panels import CLASSICAL, holds
from metamers.fingerprint import code_fingerprint
from metamers.study.definition import Study
from metamers.study.slices import model_facts

COMPARE, PLOT = "compare_with_paper", "plot_paper_figure"
PAPER_RULES = (COMPARE, PLOT)
ATTACKED = "figure_6d-h"
# What the comparison reads of each model.
FACTS = ("modality", "task", "trained", "siblings", "published", "stages")


class PaperPlan:
    """Figures, files, settings and code of these jobs.

    Parameters
    ----------
    study
        The study.
    results
        Folder of its results.
    """

    def __init__(self, study: Study, results: str) -> None:
        self.study = study
        self.results = results

    @cached_property
    def figures(self) -> list[str]:
        """Figures that hold a published counterpart of one of the study's models."""
        return [name for name in OF_STUDY if self.models(name)]

    @cached_property
    def wanted(self) -> list[str]:
        """Those of `figures` that belong to all of the study's results."""
        return self.figures if self.study.statistics.paper_figures else []

    def models(self, figure: str) -> list[str]:
        """Return the study's models whose published counterparts a figure holds."""
        return [
            name
            for name, entry in self.study.models.items()
            if entry.published and holds(figure, str(entry.modality), entry.published)
        ]

    # --------------------------------------------------- input functions of the rules

    def attacked(self, wildcards: Any) -> list[str]:
        """Return the accuracy under attack of the models whose figure shows it."""
        mine = self.models(ATTACKED)
        return [f"{self.results}/robustness/{model}.csv" for model in mine]

    def tables(self, wildcards: Any) -> list[str]:
        """Return the tables of the study that a figure reads."""
        return [
            f"{self.results}/{STUDY_TABLES[name]}"
            for name in table_names(wildcards.figure, of_study=True)
            if name in STUDY_TABLES
        ]

    def stimuli(self, wildcards: Any) -> list[str]:
        """Return the stimuli of a figure's models, which tell what chance is."""
        entries = [self.study.models[name] for name in self.models(wildcards.figure)]
        modalities = dict.fromkeys(entry.modality for entry in entries)
        return [f"{self.results}/stimuli/{modality}.h5" for modality in modalities]

    # ------------------------------------------------------------------ parameters

    def settings_of(self, rule: str, wildcards: dict[str, str]) -> dict[str, Any]:
        """Return the slice of the study that one job reads."""
        if rule == PLOT:
            entry = FIGURES[wildcards["figure"]]
            return {**wildcards, "title": entry.title, "caption": entry.of_study}
        facts = {
            name: {key: known[key] for key in FACTS}
            for name, known in model_facts(self.study).items()
            if known["published"]
        }
        return {
            "study": self.study.name,
            "models": facts,
            "classical": list(CLASSICAL),
        }

    def code_of(self, rule: str, wildcards: dict[str, str]) -> str:
        """Return the fingerprint of the code that one job runs."""
        if rule == COMPARE:
            return code_fingerprint(scripts=(rule,))
        module = f"metamers.figures.published.{FIGURES[wildcards['figure']].module}"
        return code_fingerprint(module, scripts=(rule,))

    def wildcards(self, rule: str) -> Iterator[dict[str, str]]:
        """Yield the wildcards of a rule's jobs that belong to all results."""
        if rule == PLOT:
            yield from ({"figure": name} for name in self.wanted)
        elif self.wanted:
            yield {}
