"""Draw a figure of the published study."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metamers.jobs import Job


def main(job: Job) -> None:
    """Read the tables that the figure needs, and draw it."""
    from metamers.figures.published.drawing import draw

    figure, table = draw(job.settings["figure"], job.input)
    job.write_figure(figure, table)


main(Job(snakemake))
