"""All tables in which people stand beside networks, Brain-Scores and cortex."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from metamers.randomness import numpy_generator
from metamers.statistics.published import correlations as correlate
from metamers.statistics.published import cortex as auditory
from metamers.statistics.published.recognition import drop_offs, recognition_by_model

TIE_COLUMNS = ["quantity", "statistic", "lowest", "highest"]


def correspondence(
    people: pd.DataFrame,
    transfer: pd.DataFrame,
    voxels: pd.DataFrame,
    brain_score_files: Sequence[str],
    cortex: pd.DataFrame,
    stages: pd.DataFrame,
    models: pd.DataFrame,
    *,
    seed: int,
    halves: int,
) -> dict[str, pd.DataFrame]:
    """Compute the published correlations and the tables that they are of.

    Parameters
    ----------
    people
        Recognition table of the published participants.
    transfer
        Published proportions correct of generator, evaluator and stage; may be empty.
    voxels
        Medians of the published regressions; may be empty.
    brain_score_files
        The published Brain-Score csv, or none.
    cortex
        ``resources/published/fmri_stage_summary.csv``.
    stages, models
        ``resources/published/model_stages.csv`` and ``plot_models.csv``.
    seed
        Of the split halves and the splitting of ties.
    halves
        Draws of split halves.

    Returns
    -------
    dict
        ``correlations``, ``ties``, ``recognition``, ``drop_offs``, ``brain_scores``,
        ``best_stages`` and ``voxels``; a table whose data are not here is empty.
    """
    recognition = recognition_by_model(people, transfer, stages)
    known = models[models["in_brainscore_or_fmri_figure"]]["model"].tolist()
    best = auditory.best_stages(cortex, recognition)
    points = _brain_scores(brain_score_files, recognition)
    generator = numpy_generator(seed, "split-half reliability")
    parts = [
        correlate.transfer_correlations(recognition, known),
        correlate.depth_by_model(recognition),
        correlate.brain_score_correlations(points),
        auditory.paired_tests(cortex),
        pd.DataFrame(auditory.best_stage_correlations(best), columns=correlate.COLUMNS),
        correlate.split_half_reliability(people, halves, generator),
    ]
    kept = [part for part in parts if not part.empty]
    return {
        "correlations": pd.concat(kept, ignore_index=True),
        "ties": _ties(recognition, seed),
        "recognition": recognition,
        "drop_offs": drop_offs(recognition),
        "brain_scores": points,
        "best_stages": best,
        "voxels": auditory.compare_with_voxels(cortex, voxels),
    }


def _brain_scores(files: Sequence[str], recognition: pd.DataFrame) -> pd.DataFrame:
    if not files:
        return pd.DataFrame(columns=correlate.POINT_COLUMNS)
    scores = correlate.read_brain_scores(files[0])
    return correlate.brain_score_points(scores, recognition)


def _ties(recognition: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return the ranges of the rank statistics that the notebooks print."""
    rows: list[dict[str, Any]] = []
    for modality, networks, quantity in correlate.printed_scatters(recognition):
        points = correlate.scatter(recognition, modality)
        found = correlate.tie_ranges(
            points["people"].to_numpy(float),
            points[networks].to_numpy(float),
            numpy_generator(seed, "ties", quantity),
        )
        rows += [
            dict(zip(TIE_COLUMNS, (quantity, name, *bounds), strict=True))
            for name, bounds in found.items()
        ]
    return pd.DataFrame(rows, columns=TIE_COLUMNS)
