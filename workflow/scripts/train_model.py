"""Train one network."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metamers.jobs import Job


def main(job: Job) -> None:
    """Train the network, or take it as it is given, and write its weights."""
    device = job.use_torch()
    from metamers.networks.network import save_weights
    from metamers.training.loop import train

    entry = dict(job.settings["entry"])
    if entry["weights"]:
        entry["weights"] = job.located(entry["weights"])
    result = train(
        entry,
        job.input.stimuli,
        study_seed=job.settings["seed"],
        state_path=job.state_path(job.output.weights),
        device=device,
        fingerprint=job.code,
        save_interval_seconds=job.save_seconds,
    )
    job.write_csv(result.history, job.output.training)
    save_weights(result.network, job.output.weights, job.embedded())


main(Job(snakemake))
