"""Attack one network and write its card."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metamers.jobs import Job


def main(job: Job) -> None:
    """Measure robust accuracy and describe the model."""
    settings, entry = job.settings, job.settings["entry"]
    device = job.use_torch()
    import pandas as pd

    from metamers.files import write_json
    from metamers.networks.network import load_network
    from metamers.training.card import model_card
    from metamers.training.robustness import measure_robustness

    network = load_network(entry, job.input.weights, device)
    robustness = measure_robustness(
        network,
        entry,
        settings["robustness"],
        job.input.stimuli,
        settings["seed"],
        model=settings["model"],
        device=device,
    )
    job.write_csv(robustness, job.output.robustness)
    card = model_card(
        network,
        entry,
        model=settings["model"],
        group=settings["group"],
        stages=settings["stages"],
        straight_through=settings["straight_through"],
        history=pd.read_csv(job.input.training),
        stimuli_path=job.input.stimuli,
        robustness=robustness,
        provenance=job.provenance(),
        device=device,
    )
    write_json(card, job.output.card)
    job.record(job.output.card)


main(Job(snakemake))
