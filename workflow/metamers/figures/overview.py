"""The front page of a study: what was found, how sure that is, and where it stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd

from metamers.figures import page
from metamers.figures.page import Markup, tag
from metamers.figures.published.catalogue import FIGURES as PAPER
from metamers.figures.style import readable, records

# What each figure shows, in the order of the page; the key is the file's beginning.
FIGURES = {
    "recognition_by_stage": "Recognition of each model's metamers by stage, by the "
    "networks of the study and by people (published models)",
    "examples": "Example metamers by model and stage",
    "transfer_matrix": "Who recognizes whose metamers, stage by stage",
    "claims": "Effects, intervals and verdicts of all claims",
    "scores": "Scores of all models",
    "robustness": "Accuracy under attack, and robustness against recognizability",
    "controls": "Controls of the method: more steps, and noise of equal error",
    "collapse": "Clean and noisy speech: do they come together?",
    "convergence": "Convergence of the synthesis",
}
SCORES = {
    "accuracy": "Accuracy",
    "robustness": "Accuracy under attack / clean",
    "network_area": "Recognition by other networks ¹",
    "people_area": "Recognition by people ¹ ²",
    "error_consistency": "Error consistency (κ)",
    "own_match": "Own answer kept",
}
NOTES = (
    "¹ Area under recognition by stage relative to natural stimuli, over relative "
    "depth: 1 where recognition never falls. ² Measured on the published counterpart "
    "of the model, not on this network. Dashes: cannot be had for this model."
)
OTHER_NETWORKS = (
    "“Other networks” are one fixed panel for each generator: trained on the same "
    "task, not the generator itself and not its seed sibling. Recognition is against "
    "the true label, on metamers that passed the screening unless said otherwise; own "
    "match is against the network's answer to the natural stimulus. Intervals are 95 % "
    "bootstrap intervals crossed over stimuli and evaluators; p are adjusted by Holm's "
    "method. Claims, with their smallest effect of interest, were fixed before "
    "anything ran. A claim about people that networks judged here is a network "
    "analogue, not a finding about people."
)


def overview(
    *,
    study: str,
    description: str,
    models: dict[str, dict[str, Any]],
    claims: pd.DataFrame,
    scores: pd.DataFrame,
    convergence: pd.DataFrame,
    figures: Sequence[str],
    pages: Mapping[str, str],
    tables: Sequence[str] = (),
    pictures: Mapping[str, bytes] | None = None,
    gallery: str | None = None,
    synthetic: bool = False,
) -> str:
    """Make the front page.

    Parameters
    ----------
    study, description
        Name of the study and what it is.
    models
        Models of the study by name: modality, group, task, stages.
    claims, scores, convergence
        ``statistics/claims.csv``, ``scores.csv`` and ``convergence.csv`` (model,
        stage, n, own_match, survivors); empty where there are none.
    figures
        Figures without suffix, relative to the page.
    pages
        Page of each model, relative to this one.
    tables
        Tables, relative to the page.
    pictures
        PNGs to be shown on the page itself, by the figure's path as in `figures`.
    gallery
        Page of the gallery, relative to this one.
    synthetic
        Whether sounds are synthetic speech.

    Returns
    -------
    str
        HTML; it links to files beside it and loads none.
    """
    note = "Sounds are synthetic speech (eSpeak NG)." if synthetic else ""
    body = [
        tag("h1", f"Study {study}"),
        tag("p", f"{description} {note}".strip()),
        tag("h2", "What was found"),
        _summary(claims),
        _claims(claims),
        tag("p", OTHER_NETWORKS, class_="note"),
        tag("h2", "Is the method sound?"),
        _soundness(convergence, models),
        tag("h2", "Models and their scores"),
        _scores(scores, models, pages),
        tag("p", NOTES, class_="note"),
        tag("h2", "Figures"),
        _figures(figures, pictures or {}),
        tag("h2", "Tables and files"),
        _files(tables, gallery),
    ]
    return page.page(f"Study {study}", body)


def _summary(claims: pd.DataFrame) -> Markup:
    """Count the verdicts."""
    if claims.empty:
        return tag("p", "No claims were tested.")
    counts = claims["verdict"].value_counts()
    order = ["supported", "contradicted", "inconclusive", "not testable"]
    parts = [f"{counts[name]} {name}" for name in order if name in counts]
    return tag("p", f"Of {len(claims)} claims: {', '.join(parts)}.")


def _claims(claims: pd.DataFrame) -> Markup:
    """Make the table of claims, the contradicted ones with their reasons as well."""
    rows = []
    for row in records(claims):
        verdict = str(row["verdict"])
        kind = verdict.replace(" ", "-")
        interval = "–"
        if np.isfinite(float(row["lower"])) and np.isfinite(float(row["upper"])):
            interval = f"{row['lower']:+.2f} to {row['upper']:+.2f}"
        counts = [
            f"{int(row[name])} {label}"
            for name, label in (
                ("n_stimuli", "stimuli"),
                ("n_evaluators", "evaluators"),
            )
            if name in row and pd.notna(row[name])
        ]
        reason = row.get("reason")
        rows.append(
            [
                str(row["statement"]),
                " ".join(
                    str(row[name])
                    for name in ("modality", "observer")
                    if name in row and pd.notna(row[name])
                ),
                _signed(row["effect"]),
                interval.replace("-", "\N{MINUS SIGN}"),
                _signed(row.get("seed_difference"), sign=False),
                _probability(row.get("p_adjusted")),
                ", ".join(counts) or "–",
                tag("span", verdict, class_=kind),
                "" if pd.isna(reason) else str(reason),
            ]
        )
    headings = ["Claim", "Of", "Effect", "95 % interval", "Two seeds differ by"]
    headings += ["p", "n", "Verdict", "Reason"]
    table = page.table(headings, rows, numbers=[2, 3, 4, 5])
    return tag("div", table, class_="claims")


def _soundness(convergence: pd.DataFrame, models: dict[str, dict[str, Any]]) -> Markup:
    """Say of each modality how many metamers keep their answer and pass."""
    if convergence.empty:
        return tag("p", "The convergence of the synthesis was not summarized.")
    rows = []
    for modality in ("vision", "audio"):
        for trained in (True, False):
            names = [
                name
                for name, model in models.items()
                if model["modality"] == modality
                and model.get("trained", model["group"] != "untrained") == trained
            ]
            part = convergence[convergence["model"].isin(names)]
            if part.empty:
                continue
            worst = part.sort_values("own_match").iloc[0]
            total, passed = int(part["n"].sum()), int(part["survivors"].sum())
            rows.append(
                [
                    f"{modality}, {'trained' if trained else 'untrained'} "
                    f"({part['model'].nunique()} models)",
                    total,
                    f"{passed} ({passed / total:.1%})",
                    f"{np.average(part['own_match'], weights=part['n']):.1%}",
                    f"{worst['own_match']:.1%} ({readable(worst['model'])}, "
                    f"{readable(worst['stage'])})",
                    float(part["median_loss"].max()),
                ]
            )
    headings = ["Networks", "Metamers", "Passed screening", "Own answer kept"]
    headings += ["Worst stage", "Largest median loss"]
    return page.table(headings, rows, numbers=[1, 5])


def _scores(
    scores: pd.DataFrame, models: dict[str, dict[str, Any]], pages: Mapping[str, str]
) -> Markup:
    """Make the table of scores; names link to the models' pages."""
    known = {row["model"]: row for row in records(scores)}
    shown = {key: label for key, label in SCORES.items() if key in scores}
    rows = []
    for name, model in models.items():
        link: Markup | str = readable(name)
        if name in pages:
            link = tag("a", readable(name), href=quote(pages[name]))
        row = known.get(name, {})
        group = readable(str(model["group"]))
        cells = [_interval(row, key) for key in shown]
        rows.append([link, str(model["modality"]), group, str(model["task"]), *cells])
    headings = ["Model", "Modality", "Group", "Task", *shown.values()]
    return page.table(headings, rows, numbers=range(4, len(headings)))


def _interval(row: Mapping[str, Any], key: str) -> str:
    """Write a score with its interval, where there is one."""
    value = row.get(key)
    if value is None or pd.isna(value):
        return "–"
    lower, upper = row.get(f"{key}_lower"), row.get(f"{key}_upper")
    written = f"{value:.2f}"
    if lower is not None and upper is not None and pd.notna(lower) and pd.notna(upper):
        written += f" [{lower:.2f}, {upper:.2f}]"
    return written.replace("-", "\N{MINUS SIGN}")


def _figures(figures: Sequence[str], pictures: Mapping[str, bytes]) -> Markup:
    """List the figures by what they show, with all their formats."""
    items: list[Markup] = []
    shown: list[Markup] = []
    place = {name: index for index, name in enumerate(FIGURES)}

    def kind(path: str) -> str:
        stem = path.rsplit("/", 1)[-1]
        return next((name for name in FIGURES if stem.startswith(name)), stem)

    for path in sorted(figures, key=lambda one: (place.get(kind(one), 99), one)):
        stem = path.rsplit("/", 1)[-1]
        ending = stem.removeprefix(kind(path)).strip("_")
        label = FIGURES.get(kind(path)) or _paper_label(stem) or readable(stem)
        formats = [
            page.join([" ", tag("a", suffix, href=quote(f"{path}.{suffix}"))])
            for suffix in ("svg", "pdf", "png", "csv")
        ]
        words = f"{label} ({readable(ending)})" if ending else label
        items.append(tag("li", words, ":", *formats))
        if path in pictures:
            source = page.data_uri(pictures[path], "image/png")
            image = tag("img", src=source, alt=words)
            shown.append(tag("figure", image, tag("figcaption", words)))
    if not items:
        return tag("p", "No figures yet.")
    return page.join([tag("ul", *items), *shown])


def _paper_label(stem: str) -> str | None:
    """Say what a figure of the paper shows when it is drawn for a study."""
    if stem not in PAPER:
        return None
    return f"{readable(stem)}: {PAPER[stem].title}, with this study's networks"


def _files(tables: Sequence[str], gallery: str | None) -> Markup:
    """List the tables and the gallery."""
    items = [tag("li", tag("a", path, href=quote(path))) for path in tables]
    if gallery:
        link = tag("a", "All metamers as PNG and WAV", href=quote(gallery))
        items.insert(0, tag("li", link))
    return tag("ul", *items)


def _signed(value: Any, *, sign: bool = True) -> str:
    """Write an effect with two decimals."""
    if value is None or pd.isna(value):
        return "–"
    return f"{value:{'+' if sign else ''}.2f}".replace("-", "\N{MINUS SIGN}")


def _probability(value: Any) -> str:
    """Write an adjusted p."""
    if value is None or pd.isna(value):
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
