"""Who recognizes whose metamers: one matrix of generators and evaluators a stage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.patches import Rectangle

from metamers.figures.style import (
    SMALL,
    TEXT,
    TWO_COLUMNS,
    axes_at,
    gap,
    letter,
    new_figure,
    readable,
    styled,
    text_at,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

# Matrices side by side; two of many models, so that their names can still be read.
COLUMNS, MANY, COLUMNS_OF_MANY = 3, 14, 2
# Numbers smaller than this cannot be read, and are left to the table.
LEAST_SIZE = 3.0
POINTS = 72 / 25.4
NAME_WIDTH, NAME_HEIGHT = 34.0, 34.0
GUTTER, TITLE = 3.0, 9.0


@styled
def plot_transfer_matrix(
    transfer: pd.DataFrame,
    models: dict[str, dict[str, Any]],
    *,
    modality: str,
    screened: bool = True,
) -> tuple[Figure, pd.DataFrame]:
    """Plot one matrix a stage: generators in rows, evaluators in columns.

    Stages of networks that differ in their number of stages are aligned by relative
    depth: each matrix stands for a stage of the deepest network, and every generator
    gives its stage of the nearest relative depth.

    Parameters
    ----------
    transfer
        ``statistics/transfer.csv``: modality, generator, evaluator, stage,
        stage_index, screened, n, recognition (missing where the evaluator answers
        another question) and agreement (kappa of the answers to metamer and natural
        stimulus).
    models
        Models of the study by name (modality, stages, task), in the order of rows.
    modality
        ``vision`` or ``audio``.
    screened
        Whether only metamers that passed screening are counted.

    Returns
    -------
    figure, table
        The table has a row for each cell of each matrix.
    """
    names = [name for name, model in models.items() if model["modality"] == modality]
    kept = transfer["screened"].astype(bool) == screened
    cells = transfer[kept & (transfer["modality"] == modality)]
    aligned = align_stages({name: models[name]["stages"] for name in names})
    count = len(aligned)
    columns = COLUMNS if len(names) <= MANY else COLUMNS_OF_MANY
    rows = max(1, -(-count // columns))
    side = (TWO_COLUMNS - NAME_WIDTH - (columns - 1) * GUTTER - 2) / columns
    cell = POINTS * side / max(len(names), 1)
    top = 1.0 + TITLE
    height = top + rows * side + (rows - 1) * TITLE + NAME_HEIGHT + 16.0
    figure = new_figure(TWO_COLUMNS, height)
    plotted = []
    image = None
    for place, stages in enumerate(aligned):
        row, column = divmod(place, columns)
        left = NAME_WIDTH + column * (side + GUTTER)
        above = top + row * (side + TITLE)
        letter(figure, left - 1.0, above - 6.5, place)
        axes = axes_at(figure, left, above, side, side)
        below = place + columns >= count
        values, table = _matrix(cells, names, stages)
        image = _draw(axes, values, table, names, cell) or image
        _name_axes(axes, names, cell, left=column == 0, below=below)
        axes.set_title(_title(stages, round(side / 1.6)), pad=3.0)
        plotted.append(table.assign(panel=place))
    if image is not None:
        _color_bar(figure, image, height - 9.0)
    return figure, pd.concat(plotted, ignore_index=True).assign(screened=screened)


def align_stages(stages: dict[str, list[str]]) -> list[dict[str, tuple[str, int]]]:
    """Align the stages of models by relative depth.

    Parameters
    ----------
    stages
        Names of the stages of each model, from the first to the last.

    Returns
    -------
    list of dict
        For natural and each stage of the deepest model: (stage, stage_index) of
        every model, stage_index counting from 0 for natural.
    """
    deepest = max((len(names) for names in stages.values()), default=0)
    aligned = [{name: ("natural", 0) for name in stages}]
    for place in range(deepest):
        depth = place / max(deepest - 1, 1)
        at = {}
        for name, own in stages.items():
            # halves up, so that a deeper network's middle is not skipped
            index = int(np.floor(depth * (len(own) - 1) + 0.5))
            at[name] = (own[index], index + 1)
        aligned.append(at)
    return aligned


def _matrix(
    cells: pd.DataFrame, names: list[str], stages: dict[str, tuple[str, int]]
) -> tuple[np.ndarray, pd.DataFrame]:
    """Collect one matrix (generators, evaluators); missing cells are nan."""
    known = cells.set_index(["generator", "stage", "evaluator"]).sort_index()
    rows = []
    values = np.full((len(names), len(names)), np.nan)
    for i, generator in enumerate(names):
        stage, index = stages[generator]
        for j, evaluator in enumerate(names):
            key = (generator, stage, evaluator)
            row = {
                "generator": generator,
                "evaluator": evaluator,
                "stage": stage,
                "stage_index": index,
                "n": 0,
                "quantity": "missing",
                "value": np.nan,
            }
            if key in known.index:
                cell = known.loc[[key]].iloc[0]
                same_task = bool(np.isfinite(cell["recognition"]))
                row["n"] = int(cell["n"])
                row["quantity"] = "recognition" if same_task else "agreement"
                row["value"] = values[i, j] = cell[str(row["quantity"])]
            rows.append(row)
    return values, pd.DataFrame(rows)


def _draw(
    axes: Axes,
    values: np.ndarray,
    table: pd.DataFrame,
    names: list[str],
    cell: float,
) -> AxesImage | None:
    """Draw one matrix with its numbers; the generator itself is framed.

    Its cells are `cell` points wide; numbers that would be too small are left out.
    """
    if not np.isfinite(values).any():
        gap(axes, "no trials at this stage")
        return None
    image = axes.imshow(values, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for spine in axes.spines.values():
        spine.set_visible(False)
    quantities = table["quantity"].to_numpy().reshape(values.shape)
    size = min(SMALL, 0.35 * cell)
    for i in range(len(names)):
        frame = Rectangle(
            (i - 0.47, i - 0.47), 0.94, 0.94, fill=False, ec="#D55E00", lw=0.9
        )
        axes.add_patch(frame)
    if size < LEAST_SIZE:
        return image
    for (i, j), value in np.ndenumerate(values):
        if not np.isfinite(value):
            axes.text(j, i, "–", ha="center", va="center", fontsize=size)
            continue
        text = f"{value:.2f}".replace("-", "\N{MINUS SIGN}").replace("0.", ".", 1)
        axes.text(
            j,
            i,
            "1.0" if text == "1.00" else text,
            ha="center",
            va="center",
            fontsize=size,
            color="white" if value < 0.55 else "black",
            fontstyle="italic" if quantities[i, j] == "agreement" else "normal",
        )
    return image


def _name_axes(
    axes: Axes, names: list[str], cell: float, *, left: bool, below: bool
) -> None:
    """Write the models' names at the outer matrices only."""
    labels = [readable(name, 24) for name in names]
    axes.set_xticks(range(len(names)), labels if below else [""] * len(names))
    axes.set_yticks(range(len(names)), labels if left else [""] * len(names))
    axes.tick_params(length=0, labelsize=min(TEXT, 0.9 * cell))
    for label in axes.get_xticklabels():
        label.set_rotation(90)


def _title(stages: dict[str, tuple[str, int]], longest: int) -> str:
    """Name the stages of a matrix, the first models' first, as many as have room."""
    order = pd.Series([stage for stage, _ in stages.values()])
    names = [readable(str(name), 14) for name in order.value_counts(sort=False).index]
    for count in (3, 2):
        title = " / ".join(names[:count]) + (" …" if len(names) > count else "")
        if len(title) <= longest:
            return title
    return names[0] + (" …" if len(names) > 1 else "")


def _color_bar(figure: Figure, image: AxesImage, top: float) -> None:
    """Draw the scale and explain the marks below the matrices."""
    bar = axes_at(figure, NAME_WIDTH, top, 45.0, 2.2)
    figure.colorbar(image, cax=bar, orientation="horizontal", ticks=[0, 0.5, 1])
    bar.set_xlabel("proportion correct")
    text_at(
        figure,
        NAME_WIDTH + 52.0,
        top - 1.0,
        "Rows: generator of the metamers. Columns: evaluator. Framed: the generator "
        "itself.\nItalic: evaluator of another task, agreement (kappa) with its "
        "natural answer. –: none.",
        fontsize=SMALL + 0.5,
    )
