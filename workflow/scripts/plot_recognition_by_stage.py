"""Draw recognition by stage."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metamers.jobs import Job


def main(job: Job) -> None:
    """Plot the networks of one modality beside the published people."""
    import pandas as pd

    from metamers.figures.recognition_by_stage import plot_recognition_by_stage
    from metamers.figures.stimulus_facts import chance_by_modality, synthetic_note

    modality = job.settings["modality"]
    figure, table = plot_recognition_by_stage(
        pd.read_csv(job.input.recognition),
        pd.read_csv(job.input.published),
        job.settings["models"],
        modality=modality,
        chance=chance_by_modality([job.input.stimuli])[modality],
        note=synthetic_note([job.input.stimuli]),
    )
    job.write_figure(figure, table)


main(Job(snakemake))
