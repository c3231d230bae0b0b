"""Draw example metamers."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metamers.jobs import Job


def main(job: Job) -> None:
    """Show one natural stimulus and its metamers."""
    from metamers.figures.examples import plot_examples
    from metamers.figures.inputs import read_examples
    from metamers.figures.stimulus_facts import REFERENCE_LABEL

    models = job.settings["models"]
    examples = read_examples(
        job.input.stimuli,
        dict(zip(models, job.input.metamers, strict=True)),
        REFERENCE_LABEL[job.settings["modality"]],
    )
    figure, table = plot_examples(
        examples,
        job.read_csv(job.input.screening),
        models,
        front_end=job.settings["front_end"],
    )
    job.write_figure(figure, table)


main(Job(snakemake))
