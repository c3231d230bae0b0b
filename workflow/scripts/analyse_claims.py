"""Judge the claims."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metamers.jobs import Job


def main(job: Job) -> None:
    """Measure every claim of the file, and judge it by its rules."""
    from metamers.files import read_parquet
    from metamers.statistics.claims import evaluate_claims
    from metamers.statistics.claims_file import load_claims

    settings = dict(job.settings)
    models = settings.pop("models")
    table = evaluate_claims(
        load_claims(job.input.claims),
        read_parquet(job.input.trials),
        models,
        robustness=job.read_csv(job.input.robustness),
        collapse=job.read_csv(job.input.collapse),
        **settings,
    )
    job.write_csv(table, job.output.claims)


main(Job(snakemake))
