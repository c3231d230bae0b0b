"""Analyse who recognizes whose metamers."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metamers.jobs import Job


def main(job: Job) -> None:
    """Summarize the trials by stage, and by pair of networks."""
    from metamers.files import read_parquet
    from metamers.statistics.recognition_by_stage import (
        recognition_by_stage,
        transfer_table,
    )

    settings = dict(job.settings)
    models = settings.pop("models")
    trials = read_parquet(job.input.trials)
    recognition = recognition_by_stage(trials, models, **settings)
    job.write_csv(recognition, job.output.recognition)
    job.write_csv(transfer_table(trials, models), job.output.transfer)


main(Job(snakemake))
