"""Agreement corrected for chance: Cohen's kappa of answers and of errors.

Networks of different tasks cannot be compared by correct answers. Each can be asked
whether it answers to a metamer as it does to the natural stimulus, beyond what its
favourite answers give by chance. And two observers can be compared by whether they
err on the same stimuli (error consistency; Geirhos et al. 2020, Beyond accuracy).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


def kappa(first: np.ndarray, second: np.ndarray) -> tuple[float, float, float]:
    """Return the agreement of two lists of answers, corrected for chance.

    Parameters
    ----------
    first, second
        (n,) answers of any one type.

    Returns
    -------
    observed : float
        Share of equal answers.
    expected : float
        Share expected if the two were independent, from their own frequencies.
    kappa : float
        (observed - expected) / (1 - expected): 1 is full agreement, 0 chance. NaN
        where nothing can be told: no answers, or one and the same answer throughout.

    Raises
    ------
    ValueError
        Where the lists differ in length.
    """
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(
            f"answers of shapes {first.shape} and {second.shape}; "
            "give two lists of equal length"
        )
    n = len(first)
    if n == 0:
        return float("nan"), float("nan"), float("nan")
    names, codes = np.unique(np.concatenate([first, second]), return_inverse=True)
    counts = [np.bincount(part, minlength=len(names)) for part in np.split(codes, 2)]
    matches = int(np.count_nonzero(first == second))
    # Whole numbers until here, so that an expected agreement of one is found exactly.
    by_chance = int(counts[0] @ counts[1])
    observed, expected = matches / n, by_chance / n**2
    if by_chance == n**2:
        return observed, expected, float("nan")
    return observed, expected, (matches * n - by_chance) / (n**2 - by_chance)


def error_consistency(first: np.ndarray, second: np.ndarray) -> float:
    """Return Cohen's kappa of which answers of two observers are correct.

    Parameters
    ----------
    first, second
        (n,) bool: the answer to each of the same stimuli is correct.

    Returns
    -------
    float
        1 where they err on the same stimuli, 0 where as often as by chance, NaN where
        both are always right or both always wrong.
    """
    return kappa(np.asarray(first, dtype=bool), np.asarray(second, dtype=bool))[2]


def agreement(trials: pd.DataFrame, *, passed_only: bool = True) -> pd.DataFrame:
    """Compare each observer's answers to metamers with its own to natural stimuli.

    Parameters
    ----------
    trials
        Trial table; any task of the observer will do. Natural rows are left out.
    passed_only
        Count only metamers that passed the screening.

    Returns
    -------
    DataFrame
        modality, generator, generator_task, stage, stage_index, observer,
        observer_kind, task, n, observed, expected, kappa; values as in `kappa`. A
        stage of which no metamer passed has n 0.
    """
    import pandas as pd

    metamers = trials[trials["stage_index"] > 0]
    keys = ["modality", "generator", "generator_task", "stage_index", "stage"]
    keys += ["observer", "observer_kind", "task"]
    rows = []
    for group, part in metamers.groupby(keys, dropna=False):
        counted = part[part["passed"]] if passed_only else part
        answers = (
            counted["response"].to_numpy(dtype=str),
            counted["natural_response"].to_numpy(dtype=str),
        )
        rows.append((*group, len(counted), *kappa(*answers)))
    return pd.DataFrame(rows, columns=[*keys, "n", "observed", "expected", "kappa"])


def error_consistencies(
    trials: pd.DataFrame, *, passed_only: bool = True
) -> pd.DataFrame:
    """Compare which stimuli each two observers get right.

    Parameters
    ----------
    trials
        Trial table; rows without ``correct`` (another task) do not count.
    passed_only
        Count only metamers that passed the screening (and natural stimuli).

    Returns
    -------
    DataFrame
        modality, generator, stage_index, stage, observer, other, n, kappa: each pair
        once in each order, over the n stimuli that both answered to.
    """
    import pandas as pd

    scored = trials[trials["correct"].notna()]
    if passed_only:
        scored = scored[scored["passed"]]
    keys = ["modality", "generator", "stage_index", "stage"]
    rows = []
    for group, part in scored.groupby(keys):
        table = part.assign(correct=part["correct"].astype("float64")).pivot(
            index="stimulus_id", columns="observer", values="correct"
        )
        n, kappas = _pairwise(table.to_numpy())
        names = list(table.columns)
        rows += [
            (*group, names[i], names[j], n[i, j], kappas[i, j])
            for i in range(len(names))
            for j in range(len(names))
            if i != j
        ]
    return pd.DataFrame(rows, columns=[*keys, "observer", "other", "n", "kappa"])


def _pairwise(correct: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the counts and kappas of all pairs of columns.

    Parameters
    ----------
    correct
        (stimuli, observers): 1 correct, 0 not, NaN where there is no answer.

    Returns
    -------
    n, kappas : ndarray
        (observers, observers): stimuli that both answered to, and Cohen's kappa.
    """
    answered = ~np.isnan(correct)
    right = np.where(answered, correct, 0.0)
    wrong = answered - right
    n = answered.T.astype(np.float64) @ answered
    agree = right.T @ right + wrong.T @ wrong
    # How often each is right and wrong on the stimuli that the other answered to too.
    own_right, own_wrong = right.T @ answered, wrong.T @ answered
    by_chance = own_right * own_right.T + own_wrong * own_wrong.T
    rest = n**2 - by_chance
    kappas = np.full(n.shape, np.nan)
    np.divide(agree * n - by_chance, rest, out=kappas, where=rest > 0)
    return n.astype(np.int64), kappas
