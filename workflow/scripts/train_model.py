"""Train one network."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metamers.jobs import Job


def main(job: Job, gpus: int) -> None:
    """Train the network, or take it as it is given, and write its weights."""
    # One thread, so that sums have one order; more cores are for more processes.
    device = job.use_torch(threads=1)
    import torch

    from metamers.networks.network import save_weights
    from metamers.networks.weights_cards import checksums, given_weights
    from metamers.training.distributed import process_count
    from metamers.training.loop import train

    processes = process_count(gpus, device, torch.cuda.device_count())
    entry = dict(job.settings["entry"])
    made = {"processes": str(processes)}
    if entry["weights"]:
        files, heads = job.input.weights, job.input.head
        entry["weights"] = given_weights(entry["weights"], files, heads)
        made["given"] = json.dumps(checksums(entry["weights"]))
    result = train(
        entry,
        job.input.stimuli,
        study_seed=job.settings["seed"],
        state_path=job.state_path(job.output.weights),
        device=device,
        fingerprint=job.code,
        save_interval_seconds=job.save_seconds,
        processes=processes,
        workers=max(job.threads - gpus, 0),
    )
    job.write_csv(result.history, job.output.training)
    save_weights(result.network, job.output.weights, {**job.embedded(), **made})
    job.discard_state(job.output.weights)


# Processes that train together import this file.
if __name__ == "__main__":
    main(Job(snakemake), max(snakemake.resources.gpu, 1))
