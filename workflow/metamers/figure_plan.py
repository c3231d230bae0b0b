"""Which figures a study has, and which of its models each page of them shows."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator
from functools import cached_property
from typing import Any

from metamers.outputs import MODALITY_FIGURES, MOST_ON_A_PAGE, STUDY_FIGURES
from metamers.study.definition import Study

OfWildcards = Callable[[Any], list[str]]


class FigurePlan:
    """The figures of a study, their pages, and the metamers that a page shows.

    Parameters
    ----------
    study
        The study.
    results
        Folder of its results.
    lacking
        Figures of the whole study that it has no data for.
    """

    def __init__(self, study: Study, results: str, lacking: Collection[str]) -> None:
        self.study = study
        self.results = results
        self.lacking = lacking

    @cached_property
    def names(self) -> list[str]:
        """All figures by the names of their files, without suffix."""
        paged = [
            f"{figure}_{modality}{page}"
            for figure in MODALITY_FIGURES
            for modality in self.study.modalities
            for page in self.pages(figure, modality)
        ]
        whole = [name for name in STUDY_FIGURES if name not in self.lacking]
        return [*paged, *whole]

    def pages(self, figure: str, modality: str) -> dict[str, list[str]]:
        """Return the models on each page of a figure.

        Parameters
        ----------
        figure
            One of `metamers.outputs.MODALITY_FIGURES`.
        modality
            ``vision`` or ``audio``.

        Returns
        -------
        dict
            Names of models, in the order of the study, by the ending that the page
            adds to the figure's name: none, ``_2``, ``_3`` and so on. Pages are about
            equally full. A figure that does not grow with the models has one.
        """
        models = self.study.models_of(modality)
        most = MOST_ON_A_PAGE.get(figure, len(models))
        size = math.ceil(len(models) / math.ceil(len(models) / most))
        starts = range(0, len(models), size)
        return {
            f"_{number}" if number > 1 else "": models[start : start + size]
            for number, start in enumerate(starts, start=1)
        }

    def wildcards(self, rule: str) -> Iterator[dict[str, str]]:
        """Yield the wildcards of a rule that draws a figure with pages."""
        for modality in self.study.modalities:
            for page in self.pages(rule.removeprefix("plot_"), modality):
                yield {"modality": modality, "page": page}

    def shown(self, rule: str, wildcards: dict[str, str]) -> list[str]:
        """Return the models that a job shows which draws a page."""
        figure = rule.removeprefix("plot_")
        return self.pages(figure, wildcards["modality"])[wildcards["page"]]

    # --------------------------------------------------- input functions of the rules

    def metamers(self, rule: str) -> OfWildcards:
        """Return the function that gives a rule's jobs their packs of metamers."""
        return self._of_models(rule, "metamers/{}.h5")

    def screening(self, rule: str) -> OfWildcards:
        """Return the function that gives a rule's jobs their screening tables."""
        return self._of_models(rule, "screening/{}.csv")

    def _of_models(self, rule: str, pattern: str) -> OfWildcards:
        def files(wildcards: Any) -> list[str]:
            shown = self.shown(rule, dict(wildcards.items()))
            return [f"{self.results}/{pattern.format(model)}" for model in shown]

        return files
