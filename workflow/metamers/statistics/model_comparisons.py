"""Pairs of a study's models compared as the paper compares them.

The design is the paper's comparison of models (`metamers.statistics.designs`), with the
observers who judged both models' metamers as subjects: participants of the study where
there are any, and the networks that are other networks to both.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pandas as pd

from metamers.randomness import numpy_generator
from metamers.recognition.panel import PANEL, PEOPLE
from metamers.statistics.answers import Models
from metamers.statistics.bootstrap import Floats
from metamers.statistics.designs import design_table, stack_tables

ANALYSIS = "compare_models"
OBSERVERS = {"networks": PANEL, "people": PEOPLE}
KEYS = (
    "modality",
    "observers",
    "screened",
    "n_subjects",
    "analysis",
    "label",
    "models",
)
LEAST_SUBJECTS = 3


def compare_models(
    transfer: pd.DataFrame, models: Models, *, seed: int, draws: int
) -> pd.DataFrame:
    """Compare every standard model with each other model of the same stages.

    Parameters
    ----------
    transfer
        ``statistics/transfer.csv``: proportion correct (``recognition``) of each
        generator, evaluator, stage (natural first) and screening, with the
        evaluator's relation to the generator.
    models
        Facts of each model.
    seed
        From which each test derives its randomness.
    draws
        Random rearrangements of each permutation test.

    Returns
    -------
    DataFrame
        `KEYS` and the columns of `design_table`, one row an effect. Pairs with fewer
        than three common observers, or with a stage of which no metamer passed, have
        no table.
    """
    parts = []
    for first, second in _pairs(models):
        for observers, relation in OBSERVERS.items():
            for screened in (True, False):
                chosen = transfer[
                    (transfer["relation"] == relation)
                    & (transfer["screened"].astype(bool) == screened)
                ]
                values = _common(chosen, first, second)
                if values is None:
                    continue
                label = f"{first} vs {second}"
                stream = numpy_generator(
                    seed, "compare_models", label, observers, str(screened)
                )
                table = design_table(ANALYSIS, values, None, draws, stream)
                parts.append(
                    table.assign(
                        modality=models[first]["modality"],
                        observers=observers,
                        screened=screened,
                        n_subjects=len(values),
                        analysis=ANALYSIS,
                        label=label,
                        models=f"{first}|{second}",
                    )
                )
    return stack_tables(parts, KEYS)


def _pairs(models: Models) -> Iterator[tuple[str, str]]:
    """Yield pairs of models with the same stages, one of them a standard one."""
    for first, second in combinations(models, 2):
        one, two = models[first], models[second]
        alike = ("modality", "stages", "task")
        same = all(one[name] == two[name] for name in alike)
        if same and "standard" in (one["group"], two["group"]):
            yield first, second


def _common(chosen: pd.DataFrame, first: str, second: str) -> Floats | None:
    """Return (observers, stages, 2) of those who judged both; None if too few."""
    tables = [
        chosen[chosen["generator"] == name].pivot(
            index="evaluator", columns="stage_index", values="recognition"
        )
        for name in (first, second)
    ]
    common = tables[0].index.intersection(tables[1].index)
    if len(common) < LEAST_SUBJECTS:
        return None
    values = np.stack([table.loc[common].to_numpy(float) for table in tables], axis=-1)
    return values if np.isfinite(values).all() else None
