"""One page a model: what it is, how it trained, its metamers and how they fared."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from metamers.figures import page
from metamers.figures.convergence import draw_losses
from metamers.figures.examples import spectrogram
from metamers.figures.nulls import plot_nulls
from metamers.figures.page import Markup, tag
from metamers.figures.recognition_by_stage import plot_recognition_by_stage
from metamers.figures.style import (
    TWO_COLUMNS,
    answer_name,
    axes_at,
    gap,
    new_figure,
    readable,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from metamers.figures.inputs import Examples

SYNTHETIC = "The words are synthetic speech (eSpeak NG)."
PICTURE_WIDTH = 96


def model_page(
    model: str,
    models: dict[str, dict[str, Any]],
    *,
    study: str,
    card: Mapping[str, Any],
    training: pd.DataFrame,
    losses: pd.DataFrame,
    nulls: pd.DataFrame,
    screening: pd.DataFrame,
    recognition: pd.DataFrame,
    published: pd.DataFrame,
    examples: Sequence[Examples],
    chance: float | None,
    synthetic: bool = False,
) -> str:
    """Make the page of one model.

    Parameters
    ----------
    model
        Its name.
    models
        All models of the study by name, as the figures take them.
    study
        Name of the study.
    card
        ``models/{model}/card.json``.
    training
        ``models/{model}/training.csv``; empty where the model was not trained.
    losses, nulls
        From `metamers.figures.inputs.read_losses` and `read_nulls`.
    screening
        ``screening/{model}.csv``.
    recognition, published
        As `plot_recognition_by_stage` takes them.
    examples
        References with the metamers of this model, each from `read_examples`.
    chance
        Proportion of the references that networks get right by chance.
    synthetic
        Whether the sounds are synthetic speech.

    Returns
    -------
    str
        HTML that needs no other file.
    """
    facts = models[model]
    note = SYNTHETIC if synthetic else ""
    stages = facts["stages"]
    only = {model: facts}
    answered, _ = plot_recognition_by_stage(
        recognition, published, only, modality=facts["modality"], chance=chance
    )
    histograms, _ = plot_nulls(nulls, screening, model=model, stages=stages)
    body = [
        tag("h1", readable(model)),
        tag("p", f"A model of the study {study}. {note}".strip(), class_="note"),
        tag("h2", "The network"),
        _card(card, facts),
        tag("h2", "Training"),
        page.drawn(plot_training(training), "Loss and accuracy over epochs"),
        tag("h2", "Example metamers"),
        _examples(examples, screening, model, stages),
        tag("h2", "Recognition"),
        page.drawn(answered, "Recognition of this model's metamers by stage"),
        tag("h2", "Screening"),
        _screening(screening, stages),
        page.drawn(
            histograms,
            "Null distributions and metamers",
            "Similarity of activations at the matched stage. Both histograms are "
            "scaled to their own peak.",
        ),
        tag("h2", "Convergence"),
        page.drawn(
            plot_losses(losses, stages),
            "Matching loss over steps",
            "Line: median over metamers; band: quartiles.",
        ),
        tag("h2", "How it was made"),
        _provenance(card),
    ]
    return page.page(f"{readable(model)} – {study}", body)


@styled
def plot_training(training: pd.DataFrame) -> Figure:
    """Plot the loss and the accuracy of every split over the epochs.

    Parameters
    ----------
    training
        ``training.csv``: epoch, and columns ``{split}_loss`` and ``{split}_accuracy``.
    """
    figure = new_figure(TWO_COLUMNS * 0.75, 48.0)
    if len(training) < 2:
        gap(axes_at(figure, 10, 4, 100, 30), "this network was not trained here")
        return figure
    for place, quantity in enumerate(("loss", "accuracy")):
        axes = axes_at(figure, 12.0 + place * 54.0, 4.0, 40.0, 33.0)
        for color, split in (("#0072B2", "training"), ("#D55E00", "test")):
            column = f"{split}_{quantity}"
            if column in training:
                axes.plot(
                    training["epoch"],
                    training[column],
                    color=color,
                    marker="o" if len(training) < 30 else "",
                    label=split,
                )
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.set_ylabel({"accuracy": "proportion correct"}.get(quantity, quantity))
        if quantity == "accuracy":
            axes.set_ylim(0, 1)
            axes.legend(loc="upper left", bbox_to_anchor=(1.04, 1.0))
    return figure


@styled
def plot_losses(losses: pd.DataFrame, stages: list[str]) -> Figure:
    """Plot the matching loss of one model over steps, one line a stage."""
    figure = new_figure(TWO_COLUMNS * 0.75, 58.0)
    axes = axes_at(figure, 14.0, 4.0, 78.0, 42.0)
    draw_losses(axes, losses, stages)
    if len(losses):
        axes.set_ylabel("matching loss")
        axes.legend(loc="upper left", bbox_to_anchor=(1.03, 1.0))
    return figure


def _card(card: Mapping[str, Any], facts: Mapping[str, Any]) -> Markup:
    """Say what the network is and what it can do."""
    entry = card.get("entry") or {}
    training = entry.get("training") or {}
    pairs: list[tuple[str, Any]] = [
        ("Architecture", entry.get("architecture")),
        ("Arguments", json.dumps(entry.get("arguments") or {})),
        ("Origin of the weights", card.get("origin")),
        ("Group", readable(str(facts["group"]))),
        ("Task", facts["task"]),
        ("Seed", entry.get("seed")),
        ("Parameters", f"{card.get('parameters', 0):,}"),
        ("Epochs", training.get("epochs") if training else None),
        ("Perturbation in training", _perturbation(training.get("perturbation"))),
        (
            f"Accuracy on {card.get('test_stimuli', '–')} test stimuli "
            f"({card.get('test_split', 'test')})",
            card.get("test_accuracy"),
        ),
        ("Laid beside the published model", facts.get("published")),
    ]
    robust = card.get("robust_accuracy")
    if robust:
        attack = f"{robust['norm']}, {robust['steps']} steps, n = {robust['stimuli']}"
        shares = ", ".join(
            f"ε {size}: {share:.2f}"
            for size, share in robust["accuracy"].items()
            if share is not None
        )
        pairs.append((f"Accuracy under attack ({attack})", shares))
    stages = [
        [
            stage["name"],
            stage["path"],
            " × ".join(str(extent) for extent in stage["shape"]),
            f"{stage['units']:,}",
            stage["gradient"].replace("_", "-"),
        ]
        for stage in card.get("stages") or []
    ]
    headings = ["Stage", "Module", "Shape", "Units", "Gradient at its last ReLU"]
    return page.join([page.facts(pairs), page.table(headings, stages, numbers=[3])])


def _perturbation(perturbation: Mapping[str, Any] | None) -> str:
    """Describe how stimuli were perturbed in training."""
    if not perturbation:
        return "none"
    norm, size = perturbation.get("norm"), perturbation.get("epsilon")
    return f"{perturbation.get('kind')}, {norm}, ε {size}"


def _screening(screening: pd.DataFrame, stages: list[str]) -> Markup:
    """Count the metamers that passed at each stage, and why the others did not."""
    rows: list[list[Any]] = []
    for stage in stages:
        part = screening[screening["stage"] == stage] if len(screening) else screening
        if part.empty:
            rows.append([stage, *["–"] * 6])
            continue
        first = part.iloc[0]
        unused = [
            name
            for name in ("spearman", "pearson", "db_snr")
            if pd.isna(first[f"null_{name}"])
        ]
        rows.append(
            [
                stage,
                f"{int(part['passed'].astype(bool).sum())} of {len(part)}",
                f"{int(part['response_matches'].astype(bool).sum())} of {len(part)}",
                float(part["final_loss"].median()),
                "; ".join(
                    f"{reason}: {count}"
                    for reason, count in count_reasons(part["reason"]).items()
                )
                or "–",
                ", ".join(unused) or "–",
                f"{int(first['pairs'])} pairs, {int(first['units'])} units",
            ]
        )
    headings = [
        "Stage",
        "Passed",
        "Own answer kept",
        "Median final loss",
        "Reasons of failure (a metamer may have several)",
        "Measures not used (null at its ceiling)",
        "Null",
    ]
    rule = str(screening["rule"].iloc[0]) if len(screening) else "–"
    explanation = (
        f"Rule: {rule}. A metamer passes if the network answers as it does to the "
        "natural stimulus and each measure exceeds its null distribution. Failed "
        "metamers are kept and marked."
    )
    return page.join(
        [page.table(headings, rows, numbers=[3]), tag("p", explanation, class_="note")]
    )


def count_reasons(reasons: pd.Series) -> dict[str, int]:
    """Count the reasons of failure without their numbers, the commonest first.

    Parameters
    ----------
    reasons
        Lists separated by semicolons, empty for metamers that passed, such as
        ``response differs from the natural one; spearman 0.31 <= null 0.42``.
    """
    counts: Counter[str] = Counter()
    for entry in reasons.fillna(""):
        for reason in str(entry).split(";"):
            plain = re.sub(r"\s+\S+ <= null \S+", " is not above its null", reason)
            if plain.strip():
                counts[plain.strip()] += 1
    return dict(counts.most_common())


def _examples(
    examples: Sequence[Examples],
    screening: pd.DataFrame,
    model: str,
    stages: list[str],
) -> Markup:
    """Show references and their metamers, one row a reference."""
    if not examples:
        return tag("p", "There are no metamers of this model yet.")
    known = screening.set_index(["stage", "stimulus_id"]) if len(screening) else None
    rows = []
    for example in examples:
        cells = [page.join([_shown(example, example.reference), example.label])]
        for stage in stages:
            metamer = example.metamers.get((model, stage))
            if metamer is None:
                cells.append(Markup("–"))
                continue
            key = (stage, example.stimulus_id)
            answer: Markup | str = ""
            if known is not None and key in known.index:
                row = known.loc[[key]].iloc[0]
                passed = bool(row["passed"])
                answer = tag(
                    "span",
                    f"{answer_name(row['response'])} {'✓' if passed else '✗'}",
                    class_="passed" if passed else "failed",
                    title=None if passed else row["reason"],
                )
            cells.append(page.join([_shown(example, metamer), answer]))
        rows.append(cells)
    explanation = (
        "References at even distances in the file, not chosen. Below each: the true "
        "category, then this network's answer to the metamer; ✓ passed the screening, "
        "✗ did not."
    )
    if examples[0].modality == "audio":
        explanation += " Pictures: log spectrograms, time to the right."
    grid = page.table(["reference", *(readable(stage) for stage in stages)], rows)
    return page.join([grid, tag("p", explanation, class_="note")])


def _shown(example: Examples, stimulus: np.ndarray) -> Markup:
    """Show an image; of a sound its spectrogram, and a player."""
    if example.modality == "vision":
        return page.picture(stimulus, "image", PICTURE_WIDTH)
    assert example.sample_rate is not None
    level = spectrogram(np.stack([example.reference, stimulus]), example.sample_rate)
    low, high = level[0].max() - 60, level[0].max()
    shade = np.clip((level[1][::-1] - low) / (high - low), 0, 1).astype(np.float32)
    return page.join(
        [
            page.picture(shade, "spectrogram", PICTURE_WIDTH + 48),
            page.sound(stimulus, example.sample_rate),
            tag("br"),
        ]
    )


def _provenance(card: Mapping[str, Any]) -> Markup:
    """Say from what settings, code and versions the network comes."""
    made = card.get("provenance") or {}
    versions = made.get("versions") or {}
    return page.facts(
        [
            ("Settings (hash)", made.get("settings_hash")),
            ("Code (fingerprint)", made.get("code_fingerprint")),
            ("Device", made.get("device")),
            ("Time of training (s)", card.get("training_seconds")),
            ("Versions", ", ".join(f"{k} {v}" for k, v in versions.items()) or None),
        ]
    )
