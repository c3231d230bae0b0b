"""Draw the collapse of noisy and clean speech."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metamers.jobs import Job


def main(job: Job) -> None:
    """Plot the noisy distance by stage."""
    from metamers.figures.collapse import plot_collapse
    from metamers.figures.stimulus_facts import synthetic_note

    figure, table = plot_collapse(
        job.read_csv(job.input.collapse),
        job.settings["models"],
        note=synthetic_note([job.input.stimuli]),
    )
    job.write_figure(figure, table)


main(Job(snakemake))
