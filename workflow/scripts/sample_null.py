"""Sample the null distributions of one network."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metamers.jobs import Job


def main(job: Job) -> None:
    """Measure pairs of natural stimuli at every stage."""
    # One thread, so that sums have one order; more cores are for reading.
    device = job.use_torch(threads=1)
    from metamers.networks.network import load_network
    from metamers.synthesis.nulls import sample_null, write_null

    entry = job.settings["entry"]
    null = sample_null(
        load_network(entry, job.input.weights, device),
        entry,
        job.input.stimuli,
        job.settings,
        job.settings["seed"],
        device,
        workers=job.threads - 1,
        state_path=job.state_path(job.output.null),
        fingerprint=job.code,
        save_seconds=job.save_seconds,
    )
    write_null(null, job.output.null, job.provenance())
    job.discard_state(job.output.null)


main(Job(snakemake))
