"""Draw robustness."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metamers.jobs import Job


def main(job: Job) -> None:
    """Plot robustness to attack against recognizability."""
    import pandas as pd

    from metamers.figures.robustness import plot_robustness

    figure, table = plot_robustness(
        job.read_csv(job.input.robustness),
        pd.read_csv(job.input.recognition),
        job.settings["models"],
        correlations=pd.read_csv(job.input.correlations),
    )
    job.write_figure(figure, table)


main(Job(snakemake))
