"""Make the metamers of one shard at one stage."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metamers.jobs import Job


def main(job: Job) -> None:
    """Synthesize the metamers and write the shard."""
    settings, synthesis = job.settings, job.settings["synthesis"]
    device = job.use_torch(synthesis["threads"])
    from metamers.networks.network import load_network
    from metamers.stimuli.files import read_split
    from metamers.synthesis.shard_job import synthesize_shard
    from metamers.synthesis.shards import select_shard, write_shard

    reference = read_split(job.input.stimuli, "reference")
    shard = synthesize_shard(
        load_network(settings["entry"], job.input.weights, device),
        settings["entry"],
        settings["stage"],
        settings["path"],
        settings["straight_through"],
        select_shard(reference, settings["shard"], synthesis["shard_size"]),
        synthesis,
        settings["seed"],
        device,
        job.state_path(job.output.metamers),
        job.code,
        job.save_seconds,
        settings["model"],
    )
    write_shard(shard, job.output.metamers, job.provenance())
    job.discard_state(job.output.metamers)


main(Job(snakemake))
