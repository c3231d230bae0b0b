"""A study's networks in the place of the published ones."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from metamers.recognition.tables import RECOGNITION_COLUMNS, recognition_table
from metamers.statistics.paper import (
    OWN_EXPERIMENT,
    binomial_error,
    counterparts,
    paper_tables,
    stage_names,
    stage_numbers,
)

STAGES = pd.DataFrame(
    [
        ("vision", model, stage)
        for model in ("alexnet", "alexnet_robust", "hmax")
        for stage in ("input_after_preproc", "relu0_fake_relu", "avgpool", "final")
    ]
    + [("audio", "kell", stage) for stage in ("input_after_preproc", "relu0", "final")],
    columns=["modality", "model", "stage"],
)
OWN = ["relu0_fake_relu", "avgpool", "final"]


def facts(published, stages=OWN, **changes):
    known = {
        "modality": "vision",
        "task": "objects",
        "trained": True,
        "siblings": [],
        "published": published,
        "stages": list(stages),
    }
    return known | changes


MODELS = {
    "mine": facts("alexnet", siblings=["mine_again"]),
    "mine_again": facts("alexnet", siblings=["mine"]),
    "robust": facts("alexnet_robust"),
    "classical": facts("hmax"),
}


def answers(generator, observer, values, *, study="study", n=100):
    return [
        {
            "modality": "vision",
            "experiment": study,
            "participant": observer,
            "observer": observer,
            "observer_kind": "network",
            "generator": generator,
            "stage": stage,
            "stage_index": index,
            "n": n - index,
            "proportion_correct": value,
        }
        for index, (stage, value) in enumerate(
            zip(["natural", *OWN], values, strict=True)
        )
    ]


def recognition():
    generator = np.random.default_rng(0)
    rows = []
    for one in MODELS:
        for other in MODELS:
            values = generator.integers(0, 90, 4) / 100
            rows += answers(one, other, [0.9, *values[:3]])
    # What collect_recognition appends: published answers, of networks of any name.
    rows += answers("mine", "mine", [0.1, 0.1, 0.1, 0.1], study="published_1")
    return recognition_table(pd.DataFrame(rows))


def people(models=("alexnet", "alexnet_robust", "vgg")):
    rows = [
        {
            "modality": "vision",
            "experiment": f"published_{experiment}",
            "participant": f"p{person}",
            "observer": "human" if kind == "human" else model,
            "observer_kind": kind,
            "generator": model,
            "stage": stage,
            "stage_index": index,
            "n": pd.NA,
            "proportion_correct": (index * 7 + person * 3 + len(model)) % 10 / 10,
        }
        for model in models
        for experiment in (1, 3)
        for person in range(3)
        for kind in ("human", "network")
        for index, stage in enumerate(["natural", *OWN])
    ]
    return recognition_table(pd.DataFrame(rows, columns=list(RECOGNITION_COLUMNS)))


def tables(humans=None, robustness=None, models=MODELS):
    return paper_tables(
        recognition(),
        pd.DataFrame() if robustness is None else robustness,
        people() if humans is None else humans,
        STAGES,
        models,
        study="study",
        classical=("hmax",),
    )


def test_the_first_of_two_seeds_stands_for_the_published_model():
    assert counterparts(MODELS) == {
        "mine": "alexnet",
        "robust": "alexnet_robust",
        "classical": "hmax",
    }
    assert counterparts({"own": facts(None)}) == {}


def test_stages_are_numbered_as_people_judged_them():
    assert stage_numbers(STAGES, "alexnet") == {
        "natural": 0,
        "relu0_fake_relu": 1,
        "avgpool": 2,
        "final": 3,
    }
    assert stage_numbers(STAGES, "kell")["input_after_preproc"] == 1


def test_stages_are_found_without_the_suffix_and_others_are_left_out(caplog):
    with caplog.at_level(logging.WARNING):
        found = stage_names(["relu0", "pool", "final"], OWN, "mine")
    assert found == {"relu0": "relu0_fake_relu", "final": "final"}
    assert "mine: pool left out" in caplog.text


def test_own_answers_are_those_of_the_study_beside_its_people():
    made = tables()["people"]
    own = made[made["observer_kind"] == "network"]
    assert set(own["experiment"]) == {OWN_EXPERIMENT}
    assert dict(zip(own["observer"], own["generator"], strict=True)) == {
        "mine": "alexnet",
        "robust": "alexnet_robust",
        "classical": "hmax",
    }
    given = recognition()
    given = given[(given["generator"] == "robust") & (given["observer"] == "robust")]
    mine = own[own["generator"] == "alexnet_robust"]
    assert mine["proportion_correct"].tolist() == given["proportion_correct"].tolist()
    assert mine["n"].tolist() == [100, 99, 98, 97]
    humans = made[made["observer_kind"] == "human"].reset_index(drop=True)
    expected = people(("alexnet", "alexnet_robust"))
    expected = expected[expected["observer_kind"] == "human"].reset_index(drop=True)
    pd.testing.assert_frame_equal(humans, expected)


def test_transfer_leaves_out_seeds_classical_models_and_other_tasks():
    pairs = tables()["transfer"][["generator", "evaluator"]].drop_duplicates()
    assert set(pairs.itertuples(index=False, name=None)) == {
        (one, other)
        for one in ("alexnet", "alexnet_robust")
        for other in ("alexnet", "alexnet_robust")
    }
    models = MODELS | {"robust": facts("alexnet_robust", task="backgrounds")}
    pairs = tables(models=models)["transfer"][["generator", "evaluator"]]
    assert set(pairs.itertuples(index=False, name=None)) == {
        ("alexnet", "alexnet"),
        ("alexnet_robust", "alexnet_robust"),
    }
    models = MODELS | {"robust": facts("alexnet_robust", trained=False)}
    pairs = tables(models=models)["transfer"][["generator", "evaluator"]]
    assert ("alexnet", "alexnet_robust") not in set(
        pairs.itertuples(index=False, name=None)
    )


def test_transfer_has_the_values_of_the_study_and_binomial_errors():
    row = tables()["transfer"].set_index(["generator", "evaluator", "stage"])
    row = row.loc[("alexnet", "alexnet_robust", "final")]
    given = recognition().set_index(["generator", "observer", "stage", "experiment"])
    value = given.loc[("mine", "robust", "final", "study"), "proportion_correct"]
    assert row["proportion_correct"] == value
    assert row["sem"] == pytest.approx(np.sqrt(value * (1 - value) / 97))
    assert row["stage_index"] == 3


def test_correlations_are_of_people_with_this_study_s_networks():
    made = tables()
    points = made["recognition"].dropna(subset=["people", "other_networks"])
    points = points[points["stage"] != "natural"]
    assert len(points) == 6
    values = made["correlations"].set_index(["quantity", "statistic"])["value"]
    rho = values["human vs other networks, visual (2 models, 6 stages)", "rho"]
    assert rho == pytest.approx(
        spearmanr(points["people"], points["other_networks"]).statistic
    )
    assert set(made["correlations"]["source"]) == {OWN_EXPERIMENT}
    transfer = made["transfer"]
    other = transfer[
        (transfer["generator"] == "alexnet")
        & (transfer["evaluator"] == "alexnet_robust")
        & (transfer["stage"] == "avgpool")
    ]
    point = points[(points["model"] == "alexnet") & (points["stage"] == "avgpool")]
    assert point["other_networks"].item() == other["proportion_correct"].item()


def test_attacks_have_the_published_columns_and_no_size_of_zero():
    robustness = pd.DataFrame(
        [
            ("mine", "vision", "l2", epsilon, 4, 400, accuracy)
            for epsilon, accuracy in ((0.0, 0.9), (0.1, 0.5))
        ]
        + [("mine_again", "vision", "l2", 0.1, 4, 400, 0.3)],
        columns=["model", "modality", "norm", "epsilon", "steps", "n", "accuracy"],
    )
    row = tables(robustness=robustness)["adversarial"].iloc[0]
    assert len(tables(robustness=robustness)["adversarial"]) == 1
    assert (row["model"], row["norm"], row["eps"]) == ("alexnet", "l2", 0.1)
    assert (row["accuracy"], row["sem"], row["n_images"]) == (0.5, 0.025, 400)


def test_without_people_or_other_networks_tables_are_empty():
    made = tables(humans=people()[:0], models={"mine": facts("alexnet")})
    assert set(made["people"]["observer_kind"]) == {"network"}
    assert made["recognition"].empty
    assert made["correlations"].empty
    assert made["adversarial"].empty
    nobody = tables(models={"own": facts(None)})
    assert all(table.empty for table in nobody.values())


def test_a_stage_without_answers_has_no_error():
    found = binomial_error(pd.Series([np.nan, 0.5]), pd.Series([0, 100], dtype="Int64"))
    assert np.isnan(found[0])
    assert found[1] == 0.05
