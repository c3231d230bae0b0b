"""Draw the claims."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metamers.jobs import Job


def main(job: Job) -> None:
    """Plot effect, interval and verdict of every claim about a modality."""
    import pandas as pd

    from metamers.figures.claims import plot_claims

    claims = pd.read_csv(job.input.claims)
    of_modality = claims["modality"] == job.settings["modality"]
    figure, table = plot_claims(claims[of_modality].reset_index(drop=True))
    job.write_figure(figure, table)


main(Job(snakemake))
