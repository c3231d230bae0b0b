"""Networks as predictors of auditory cortex: best stages and paired comparisons.

Figure 8 of the preprint and figure 7d of the paper, from
medians of explained variance by model, stage, region of interest and participant.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metamers.statistics.bootstrap import Floats
from metamers.statistics.permutation import exact_swap_test
from metamers.statistics.published.correlations import (
    COLUMNS,
    CORTEX,
    OURS,
    correlation_rows,
)

SOURCE = ("2022 fMRIPredictionPlotsAndStatistics", "preprint 8")
BASELINE = "spectemp_filters"
ALL_VOXELS = "all_aud_voxels"
REGIONS = (ALL_VOXELS, "tonotopic", "pitch", "music", "speech")
ARCHITECTURES = ("cochresnet50", "kell2018")
ROBUST = ("_l2_1_robust_cochleagram", "_l2_p5_robust_cochleagram")
DRAWS = 10_000
# The study's figure is about networks that were trained; the baseline's recognition by
# people is shown beside them.
BEST_COLUMNS = [
    "model",
    "roi",
    "participants",
    "score",
    "sem",
    "best_stage",
    "best_stage_index",
    "people",
    "people_sem",
    "relative_depth",
]


def comparisons() -> list[tuple[str, str, str]]:
    """List the study's 50 tests (first, second, region) in the order of the notebook.

    Each network against the baseline in all voxels; the standard against the robust
    ones there; the same against the baseline in each region; and the robust against
    the standard ones there.
    """
    tested = [a + end for a in ARCHITECTURES for end in ("", *reversed(ROBUST))]
    pairs = [(a + end, a) for a in ARCHITECTURES for end in ROBUST]
    regions = REGIONS[1:]
    return [
        *((model, BASELINE, ALL_VOXELS) for model in tested),
        *((standard, robust, ALL_VOXELS) for robust, standard in pairs),
        *((model, BASELINE, roi) for roi in regions for model in tested),
        *((robust, standard, roi) for roi in regions for robust, standard in pairs),
    ]


def held_out_scores(
    summary: pd.DataFrame, model: str, region: str
) -> tuple[Floats, list[str]]:
    """Score each participant at the stage that is best for the others.

    Parameters
    ----------
    summary
        model, stage, stage_index, roi, participant, median_r2.
    model, region
        What to score.

    Returns
    -------
    scores : ndarray
        (participants,) median explained variance.
    stages : list of str
        The stage that was chosen for each.
    """
    rows = summary[(summary["model"] == model) & (summary["roi"] == region)]
    names = rows.drop_duplicates("stage_index").set_index("stage_index")["stage"]
    table = rows.pivot(index="stage_index", columns="participant", values="median_r2")
    values = table.to_numpy(float)
    people = values.shape[1]
    best = [
        int(np.delete(values, person, axis=1).mean(axis=1).argmax())
        for person in range(people)
    ]
    stages = [str(names[table.index[index]]) for index in best]
    return values[best, np.arange(people)], stages


def paired_tests(summary: pd.DataFrame) -> pd.DataFrame:
    """Run the 50 paired tests of the preprint's figure 8.

    Returns
    -------
    DataFrame
        `COLUMNS`: ``t`` and ``p_two_sided`` of the paired t-test;
        ``permutation_p_seed0``, the study's own draws (participants' pairs swapped at
        random, strictly larger means counted, none as 1/256), repeated from its seed;
        and ``permutation_p_exact`` of all 256 swaps, ties counted.
    """
    from scipy.stats import ttest_rel

    rows: list[dict[str, Any]] = []
    state = np.random.RandomState(0)
    for first, second, region in comparisons():
        one, _ = held_out_scores(summary, first, region)
        two, _ = held_out_scores(summary, second, region)
        test = ttest_rel(one, two)
        drawn = _drawn_p(one - two, state)
        exact = exact_swap_test(one - two, one_sided=True)
        for statistic, value in (
            ("t", test.statistic),
            ("p_two_sided", test.pvalue),
            ("permutation_p_seed0", drawn),
            ("permutation_p_exact", exact.p if exact else np.nan),
        ):
            quantity = f"{first} > {second}, {region}"
            row = (*SOURCE, quantity, statistic, float(value), len(one))
            rows.append(dict(zip(COLUMNS, row, strict=True)))
    return pd.DataFrame(rows, columns=COLUMNS)


def _drawn_p(differences: NDArray[Any], state: np.random.RandomState) -> float:
    """Repeat the study's permutation test with its stream of random numbers.

    The study shuffles each pair with `numpy.random.shuffle`, which swaps two items when
    the next 32 random bits are even.
    """
    size = DRAWS * len(differences)
    bits = state.randint(0, 2**32, size=size, dtype=np.uint32)
    swapped = (bits & 1 == 0).reshape(DRAWS, -1)
    null = np.where(swapped, -differences, differences).mean(axis=1)
    share = float((null > differences.mean()).mean())
    return share or 1 / 2 ** len(differences)


def best_stages(summary: pd.DataFrame, recognition: pd.DataFrame) -> pd.DataFrame:
    """Find the stage of each network that predicts each region best.

    Parameters
    ----------
    summary
        As in `held_out_scores`.
    recognition
        The table of `recognition_by_model`.

    Returns
    -------
    DataFrame
        `BEST_COLUMNS`: the mean over participants of the held-out score and its
        standard error (ddof 0); the stage that was chosen most often; and people's
        recognition of metamers of that stage.
    """
    audio = recognition[recognition["modality"] == "audio"]
    people = audio.set_index(["model", "stage"])
    rows = []
    for model in summary["model"].drop_duplicates():
        for region in REGIONS:
            scores, stages = held_out_scores(summary, model, region)
            stage = pd.Series(stages).mode().iloc[0]
            at = people.loc[(model, stage)] if (model, stage) in people.index else None
            rows.append(
                (
                    model,
                    region,
                    len(scores),
                    float(scores.mean()),
                    float(scores.std() / np.sqrt(len(scores))),
                    stage,
                    _index(summary, model, stage),
                    *(
                        (np.nan, np.nan, np.nan)
                        if at is None
                        else (at["people"], at["people_sem"], at["relative_depth"])
                    ),
                )
            )
    return pd.DataFrame(rows, columns=BEST_COLUMNS)


def best_stage_correlations(best: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield the correlations of figure 7d for the networks that are published."""
    trained = best[best["model"] != BASELINE].dropna(subset=["people"])
    for region, part in trained.groupby("roi", sort=False):
        yield from correlation_rows(
            OURS,
            CORTEX[1],
            f"fMRI regression R2 vs human recognition at best stage, {region} "
            f"({len(part)} models)",
            part["score"].to_numpy(float),
            part["people"].to_numpy(float),
            tests=len(REGIONS),
            depth=part["relative_depth"].to_numpy(float),
        )


def compare_with_voxels(summary: pd.DataFrame, voxels: pd.DataFrame) -> pd.DataFrame:
    """Compare the summary with what the published regressions give.

    Parameters
    ----------
    summary
        As in `held_out_scores`.
    voxels
        The same medians, recomputed from published files; may be empty.

    Returns
    -------
    DataFrame
        The rows of `voxels` with ``summary_median_r2`` and ``difference``.
    """
    names = summary["stage"].str.replace("_fake_?relu$", "", regex=True)
    keys = ["model", "stage", "roi", "participant"]
    known = summary.assign(stage=names)[[*keys, "median_r2"]]
    known = known.rename(columns={"median_r2": "summary_median_r2"})
    known["participant"] = known["participant"].astype("int64")
    typed = voxels.astype({"participant": "int64", "median_r2": "float64"})
    joined = typed.merge(known, on=keys, how="left")
    return joined.assign(difference=joined["median_r2"] - joined["summary_median_r2"])


def _index(summary: pd.DataFrame, model: str, stage: str) -> int:
    rows = summary[(summary["model"] == model) & (summary["stage"] == stage)]
    return int(rows["stage_index"].iloc[0])
