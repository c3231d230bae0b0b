"""Make the zero-shot read-out of a CLIP network."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metamers.jobs import Job


def main(job: Job) -> None:
    """Embed the classes' names with the text tower, and write the read-out."""
    device = job.use_torch()
    from metamers.networks.clip_head import make_zero_shot_head
    from metamers.networks.weights_cards import read_card

    weights = read_card(job.input.card)["path"]
    make_zero_shot_head(weights, job.output.head, device, job.embedded())


main(Job(snakemake))
