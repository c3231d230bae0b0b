"""Analyse correlations."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metamers.jobs import Job


def main(job: Job) -> None:
    """Correlate recognition with robustness, distance and depth."""
    import pandas as pd

    from metamers.statistics.correlation import correlation_table

    settings = dict(job.settings)
    models = settings.pop("models")
    table = correlation_table(
        pd.read_csv(job.input.recognition),
        job.read_csv(job.input.robustness),
        models,
        **settings,
    )
    job.write_csv(table, job.output.correlations)


main(Job(snakemake))
