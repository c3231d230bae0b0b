"""Pack the metamers of one model and screen them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metamers.jobs import Job


def main(job: Job) -> None:
    """Join the shards into one file and say which metamers pass."""
    from metamers.recognition.decisions import answer_names
    from metamers.stimuli.files import read_attributes, read_categories, read_split
    from metamers.synthesis.null_files import read_null
    from metamers.synthesis.screening import add_flatness, screen
    from metamers.synthesis.shards import pack_shards, read_metamers

    settings = job.settings
    shards: dict[str, list[Path]] = {stage: [] for stage in settings["stages"]}
    for path in map(Path, job.input.shards):
        shards[path.parent.name].append(path)
    reference = read_split(job.input.stimuli, "reference")
    pack_shards(shards, job.output.metamers, reference.id, job.provenance())
    metamers = read_metamers(job.output.metamers)
    table = screen(
        metamers,
        read_null(job.input.null),
        settings,
        answer_names(settings["task"], read_categories(job.input.stimuli)),
    )
    sample_rate = read_attributes(job.input.stimuli)["sample_rate"]
    table = add_flatness(table, metamers, reference.values(), sample_rate)
    job.write_csv(table, job.output.screening)


main(Job(snakemake))
