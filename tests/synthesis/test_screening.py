"""Which metamers pass, and the reasons of those that do not."""

import numpy as np
import pytest

from metamers.errors import StudyError
from metamers.synthesis.measures import MEASURES
from metamers.synthesis.null_files import NullDistribution
from metamers.synthesis.screening import screen
from metamers.synthesis.shards import MetamerShard

SETTINGS = {
    "model": "toy",
    "stages": ["relu0", "final"],
    "screening": {"rule": "maximum", "quantile": None},
}
ANSWERS = ["cat", "dog"]
COLUMNS = [
    "model", "stage", "stage_index", "stimulus_id", "final_loss",
    "spearman", "pearson", "db_snr", "null_spearman", "null_pearson", "null_db_snr",
    "response", "natural_response", "response_matches", "passed", "reason",
    "pairs", "units", "rule",
]  # fmt: skip


def null_of(units: int, **maxima: float) -> dict[str, NullDistribution]:
    levels = np.array([0.0, 0.9, 1.0])
    return {
        measure: NullDistribution(
            maximum=maxima[measure],
            ceiling=measure != "db_snr" and maxima[measure] >= 1,
            pairs=2000,
            units=units,
            quantile_levels=levels,
            quantiles=np.array([-1.0, 0.2, maxima[measure]]),
            histogram_counts=np.array([2000]),
            histogram_edges=np.array([-1.0, 1.0]),
        )
        for measure in MEASURES
    }


NULL = {
    "relu0": null_of(800, spearman=0.42, pearson=0.5, db_snr=1.0),
    "final": null_of(10, spearman=1.0, pearson=0.9, db_snr=2.0),
}


def metamers(distances, response=None, loss=None) -> MetamerShard:
    count = len(distances)
    natural = np.zeros(count, dtype=int)
    final = np.full(count, 0.01) if loss is None else np.asarray(loss)
    return MetamerShard(
        metamer=np.zeros((count, 1, 2, 2), dtype=np.float32),
        stimulus_id=np.array([f"image_{i}" for i in range(count)]),
        loss=np.stack([np.ones(count), final], axis=1),
        logged_step=np.array([0, 20]),
        distances=np.asarray(distances, dtype=float),
        response=natural if response is None else np.asarray(response),
        natural_response=natural,
    )


GOOD = metamers([[0.99, 0.99, 20.0]])


def test_where_any_answer_counts_distances_decide_alone():
    settings = {**SETTINGS, "stages": ["relu0"]}
    settings["screening"] = {**SETTINGS["screening"], "any_answer": True}
    near, far = [0.9, 0.9, 9.0], [0.31, 0.9, 9.0]
    made = {"relu0": metamers([near, near, far], response=[0, 1, 1])}
    table = screen(made, NULL, settings, ANSWERS)
    assert table["passed"].tolist() == [True, True, False]
    # What it answered is still said.
    assert table["response_matches"].tolist() == [True, False, False]
    assert "response" not in table["reason"].iloc[2]


def test_known_passes_and_failures():
    table = screen(
        {
            "relu0": metamers(
                [[0.9, 0.9, 9.0], [0.31, 0.9, 9.0], [0.9, 0.9, 9.0], [0.42, 0.1, 0.9]],
                response=[0, 1, 1, 0],
            ),
            "final": metamers([[0.9, 0.95, 5.0], [1.0, 0.85, 5.0]]),
        },
        NULL,
        SETTINGS,
        ANSWERS,
    )
    assert list(table) == COLUMNS
    assert table.reason.tolist() == [
        "",
        "response differs from the natural one; spearman 0.31 <= null 0.42",
        "response differs from the natural one",
        "spearman 0.42 <= null 0.42; pearson 0.1 <= null 0.5; db_snr 0.9 <= null 1",
        "",  # Spearman is at its ceiling over ten units, and not used
        "pearson 0.85 <= null 0.9",
    ]
    assert table.passed.tolist() == [True, False, False, False, True, False]
    assert table.stage_index.tolist() == [1, 1, 1, 1, 2, 2]
    assert table.units.tolist() == [800] * 4 + [10] * 2
    assert table.null_spearman.isna().tolist() == [False] * 4 + [True] * 2
    assert table.null_pearson.tolist() == [0.5] * 4 + [0.9] * 2
    assert table.response.tolist()[:2] == ["cat", "dog"]
    assert table.natural_response.tolist() == ["cat"] * 6
    assert table.final_loss.tolist() == [0.01] * 6


def test_what_is_not_a_number_fails():
    table = screen(
        {
            "relu0": metamers(
                [[np.nan] * 3, [0.9, 0.9, np.inf], [0.9, 0.9, 9.0]],
                response=[-1, 0, 0],
                loss=[np.nan, 0.0, np.inf],
            ),
            "final": metamers([[np.nan, 0.99, 9.0]]),
        },
        NULL,
        SETTINGS,
        ANSWERS,
    )
    assert table.passed.tolist() == [False, True, False, False]
    assert table.reason[0].split("; ") == [
        "response differs from the natural one",
        "loss is not finite",
        "spearman is not a number",
        "pearson is not a number",
        "db_snr is not a number",
    ]
    assert table.reason[2] == "loss is not finite"
    assert table.reason[3] == "spearman is not a number"
    assert table.response[0] == ""


def test_two_missing_responses_do_not_match():
    both = metamers([[0.9, 0.9, 9.0]], response=[-1])
    both.natural_response[:] = -1
    table = screen({"relu0": both, "final": GOOD}, NULL, SETTINGS, ANSWERS)
    assert not table.response_matches[0]


def test_a_stage_that_cannot_tell_stimuli_apart_passes_nothing():
    null = {**NULL, "relu0": null_of(5, spearman=0.4, pearson=0.4, db_snr=np.inf)}
    table = screen({"relu0": GOOD, "final": GOOD}, null, SETTINGS, ANSWERS)
    assert table.passed.tolist() == [False, True]
    assert table.reason[0] == "db_snr 20 <= null inf"


def test_the_quantile_rule():
    settings = {**SETTINGS, "screening": {"rule": "quantile", "quantile": 0.9}}
    low = metamers([[0.3, 0.3, 0.3], [0.3, 0.3, 0.1]])
    table = screen({"relu0": low, "final": GOOD}, NULL, settings, ANSWERS)
    assert table.passed.tolist() == [True, False, True]
    assert table.null_spearman.tolist() == [0.2] * 3
    assert set(table.rule) == {"quantile"}


def test_missing_stages_and_unknown_answers_are_refused():
    with pytest.raises(StudyError, match=r"stage 'final' has no metamers; .* relu0"):
        screen({"relu0": GOOD}, NULL, SETTINGS, ANSWERS)
    with pytest.raises(StudyError, match="stage 'relu0' has no null distribution"):
        screen(
            {"relu0": GOOD, "final": GOOD}, {"final": NULL["final"]}, SETTINGS, ANSWERS
        )
    other = metamers([[0.9, 0.9, 9.0]], response=[2])
    with pytest.raises(StudyError, match="the answer 2, but the task has 2 answers"):
        screen({"relu0": other, "final": GOOD}, NULL, SETTINGS, ANSWERS)
