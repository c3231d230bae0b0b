"""People's recognition of published metamers by stage: figures 2 to 6 of the paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from metamers.figures.published.looks import Looks, Tables
from metamers.figures.recognition_curves import (
    PUBLISHED_CHANCE,
    draw_chance,
    draw_curve,
    stage_axis,
)
from metamers.figures.style import (
    SMALL,
    TWO_COLUMNS,
    axes_at,
    gap,
    new_figure,
    size,
    styled,
    text_at,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# The layout that all legends of these figures share.
LEGEND: dict[str, Any] = {"loc": "upper left", "borderpad": 0.0, "labelspacing": 0.3}

LEFT, TOP, GUTTER, RIGHT = 10.0, 12.0, 7.0, 2.0
HEIGHT, LABELS, LINE = 34.0, 18.0, 3.4
FOOT = 7.0
DASHED = (0, (3, 1.5))


@dataclass(frozen=True)
class Panel:
    """One panel: models of one experiment that have the same stages.

    Attributes
    ----------
    modality, experiment
        Which experiment, by its number in the released code.
    models
        In the order in which they are drawn.
    title
        Above the panel.
    """

    modality: str
    experiment: int
    models: tuple[str, ...]
    title: str


def _single(modality: str, experiment: int, models: str) -> list[Panel]:
    return [Panel(modality, experiment, (name,), "") for name in models.split()]


RESNET, ALEXNET = "resnet50", "alexnet"
COCHRESNET, COCHCNN = "cochresnet50", "kell2018"
# The panels of each figure.
FIGURES: dict[str, list[Panel]] = {
    "figure_2c": _single("vision", 1, "cornet_s vgg_19 resnet50 resnet101 alexnet"),
    "figure_2d": _single(
        "vision",
        12,
        "CLIP_resnet50 CLIP_ViT-B_32 SWSL_resnet50 SWSL_resnext101_32x8d "
        "vision_transformer_vit_large_patch16_224",
    ),
    "figure_2_audio": _single("audio", 1, "kell2018 cochresnet50"),
    "figure_3c": [
        Panel(
            "vision",
            5,
            (RESNET, *(f"{RESNET}_{end}" for end in ("simclr", "moco_v2", "byol"))),
            "supervised and self-supervised ResNet50",
        )
    ],
    "figure_3d": [
        Panel(
            "vision",
            16,
            (
                "konkle_alexnetgn_ipcl_ref01_primary_model",
                "konkle_alexnetgn_ipcl_ref12_supervised_ipcl_aug",
            ),
            "AlexNetGN",
        )
    ],
    "figure_3_stylized": [
        Panel("vision", 10, (name, f"texture_shape_{name}_trained_on_SIN"), title)
        for name, title in ((RESNET, "ResNet50"), (ALEXNET, "AlexNet"))
    ],
    "figure_4": [
        Panel(
            "vision",
            3,
            (
                RESNET,
                *(
                    f"{RESNET}_{end}"
                    for end in (
                        "l2_3_robust",
                        "linf_4_robust",
                        "linf_8_robust",
                        "random_l2_perturb",
                        "random_linf8_perturb",
                    )
                ),
            ),
            "ResNet50",
        ),
        Panel(
            "vision",
            4,
            (
                ALEXNET,
                *(
                    f"{ALEXNET}_{end}"
                    for end in (
                        "l2_3_robust",
                        "linf_8_robust",
                        "random_l2_3_perturb",
                        "random_linf8_perturb",
                    )
                ),
            ),
            "AlexNet",
        ),
    ],
    "figure_5": [
        Panel("audio", experiment, (name, *(f"{name}_{end}" for end in ends)), title)
        for experiment, name, title, ends in (
            (
                4,
                COCHCNN,
                "CochCNN9, waveform perturbations",
                (
                    "l2_1_robust_waveform",
                    "linf_p002_robust_waveform",
                    "l2_1_random_step_waveform",
                    "linf_p002_random_step_waveform",
                ),
            ),
            (
                3,
                COCHRESNET,
                "CochResNet50, waveform perturbations",
                (
                    "l2_1_robust_waveform",
                    "l2_p5_robust_waveform",
                    "linf_p002_robust_waveform",
                    "l2_1_random_step_waveform",
                    "linf_p002_random_step_waveform",
                ),
            ),
            (
                8,
                COCHCNN,
                "CochCNN9, cochleagram perturbations",
                (
                    "l2_1_robust_cochleagram",
                    "l2_p5_robust_cochleagram",
                    "l2_1_random_step_cochleagram",
                    "l2_1_robust_waveform",
                ),
            ),
            (
                7,
                COCHRESNET,
                "CochResNet50, cochleagram perturbations",
                (
                    "l2_1_robust_cochleagram",
                    "l2_p5_robust_cochleagram",
                    "l2_1_random_step_cochleagram",
                    "l2_1_robust_waveform",
                ),
            ),
        )
    ],
    "figure_ed4_hmax": _single("vision", 6, "hmax_standard"),
    "figure_ed_spectemp": _single("audio", 6, "spectemp_filters"),
}
MOST_COLUMNS = 5


@styled
def plot_people(tables: Tables, name: str) -> tuple[Figure, pd.DataFrame]:
    """Plot one of `FIGURES`: people solid, the generating networks dashed.

    Parameters
    ----------
    tables
        ``people``: recognition table of the published participants; ``models``:
        ``resources/published/plot_models.csv``.
    name
        Of the figure.

    Returns
    -------
    figure, table
        The table has a row for each plotted point: mean and standard error (ddof 0)
        over participants.
    """
    panels = FIGURES[name]
    overlaid = max(len(panel.models) for panel in panels)
    columns = min(len(panels), 2 if overlaid > 1 else MOST_COLUMNS)
    width = (TWO_COLUMNS - LEFT - RIGHT - (columns - 1) * GUTTER) / max(columns, 2)
    legend = (overlaid if overlaid > 1 else 0) * LINE + 2.0
    row = HEIGHT + LABELS + legend + 6.0
    rows = -(-len(panels) // columns)
    figure = new_figure(
        LEFT + RIGHT + columns * width + (columns - 1) * GUTTER,
        TOP + rows * row - 4.0 + FOOT,
    )
    looks, parts = Looks(tables["models"]), []
    for place, panel in enumerate(panels):
        down, across = divmod(place, columns)
        left = LEFT + across * (width + GUTTER)
        top = TOP + down * row
        axes = axes_at(figure, left, top, width, HEIGHT)
        title = panel.title or looks.label(panel.models[0])
        text_at(figure, left, top - 7.0, title, fontweight="bold")
        parts.append(draw_people(axes, tables["people"], panel, looks))
        if overlaid > 1 and parts[-1] is not None:
            _legend(figure, left, top + HEIGHT + LABELS, panel, looks)
        if across == 0:
            axes.set_ylabel("proportion correct")
    _footer(figure, panels)
    table = [part for part in parts if part is not None]
    return figure, pd.concat(table, ignore_index=True) if table else pd.DataFrame()


def draw_people(
    axes: Axes, people: pd.DataFrame, panel: Panel, looks: Looks
) -> pd.DataFrame | None:
    """Draw the curves of one panel; None where there are no data, with a gap drawn."""
    summary = summarize(people, panel)
    if summary.empty:
        gap(axes, "the published data\nof people\nare not here")
        return None
    first = summary[summary["model"] == panel.models[0]]
    stage_axis(axes, first.drop_duplicates("stage_index")["stage"].tolist())
    for model in panel.models:
        look = looks.look(model)
        faint = look | {"marker": "", "linestyle": DASHED, "linewidth": 0.7}
        for kind, style in (("network", faint), ("human", look)):
            line = summary[
                (summary["model"] == model) & (summary["observer_kind"] == kind)
            ]
            draw_curve(axes, line["stage_index"], line["mean"], line["sem"], **style)
    draw_chance(axes, PUBLISHED_CHANCE[panel.modality])
    count = int(first["n"].iloc[0])
    axes.set_title(f"n = {count}", loc="right", fontsize=SMALL, color="#444444")
    return summary.assign(chance=PUBLISHED_CHANCE[panel.modality])


def summarize(people: pd.DataFrame, panel: Panel) -> pd.DataFrame:
    """Return mean and standard error of each model, stage and kind of a panel."""
    rows = people[
        (people["modality"] == panel.modality)
        & (people["experiment"] == f"published_{panel.experiment}")
        & people["generator"].isin(panel.models)
    ]
    keys = ["modality", "experiment", "generator", "observer_kind"]
    groups = rows.groupby([*keys, "stage", "stage_index"], sort=False, observed=True)
    table = groups["proportion_correct"].agg(
        n="size", mean="mean", sem=lambda v: v.std(ddof=0) / np.sqrt(len(v))
    )
    return table.reset_index().rename(columns={"generator": "model"})


def _legend(
    figure: Figure, left: float, top: float, panel: Panel, looks: Looks
) -> None:
    from matplotlib.lines import Line2D

    width, height = size(figure)
    handles = [
        Line2D([], [], **looks.look(model), label=looks.label(model))
        for model in panel.models
    ]
    figure.legend(
        handles=handles,
        bbox_to_anchor=(left / width, 1 - top / height),
        **LEGEND,
    )


def _footer(figure: Figure, panels: Sequence[Panel]) -> None:
    """Explain the lines once, below all panels."""
    chance = "1/16" if panels[0].modality == "vision" else "1/793"
    text_at(
        figure,
        LEFT,
        size(figure)[1] - FOOT,
        "Lines with symbols: people; dashed: the generating network on the\nsame "
        f"stimuli. Mean ± 1 SEM over participants. Dotted: chance ({chance}).",
        fontsize=SMALL,
        color="#444444",
    )
