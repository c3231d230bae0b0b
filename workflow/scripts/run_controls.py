"""Run the controls of one modality."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metamers.jobs import Job


def main(job: Job) -> None:
    """Make the control stimuli, and let every network of the modality judge them."""
    settings, synthesis = job.settings, job.settings["synthesis"]
    device = job.use_torch(synthesis["threads"])
    import pandas as pd

    from metamers.files import write_parquet
    from metamers.networks.network import load_network
    from metamers.recognition.controls import (
        ControlledStage,
        judge_controls,
        make_controls,
    )
    from metamers.stimuli.files import read_categories, read_split

    entry, model, stage = settings["entry"], settings["model"], settings["stage"]
    references = read_split(job.input.stimuli, "reference")
    categories = read_categories(job.input.stimuli)
    controls = make_controls(
        load_network(entry, job.input.weights[0], device),
        settings,
        references,
        categories,
        metamers_path=job.input.metamers,
        null_path=job.input.nulls[0],
        device=device,
        state_path=job.state_path(job.output.trials),
        fingerprint=job.code,
        save_seconds=job.save_seconds,
    )
    about = ControlledStage(
        settings["study"],
        model,
        entry["task"]["name"],
        stage,
        settings["stage_index"],
        len(settings["stages"][model]),
    )
    trials = [
        judge_controls(
            load_network(evaluator, weights, device),
            evaluator,
            settings["stages"][name],
            controls,
            references,
            categories,
            null,
            about,
            evaluator=name,
            device=device,
        )
        for (name, evaluator), weights, null in zip(
            settings["evaluators"].items(),
            job.input.weights[1:],
            job.input.nulls[1:],
            strict=True,
        )
    ]
    write_parquet(
        pd.concat(trials, ignore_index=True), job.output.trials, job.provenance()
    )
    job.discard_state(job.output.trials)


main(Job(snakemake))
