"""Draw the losses."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metamers.jobs import Job


def main(job: Job) -> None:
    """Plot the matching loss over the steps, by model and stage."""
    import pandas as pd

    from metamers.figures.convergence import plot_convergence
    from metamers.figures.inputs import read_losses

    models = job.settings["models"]
    losses = [
        read_losses(path, name, facts["stages"])
        for (name, facts), path in zip(models.items(), job.input.metamers, strict=True)
    ]
    figure, table = plot_convergence(
        pd.concat(losses, ignore_index=True),
        models,
        modality=job.settings["modality"],
    )
    job.write_figure(figure, table)


main(Job(snakemake))
