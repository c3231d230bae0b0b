"""Pairs of models in the paper's design, with networks as subjects."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from metamers.statistics.anova import repeated_measures_anova
from metamers.statistics.model_comparisons import compare_models

STAGES = ("natural", "relu0", "final")


def model(group, stages=STAGES[1:], task="digits"):
    return {
        "modality": "vision",
        "group": group,
        "task": task,
        "stages": list(stages),
    }


MODELS = {
    "plain": model("standard"),
    "robust": model("adversarial"),
    "noisy": model("random"),
    "other": model("adversarial", ("conv", "final")),
}


def transfer(values, relation="panel"):
    """Make {generator: (evaluators, stages)} rows of transfer.csv."""
    rows = [
        ("vision", generator, f"judge_{e}", relation, STAGES[s], s, screened, value)
        for generator, table in values.items()
        for (e, s), value in np.ndenumerate(table)
        for screened in (True, False)
    ]
    names = ["modality", "generator", "evaluator", "relation", "stage", "stage_index"]
    return pd.DataFrame(rows, columns=[*names, "screened", "recognition"])


@pytest.fixture
def values():
    generator = np.random.default_rng(0)
    return {name: generator.uniform(size=(5, 3)) for name in MODELS}


def test_pairs_hold_a_standard_model_and_share_their_stages(values):
    table = compare_models(transfer(values), MODELS, seed=1, draws=99)
    assert set(table["label"]) == {"plain vs robust", "plain vs noisy"}
    assert set(table["observers"]) == {"networks"}
    assert set(table["n_subjects"]) == {5}


def test_numbers_are_those_of_the_one_analysis_of_variance(values):
    table = compare_models(transfer(values), MODELS, seed=1, draws=99)
    pair = table[(table["label"] == "plain vs robust") & table["screened"]]
    both = np.stack([values["plain"], values["robust"]], axis=-1)
    expected = repeated_measures_anova(both, ["layer", "model_type"])
    np.testing.assert_allclose(pair["F"], expected["F"])
    tested = pair.set_index("effect")["permutation_p_exact"].dropna()
    assert list(tested.index) == ["(Intercept):model_type"]


def test_a_stage_without_survivors_has_no_screened_table(values):
    rows = transfer(values)
    lost = (
        rows["screened"] & (rows["stage"] == "final") & (rows["generator"] == "robust")
    )
    rows.loc[lost, "recognition"] = np.nan
    table = compare_models(rows, MODELS, seed=1, draws=99)
    found = table[table["label"] == "plain vs robust"]
    assert set(found["screened"]) == {False}


def test_people_are_compared_where_there_are_any(values):
    rows = pd.concat([transfer(values), transfer(values, "people")])
    table = compare_models(rows, MODELS, seed=1, draws=99)
    assert set(table["observers"]) == {"networks", "people"}


def test_too_few_common_observers_give_no_table(values):
    few = {name: table[:2] for name, table in values.items()}
    table = compare_models(transfer(few), MODELS, seed=1, draws=99)
    assert table.empty
    assert "permutation_p" in table
