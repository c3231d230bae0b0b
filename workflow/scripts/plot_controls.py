"""Draw the controls."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metamers.jobs import Job


def main(job: Job) -> None:
    """Plot recognition of the control stimuli."""
    import pandas as pd

    from metamers.figures.controls import plot_controls
    from metamers.figures.stimulus_facts import chance_by_modality, synthetic_note

    figure, table = plot_controls(
        pd.read_csv(job.input.controls),
        chance=chance_by_modality(job.input.stimuli),
        note=synthetic_note(job.input.stimuli),
    )
    job.write_figure(figure, table)


main(Job(snakemake))
