"""A study in miniature, with made-up data: every model and rule, before a cluster.

A large study is rehearsed by running all of it once on a small machine: the same
models, rules and figures, but narrow networks with random weights, a few small stimuli,
and a stage or two of each model. What it gives means nothing; that it runs is what
counts.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from metamers.errors import StudyError
from metamers.files import atomic_path
from metamers.randomness import numpy_generator
from metamers.study.reading import ROOT, find_study, load_study, read_yaml

MINIATURE = ROOT / "resources" / "rehearsal.yaml"

Content = dict[str, Any]


def rehearse(name: str, folder: Path, miniature: Path = MINIATURE) -> Path:
    """Write the miniature of a study, with the data that it needs.

    Parameters
    ----------
    name
        The study, by name or by the path of its file.
    folder
        Where its study file and its data go; made if need be.
    miniature
        The file that says how small.

    Returns
    -------
    Path
        The study file, ``{folder}/study.yaml``.

    Raises
    ------
    StudyError
        If the study is not valid, or has an architecture without small arguments.
    """
    load_study(name)
    small = read_yaml(miniature)
    content = read_yaml(find_study(name, ROOT))
    data = folder.absolute() / "data"
    _write_images(data / "imagenet", small["images"])
    _write_sounds(data, small["sounds"], small["audio"]["sample_rate"])
    found = miniature_of(content, small, data)
    path = folder / "study.yaml"
    with atomic_path(path) as temporary:
        temporary.write_text(yaml.safe_dump(found, sort_keys=False), encoding="utf-8")
    load_study(str(path))
    return path


def miniature_of(content: Mapping[str, Any], small: Content, data: Path) -> Content:
    """Return the content of a study file in miniature.

    Parameters
    ----------
    content
        Of the study file, which must be valid.
    small
        Of ``resources/rehearsal.yaml``: ``study``, sections that stand in for the
        study's; ``arguments`` by architecture; ``training`` and ``perturbation``,
        fields of every recipe; ``stages_of_one``, how many stages a model has whose
        architecture no other has.
    data
        Folder of the data.

    Returns
    -------
    dict
        Of a valid study named ``rehearsal``.
    """
    found = {**content, **small["study"], "name": "rehearsal"}
    found["stimuli"] = _stimuli(content["stimuli"], small, data)
    found["front_ends"] = {
        name: {**front_end, **small["front_end"]}
        for name, front_end in content.get("front_ends", {}).items()
    }
    found["recipes"] = {
        modality: _recipe(recipe, small)
        for modality, recipe in content["recipes"].items()
    }
    found["tasks"] = {
        name: _task(task, small["sounds"]["words"])
        for name, task in content["tasks"].items()
    }
    stages = shared_stages(content["models"], small["stages_of_one"])
    found["models"] = {
        name: _model(name, entry, stages[name], small)
        for name, entry in content["models"].items()
    }
    found["controls"] = {
        modality: {**control, "stage": stages[control["model"]][-1]}
        for modality, control in (content.get("controls") or {}).items()
    }
    return found


def shared_stages(models: Mapping[str, Content], of_one: int) -> dict[str, list[str]]:
    """Divide the stages of an architecture among the models that have it.

    Parameters
    ----------
    models
        Entries of the models.
    of_one
        Stages of a model whose architecture no other model has: the first, the last
        and others between them, as far as that goes.

    Returns
    -------
    dict
        Stages of each model, in their order. Models of one architecture have one each,
        so that many models have all of them between them, and few the first, the last
        and some between.
    """
    alike: dict[tuple[str, ...], list[str]] = {}
    for name, entry in models.items():
        alike.setdefault((entry["architecture"], *entry["stages"]), []).append(name)
    found = {}
    for (_, *stages), members in alike.items():
        if len(members) == 1:
            found[members[0]] = _spread(stages, of_one)
            continue
        chosen = _spread(stages, len(members))
        for turn, member in enumerate(members):
            found[member] = [chosen[turn % len(chosen)]]
    return found


def _task(task: Content, words: int) -> Content:
    if not task.get("second"):
        return task
    # The words and the null word.
    return {**task, "second": {**task["second"], "after": words + 1}}


def _spread(stages: list[str], count: int) -> list[str]:
    """Choose some of the stages, evenly from the first to the last."""
    places = np.linspace(0, len(stages) - 1, min(count, len(stages)))
    return [stages[place] for place in places.round().astype(int)]


def _model(name: str, entry: Content, kept: list[str], small: Content) -> Content:
    architecture = entry["architecture"]
    if architecture not in small["arguments"]:
        raise StudyError(
            f"models.{name}.architecture: {architecture} has no small arguments in "
            f"{MINIATURE.relative_to(ROOT)}; add them under 'arguments'"
        )
    found = {**entry, "weights": None}
    given = entry.get("arguments") or {}
    found["arguments"] = {**given, **small["arguments"][architecture]}
    task = small["outputs"].get(entry["task"])
    if task is not None:
        output = "classes" if architecture.startswith("metamers:") else "num_classes"
        found["arguments"][output] = task
    recipe = entry.get("training")
    if recipe is not None:
        found["training"] = _recipe(recipe, small)
    elif entry.get("weights") is not None:
        # Trained for a moment, since an untrained network is left out of comparisons.
        found.pop("training", None)
    found["stages"] = {stage: entry["stages"][stage] for stage in kept}
    found["straight_through"] = {
        stage: value
        for stage, value in (entry.get("straight_through") or {}).items()
        if stage in kept
    }
    preprocessing = dict(entry.get("preprocessing") or {})
    if preprocessing.get("resize") is not None:
        size = small["vision"]["size"]
        preprocessing["resize"] = small["resize"].get(architecture, size)
    found["preprocessing"] = preprocessing
    if entry.get("synthesis"):
        found["synthesis"] = _changes(entry["synthesis"], small)
    if entry.get("null_pairs") is not None:
        found["null_pairs"] = small["study"]["null_distribution"]["pairs"]
    return found


def _recipe(recipe: Content, small: Content) -> Content:
    found = {**recipe, **small["training"]}
    if recipe.get("stop_after") is not None:
        found["epochs"], found["stop_after"] = found["epochs"] + 1, found["epochs"]
    if recipe.get("perturbation"):
        found["perturbation"] = {**recipe["perturbation"], **small["perturbation"]}
    return found


def _changes(synthesis: Content, small: Content) -> Content:
    found = dict(synthesis)
    if found.get("matching"):
        matching = found["matching"]
        sizes = {k: v for k, v in small["matching"].items() if k in matching}
        found["matching"] = {**matching, **sizes}
    return found


def _stimuli(stimuli: Content, small: Content, data: Path) -> Content:
    """Point the sources at made-up data, and make stimuli small."""
    paths = {
        "imagenet": {
            "path": str(data / "imagenet"),
            "category_map": str(data / "categories.csv"),
        },
        "manifest": {
            "clips": str(data / "clips.csv"),
            "backgrounds": str(data / "backgrounds.csv"),
            "reference_sources": ["made"],
            "references": small["sounds"]["words"],
            "test_fraction": small["sounds"]["test_fraction"],
        },
    }
    found = {}
    for modality, section in stimuli.items():
        kind = section["source"]["kind"]
        if kind not in paths:
            raise StudyError(
                f"stimuli.{modality}.source.kind: '{kind}' cannot be rehearsed; only "
                f"{' and '.join(paths)} can, others are small enough to be run"
            )
        source = {**section["source"], **paths[kind]}
        found[modality] = {**section, **small[modality], "source": source}
    return found


def _write_images(folder: Path, small: Content) -> None:
    """Write random images into the folders of ImageNet, and their categories."""
    from PIL import Image

    names = small["categories"]
    with atomic_path(folder.parent / "categories.csv") as temporary:
        lines = [f"{name},{index}" for index, name in enumerate(names)]
        temporary.write_text("\n".join(["category,index", *lines]) + "\n")
    for index in range(len(names)):
        for part, count in (("train", small["training"]), ("val", small["test"])):
            place = folder / part / f"n{index:08d}"
            place.mkdir(parents=True, exist_ok=True)
            for number in range(count):
                generator = numpy_generator(0, "rehearsal", part, index, number)
                coarse = generator.integers(0, 256, (6, 6, 3), dtype=np.uint8)
                image = Image.fromarray(coarse).resize((small["size"],) * 2)
                image.save(place / f"ILSVRC2012_{part}_{index:04d}{number:04d}.JPEG")


def _write_sounds(folder: Path, small: Content, sample_rate: int) -> None:
    """Write tones of random pitch as words, noises as backgrounds, and their tables."""
    import soundfile

    time = np.arange(round(small["seconds"] * sample_rate)) / sample_rate
    speech, backgrounds = [], []
    for word in range(small["words"]):
        for take in range(small["clips_per_word"]):
            generator = numpy_generator(0, "rehearsal", "word", word, take)
            pitch = 150 * (1 + word) * generator.uniform(0.95, 1.05)
            sound = 0.3 * np.sin(2 * np.pi * pitch * time)
            name = f"sounds/word_{word}_{take}.wav"
            onset = small["seconds"] / 2
            speech.append((name, f"word{word}", f"{onset:.3f}", "made"))
            _write_sound(soundfile, folder / name, sound, sample_rate)
    for number in range(small["backgrounds"]):
        generator = numpy_generator(0, "rehearsal", "background", number)
        name = f"sounds/background_{number}.wav"
        kind = number % small["background_labels"]
        labels = [f"label{kind}", f"label{(kind + 1) % small['background_labels']}"]
        backgrounds.append((name, ";".join(labels[: 1 + number % 2])))
        noise = 0.1 * generator.standard_normal(len(time))
        _write_sound(soundfile, folder / name, noise, sample_rate)
    _write_table(folder / "clips.csv", ("path", "word", "onset", "source"), speech)
    _write_table(folder / "backgrounds.csv", ("path", "labels"), backgrounds)


def _write_sound(soundfile: Any, path: Path, sound: np.ndarray, rate: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound.clip(-1, 1), rate)


def _write_table(
    path: Path, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]
) -> None:
    with atomic_path(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
