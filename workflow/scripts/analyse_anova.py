"""Compare models."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metamers.jobs import Job


def main(job: Job) -> None:
    """Compare pairs of models by analysis of variance, as the paper does."""
    import pandas as pd

    from metamers.statistics.model_comparisons import compare_models

    settings = dict(job.settings)
    models = settings.pop("models")
    table = compare_models(pd.read_csv(job.input.transfer), models, **settings)
    job.write_csv(table, job.output.anova)


main(Job(snakemake))
