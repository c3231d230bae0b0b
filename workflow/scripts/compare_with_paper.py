"""Lay a study's networks beside the published people."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metamers.jobs import Job


def main(job: Job) -> None:
    """Make the tables of the paper's figures."""
    import pandas as pd

    from metamers.figures.inputs import read_tables
    from metamers.files import read_parquet, write_parquet
    from metamers.statistics.paper import paper_tables

    settings = job.settings
    tables = paper_tables(
        read_parquet(job.input.recognition),
        read_tables(job.input.robustness),
        read_parquet(job.input.people),
        pd.read_csv(job.input.stages),
        settings["models"],
        study=settings["study"],
        classical=tuple(settings["classical"]),
    )
    people = tables.pop("people")
    write_parquet(people, job.output.people, job.provenance())
    for name, table in tables.items():
        job.write_csv(table, job.output[name])


main(Job(snakemake))
