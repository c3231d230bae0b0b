"""The metamers as files that anyone can open: PNG, WAV and a page to leaf through."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd

from metamers.figures import page
from metamers.figures.inputs import read_metamer
from metamers.figures.page import Markup, tag
from metamers.figures.style import readable, records
from metamers.files import atomic_path, write_csv
from metamers.recognition.presentation import as_presented, write_png, write_wav
from metamers.stimuli.files import read_attributes, read_categories, read_split

SMALLEST_PICTURE = 96
KEPT = "-_."


def write_gallery(
    folder: str | Path,
    models: dict[str, dict[str, Any]],
    stimuli_paths: Mapping[str, str | Path],
    metamer_paths: Mapping[str, str | Path],
    screening_paths: Mapping[str, str | Path],
    *,
    study: str,
    references: int | None = None,
) -> pd.DataFrame:
    """Write references and metamers as files, a table of them, and pages.

    The folder holds ``index.html``, ``metamers.csv``, and for each modality a folder
    of the references and one of each model's metamers, by stage.

    Parameters
    ----------
    folder
        Where to write; made if need be.
    models
        Models of the study by name: modality, label, stages.
    stimuli_paths
        Stimulus files by modality.
    metamer_paths, screening_paths
        ``metamers/{model}.h5`` and ``screening/{model}.csv`` by model; files that are
        not there leave gaps.
    study
        Name of the study.
    references
        How many references of each modality, the first of the file; all by default.

    Returns
    -------
    pandas.DataFrame
        Of ``metamers.csv``: modality, model, stage, stage_index (reference: empty and
        0), stimulus_id, label, response, passed, file.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    notes = []
    for modality, path in stimuli_paths.items():
        attributes = read_attributes(path)
        if attributes["synthetic"]:
            notes.append("The words are synthetic speech (eSpeak NG).")
        mine = {
            n: model for n, model in models.items() if model["modality"] == modality
        }
        rows += _write_references(folder, modality, path, mine, references)
        shown = [row["stimulus_id"] for row in rows if row["modality"] == modality]
        labels = {row["stimulus_id"]: row["label"] for row in rows}
        for name, model in mine.items():
            rows += _write_metamers(
                folder,
                name,
                model,
                metamer_paths.get(name),
                _screening(screening_paths.get(name)),
                {identifier: labels[identifier] for identifier in shown},
                attributes["sample_rate"],
            )
    table = pd.DataFrame(rows)
    write_csv(table, folder / "metamers.csv")
    with atomic_path(folder / "index.html") as temporary:
        temporary.write_text(
            _index(table, models, study, " ".join(notes)), encoding="utf-8"
        )
    return table


def file_name(identifier: str) -> str:
    """Turn an identifier into a name that is safe as a file on any system.

    Letters, digits, ``-``, ``_`` and ``.`` stay, anything else is percent-encoded, so
    that different identifiers give different names; a leading dot too.
    """
    name = "".join(
        character
        if character.isascii() and (character.isalnum() or character in KEPT)
        else "".join(f"%{byte:02X}" for byte in character.encode())
        for character in identifier
    )
    return f"%2E{name[1:]}" if name.startswith(".") else name


def _write_references(
    folder: Path,
    modality: str,
    path: str | Path,
    models: dict[str, dict[str, Any]],
    references: int | None,
) -> list[dict[str, Any]]:
    """Write the natural stimuli of one modality."""
    split = read_split(path, "reference")
    rate = read_attributes(path)["sample_rate"]
    categories = read_categories(path)
    wanted = [model["label"] for model in models.values()]
    label = next((name for name in wanted if name in split.label), None)
    label = label or next(iter(split.label), None)
    values = split.values()
    rows = []
    for place, identifier in enumerate(split.id[:references]):
        name = f"{modality}/reference/{file_name(str(identifier))}"
        true = categories[label][int(split.label[label][place])] if label else ""
        rows.append(
            {
                "modality": modality,
                "model": "",
                "stage": "",
                "stage_index": 0,
                "stimulus_id": str(identifier),
                "label": true,
                "response": "",
                "passed": None,
                "file": _write(folder, name, values[place], modality, rate),
            }
        )
    return rows


def _write_metamers(
    folder: Path,
    name: str,
    model: dict[str, Any],
    path: str | Path | None,
    screening: dict[tuple[str, str], dict[str, Any]],
    labels: dict[str, str],
    sample_rate: int | None,
) -> list[dict[str, Any]]:
    """Write the metamers of one model."""
    if path is None:
        return []
    modality = model["modality"]
    rows = []
    for identifier, label in labels.items():
        found = read_metamer(path, identifier)
        for index, stage in enumerate(model["stages"], 1):
            if stage not in found:
                continue
            values = as_presented(found[stage], modality)
            place = f"{modality}/{file_name(name)}/{index:02d}_{file_name(stage)}"
            target = f"{place}/{file_name(identifier)}"
            facts = screening.get((stage, identifier), {})
            rows.append(
                {
                    "modality": modality,
                    "model": name,
                    "stage": stage,
                    "stage_index": index,
                    "stimulus_id": identifier,
                    "label": label,
                    "response": facts.get("response", ""),
                    "passed": facts.get("passed"),
                    "file": _write(folder, target, values, modality, sample_rate),
                }
            )
    return rows


def _write(
    folder: Path, name: str, values: np.ndarray, modality: str, rate: int | None
) -> str:
    """Write one stimulus and return its path in the gallery."""
    if modality == "vision":
        write_png(values, folder / f"{name}.png")
        return f"{name}.png"
    assert rate is not None
    write_wav(values, folder / f"{name}.wav", rate)
    return f"{name}.wav"


def _screening(path: str | Path | None) -> dict[tuple[str, str], dict[str, Any]]:
    """Read what the screening says of each metamer of one model."""
    if path is None or not Path(path).is_file():
        return {}
    table = pd.read_csv(
        path,
        dtype={"stimulus_id": str, "response": str, "stage": str},
        keep_default_na=False,
        na_values={"passed": [""]},
    )
    return {
        (row["stage"], row["stimulus_id"]): {
            "response": row["response"],
            "passed": str(row["passed"]).lower() == "true",
        }
        for row in records(table)
    }


def _index(
    table: pd.DataFrame, models: dict[str, dict[str, Any]], study: str, note: str
) -> str:
    """Make the page that shows all files of the gallery."""
    body: list[Any] = [
        tag("h1", f"Metamers of the study {study}"),
        tag(
            "p",
            "Each row is a natural stimulus and its metamers, by stage of the "
            "network they were made of. Below each: that network's answer; ✓ passed "
            f"the screening, ✗ did not. All files are listed in metamers.csv. {note}",
            class_="note",
        ),
    ]
    if table.empty:
        return page.page(study, [*body, tag("p", "No metamers yet.")], contained=False)
    made = table[table["model"] != ""]
    links = [
        tag("li", tag("a", readable(name), href=f"#{quote(name)}"))
        for name in models
        if (made["model"] == name).any()
    ]
    body.append(tag("ul", *links, class_="links"))
    references = {
        (row["modality"], row["stimulus_id"]): row
        for row in records(table[table["model"] == ""])
    }
    for name, model in models.items():
        part = made[made["model"] == name]
        if part.empty:
            continue
        cells = {(row["stimulus_id"], row["stage"]): row for row in records(part)}
        rows = []
        for identifier in part["stimulus_id"].drop_duplicates():
            reference = references[model["modality"], identifier]
            row = [page.join([_cell(reference), reference["label"]])]
            for stage in model["stages"]:
                found = cells.get((identifier, stage))
                row.append(Markup("–") if found is None else _answered(found))
            rows.append(row)
        headings = ["natural", *(readable(stage) for stage in model["stages"])]
        body.append(tag("h2", readable(name), id_=quote(name)))
        body.append(page.table(headings, rows))
    return page.page(f"Metamers – {study}", body, contained=False)


def _cell(row: dict[str, Any]) -> Markup:
    """Show an image or a player of one file."""
    source = quote(row["file"])
    if row["modality"] == "vision":
        return tag(
            "img",
            src=source,
            alt=f"{row['stage'] or 'natural'} {row['stimulus_id']}",
            width=SMALLEST_PICTURE,
            loading="lazy",
            class_="pixels",
        )
    return page.join(
        [tag("audio", controls=True, preload="none", src=source), tag("br")]
    )


def _answered(row: dict[str, Any]) -> Markup:
    """Show one metamer with the answer to it."""
    if not row["response"]:
        return _cell(row)
    passed = bool(row["passed"])
    answer = tag(
        "span",
        f"{row['response']} {'✓' if passed else '✗'}",
        class_="passed" if passed else "failed",
    )
    return page.join([_cell(row), answer])
