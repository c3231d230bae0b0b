"""Write all metamers as pictures and sounds."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metamers.jobs import Job


def main(job: Job) -> None:
    """Fill the gallery and its pages."""
    import shutil

    from metamers.figures.gallery import write_gallery

    models = job.settings["models"]
    modalities = dict.fromkeys(facts["modality"] for facts in models.values())
    folder = Path(job.output.gallery)
    # Whole or not at all: the folder is filled beside its place.
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    write_gallery(
        unfinished,
        models,
        dict(zip(modalities, job.input.stimuli, strict=True)),
        dict(zip(models, job.input.metamers, strict=True)),
        dict(zip(models, job.input.screening, strict=True)),
        study=job.settings["study"],
    )
    unfinished.rename(folder)
    job.record(folder)


main(Job(snakemake))
