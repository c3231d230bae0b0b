"""Let one network judge the metamers of a block of generators."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metamers.jobs import Job


def main(job: Job) -> None:
    """Collect the network's answers as trials."""
    settings = job.settings
    device = job.use_torch()
    from metamers.files import write_parquet
    from metamers.networks.network import load_network
    from metamers.recognition.judging import GeneratorFiles, judge_block

    generators = {
        name: GeneratorFiles(Path(metamers), Path(screening), **generator)
        for (name, generator), metamers, screening in zip(
            settings["generators"].items(),
            job.input.metamers,
            job.input.screening,
            strict=True,
        )
    }
    trials = judge_block(
        load_network(settings["entry"], job.input.weights, device),
        settings["entry"],
        settings["stages"],
        generators,
        job.input.stimuli,
        job.input.null,
        study=settings["study"],
        evaluator=settings["evaluator"],
        batch_size=settings["batch_size"],
        device=device,
    )
    write_parquet(trials, job.output.trials, job.provenance())


main(Job(snakemake))
