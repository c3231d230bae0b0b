"""Write the report of the published study."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metamers.jobs import Job


def main(job: Job) -> None:
    """Show what comes out, number by number and figure by figure."""
    import pandas as pd

    from metamers.figures.published.page import published_page
    from metamers.recognition.published.fetching import read_inventory

    page = published_page(
        pd.read_csv(job.input.reproduction),
        pd.read_csv(job.input.totals),
        {Path(path).stem: Path(path).read_bytes() for path in job.input.figures},
        {
            Path(path).stem: len(read_inventory(path)[1])
            for path in job.input.inventories
        },
    )
    job.write_text(page, job.output.report)


main(Job(snakemake))
