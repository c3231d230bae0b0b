"""The page of the published study: does it come out, number by number."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

import pandas as pd

from metamers.figures import page
from metamers.figures.page import Markup, data_uri, tag
from metamers.figures.published.catalogue import FIGURES, NOT_DRAWN
from metamers.figures.style import records
from metamers.statistics.published.reproduction import MATCH, MISMATCH, NOT_PUBLIC

STATISTICS = (
    "reproduction",
    "anova",
    "correlations",
    "recognition_by_stage",
    "drop_offs",
    "best_stages",
    "brain_scores",
    "voxels",
    "adversarial",
)
RULES = (
    "A number matches if ours rounds to the digits that are printed. Permutation "
    "p-values, which chance is part of, match within four binomial standard errors of "
    "both runs; rank statistics over tied means within 0.001, or in the range that "
    "splitting the ties gives, since the order of summation decides how the published "
    "code split them. Every row is in reproduction.csv with the rule it was held to."
)


def published_page(
    reproduction: pd.DataFrame,
    totals: pd.DataFrame,
    pictures: Mapping[str, bytes],
    missing: Mapping[str, int],
) -> str:
    """Make the page.

    Parameters
    ----------
    reproduction, totals
        The tables of `reproduction_table` and `totals`.
    pictures
        The PNG of each figure, by its name.
    missing
        Files of each part of the public data that are not here.

    Returns
    -------
    str
        HTML that shows the figures itself and links to the files beside it.
    """
    body = [
        tag("h1", "The published study, from its public data"),
        _headline(totals),
        _missing(missing),
        tag("h2", "Numbers"),
        _totals(totals),
        tag("p", RULES, class_="note"),
        *_rows(reproduction, MISMATCH, "Numbers that do not match"),
        *_not_public(reproduction),
        tag("h2", "Figures"),
        *[_figure(name, pictures[name]) for name in FIGURES if name in pictures],
        tag("h2", "Panels that are not drawn"),
        page.table(["panel", "reason"], NOT_DRAWN.items()),
        tag("h2", "Tables"),
        _files(),
    ]
    return page.page("The published study", body)


def _headline(totals: pd.DataFrame) -> Markup:
    everything = records(totals)[0]
    possible = everything["numbers"] - everything[NOT_PUBLIC]
    return tag(
        "p",
        tag("strong", f"{everything[MATCH]} of {everything['numbers']}"),
        f" published numbers come out, {everything[MATCH]} of the {possible} that the "
        f"data here allow. {everything[MISMATCH]} do not match; "
        f"{everything[NOT_PUBLIC]} cannot be computed.",
    )


def _missing(missing: Mapping[str, int]) -> Markup:
    lacking = {part: count for part, count in missing.items() if count}
    if not lacking:
        return tag("p", "All published files are here.", class_="note")
    parts = ", ".join(f"{count} of {part}" for part, count in lacking.items())
    return tag(
        "p",
        f"Published files that are not here: {parts}. What needs them is a gap.",
        class_="note",
    )


def _totals(totals: pd.DataFrame) -> Markup:
    columns = ["source", "figure", "numbers", MATCH, MISMATCH, NOT_PUBLIC]
    rows = [[str(row[c]) for c in columns] for row in records(totals.fillna(""))]
    return page.table(columns, rows, numbers=range(2, 6))


def _rows(reproduction: pd.DataFrame, verdict: str, title: str) -> list[Markup]:
    chosen = reproduction[reproduction["verdict"] == verdict]
    if chosen.empty:
        return []
    columns = ["source", "quantity", "statistic", "printed", "value", "reason"]
    rows = [[row[column] for column in columns] for row in records(chosen)]
    return [tag("h2", title), page.table(columns, rows)]


def _not_public(reproduction: pd.DataFrame) -> list[Markup]:
    chosen = reproduction[reproduction["verdict"] == NOT_PUBLIC]
    if chosen.empty:
        return []
    keys = ["source", "figure", "reason"]
    counts = chosen.groupby(keys, sort=False, dropna=False).size().reset_index(name="n")
    rows = [[str(row[key]) for key in (*keys, "n")] for row in records(counts)]
    return [
        tag("h2", "Numbers that cannot be computed"),
        page.table(["source", "figure", "reason", "numbers"], rows, numbers=[3]),
    ]


def _figure(name: str, picture: bytes) -> Markup:
    entry = FIGURES[name]
    links = []
    for kind in ("svg", "pdf", "png", "csv"):
        links += [tag("a", kind, href=quote(f"figures/{name}.{kind}")), " "]
    return tag(
        "figure",
        tag("h3", f"{name.replace('_', ' ')}: {entry.title}", id=name),
        tag("img", src=data_uri(picture, "image/png"), alt=entry.title),
        tag("figcaption", entry.caption, " ", _differs(entry.differs), *links),
    )


def _differs(text: str) -> Markup | str:
    return (
        page.join([tag("strong", "Differs from print: "), f"{text} "]) if text else ""
    )


def _files() -> Markup:
    links = [
        tag("li", tag("a", f"{name}.csv", href=f"statistics/{name}.csv"))
        for name in STATISTICS
    ]
    return tag("ul", *links, class_="links")
