"""Recognition of each model's metamers by stage, and people's beside it.

The layout follows the figures of Feather et al. 2023 (Nature Neuroscience, Figs. 2-6):
the natural stimulus and the stages on the abscissa, the proportion correct on the
ordinate, the generating network dashed, chance dotted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from metamers.figures.recognition_curves import (
    PUBLISHED_CHANCE,
    draw_chance,
    draw_curve,
    stage_axis,
)
from metamers.figures.style import (
    CHANCE_COLOR,
    PEOPLE_COLOR,
    SMALL,
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

RELATIONS: dict[str, dict[str, Any]] = {
    "other_task": {"color": "#CC79A7", "linestyle": (0, (4, 1, 1, 1)), "marker": "P"},
    "untrained": {"color": "#9A9A9A", "linestyle": ":", "marker": "X"},
    "seed_sibling": {"color": "#56B4E9", "linestyle": "-", "marker": "s"},
    "own": {"color": "#D55E00", "linestyle": "--", "marker": "^"},
    "panel": {"color": "#0072B2", "linestyle": "-", "marker": "o"},
    "people": {"color": PEOPLE_COLOR, "linestyle": "-", "marker": "D"},
}
LABELS = {
    "own": "the generating network",
    "panel": "panel of other networks (band: 95 % interval)",
    "seed_sibling": "same network, other seed",
    "untrained": "untrained networks",
    "other_task": "networks of another task",
    "people": "people who answered to these metamers",
}
PEOPLE = "people, published models (not these networks)"

LEFT, TOP, GUTTER = 9.0, 12.0, 4.0
PANEL_WIDTH, PANEL_HEIGHT, LABEL_HEIGHT = 36.5, 30.0, 17.0
PAIR_WIDTH = 2 * PANEL_WIDTH + GUTTER
ROW_HEIGHT = PANEL_HEIGHT + LABEL_HEIGHT + 9.0


@styled
def plot_recognition_by_stage(
    recognition: pd.DataFrame,
    published: pd.DataFrame,
    models: dict[str, dict[str, Any]],
    *,
    modality: str,
    chance: float | None,
    screened: bool = True,
    note: str = "",
) -> tuple[Figure, pd.DataFrame]:
    """Plot recognition by stage: a pair of panels per generator.

    The left panel of a pair holds the networks of the study, the right one what
    people answered to the metamers of the generator's published counterpart.

    Parameters
    ----------
    recognition
        ``statistics/recognition_by_stage.csv``: generator, modality, stage,
        stage_index (0 is natural), relation (own, panel, seed_sibling, untrained,
        other_task, people), recognition and its bounds lower and upper in [0, 1],
        n_stimuli, n_evaluators, screened, agreement (kappa
        of the answers to the metamer and to the natural stimulus), drawn where there
        is no recognition because the tasks differ.
    published
        ``resources/published_recognition.csv``: modality, repo_experiment, model,
        stage, stage_index, observer_kind, n, mean, sem.
    models
        Models of the study by name: group, modality, task, stages (names in order),
        published (name of the counterpart or None). One pair each, in this order.
    modality
        ``vision`` or ``audio``.
    chance
        Proportion of the references that the study's networks get right by chance.
    screened
        Whether only metamers that passed screening are counted.
    note
        A sentence set below the figure, such as that the speech is synthetic.

    Returns
    -------
    figure, table
        The table has a row for each plotted point.
    """
    names = [name for name, model in models.items() if model["modality"] == modality]
    rows = max(1, -(-len(names) // 2))
    figure = new_figure(TWO_COLUMNS, TOP + rows * ROW_HEIGHT + 27.0)
    data = recognition[
        recognition["generator"].isin(names)
        & (recognition["screened"].astype(bool) == screened)
    ].rename(columns={"screened": "only_passed"})
    plotted: list[pd.DataFrame] = []
    for place, name in enumerate(names):
        row, side = divmod(place, 2)
        left = LEFT + side * (PAIR_WIDTH + GUTTER + 9.0)
        top = TOP + row * ROW_HEIGHT
        letter(figure, left - 8.0, top - 9.0, place)
        text_at(figure, left - 3.0, top - 8.4, readable(name, 34), fontweight="bold")
        networks = axes_at(figure, left, top, PANEL_WIDTH, PANEL_HEIGHT)
        people = axes_at(
            figure, left + PANEL_WIDTH + GUTTER, top, PANEL_WIDTH, PANEL_HEIGHT
        )
        model = models[name]
        part = data[data["generator"] == name]
        plotted.append(_draw_networks(networks, part, model, chance))
        plotted.append(_draw_people(people, published, modality, name, model))
        if side == 0:
            networks.set_ylabel("proportion correct")
    _legend(figure, TOP + rows * ROW_HEIGHT, modality, set(data["relation"]), note)
    kept = [frame for frame in plotted if not frame.empty]
    return figure, pd.concat(kept, ignore_index=True) if kept else pd.DataFrame()


def _draw_networks(
    axes: Axes, part: pd.DataFrame, model: dict[str, Any], chance: float | None
) -> pd.DataFrame:
    """Draw what the study's networks answered to one generator's metamers."""
    if part.empty:
        gap(axes, "no recognition\nof this model yet")
        return pd.DataFrame()
    stages = ["natural", *model["stages"]]
    stage_axis(axes, stages)
    drawn = []
    for relation, look in RELATIONS.items():
        line = part[part["relation"] == relation].sort_values("stage_index")
        # Who answers another question has no correct answer: see `agreement` instead.
        column = "recognition" if line["recognition"].notna().any() else "agreement"
        line = line[line[column].notna()]
        if line.empty:
            continue
        at = line["stage_index"].to_numpy(int)
        height = line[column].to_numpy(float)
        if column == "agreement":
            look = look | {"markerfacecolor": "white", "markeredgewidth": 0.7}
        strong = relation in ("own", "panel", "people")
        axes.plot(
            at,
            height,
            **look,
            linewidth=1.3 if strong else 0.8,
            markersize=3.2 if strong or column == "agreement" else 2.4,
            alpha=1.0 if strong else 0.85,
            zorder=4 if strong else 3,
            clip_on=False,
        )
        bounds = line[["lower", "upper"]].to_numpy(float)
        if relation == "panel" and np.isfinite(bounds).any():
            axes.fill_between(
                at, bounds[:, 0], bounds[:, 1], color=look["color"], alpha=0.2, lw=0
            )
        drawn.append(line.assign(observers="networks", value=height, quantity=column))
    if chance is not None:
        draw_chance(axes, chance)
    _write_counts(axes, part)
    if not drawn:
        return pd.DataFrame()
    table = pd.concat(drawn, ignore_index=True)
    counted = table["relation"] == "panel"
    for bound in ("lower", "upper"):
        table[bound] = table[bound].where(counted)
    order = ["generator", "observers", "relation", "stage", "stage_index", "quantity"]
    order += ["value", "lower", "upper", "n_stimuli", "n_evaluators", "only_passed"]
    return table[order].assign(chance=chance)


def _write_counts(axes: Axes, part: pd.DataFrame) -> None:
    """Write how many stimuli stand behind each stage, above the panel."""
    counts = part[part["relation"] == "panel"]
    if counts.empty:
        counts = part[part["relation"] == "own"]
    counts = counts.dropna(subset=["n_stimuli"]).sort_values("stage_index")
    counts = counts.drop_duplicates("stage_index")
    numbers = counts["n_stimuli"].astype(int).tolist()
    if not numbers:
        return
    look: dict[str, Any] = {"fontsize": SMALL, "color": "#444444", "va": "bottom"}
    if len(set(numbers)) == 1:
        axes.text(
            1, 1.04, f"n = {numbers[0]}", transform=axes.transAxes, ha="right", **look
        )
        return
    across = axes.get_xaxis_transform()
    axes.text(-0.45, 1.04, "n", transform=across, ha="right", **look)
    for at, number in zip(counts["stage_index"], numbers, strict=True):
        axes.text(at, 1.04, str(number), transform=across, ha="center", **look)


def _draw_people(
    axes: Axes,
    published: pd.DataFrame,
    modality: str,
    name: str,
    model: dict[str, Any],
) -> pd.DataFrame:
    """Draw people's recognition of the published counterpart's metamers."""
    counterpart = model.get("published")
    if not counterpart:
        gap(axes, "no published counterpart")
        return pd.DataFrame()
    part = published[
        (published["modality"] == modality) & (published["model"] == counterpart)
    ]
    if part.empty:
        gap(axes, f"no published data of\n{readable(counterpart, 26)}")
        return pd.DataFrame()
    pooled = pool_experiments(part)
    stages = pooled.drop_duplicates("stage_index").sort_values("stage_index")
    stage_axis(axes, stages["stage"].tolist())
    axes.tick_params(labelleft=False)
    for kind, look in (
        ("network", RELATIONS["own"] | {"linewidth": 0.9}),
        ("human", {"color": PEOPLE_COLOR, "linestyle": "-", "marker": "o"}),
    ):
        line = pooled[pooled["observer_kind"] == kind].sort_values("stage_index")
        draw_curve(axes, line["stage_index"], line["mean"], line["sem"], **look)
    chance = PUBLISHED_CHANCE[modality]
    draw_chance(axes, chance)
    people = pooled.loc[pooled["observer_kind"] == "human", "n"]
    title = readable(counterpart, 22)
    label = f"{title}, n = {int(people.max())}" if len(people) else title
    axes.set_title(label, fontsize=SMALL, color="#444444", loc="right")
    return pd.DataFrame(
        {
            "generator": name,
            "observers": "people, published model",
            "relation": pooled["observer_kind"],
            "published": counterpart,
            "stage": pooled["stage"],
            "stage_index": pooled["stage_index"],
            "quantity": "recognition",
            "value": pooled["mean"],
            "lower": pooled["mean"] - pooled["sem"],
            "upper": pooled["mean"] + pooled["sem"],
            "n_participants": pooled["n"],
            "experiments": pooled["experiments"],
            "chance": chance,
        }
    )


def pool_experiments(part: pd.DataFrame) -> pd.DataFrame:
    """Pool the experiments that one published model was in.

    Participants of different experiments are different people, so means and squared
    deviations (ddof 0) add up with the numbers of participants as weights.

    Parameters
    ----------
    part
        Rows of ``published_recognition.csv`` of one model.

    Returns
    -------
    pandas.DataFrame
        observer_kind, stage, stage_index, n, mean, sem, experiments.
    """
    rows = []
    for key, rest in part.groupby(["observer_kind", "stage_index"], sort=True):
        kind, index = key if isinstance(key, tuple) else (key, 0)
        n = rest["n"].to_numpy(float)
        mean = rest["mean"].to_numpy(float)
        variance = rest["sem"].to_numpy(float) ** 2 * n
        center = float((n * mean).sum() / n.sum())
        spread = float((n * (variance + (mean - center) ** 2)).sum() / n.sum())
        rows.append(
            {
                "observer_kind": kind,
                "stage": rest["stage"].iloc[0] if index else "natural",
                "stage_index": index,
                "n": int(n.sum()),
                "mean": center,
                "sem": float(np.sqrt(spread / n.sum())),
                "experiments": " ".join(
                    str(name) for name in sorted(rest["repo_experiment"].unique())
                ),
            }
        )
    return pd.DataFrame(rows)


def _legend(
    figure: Figure, top: float, modality: str, relations: set[str], note: str
) -> None:
    """Explain the lines below all panels, networks apart from people."""
    handles = [
        Line2D([], [], **RELATIONS[relation], label=LABELS[relation])
        for relation in (
            "people",
            "panel",
            "own",
            "seed_sibling",
            "untrained",
            "other_task",
        )
        if relation in relations
    ]
    handles.append(
        Line2D(
            [],
            [],
            color="#555555",
            linestyle="",
            marker="o",
            markerfacecolor="white",
            markeredgewidth=0.7,
            label="open: another task, agreement (kappa) with the natural answer",
        )
    )
    height = figure.get_size_inches()[1] * 25.4
    place: dict[str, Any] = {
        "loc": "upper left",
        "borderpad": 0.0,
        "labelspacing": 0.35,
    }
    networks = figure.legend(
        handles=handles,
        title="left: networks of this study",
        bbox_to_anchor=((LEFT - 3) / TWO_COLUMNS, 1 - top / height),
        **place,
    )
    chance = "1/16" if modality == "vision" else "1/793"
    people = figure.legend(
        handles=[
            Line2D([], [], color=PEOPLE_COLOR, marker="o", label="people (± 1 SEM)"),
            Line2D(
                [], [], **RELATIONS["own"], label="the published model itself (± 1 SEM)"
            ),
            Line2D(
                [],
                [],
                color=CHANCE_COLOR,
                linestyle=":",
                label=f"chance (people: {chance}; networks: one over their classes)",
            ),
        ],
        title=f"right: {PEOPLE}",
        bbox_to_anchor=((LEFT + PAIR_WIDTH + 10) / TWO_COLUMNS, 1 - top / height),
        **place,
    )
    for legend in (networks, people):
        legend.set_alignment("left")
        legend.get_title().set_fontweight("bold")
    if note:
        text_at(
            figure,
            LEFT + PAIR_WIDTH + 10,
            top + 17.5,
            note,
            fontsize=SMALL,
            fontstyle="italic",
        )
