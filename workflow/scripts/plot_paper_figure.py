"""Draw a figure of the paper with a study's networks."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metamers.jobs import Job


def main(job: Job) -> None:
    """Draw the figure as the published one is drawn, of the study's tables."""
    from metamers.figures.published.drawing import draw
    from metamers.figures.published.source import of_study
    from metamers.figures.stimulus_facts import chance_by_modality

    source = of_study(chance_by_modality(job.input.stimuli))
    paths = [*job.input.tables, job.input.models]
    figure, table = draw(job.settings["figure"], paths, source)
    job.write_figure(figure, table)


main(Job(snakemake))
