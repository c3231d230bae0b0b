"""Analyse the controls."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metamers.jobs import Job


def main(job: Job) -> None:
    """Compare each control with the metamers of its stage."""
    import pandas as pd

    from metamers.files import read_parquet
    from metamers.statistics.controls import control_table

    settings = dict(job.settings)
    models = settings.pop("models")
    trials = pd.concat([read_parquet(path) for path in job.input.controls])
    made = trials[trials["stage_index"] > 0].reset_index(drop=True)
    job.write_csv(control_table(made, models, **settings), job.output.controls)


main(Job(snakemake))
