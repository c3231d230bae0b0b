"""Draw the scores."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metamers.jobs import Job


def main(job: Job) -> None:
    """Plot the scores of all models."""
    import pandas as pd

    from metamers.figures.scores import plot_scores

    scores = pd.read_csv(job.input.scores)
    figure, table = plot_scores(scores, job.settings["models"])
    job.write_figure(figure, table)


main(Job(snakemake))
