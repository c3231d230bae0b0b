"""Convert the published regressions."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metamers.jobs import Job


def main(job: Job) -> None:
    """Summarize the files that are here."""
    from metamers.recognition.published.fetching import files_here
    from metamers.recognition.published.voxels import read_voxels

    job.write_csv(read_voxels(files_here(job.input.inventory)), job.output.voxels)


main(Job(snakemake))
