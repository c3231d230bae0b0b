"""Analyse how noise-like metamers are."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metamers.jobs import Job


def main(job: Job) -> None:
    """Compare the spectra of metamers with those of their references."""
    from metamers.statistics.noisiness import noisiness_table

    screening = job.read_csv(job.input.screening)
    job.write_csv(noisiness_table(screening, **job.settings), job.output.noisiness)


main(Job(snakemake))
