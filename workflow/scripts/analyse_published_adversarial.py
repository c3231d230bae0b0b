"""Tabulate the published accuracy under attack."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metamers.jobs import Job


def main(job: Job) -> None:
    """Put counts and curves into one table."""
    import pandas as pd

    from metamers.statistics.published.adversarial import adversarial_table

    table = adversarial_table(
        pd.read_csv(job.input.attacks), pd.read_csv(job.input.curves)
    )
    job.write_csv(table, job.output.adversarial)


main(Job(snakemake))
