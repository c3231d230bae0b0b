"""Draw a figure of the published study."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from metamers.jobs import Job


def main(job: Job) -> None:
    """Read the tables that the figure needs, and draw it."""
    import importlib

    import pandas as pd

    from metamers.figures.published.catalogue import FIGURES, table_names
    from metamers.files import read_parquet

    name = job.settings["figure"]
    entry = FIGURES[name]
    tables = {
        table: read_parquet(path) if path.endswith(".parquet") else pd.read_csv(path)
        for table, path in zip(table_names(name), job.input, strict=True)
    }
    module = importlib.import_module(f"metamers.figures.published.{entry.module}")
    figure, table = getattr(module, entry.function)(tables, name)
    job.write_figure(figure, table)


main(Job(snakemake))
