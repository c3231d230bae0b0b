"""Draw the transfer matrices."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metamers.jobs import Job


def main(job: Job) -> None:
    """Plot who recognizes whose metamers."""
    import pandas as pd

    from metamers.figures.transfer_matrix import plot_transfer_matrix

    figure, table = plot_transfer_matrix(
        pd.read_csv(job.input.transfer),
        job.settings["models"],
        modality=job.settings["modality"],
    )
    job.write_figure(figure, table)


main(Job(snakemake))
