"""Compute the published analyses of variance."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metamers.jobs import Job


def main(job: Job) -> None:
    """Compute every table of the list."""
    import pandas as pd

    from metamers.files import read_parquet
    from metamers.statistics.published.tables import published_tables

    table = published_tables(
        pd.read_csv(job.input.comparisons),
        read_parquet(job.input.people),
        pd.read_csv(job.input.attacks),
        seed=job.settings["seed"],
        draws=job.settings["draws"],
    )
    job.write_csv(table, job.output.anova)


main(Job(snakemake))
