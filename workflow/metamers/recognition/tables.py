"""The two tables that everything after judging reads.

The trial table has one row for each answer, of a network or of a person; the
recognition table one row for each observer, generator and stage. The published human
data exist only as proportions, so the recognition table is what both come down to.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from metamers.errors import StudyError
from metamers.files import read_parquet

if TYPE_CHECKING:
    import pandas as pd

TRIAL_COLUMNS = {
    "study": "str",
    "modality": "str",
    "observer": "str",
    "observer_kind": "str",
    "generator": "str",
    "stage": "str",
    "stage_index": "int64",
    "stimulus_id": "str",
    "label": "str",
    "response": "str",
    "natural_response": "str",
    "correct": "boolean",
    "passed": "bool",
    "relative_distance": "float64",
    "task": "str",
    "generator_task": "str",
}
TRIAL_KEY = ["modality", "observer", "generator", "stage", "stimulus_id"]
RECOGNITION_COLUMNS = {
    "modality": "str",
    "experiment": "str",
    "participant": "str",
    "observer": "str",
    "observer_kind": "str",
    "generator": "str",
    "stage": "str",
    "stage_index": "int64",
    "n": "Int64",
    "proportion_correct": "float64",
}
# The observer of every row about people; who answered stands under `participant`.
PEOPLE = "human"
# The participant of a row that is a mean over all participants of an experiment.
ALL_PARTICIPANTS = "all"


def trial_table(frame: pd.DataFrame, source: str = "trials") -> pd.DataFrame:
    """Return a table with exactly the columns and types of the trial table.

    Parameters
    ----------
    frame
        One row for each answer.
    source
        Where the rows come from, for error messages.

    Returns
    -------
    DataFrame
        The columns of `TRIAL_COLUMNS`, in order. ``stage`` is ``natural`` and
        ``stage_index`` 0 for natural stimuli, from 1 for the stages; ``correct`` is
        missing where the observer answers another question than ``label``;
        ``relative_distance`` is missing for people.

    Raises
    ------
    StudyError
        Where a column is missing, or one observer answers twice to one stimulus.
    """
    missing = [column for column in TRIAL_COLUMNS if column not in frame]
    if missing:
        raise StudyError(
            f"{source}: the columns {', '.join(missing)} are missing from the trial "
            "table; make it again with this version of the project"
        )
    table = frame[list(TRIAL_COLUMNS)].astype(TRIAL_COLUMNS)
    _refuse_repeated(table, source)
    return table


def recognition_from_trials(
    trials: pd.DataFrame, *, passed_only: bool = True
) -> pd.DataFrame:
    """Summarize answers as proportions correct.

    Parameters
    ----------
    trials
        Trial table. Rows without ``correct`` (another task) do not count, and an
        observer with no other rows does not appear.
    passed_only
        Count only metamers that passed the screening (and natural stimuli).

    Returns
    -------
    DataFrame
        Recognition table, by modality, observer, generator and stage. Where no
        metamer of a stage passed, ``n`` is 0 and ``proportion_correct`` missing.
    """
    import pandas as pd

    scored = trials[trials["correct"].notna()]
    counted = scored["passed"] if passed_only else pd.Series(True, index=scored.index)
    correct = scored["correct"].astype("bool") & counted
    keys = ["modality", "study", "observer", "observer_kind", "generator"]
    keys += ["stage", "stage_index"]
    counts = (
        scored[keys]
        .assign(n=counted.astype("int64"), correct=correct.astype("int64"))
        .groupby(keys, sort=False, as_index=False)
        .sum()
    )
    counts["proportion_correct"] = (counts["correct"] / counts["n"]).astype("float64")
    counts["experiment"] = counts["study"]
    counts["participant"] = counts["observer"]
    counts["observer"] = counts["observer"].mask(
        counts["observer_kind"] == "human", PEOPLE
    )
    return recognition_table(counts)


def recognition_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Return rows in the columns, types and order of the recognition table.

    Parameters
    ----------
    frame
        One row for each participant, generator and stage.

    Returns
    -------
    DataFrame
        The columns of `RECOGNITION_COLUMNS`: ``participant`` is the person (numbered
        in each experiment anew) or the network, ``observer`` is ``human`` or the
        network, ``n`` the number of trials, missing where it was not published.
    """
    table = frame[list(RECOGNITION_COLUMNS)].astype(RECOGNITION_COLUMNS)
    order = ["modality", "experiment", "generator", "stage_index"]
    order += ["observer_kind", "observer", "participant"]
    return table.sort_values(order, kind="stable", ignore_index=True)


def published_recognition(path: str | Path) -> pd.DataFrame:
    """Read the published data as a recognition table.

    Parameters
    ----------
    path
        The tracked csv of means, which gives one row (participant ``all``) for each
        experiment, observer and stage; or a Parquet file of a recognition table,
        which gives every participant.

    Returns
    -------
    DataFrame
        Recognition table; the experiment is ``published_`` and the number that it has
        in the released code. ``n``, the number of trials, was not published.
    """
    import pandas as pd

    if Path(path).suffix == ".parquet":
        return recognition_table(read_parquet(path))
    means = pd.read_csv(path, dtype={"repo_experiment": "int64"})
    people = means["observer_kind"] == "human"
    rows = means.assign(
        experiment="published_" + means["repo_experiment"].astype("str"),
        participant=ALL_PARTICIPANTS,
        observer=means["model"].mask(people, PEOPLE),
        generator=means["model"],
        proportion_correct=means["mean"],
    )
    rows["n"] = pd.NA
    return recognition_table(rows)


def collect(
    trial_paths: Iterable[str | Path],
    published_path: str | Path | None,
    *,
    passed_only: bool = True,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Put all answers into one trial table and one recognition table.

    Parameters
    ----------
    trial_paths
        Parquet files of trial tables, in any order.
    published_path
        As in `published_recognition`; None leaves the published data out.
    passed_only
        As in `recognition_from_trials`.

    Returns
    -------
    trials, recognition : DataFrame
        Both sorted, so that neither depends on the order of the paths.

    Raises
    ------
    StudyError
        Where there are no trials, columns are missing, or an answer stands twice.
    """
    import pandas as pd

    tables = [trial_table(read_parquet(path), str(path)) for path in trial_paths]
    if not tables:
        raise StudyError("there are no trials to collect; judge some metamers first")
    trials = pd.concat(tables, ignore_index=True)
    _refuse_repeated(trials, "the collected trials")
    order = ["modality", "generator", "stage_index", "observer_kind", "observer"]
    trials = trials.sort_values([*order, "stimulus_id"], ignore_index=True)
    rows = [recognition_from_trials(trials, passed_only=passed_only)]
    if published_path is not None:
        rows.append(published_recognition(published_path))
    return trials, pd.concat(rows, ignore_index=True)


def _refuse_repeated(trials: pd.DataFrame, source: str) -> None:
    """Refuse a table in which one observer answers twice to the same stimulus."""
    repeated = trials.duplicated(TRIAL_KEY)
    if repeated.any():
        first = trials.loc[repeated, TRIAL_KEY].iloc[0]
        row = ", ".join(f"{column} {first[column]}" for column in TRIAL_KEY)
        raise StudyError(
            f"{source}: an answer stands twice ({row}); put each generator into one "
            "block of the study, and remove results of blocks that it no longer has"
        )
