"""One look for every figure: fonts, widths, colors, and how a figure is saved."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from metamers.files import atomic_path, write_csv

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

MILLIMETER = 1 / 25.4
ONE_COLUMN = 89.0
TWO_COLUMNS = 183.0
TALLEST = 240.0
MARGIN = 3.0
TEXT = 7.0
SMALL = 6.0
LETTER = 9.0
WIDEST_PIXELS = 1600
PIXELS_PER_INCH = 300

# Okabe & Ito's palette: told apart with the common forms of color blindness.
GROUP_COLORS = {
    "standard": "#0072B2",
    "second_seed": "#56B4E9",
    "adversarial": "#D55E00",
    "random": "#E69F00",
    "reduced_aliasing": "#009E73",
    "untrained": "#7F7F7F",
    "other_task": "#CC79A7",
}
GROUP_MARKERS = {
    "standard": "o",
    "second_seed": "s",
    "adversarial": "^",
    "random": "v",
    "reduced_aliasing": "D",
    "untrained": "X",
    "other_task": "P",
}
SPARE_COLORS = ("#882255", "#332288", "#44AA99", "#661100", "#6699CC", "#117733")
SPARE_MARKERS = ("<", ">", "p", "h", "*", "d")
PEOPLE_COLOR = "#222222"
CHANCE_COLOR = "#888888"

STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same everywhere
    "font.size": TEXT,
    "axes.titlesize": TEXT,
    "axes.titlepad": 3.0,
    "axes.labelsize": TEXT,
    "axes.labelpad": 2.0,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.labelsize": TEXT,
    "ytick.labelsize": TEXT,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.0,
    "ytick.major.size": 2.0,
    "xtick.major.pad": 2.0,
    "ytick.major.pad": 2.0,
    "legend.fontsize": TEXT,
    "legend.frameon": False,
    "legend.handlelength": 2.2,
    "legend.borderaxespad": 0.0,
    "lines.linewidth": 1.1,
    "lines.markersize": 3.0,
    "errorbar.capsize": 0.0,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "text.parse_math": False,  # names of models and stages may hold a dollar sign
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "metamers",
}

P = ParamSpec("P")
R = TypeVar("R")


@contextmanager
def own_style() -> Iterator[None]:
    """Set the project's style, whatever the user's is, and put that back after."""
    parameters: Any = mpl.rcParams
    with mpl.rc_context():
        mpl.rcdefaults()
        parameters.update(STYLE)
        yield


def styled(function: Callable[P, R]) -> Callable[P, R]:
    """Run a plotting function under the project's style, whatever the user's is."""

    @wraps(function)
    def inside(*arguments: P.args, **options: P.kwargs) -> R:
        with own_style():
            return function(*arguments, **options)

    return inside


def new_figure(width: float, height: float) -> Figure:
    """Make an empty figure.

    Parameters
    ----------
    width, height
        Size in millimeters.
    """
    figure = Figure(figsize=(width * MILLIMETER, height * MILLIMETER))
    FigureCanvasAgg(figure)
    return figure


def axes_at(
    figure: Figure, left: float, top: float, width: float, height: float
) -> Axes:
    """Add axes whose frame is placed in millimeters from the top left corner."""
    whole_width, whole_height = size(figure)
    bottom = whole_height - top - height
    return figure.add_axes(
        (
            left / whole_width,
            bottom / whole_height,
            width / whole_width,
            height / whole_height,
        )
    )


def text_at(figure: Figure, left: float, top: float, text: str, **options: Any) -> None:
    """Write text at a place in millimeters from the top left corner."""
    width, height = size(figure)
    options = {"va": "top", "ha": "left"} | options
    figure.text(left / width, 1 - top / height, text, **options)


def size(figure: Figure) -> tuple[float, float]:
    """Return the width and the height of a figure in millimeters."""
    width, height = figure.get_size_inches()
    return width / MILLIMETER, height / MILLIMETER


def letter(figure: Figure, left: float, top: float, index: int) -> None:
    """Write the bold letter of panel `index` (0 is a) in millimeters from top left."""
    text = chr(ord("a") + index) if index < 26 else f"a{chr(ord('a') + index - 26)}"
    text_at(figure, left, top, text, fontsize=LETTER, fontweight="bold")


def colors(groups: Iterable[str]) -> dict[str, str]:
    """Give each group of models its color; groups of free text get spare ones."""
    return _assign(groups, GROUP_COLORS, SPARE_COLORS)


def markers(groups: Iterable[str]) -> dict[str, str]:
    """Give each group of models its marker, so that color is never the only cue."""
    return _assign(groups, GROUP_MARKERS, SPARE_MARKERS)


def model_looks(models: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Give each model a look: color and marker by group, then filled or open.

    Parameters
    ----------
    models
        Models of the study by name: modality, group, and trained where it is known.

    Returns
    -------
    dict
        Options of a line for each model. The second model of a group in a modality
        has open markers and a dashed line, the third another marker, and so on.
    """
    groups = [str(model["group"]) for model in models.values()]
    color, marker = colors(groups), markers(groups)
    seen: dict[tuple[str, str], int] = {}
    looks = {}
    for name, model in models.items():
        group = str(model["group"])
        key = (str(model["modality"]), group)
        turn = seen[key] = seen.get(key, -1) + 1
        shape = marker[group]
        if turn > 1:
            shape = SPARE_MARKERS[(turn - 2) // 2 % len(SPARE_MARKERS)]
        trained = model.get("trained", group != "untrained")
        looks[name] = {
            "color": color[group],
            "marker": shape,
            "markerfacecolor": "white" if turn % 2 else color[group],
            "linestyle": (":" if not trained else "--" if turn % 2 else "-"),
        }
    return looks


def _assign(
    groups: Iterable[str], known: dict[str, str], spare: tuple[str, ...]
) -> dict[str, str]:
    """Take what is known and hand out the spare ones in alphabetical order."""
    unique = set(groups)
    free = sorted(unique - set(known))
    given = {name: spare[place % len(spare)] for place, name in enumerate(free)}
    return {name: known.get(name) or given[name] for name in sorted(unique)}


def readable(name: str, longest: int | None = None) -> str:
    """Write a name of the study with spaces; shorten its middle past `longest`."""
    text = " ".join(str(name).replace("_", " ").split())
    if longest is None or len(text) <= longest:
        return text
    head = longest // 2
    tail = longest - 1 - head
    return f"{text[:head].rstrip()}…{text[len(text) - tail :].lstrip()}"


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table as dicts by column name."""
    return [
        {str(name): value for name, value in row.items()}
        for row in table.to_dict("records")
    ]


def answer_name(value: Any) -> str:
    """Write an answer as its name, also where a csv was read as numbers.

    A column of digits with an empty field comes back from a csv as floats.
    """
    if value is None or value != value:
        return "none"
    return f"{value:.0f}" if isinstance(value, float) else str(value)


def gap(axes: Axes, reason: str) -> None:
    """Turn axes into a labeled gap: what stands nowhere is said, not left out."""
    axes.set_axis_off()
    axes.text(
        0.5,
        0.5,
        reason,
        transform=axes.transAxes,
        ha="center",
        va="center",
        color=CHANCE_COLOR,
        fontsize=TEXT,
        fontstyle="italic",
        wrap=True,
    )


def save_figure(figure: Figure, table: pd.DataFrame, stem: str | Path) -> list[Path]:
    """Write a figure as svg, pdf and png, and its numbers as csv.

    The files hold no dates and no random identifiers: the same numbers give the same
    bytes with the same version of matplotlib.

    Parameters
    ----------
    figure
        The figure.
    table
        Every number that is plotted, one row each.
    stem
        Path without a suffix; the four files are named after it.

    Returns
    -------
    list of Path
        The svg, pdf, png and csv.
    """
    metadata: dict[str, dict[str, Any]] = {
        "svg": {"Date": None, "Creator": "metamers"},
        "pdf": {"CreationDate": None, "ModDate": None, "Creator": "metamers"},
        "png": {"Software": "metamers"},
    }
    # The subsetting of fonts for the pdf would report every glyph in a job's log.
    logging.getLogger("fontTools").setLevel(logging.WARNING)
    dots = min(PIXELS_PER_INCH, int(WIDEST_PIXELS / figure.get_size_inches()[0]))
    paths = []
    with own_style():
        for kind, content in metadata.items():
            path = Path(f"{stem}.{kind}")
            with atomic_path(path) as temporary:
                figure.savefig(temporary, format=kind, dpi=dots, metadata=content)
            paths.append(path)
    path = Path(f"{stem}.csv")
    write_csv(table, path)
    return [*paths, path]
