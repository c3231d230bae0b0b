"""Fetch a part of the published data."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metamers.jobs import Job


def main(job: Job) -> None:
    """Fetch what is wanted, and list what is here."""
    import pandas as pd

    from metamers.recognition.published.fetching import COLUMNS, fetch, mirror_folder
    from metamers.recognition.published.manifest import read_manifest

    files = read_manifest(job.input.manifest, job.settings["part"])
    folder = Path(job.output.inventory).parent
    if job.settings["wanted"]:
        table = fetch(files, folder, mirror_folder(job.config))
    else:
        rows = [(f.path, f.bytes, f.sha256, "missing", "not wanted") for f in files]
        table = pd.DataFrame(rows, columns=COLUMNS)
    job.write_csv(table, job.output.inventory)


main(Job(snakemake))
