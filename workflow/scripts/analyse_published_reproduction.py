"""Compare the published numbers with ours."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metamers.jobs import Job


def main(job: Job) -> None:
    """Compare every number, and count."""
    import pandas as pd

    from metamers.statistics.published.reproduction import (
        read_printed,
        reproduction_table,
        totals,
    )

    table = reproduction_table(
        read_printed(job.input.anova_reference),
        pd.read_csv(job.input.anova),
        read_printed(job.input.notebook_reference),
        pd.read_csv(job.input.correlations),
        pd.read_csv(job.input.ties),
    )
    job.write_csv(table, job.output.reproduction)
    job.write_csv(totals(table), job.output.totals)


main(Job(snakemake))
