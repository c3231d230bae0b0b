"""Convert the published answers of networks."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metamers.jobs import Job


def main(job: Job) -> None:
    """Read the files that are here."""
    from metamers.files import write_parquet
    from metamers.recognition.published.fetching import files_here
    from metamers.recognition.published.transfer import read_transfer

    trials, transfer = read_transfer(files_here(job.input.inventory))
    write_parquet(trials, job.output.trials, job.provenance())
    job.write_csv(transfer, job.output.transfer)


main(Job(snakemake))
