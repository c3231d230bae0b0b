"""One number for a model's robustness to attack, from its curve over epsilon."""

from __future__ import annotations

import numpy as np
import pandas as pd

from metamers.errors import StudyError
from metamers.statistics.bootstrap import Floats


def relative_robustness(table: pd.DataFrame | None) -> dict[str, float]:
    """Return each model's accuracy at the middle epsilon relative to its clean one.

    Parameters
    ----------
    table
        Rows of ``robustness/*.csv``: model, epsilon, n, accuracy; or None.

    Returns
    -------
    dict
        {model: ratio}; see `middle_and_clean`.
    """
    if table is None or table.empty:
        return {}
    found = {}
    for model, curve in table.groupby("model", sort=False):
        middle, clean = middle_and_clean(curve)
        if clean["accuracy"] > 0:
            found[str(model)] = float(middle["accuracy"] / clean["accuracy"])
    return found


def middle_and_clean(curve: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Return the rows of a robustness curve that are compared.

    Parameters
    ----------
    curve
        Rows of one model.

    Returns
    -------
    middle, clean : Series
        The row of the middle epsilon above zero (the lower one of two), and that of
        epsilon zero.

    Raises
    ------
    StudyError
        Where one of the two is missing.
    """
    ordered = curve.sort_values("epsilon", kind="stable")
    clean = ordered[ordered["epsilon"] == 0]
    attacked = ordered[ordered["epsilon"] > 0]
    if clean.empty or attacked.empty:
        raise StudyError(
            f"the robustness of {curve['model'].iloc[0]} was measured at epsilons "
            f"{ordered['epsilon'].tolist()}; give zero and at least one above it"
        )
    return attacked.iloc[(len(attacked) - 1) // 2], clean.iloc[0]


def robustness_draws(
    curve: pd.DataFrame, draws: int, generator: np.random.Generator
) -> Floats:
    """Return the relative robustness of one model in the data and in draws.

    The answers to the single stimuli are not kept, so the counts are drawn from the
    binomial distribution of each epsilon: the bootstrap of independent stimuli. That
    the same stimuli are attacked at both makes the interval a little too wide.

    Parameters
    ----------
    curve
        Rows of one model.
    draws
        Number of draws.
    generator
        Source of randomness.

    Returns
    -------
    ndarray
        (1 + draws,); NaN where no stimulus is answered correctly without attack.
    """
    middle, clean = middle_and_clean(curve)
    shares = []
    for row in (middle, clean):
        n, accuracy = int(row["n"]), float(row["accuracy"])
        drawn = generator.binomial(n, accuracy, size=draws) / n
        shares.append(np.concatenate([[accuracy], drawn]))
    empty = np.full(draws + 1, np.nan)
    return np.divide(shares[0], shares[1], out=empty, where=shares[1] > 0)
