"""Write the page of one model."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metamers.jobs import Job

# References shown with their metamers.
EXAMPLES = 4


def main(job: Job) -> None:
    """Show how the model learned, matched and is recognized."""
    import json

    import pandas as pd

    from metamers.figures.inputs import (
        read_examples,
        read_losses,
        read_nulls,
        spread_places,
    )
    from metamers.figures.model_page import model_page
    from metamers.figures.stimulus_facts import REFERENCE_LABEL, chance_by_modality
    from metamers.stimuli.files import read_attributes, read_split

    model, models = job.settings["model"], job.settings["models"]
    facts, stimuli = models[model], job.input.stimuli
    references = len(read_split(stimuli, "reference"))
    label = REFERENCE_LABEL[facts["modality"]]
    page = model_page(
        model,
        models,
        study=job.settings["study"],
        card=json.loads(Path(job.input.card).read_text()),
        training=pd.read_csv(job.input.training),
        losses=read_losses(job.input.metamers, model, facts["stages"]),
        nulls=read_nulls(job.input.null, model, facts["stages"]),
        screening=pd.read_csv(job.input.screening),
        recognition=pd.read_csv(job.input.recognition),
        published=pd.read_csv(job.input.published),
        examples=[
            read_examples(stimuli, {model: job.input.metamers}, label, place)
            for place in spread_places(references, EXAMPLES)
        ],
        chance=chance_by_modality([stimuli])[facts["modality"]],
        synthetic=read_attributes(stimuli)["synthetic"],
    )
    job.write_text(page, job.output.page)


main(Job(snakemake))
