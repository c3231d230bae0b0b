"""Analyse convergence."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metamers.jobs import Job


def main(job: Job) -> None:
    """Summarize the screening of every stage."""
    from metamers.statistics.convergence import convergence_table

    screening = job.read_csv(job.input.screening)
    table = convergence_table(screening, job.settings["confidence"])
    job.write_csv(table, job.output.convergence)


main(Job(snakemake))
