"""Score the models."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metamers.jobs import Job


def main(job: Job) -> None:
    """Write one line of scores for every model."""
    import json

    import pandas as pd

    from metamers.files import read_parquet
    from metamers.statistics.scores import score_table

    settings = dict(job.settings)
    models = settings.pop("models")
    cards = [json.loads(Path(path).read_text()) for path in job.input.cards]
    table = score_table(
        read_parquet(job.input.trials),
        models,
        screening=job.read_csv(job.input.screening),
        robustness=job.read_csv(job.input.robustness),
        published=pd.read_csv(job.input.published),
        accuracy={card["model"]: card["test_accuracy"] for card in cards},
        **settings,
    )
    job.write_csv(table, job.output.scores)


main(Job(snakemake))
