"""Convert the published answers of people."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metamers.jobs import Job


def main(job: Job) -> None:
    """Read the files that are here."""
    from metamers.files import write_parquet
    from metamers.recognition.published.fetching import files_here
    from metamers.recognition.published.people import (
        published_participants,
        read_published_sets,
    )

    sets = read_published_sets(files_here(job.input.inventory))
    write_parquet(
        published_participants(sets), job.output.recognition, job.provenance()
    )


main(Job(snakemake))
