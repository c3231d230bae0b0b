"""Make the stimuli of one modality."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metamers.jobs import Job


def main(job: Job) -> None:
    """Prepare the stimuli and write them with their table."""
    from metamers.stimuli.files import write_stimuli
    from metamers.stimuli.prepare import prepare_stimuli

    section = job.settings["stimuli"]
    stimuli = prepare_stimuli(
        job.settings["modality"],
        {**section, "source": job.located(section["source"])},
        job.settings["seed"],
    )
    write_stimuli(stimuli, job.output.stimuli, job.output.table, job.provenance())
    job.record(job.output.table)


main(Job(snakemake))
