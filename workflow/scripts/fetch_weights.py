"""Fetch one file of public weights."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metamers.jobs import ROOT, Job


def main(job: Job) -> None:
    """Fetch the file, and write its card."""
    from metamers.files import write_json
    from metamers.networks.weights_fetching import LOCK, fetch_weights, mirror_folder

    entry = dict(job.settings)
    name = entry.pop("public")
    folder, lock = Path(job.output.card).parent, ROOT / LOCK
    card = fetch_weights(name, entry, folder, lock, mirror_folder(job.config))
    write_json(card, job.output.card)
    job.record(job.output.card)


main(Job(snakemake))
