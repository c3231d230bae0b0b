"""The verdicts on published numbers: what matches, what does not, and what cannot."""

from __future__ import annotations

import pandas as pd
import pytest

from metamers.statistics.published.reproduction import (
    agrees,
    reproduction_table,
    totals,
    within_chance,
)


@pytest.mark.parametrize(
    ("printed", "value", "digits", "expected"),
    [
        ("0.863", 0.8634, None, True),
        ("0.863", 0.8636, None, False),
        ("1.00", 1.0, None, True),
        ("0.00", 0.0002, None, True),
        ("-0.061", -0.0612, None, True),
        ("-0.061", 0.0612, None, False),
        ("1.7562740405402725e-94", 1.7562740405402717e-94, None, True),
        ("1.7562740405402725e-94", 1.7562741e-94, None, False),
        ("0.02048", 0.020480, 5, True),
        ("0.02048", 0.0204806, 5, False),
        ("1.55e-74", 1.54994e-74, 5, False),
        ("1.55e-74", 1.550004e-74, 5, True),
        ("467.84", 467.8374, 5, True),
        ("467.84", 467.8329, 5, False),
        ("7", 7.0, 5, True),
        ("0.5", float("nan"), None, False),
    ],
)
def test_printed_digits(printed, value, digits, expected):
    assert agrees(printed, value, digits) is expected


def test_chance_in_both_runs():
    # Standard error of a difference of two runs of 10,000 at p = .5: .00707.
    assert within_chance(0.50, 0.528, 10_000, 10_000)
    assert not within_chance(0.50, 0.530, 10_000, 10_000)
    assert within_chance(0.0001, 0.00009999, 10_000, 10_000)
    assert not within_chance(0.0001, 0.002, 10_000, 10_000)


def table(printed="8.5516", p="0.0097"):
    keys = {
        "modality": "audio",
        "repo_experiment": "3",
        "analysis": "compare_models",
        "label": "a_vs_b",
        "models": "a|b",
        "effect": "(Intercept):model_type",
    }
    empty = dict.fromkeys(
        ("SumSq", "DF", "MeanSq", "pValue", "pValueGG", "pValueHF", "pValueLB"), ""
    )
    reference = keys | empty
    reference |= {"F": printed, "F_long": "", "partial_etaSquared": "NaN"}
    reference |= {"permutation_p": p, "n_permutations": "10000"}
    ours = keys | {"repo_experiment": 3, "F": 8.55163, "permutation_p": 0.0101}
    ours |= {"n_permutations": 10_000, "permutation_p_exact_strict": None}
    return pd.DataFrame([reference]), pd.DataFrame([ours])


NO_TIES = pd.DataFrame(columns=["quantity", "statistic", "lowest", "highest"])
SOURCE = {"source": "notebook", "figure": "8f", "quantity": "people and networks"}


def notebook(statistic, printed, note=""):
    return pd.DataFrame([SOURCE | locals()])


def correlations(statistic, value):
    return pd.DataFrame([SOURCE | locals()])


def judged(reference, ours, ties=NO_TIES):
    tables = table()
    found = reproduction_table(*tables, reference, ours, ties)
    return found.iloc[-1]


def test_numbers_of_a_table_are_judged_one_by_one():
    one = (notebook("rho", "1"), correlations("rho", 1), NO_TIES)
    found = reproduction_table(*table(), *one)
    assert found["statistic"].tolist() == ["F", "permutation_p", "rho"]
    assert found["verdict"].tolist() == ["match", "match", "match"]
    wrong = reproduction_table(*table("8.5526", "0.0197"), *one)
    assert wrong["verdict"].tolist() == ["mismatch", "mismatch", "match"]
    assert totals(wrong).iloc[0][["numbers", "match", "mismatch"]].tolist() == [3, 1, 2]


def test_a_table_without_data_says_so():
    reference, ours = table()
    found = reproduction_table(
        reference, ours.iloc[:0], notebook("rho", "1"), correlations("rho", 1), NO_TIES
    )
    assert found["verdict"].tolist() == ["not reproducible"] * 2 + ["match"]
    assert found["reason"].iloc[0] == "the data of this table are not here"


def test_what_public_data_lack_is_not_a_mismatch():
    reference = notebook("tau", "0.7", "regressions are not published")
    row = judged(reference, correlations("rho", 1))
    assert row["verdict"] == "not reproducible"
    assert row["reason"] == "regressions are not published"


def test_rank_statistics_over_ties_have_their_own_rule():
    ties = pd.DataFrame(
        [
            {**SOURCE, "statistic": "tau", "lowest": 0.753, "highest": 0.758},
            {**SOURCE, "statistic": "p_kendall", "lowest": 1e-41, "highest": 8e-41},
        ]
    )
    near = judged(notebook("tau", "0.75706499"), correlations("tau", 0.7575), ties)
    assert near["verdict"] == "match"
    assert near["reason"] == "tied means: within 0.001"
    far = judged(notebook("tau", "0.7620"), correlations("tau", 0.7575), ties)
    assert far["verdict"] == "mismatch"
    p = judged(notebook("p_kendall", "3.3e-41"), correlations("p_kendall", 4e-41), ties)
    assert p["verdict"] == "match"
    p = judged(notebook("p_kendall", "3.3e-40"), correlations("p_kendall", 4e-41), ties)
    assert p["verdict"] == "mismatch"
    plain = judged(notebook("tau", "0.75706499"), correlations("tau", 0.7575))
    assert plain["verdict"] == "mismatch"
