"""Collect all answers."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metamers.jobs import Job


def main(job: Job) -> None:
    """Join the trial tables, and summarize them beside the published data."""
    from metamers.files import write_parquet
    from metamers.recognition.tables import collect

    trials, recognition = collect(job.input.trials, job.input.published)
    write_parquet(trials, job.output.trials, job.provenance())
    write_parquet(recognition, job.output.recognition, job.provenance())


main(Job(snakemake))
