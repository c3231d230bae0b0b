"""Does each published number come out? Every one beside ours, with the verdict.

A number matches if ours rounds to the digits that are printed. Three kinds need another
rule, because chance or rounding error is in the printed number itself; the row says
which rule it was held to.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

COLUMNS = [
    "source",
    "figure",
    "quantity",
    "statistic",
    "printed",
    "value",
    "verdict",
    "reason",
]
MATCH, MISMATCH, NOT_PUBLIC = "match", "mismatch", "not reproducible"
# MATLAB's tables have five significant digits.
TABLE_DIGITS = 5
# A double that was printed in full agrees with ours to this many digits.
FULL_DIGITS = 10
STANDARD_ERRORS = 4
# Rank statistics over tied means differ in the fourth digit.
RANK_TOLERANCE = 1e-3
TABLE_STATISTICS = (
    "SumSq",
    "DF",
    "MeanSq",
    "F",
    "pValue",
    "pValueGG",
    "pValueHF",
    "pValueLB",
    "partial_etaSquared",
    "F_long",
    "permutation_p",
)
KEYS = ["modality", "repo_experiment", "analysis", "label", "models", "effect"]

Ranges = Mapping[tuple[str, str], tuple[float, float]]


def read_printed(path: str | Path) -> pd.DataFrame:
    """Read a table of printed numbers as the text that was printed."""
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def reproduction_table(
    anova_reference: pd.DataFrame,
    anova: pd.DataFrame,
    notebook_reference: pd.DataFrame,
    correlations: pd.DataFrame,
    ties: pd.DataFrame,
) -> pd.DataFrame:
    """Compare every published number with ours.

    Parameters
    ----------
    anova_reference
        The published tables, all columns as text.
    anova
        The table of `published_tables`.
    notebook_reference
        source, figure, quantity, statistic, printed, note, all as text.
    correlations
        source, quantity, statistic, value of ours.
    ties
        quantity, statistic, lowest and highest of rank statistics when tied means are
        split at random.

    Returns
    -------
    DataFrame
        `COLUMNS`: ``verdict`` is ``match``, ``mismatch`` or ``not reproducible``, with
        the rule or the reason.
    """
    ranges = {
        (str(row["quantity"]), str(row["statistic"])): (row["lowest"], row["highest"])
        for row in ties.to_dict("records")
    }
    rows = [*_table_rows(anova_reference, anova)]
    rows += _notebook_rows(notebook_reference, correlations, ranges)
    return pd.DataFrame(rows, columns=COLUMNS)


def totals(table: pd.DataFrame) -> pd.DataFrame:
    """Count the verdicts of each source and figure, and of all.

    Returns
    -------
    DataFrame
        source, figure, numbers, match, mismatch, not reproducible; the first row is
        that of all.
    """
    parts = [("all", "", table)]
    for (source, figure), part in table.groupby(["source", "figure"], sort=False):
        parts.append((str(source), str(figure), part))
    verdicts = (MATCH, MISMATCH, NOT_PUBLIC)
    return pd.DataFrame(
        [
            {
                "source": source,
                "figure": figure,
                "numbers": len(part),
                **{
                    verdict: int((part["verdict"] == verdict).sum())
                    for verdict in verdicts
                },
            }
            for source, figure, part in parts
        ]
    )


def agrees(printed: str, value: float, digits: int | None = None) -> bool:
    """Say whether a value rounds to a printed number.

    Parameters
    ----------
    printed
        As it stands in the source.
    value
        Ours.
    digits
        Significant digits of the source, where trailing zeros are not printed; None if
        the digits that are printed are all.
    """
    number = float(printed)
    if not math.isfinite(number) or not math.isfinite(value):
        return math.isnan(number) and math.isnan(value)
    magnitude = math.floor(math.log10(abs(number))) if number else 0
    if digits is None:
        mantissa, _, exponent = printed.lower().partition("e")
        places = len(mantissa.partition(".")[2]) - int(exponent or 0)
        digits = min(places + magnitude + 1, FULL_DIGITS)
    half = 0.5 * 10.0 ** (magnitude + 1 - digits)
    return abs(value - number) <= half * (1 + 1e-6)


def within_chance(printed: float, value: float, printed_draws: int, draws: int) -> bool:
    """Say whether two permutation p-values agree up to the chance in both runs."""
    pooled = (printed * printed_draws + value * draws) / (printed_draws + draws)
    variance = pooled * (1 - pooled) * (1 / printed_draws + 1 / draws)
    return abs(printed - value) <= STANDARD_ERRORS * math.sqrt(variance)


def _table_rows(
    reference: pd.DataFrame, anova: pd.DataFrame
) -> Iterator[dict[str, Any]]:
    ours = anova.assign(repo_experiment=anova["repo_experiment"].astype("str"))
    found = {tuple(row[key] for key in KEYS): row for row in ours.to_dict("records")}
    for row in reference.to_dict("records"):
        mine = found.get(tuple(row[key] for key in KEYS))
        for statistic in TABLE_STATISTICS:
            if row[statistic] in ("", "NaN"):
                continue
            head = {
                "source": f"published ANOVA, {row['analysis']}",
                "figure": f"{row['modality']} experiment {row['repo_experiment']}",
                "quantity": f"{row['label']}: {row['effect']}",
                "statistic": statistic,
                "printed": row[statistic],
            }
            yield head | _table_verdict(row, statistic, mine)


def _table_verdict(
    row: Mapping[Any, Any], statistic: str, mine: Mapping[Any, Any] | None
) -> dict[str, Any]:
    if mine is None:
        return _verdict(None, None, "the data of this table are not here")
    if statistic != "permutation_p":
        value = float(mine["F" if statistic == "F_long" else statistic])
        digits = TABLE_DIGITS
        if statistic == "F_long":
            # num2str of MATLAB: four decimals from 1 on, else five digits.
            digits = max(TABLE_DIGITS, math.floor(math.log10(value)) + TABLE_DIGITS)
        return _verdict(value, agrees(row[statistic], value, digits), "printed digits")
    value, printed = float(mine["permutation_p"]), float(row[statistic])
    draws, published = int(mine["n_permutations"]), int(row["n_permutations"])
    agree = within_chance(printed, value, published, draws)
    reason = f"within {STANDARD_ERRORS} binomial standard errors of both runs"
    if not agree and row["analysis"] == "adversarial_eval":
        # With 252 splits, rounding error decides whether ties with the data count.
        strict = mine["permutation_p_exact_strict"]
        agree = not pd.isna(strict) and within_chance(
            printed, max(float(strict), 1 / published), published, published
        )
        reason += ", of the exact p without ties"
    return _verdict(value, agree, reason)


def _notebook_rows(
    reference: pd.DataFrame, correlations: pd.DataFrame, ties: Ranges
) -> Iterator[dict[str, Any]]:
    found = {
        (row["source"], row["quantity"], row["statistic"]): float(row["value"])
        for row in correlations.to_dict("records")
    }
    for row in reference.to_dict("records"):
        head = {name: row[name] for name in COLUMNS[:5]}
        value = found.get((row["source"], row["quantity"], row["statistic"]))
        if value is None:
            reason = row["note"] or "its data are not here: see the gaps above"
            yield head | _verdict(None, None, reason)
            continue
        agree, reason = agrees(row["printed"], value), "printed digits"
        for rule, text in _rank_rules(row, value, ties):
            if not agree and rule():
                agree, reason = True, text
        yield head | _verdict(value, agree, reason)


def _rank_rules(
    row: Mapping[Any, Any], value: float, ties: Ranges
) -> Iterator[tuple[Callable[[], bool], str]]:
    """Yield the further rules that a rank statistic over tied means is held to."""
    key = (row["quantity"], row["statistic"])
    if key not in ties:
        return
    printed, (low, high) = float(row["printed"]), ties[key]
    if row["statistic"] in ("rho", "tau"):
        near = abs(value - printed) <= RANK_TOLERANCE
        yield lambda: near, "tied means: within 0.001"
    inside = low <= printed <= high
    yield lambda: inside, "tied means: in the range that splitting them gives"


def _verdict(value: float | None, agree: bool | None, reason: str) -> dict[str, Any]:
    verdict = NOT_PUBLIC if agree is None else MATCH if agree else MISMATCH
    return {"value": value, "verdict": verdict, "reason": reason}
