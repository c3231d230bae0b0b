"""Make the metamers of an ImageNet network, and draw them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metamers.jobs import Job


def main(job: Job) -> None:
    """Synthesize the metamers of one photograph at four stages."""
    job.use_torch()
    from metamers.figures.showcase import make_showcase

    job.record(*make_showcase(Path(job.output.svg).parent))


main(Job(snakemake))
