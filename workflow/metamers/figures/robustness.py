"""Robustness to attack, and whether robust networks have recognizable metamers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from metamers.figures.style import (
    SMALL,
    TWO_COLUMNS,
    axes_at,
    gap,
    letter,
    model_looks,
    new_figure,
    readable,
    records,
    styled,
    text_at,
)
from metamers.recognition.panel import PANEL
from metamers.statistics.convergence import wilson_interval
from metamers.statistics.depth import choose_stages
from metamers.statistics.robustness import relative_robustness

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CONFIDENCE = 0.95
NORMS = {"l2": "L2", "linf": "L∞"}
WIDTH, HEIGHT, ROW = 50.0, 40.0, 60.0
SCATTER = 80.0
LEGEND = 141.0


@styled
def plot_robustness(
    robustness: pd.DataFrame,
    recognition: pd.DataFrame,
    models: dict[str, dict[str, Any]],
    *,
    correlations: pd.DataFrame | None = None,
    screened: bool = True,
) -> tuple[Figure, pd.DataFrame]:
    """Plot accuracy under attack, and recognizability against robustness.

    Parameters
    ----------
    robustness
        Rows of ``robustness/{model}.csv``: model, modality, norm, epsilon, steps, n,
        accuracy.
    recognition
        ``statistics/recognition_by_stage.csv``.
    models
        Models of the study by name: modality, group, stages.
    correlations
        ``statistics/correlations.csv``; its rank correlation over models is written
        into the panel.
    screened
        Whether only metamers that passed screening are counted.

    Returns
    -------
    figure, table
        Points of the kinds ``accuracy`` (x is epsilon; Wilson's interval over
        stimuli) and ``recognition`` (x is accuracy at the middle epsilon relative to
        clean; y is the mean recognition of the late stages by the panel, its bounds
        the means of the stages' bounds, which is at least as wide as an interval of
        the mean).
    """
    modalities = [
        modality
        for modality in ("vision", "audio")
        if any(model["modality"] == modality for model in models.values())
    ]
    figure = new_figure(TWO_COLUMNS, 2.0 + ROW * max(len(modalities), 1))
    kept = recognition[recognition["screened"].astype(bool) == screened]
    looks = model_looks(models)
    tables = []
    for row, modality in enumerate(modalities):
        names = [n for n, model in models.items() if model["modality"] == modality]
        top = 9.0 + row * ROW
        for column, left in enumerate((13.0, SCATTER)):
            letter(figure, left - 12.0, top - 8.0, 2 * row + column)
        text_at(figure, 8.0, top - 7.2, modality, fontweight="bold")
        curves = axes_at(figure, 13.0, top, WIDTH, HEIGHT)
        part = robustness[robustness["model"].isin(names)]
        tables.append(_curves(curves, part, names, looks))
        scatter = axes_at(figure, SCATTER, top, WIDTH, HEIGHT)
        points = recognizability(part, kept, models, names)
        tables.append(_scatter(scatter, points, models, looks))
        _write_correlation(scatter, correlations, modality, screened)
        _legend(figure, top, names, looks)
    filled = [table for table in tables if not table.empty]
    return figure, pd.concat(filled, ignore_index=True) if filled else pd.DataFrame()


def recognizability(
    robustness: pd.DataFrame,
    recognition: pd.DataFrame,
    models: dict[str, dict[str, Any]],
    names: list[str],
) -> pd.DataFrame:
    """Put the robustness of each model beside its late recognition by the panel.

    Returns
    -------
    pandas.DataFrame
        model, kind, x, y, lower, upper, n (stages); models that lack either are left
        out.
    """
    ratio = relative_robustness(robustness)
    rows = []
    for name in names:
        late = choose_stages(len(models[name]["stages"]), "late")
        part = recognition[
            (recognition["generator"] == name)
            & (recognition["relation"] == PANEL)
            & recognition["stage_index"].isin(late)
        ].dropna(subset=["recognition"])
        if name not in ratio or part.empty:
            continue
        mean = part[["recognition", "lower", "upper"]].mean()
        rows.append(
            {
                "model": name,
                "kind": "recognition",
                "x": ratio[name],
                "y": mean["recognition"],
                "lower": mean["lower"],
                "upper": mean["upper"],
                "n": len(part),
            }
        )
    return pd.DataFrame(rows)


Looks = dict[str, dict[str, Any]]


def _curves(
    axes: Axes, part: pd.DataFrame, names: list[str], looks: Looks
) -> pd.DataFrame:
    """Draw accuracy against epsilon, one line a model."""
    if part.empty:
        gap(axes, "robustness was not measured")
        return pd.DataFrame()
    tables = []
    for name in names:
        line = part[part["model"] == name].sort_values("epsilon")
        if line.empty:
            continue
        n = line["n"].to_numpy(int)
        share = line["accuracy"].to_numpy(float)
        bounds = np.array(
            [
                wilson_interval(round(value * count), int(count), CONFIDENCE)
                for value, count in zip(share, n, strict=True)
            ]
        )
        axes.errorbar(
            line["epsilon"],
            share,
            yerr=np.clip([share - bounds[:, 0], bounds[:, 1] - share], 0, None),
            **looks[name],
            elinewidth=0.6,
            linewidth=0.9,
            clip_on=False,
        )
        tables.append(
            pd.DataFrame(
                {
                    "model": name,
                    "kind": "accuracy",
                    "x": line["epsilon"],
                    "y": share,
                    "lower": bounds[:, 0],
                    "upper": bounds[:, 1],
                    "n": n,
                }
            )
        )
    norm = str(part["norm"].iloc[0])
    axes.set_xlabel(f"size of the attack ({NORMS.get(norm, norm)}, stimulus units)")
    axes.set_ylabel("proportion correct")
    axes.set_xlim(left=0)
    axes.set_ylim(0, 1)
    return pd.concat(tables, ignore_index=True)


def _scatter(
    axes: Axes,
    points: pd.DataFrame,
    models: dict[str, dict[str, Any]],
    looks: Looks,
) -> pd.DataFrame:
    """Draw recognizability against robustness, one point a model."""
    if points.empty:
        gap(axes, "no model has both numbers")
        return points
    for row in records(points):
        look = looks[row["model"]]
        # nothing to lose under attack is no robustness: the untrained are pale
        trained = models[row["model"]].get("trained", True)
        axes.errorbar(
            [row["x"]],
            [row["y"]],
            yerr=np.clip(
                [[row["y"] - row["lower"]], [row["upper"] - row["y"]]], 0, None
            ),
            **look,
            alpha=1.0 if trained else 0.45,
            markersize=4.5,
            elinewidth=0.8,
            clip_on=False,
        )
    axes.set_xlim(0, max(1.0, float(points["x"].max())))
    axes.set_ylim(0, 1)
    axes.set_xlabel("accuracy at the middle attack / clean")
    axes.set_ylabel("recognition of late stages\nby other networks")
    return points


def _write_correlation(
    axes: Axes, correlations: pd.DataFrame | None, modality: str, screened: bool
) -> None:
    """Write the rank correlation over models above the scatter."""
    if correlations is None or correlations.empty:
        return
    found = correlations[
        (correlations["modality"] == modality)
        & (correlations["points"] == "models")
        & (correlations["statistic"] == "spearman")
        & (correlations["screened"].astype(bool) == screened)
        & correlations["quantity"].str.contains("robustness")
    ]
    if found.empty or not np.isfinite(found["value"].iloc[0]):
        return
    row = found.iloc[0]
    text = f"Spearman {row['value']:.2f} [{row['lower']:.2f}, {row['upper']:.2f}]"
    text = f"{text}, {int(row['n'])} trained models".replace("-", "\N{MINUS SIGN}")
    axes.set_title(text, fontsize=SMALL, loc="right", color="#444444")


def _legend(figure: Figure, top: float, names: list[str], looks: Looks) -> None:
    """Name the models of a row to its right."""
    handles = [
        Line2D([], [], **looks[name], label=readable(name, 26)) for name in names
    ]
    height = figure.get_size_inches()[1] * 25.4
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(LEGEND / TWO_COLUMNS, 1 - top / height),
        handlelength=2.0,
    )
