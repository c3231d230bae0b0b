"""Draw any figure of the catalogue from the files of its tables."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from metamers.figures.published.catalogue import FIGURES, table_names
from metamers.figures.published.source import PUBLISHED, Source
from metamers.files import read_parquet
from metamers.statistics.published.correlations import POINT_COLUMNS
from metamers.statistics.published.cortex import BEST_COLUMNS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Tables that no study has, since they need recordings of the brain.
NOT_OF_STUDY = {"brain_scores": POINT_COLUMNS, "best_stages": BEST_COLUMNS}


def draw(
    figure: str, paths: Iterable[str | Path], source: Source = PUBLISHED
) -> tuple[Figure, pd.DataFrame]:
    """Draw a figure.

    Parameters
    ----------
    figure
        One of the catalogue's.
    paths
        Files of its tables, in the order of `table_names`.
    source
        Whose networks they are.

    Returns
    -------
    figure, table
        The table has every number that is plotted.
    """
    entry = FIGURES[figure]
    names = table_names(figure, of_study=source is not PUBLISHED)
    tables = {
        name: read_parquet(path)
        if Path(path).suffix == ".parquet"
        else pd.read_csv(path)
        for name, path in zip(names, paths, strict=True)
    }
    for name in set(entry.tables) - set(tables):
        tables[name] = pd.DataFrame(columns=NOT_OF_STUDY[name])
    module = importlib.import_module(f"metamers.figures.published.{entry.module}")
    # What is read off pictures has no other source.
    options = {} if source is PUBLISHED else {"source": source}
    drawn: tuple[Figure, pd.DataFrame] = getattr(module, entry.function)(
        tables, figure, **options
    )
    return drawn
