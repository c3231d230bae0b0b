"""The study's correlations with people's recognition, and what depth alone gives.

Sources are named as the published notebooks that print the numbers; rows that no
notebook prints have the source ``this project``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metamers.statistics.bootstrap import Floats
from metamers.statistics.correlation import partial_spearman, spearman

COLUMNS = ["source", "figure", "quantity", "statistic", "value", "n"]
OURS = "this project"
POINT_COLUMNS = [
    "model",
    "area",
    "score",
    "stage",
    "people",
    "people_sem",
    "relative_depth",
]
AREAS = ("V1", "V2", "V4", "IT")
# Networks whose V1 stages were made for another figure of the study.
NOT_IN_BRAIN_SCORE = (
    "alexnet_early_checkpoint",
    "alexnet_reduced_aliasing_early_checkpoint",
    "vonealexnet_gaussian_noise_std4_fixed",
)
SCATTER_SOURCES = {
    ("audio", "other_networks"): ("2023 AudioNetworkNetworkPredictions", "8f"),
    ("audio", "all_networks"): ("2022 AudioNetworkNetworkPredictions", "preprint 9"),
    ("vision", "other_networks"): ("2023 VisualNetworkNetworkPredictions", "8e"),
    ("vision", "all_networks"): ("2022 VisualNetworkNetworkPredictions", "preprint 9"),
}
BRAIN_SCORE = ("2023 BrainscoreResultsVsMetamerRecognition", "7b")
CORTEX = ("2023 fMRIBestLayerVsMetamerRecognition", "7d")
TIE_DRAWS = 500


def correlation_rows(
    source: str,
    figure: str,
    quantity: str,
    first: NDArray[Any],
    second: NDArray[Any],
    *,
    tests: int = 1,
    depth: NDArray[Any] | None = None,
) -> Iterator[dict[str, Any]]:
    """Yield all coefficients of two variables, and their probabilities.

    Parameters
    ----------
    source, figure, quantity
        What the rows are about.
    first, second
        (n,) without missing values; n is at least 3.
    tests
        Tests that the Bonferroni correction counts; 1 gives no corrected values.
    depth
        (n,) relative depth of each point. With it come the correlation of the first
        variable with depth alone and the partial one given depth.
    """
    from scipy.stats import kendalltau, pearsonr, spearmanr

    linear, ranks = pearsonr(first, second), spearmanr(first, second)
    concordance = kendalltau(first, second)
    values = {
        "R2": linear.statistic**2,
        "rho": ranks.statistic,
        "tau": concordance.statistic,
        "p_pearson": linear.pvalue,
        "p_spearman": ranks.pvalue,
        "p_kendall": concordance.pvalue,
    }
    if tests > 1:
        values |= {
            "p_rho_raw": ranks.pvalue,
            f"p_rho_bonferroni{tests}": min(1.0, tests * ranks.pvalue),
            "p_R2_raw": linear.pvalue,
            f"p_R2_bonferroni{tests}": min(1.0, tests * linear.pvalue),
        }
    if depth is not None:
        values |= {
            "rho_depth_only": float(spearman(first, depth)),
            "rho_given_depth": float(partial_spearman(first, second, depth)),
        }
    for statistic, value in values.items():
        row = (source, figure, quantity, statistic, float(value), len(first))
        yield dict(zip(COLUMNS, row, strict=True))


def transfer_correlations(
    recognition: pd.DataFrame, brain_score_models: Sequence[str]
) -> pd.DataFrame:
    """Correlate people with networks over all stages of all models.

    Parameters
    ----------
    recognition
        The table of `recognition_by_model`.
    brain_score_models
        The networks that the 2022 version of the vision figure knew.

    Returns
    -------
    DataFrame
        `COLUMNS`. The definition of 2023 leaves the generator out of the networks, that
        of 2022 leaves it in. Equal means are kept as ties.
    """
    rows: list[dict[str, Any]] = []
    for modality, networks, quantity in printed_scatters(recognition):
        points = scatter(recognition, modality)
        source = SCATTER_SOURCES[modality, networks]
        rows += _scatter_rows(source, quantity, points, networks)
        earlier = points[points["model"].isin(brain_score_models)]
        if networks == "all_networks" and 3 <= len(earlier) < len(points):
            count = f"({earlier['model'].nunique()} models, {len(earlier)} stages)"
            rows += _scatter_rows(source, f"{quantity} {count}", earlier, networks)
    return pd.DataFrame(rows, columns=COLUMNS)


def printed_scatters(recognition: pd.DataFrame) -> Iterator[tuple[str, str, str]]:
    """Yield modality, column of the networks, and name of each scatter of the study."""
    for modality, sense in (("audio", "audio"), ("vision", "visual")):
        points = scatter(recognition, modality)
        if len(points) < 3:
            continue
        count = f"({points['model'].nunique()} models, {len(points)} stages)"
        yield modality, "other_networks", f"human vs other networks, {sense} {count}"
        yield (
            modality,
            "all_networks",
            f"human vs all networks incl. generator, {sense}",
        )


def scatter(recognition: pd.DataFrame, modality: str) -> pd.DataFrame:
    """Return the points of figure 8e or 8f: stages with people and networks."""
    chosen = recognition[
        (recognition["modality"] == modality) & (recognition["stage"] != "natural")
    ]
    return chosen.dropna(subset=["people", "other_networks"]).reset_index(drop=True)


def _scatter_rows(
    source: tuple[str, str], quantity: str, points: pd.DataFrame, networks: str
) -> Iterator[dict[str, Any]]:
    return correlation_rows(
        *source,
        quantity,
        points["people"].to_numpy(float),
        points[networks].to_numpy(float),
        depth=points["relative_depth"].to_numpy(float),
    )


def tie_ranges(
    people: NDArray[Any], networks: NDArray[Any], generator: np.random.Generator
) -> dict[str, tuple[float, float]]:
    """Return the range of rank statistics when ties are split at random.

    Network means that are equal in exact arithmetic come out different in floating
    point, in an order that depends on the order of summation.

    Parameters
    ----------
    people, networks
        (n,) with ties kept.
    generator
        Source of randomness.

    Returns
    -------
    dict
        {statistic: (lowest, highest)} of rho, tau and their probabilities.
    """
    from scipy.stats import kendalltau, spearmanr

    found: dict[str, list[float]] = {}
    for _ in range(TIE_DRAWS):
        split = networks + 1e-13 * generator.standard_normal(len(networks))
        ranks, concordance = spearmanr(people, split), kendalltau(people, split)
        for statistic, value in (
            ("rho", ranks.statistic),
            ("p_spearman", ranks.pvalue),
            ("tau", concordance.statistic),
            ("p_kendall", concordance.pvalue),
        ):
            found.setdefault(statistic, []).append(float(value))
    return {name: (min(values), max(values)) for name, values in found.items()}


def depth_by_model(recognition: pd.DataFrame) -> pd.DataFrame:
    """Correlate people with other networks over the stages of each model.

    Returns
    -------
    DataFrame
        `COLUMNS`: rho, rho with depth alone and rho given depth of each model that has
        both.
    """
    rows: list[dict[str, Any]] = []
    for modality in ("vision", "audio"):
        for model, points in scatter(recognition, modality).groupby(
            "model", sort=False
        ):
            if len(points) < 3:
                continue
            first, second, depth = (
                points[name].to_numpy(float)
                for name in ("people", "other_networks", "relative_depth")
            )
            quantity = f"human vs other networks over stages, {model}"
            for statistic, value in (
                ("rho", spearman(first, second)),
                ("rho_depth_only", spearman(first, depth)),
                ("rho_given_depth", partial_spearman(first, second, depth)),
            ):
                row = (OURS, "8", quantity, statistic, float(value), len(points))
                rows.append(dict(zip(COLUMNS, row, strict=True)))
    return pd.DataFrame(rows, columns=COLUMNS)


def read_brain_scores(path: str) -> pd.DataFrame:
    """Read the published Brain-Score table.

    Parameters
    ----------
    path
        The csv of the released notebooks.

    Returns
    -------
    DataFrame
        model, area, score (0 to 1) and stage (the one that Brain-Score chose), one row
        for each model and area.
    """
    table = pd.read_csv(path, dtype=str).dropna(axis=1, how="all")
    table = table[pd.to_numeric(table["V1"], errors="coerce").notna()]
    table = table.drop_duplicates("name")
    parts = [
        pd.DataFrame(
            {
                "model": table["name"],
                "area": area,
                "score": table[area].astype(float),
                "stage": table[f"{area} best layer"],
            }
        )
        for area in AREAS
    ]
    return pd.concat(parts, ignore_index=True)


def brain_score_points(scores: pd.DataFrame, recognition: pd.DataFrame) -> pd.DataFrame:
    """Join Brain-Scores with people's recognition at the stage that was chosen.

    Returns
    -------
    DataFrame
        `POINT_COLUMNS`.
    """
    scores = scores[~scores["model"].isin(NOT_IN_BRAIN_SCORE)]
    vision = recognition[recognition["modality"] == "vision"]
    columns = ["model", "stage", "people", "people_sem", "relative_depth"]
    joined = scores.merge(vision[columns], on=["model", "stage"], how="left")
    return joined.dropna(subset=["people"]).reset_index(drop=True)[POINT_COLUMNS]


def brain_score_correlations(points: pd.DataFrame) -> pd.DataFrame:
    """Correlate Brain-Scores with people's recognition, for each area."""
    rows: list[dict[str, Any]] = []
    for area, part in points.groupby("area", sort=False):
        rows += correlation_rows(
            *BRAIN_SCORE,
            f"Brain-Score {area} vs human recognition at that stage "
            f"({len(part)} models)",
            part["score"].to_numpy(float),
            part["people"].to_numpy(float),
            tests=len(AREAS),
            depth=part["relative_depth"].to_numpy(float),
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def split_half_reliability(
    people: pd.DataFrame, draws: int, generator: np.random.Generator
) -> pd.DataFrame:
    """Measure how well one half of the participants predicts the other half.

    Parameters
    ----------
    people
        Recognition table of the published participants.
    draws
        Random halves of each experiment's participants.
    generator
        Source of randomness.

    Returns
    -------
    DataFrame
        `COLUMNS`: for each model over its stages (experiments apart), and for each
        modality over the stages of all models, the median over the halves of Pearson's
        r and Spearman's rho, each with the Spearman-Brown correction to all
        participants: what a perfect model of people could reach. Natural stimuli are
        left out.
    """
    rows = people[(people["observer_kind"] == "human") & (people["stage_index"] > 0)]
    found: list[dict[str, Any]] = []
    for modality, part in rows.groupby("modality", sort=False, observed=True):
        halves = [
            _halves(cell, draws, generator)
            for _, cell in part.groupby("experiment", sort=False, observed=True)
        ]
        names = [name for names, _ in halves for name in names]
        values = np.concatenate([values for _, values in halves], axis=-1)
        found += _reliability(f"split-half reliability, {modality}, all models", values)
        for name in dict.fromkeys(names):
            chosen = values[..., [name == other for other in names]]
            label = f"split-half reliability, {modality}, {' in '.join(name)}"
            found += _reliability(label, chosen)
    return pd.DataFrame(found, columns=COLUMNS)


def _halves(
    cell: pd.DataFrame, draws: int, generator: np.random.Generator
) -> tuple[list[tuple[str, str]], Floats]:
    """Return, for each model and stage of an experiment, the means of random halves.

    Returns
    -------
    names : list of (model, experiment)
    values : ndarray
        (2 halves, draws, models x stages).
    """
    table = cell.pivot_table(
        index="participant",
        columns=["generator", "experiment", "stage_index"],
        values="proportion_correct",
        sort=False,
        observed=True,
    )
    values = table.to_numpy(float)
    order = generator.permuted(np.tile(np.arange(len(values)), (draws, 1)), axis=1)
    middle = len(values) // 2
    means = [values[part].mean(axis=1) for part in np.split(order, [middle], axis=1)]
    return [(str(key[0]), str(key[1])) for key in table.columns], np.stack(means)


def _reliability(quantity: str, values: Floats) -> Iterator[dict[str, Any]]:
    first, second = values
    centered = [half - half.mean(axis=-1, keepdims=True) for half in (first, second)]
    scale = np.sqrt((centered[0] ** 2).sum(-1) * (centered[1] ** 2).sum(-1))
    linear = (centered[0] * centered[1]).sum(-1) / scale
    half: Mapping[str, float] = {
        "pearson": float(np.median(linear)),
        "spearman": float(np.median(spearman(first, second))),
    }
    for name, value in half.items():
        for statistic, number in (
            (f"{name}_split_half", value),
            (f"{name}_spearman_brown", 2 * value / (1 + value)),
        ):
            row = (OURS, "", quantity, statistic, number, values.shape[-1])
            yield dict(zip(COLUMNS, row, strict=True))
