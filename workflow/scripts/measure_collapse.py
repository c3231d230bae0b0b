"""Compare noisy with clean speech at the stages of one network."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metamers.jobs import Job


def main(job: Job) -> None:
    """Measure the collapse and write its table."""
    settings = job.settings
    device = job.use_torch()
    from metamers.networks.network import load_network
    from metamers.training.collapse import measure_collapse

    table = measure_collapse(
        load_network(settings["entry"], job.input.weights, device),
        settings["entry"],
        settings["stages"],
        settings["collapse"],
        job.input.stimuli,
        settings["seed"],
        model=settings["model"],
        device=device,
    )
    job.write_csv(table, job.output.collapse)


main(Job(snakemake))
