"""Correlate the published recognition."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metamers.jobs import Job


def main(job: Job) -> None:
    """Lay people, networks, Brain-Scores and cortex side by side."""
    import pandas as pd

    from metamers.files import read_parquet
    from metamers.recognition.published.fetching import files_here
    from metamers.statistics.published.correspondence import correspondence

    tables = correspondence(
        read_parquet(job.input.people),
        pd.read_csv(job.input.transfer),
        pd.read_csv(job.input.voxels),
        files_here(job.input.brain_scores),
        pd.read_csv(job.input.cortex),
        pd.read_csv(job.input.stages),
        pd.read_csv(job.input.models),
        **job.settings,
    )
    for name, table in tables.items():
        job.write_csv(table, job.output[name])


main(Job(snakemake))
