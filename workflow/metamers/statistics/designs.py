"""The designs of the study: tables of analysis of variance with permutation tests.

Released code, matlab_statistics_functions and the run_*_anova scripts of the
experiments:

``network_vs_human``
    People and the generating network, which got each person's stimuli, as two groups
    of independent subjects; stages within (natural stimuli among them).
``compare_models``
    One kind of observers; stages and models within.
``stage_main_effect``
    One kind of observers; stages within, the final one left out.
``adversarial_eval``
    Two networks as groups of attacks with different seeds; strengths within.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metamers.statistics.anova import COLUMNS as ANOVA_COLUMNS
from metamers.statistics.anova import repeated_measures_anova
from metamers.statistics.bootstrap import Floats
from metamers.statistics.permutation import (
    ExactP,
    exact_group_test,
    exact_swap_test,
    group_test,
    interaction_test,
    stage_test,
)

TEST_COLUMNS = (
    "permutation_p",
    "permutation_p_exact",
    "permutation_p_exact_strict",
    "n_permutations",
)
TABLE_COLUMNS = (*ANOVA_COLUMNS, *TEST_COLUMNS)


def design_table(
    analysis: str,
    values: Floats,
    groups: NDArray[np.bool_] | None,
    draws: int,
    generator: np.random.Generator,
) -> pd.DataFrame:
    """Compute one table.

    Parameters
    ----------
    analysis
        One of the designs above.
    values
        (subjects, stages), or (subjects, stages, models) for ``compare_models``.
    groups
        (subjects,): whether a subject is in the first group; None for one group.
    draws
        Random rearrangements of each permutation test.
    generator
        Source of randomness.

    Returns
    -------
    DataFrame
        `TABLE_COLUMNS`, one row an effect. ``permutation_p`` stands at the effects that
        the study tests; ``permutation_p_exact`` where all rearrangements can be listed,
        and ``permutation_p_exact_strict`` without those that equal the data.
    """
    table = _table(analysis, values, groups)
    tests = dict(_tests(analysis, values, groups, draws, generator))
    for name in TEST_COLUMNS:
        table[name] = [tests.get(effect, {}).get(name) for effect in table["effect"]]
    return table


def stack_tables(parts: Sequence[pd.DataFrame], keys: Sequence[str]) -> pd.DataFrame:
    """Stack tables, the columns that name them first; empty where there are none."""
    names = [*keys, *TABLE_COLUMNS]
    if not parts:
        return pd.DataFrame(columns=names)
    frame = pd.concat(parts, ignore_index=True)[names]
    return frame.astype({"n_permutations": "Int64", "DF": "int64"})


def _table(
    analysis: str, values: Floats, groups: NDArray[np.bool_] | None
) -> pd.DataFrame:
    if analysis == "network_vs_human":
        return repeated_measures_anova(values, ["layer"], groups, "network_or_human")
    if analysis == "adversarial_eval":
        return repeated_measures_anova(values, ["eps"], groups, "network")
    if analysis == "compare_models":
        return repeated_measures_anova(values, ["layer", "model_type"])
    return repeated_measures_anova(values, ["stage"])


def _tests(
    analysis: str,
    values: Floats,
    groups: NDArray[np.bool_] | None,
    draws: int,
    generator: np.random.Generator,
) -> Iterator[tuple[str, dict[str, float | None]]]:
    """Yield the permutation tests of a design, by the effect that they are about."""
    if groups is not None:
        name = "network" if analysis == "adversarial_eval" else "network_or_human"
        factor = "eps" if analysis == "adversarial_eval" else "layer"
        main, interaction = group_test(values, groups, draws, generator)
        exact = exact_group_test(values.mean(axis=1), groups)
        yield name, _test(main, draws, exact)
        yield f"{name}:{factor}", _test(interaction, draws)
    elif analysis == "compare_models":
        means = values.mean(axis=1)
        two = means.shape[1] == 2
        exact = exact_swap_test(means[:, 0] - means[:, 1]) if two else None
        main = stage_test(means, draws, generator)
        yield "(Intercept):model_type", _test(main, draws, exact)
        interaction = interaction_test(values, draws, generator)
        yield "(Intercept):layer:model_type", _test(interaction, draws)
    else:
        yield "(Intercept):stage", _test(stage_test(values, draws, generator), draws)


def _test(p: float, draws: int, exact: ExactP | None = None) -> dict[str, float | None]:
    return {
        "permutation_p": p,
        "permutation_p_exact": exact.p if exact else None,
        "permutation_p_exact_strict": exact.strict if exact else None,
        "n_permutations": draws,
    }
