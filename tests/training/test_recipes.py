"""The recipes of the paper study, each for a few steps of a small network."""

import json

import listed_files
import numpy as np
import pytest

from metamers.study import load_study
from metamers.study.slices import resolved_entry
from metamers.training.loop import train
from metamers.training.run import COLUMNS, TrainingRun


def recipes():
    """Return the different recipes of the paper study, each of its first model."""
    study = load_study("paper")
    found = {}
    for model, entry in study.models.items():
        if entry.training is not None:
            resolved = resolved_entry(study, model)
            recipe = {**resolved["training"], "task": resolved["task"]["name"]}
            found.setdefault(json.dumps(recipe, sort_keys=True), (model, resolved))
    return dict(found.values())


RECIPES = recipes()


@pytest.fixture(scope="module")
def listed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("listed")
    return {
        "vision": listed_files.write_image_list(folder),
        "audio": listed_files.write_sound_list(folder),
    }


def in_small(entry):
    """Return the entry with its whole recipe, but few steps of a small network."""
    vision = entry["modality"] == "vision"
    recipe = dict(entry["training"])
    recipe["epochs"] = 3
    recipe["stop_after"] = 2 if recipe["stop_after"] else None
    recipe["batch_size"] = 4
    recipe["warm_up_steps"] = 3 if recipe["warm_up_steps"] else 0
    if recipe["trainable"]:
        recipe["trainable"] = ["final"]
        recipe["learning_rate"] = min(recipe["learning_rate"], 1.0)
    found = {**entry, "training": recipe, "weights": None}
    if vision:
        found["architecture"] = "toy_networks:Colors"
        found["preprocessing"] = {"mean": [0.5] * 3, "std": [0.25] * 3}
        found["arguments"] = {"classes": 3}
        decision = {"kind": "mapped_maximum", "map": {"a": [0], "b": [2]}}
        found["task"] = {**entry["task"], "decision": decision}
        return found
    found["architecture"] = "toy_networks:Cochleagrams"
    front_end = dict(entry["preprocessing"]["front_end"])
    front_end |= {"high": 2000.0, "filters": 8, "sample_factor": 1}
    found["preprocessing"] = {"front_end": front_end}
    found |= {"sample_rate": listed_files.RATE}
    found["duration"] = listed_files.SAMPLES / listed_files.RATE
    # Two words and two labels of backgrounds, and the null class of each.
    classes = {"words": 3, "audioset": 3, "words_and_audioset": 6}
    found["arguments"] = {"classes": classes[entry["task"]["name"]]}
    second = entry["task"]["second"]
    if second is not None:
        found["task"] = {**entry["task"], "second": {**second, "after": 3}}
    return found


@pytest.mark.parametrize("model", RECIPES)
def test_each_recipe_of_the_paper_trains(listed, model, monkeypatch):
    entry = in_small(RECIPES[model])
    given, perturbed, original = [], [], TrainingRun._perturbed

    def remembering(self, x, label, place):
        if self.domain == "front_end":
            given.append(self.network.preprocessing(x).detach())
        else:
            given.append(x)
        perturbed.append(original(self, x, label, place))
        return perturbed[-1]

    monkeypatch.setattr(TrainingRun, "_perturbed", remembering)
    result = train(entry, listed[entry["modality"]], study_seed=0)
    recipe = entry["training"]
    assert len(result.history) == (recipe["stop_after"] or recipe["epochs"])
    assert np.isfinite(result.history[list(COLUMNS)]).all(axis=None)
    assert (result.history["training_loss"] > 0).all()
    for x, other in zip(given, perturbed, strict=True):
        assert_has_size(other - x, recipe["perturbation"])


def assert_has_size(offset, perturbation):
    """See that perturbations are as large as the recipe says, and no larger."""
    offset = offset.flatten(1)
    if perturbation is None:
        assert not offset.any()
        return
    epsilon = perturbation["epsilon"]
    euclidean = perturbation["norm"] == "l2"
    size = offset.norm(dim=1) if euclidean else offset.abs().amax(dim=1)
    assert size.max() <= epsilon * (1 + 1e-3)
    # Less where it was clipped; half of it is more than any chance gives.
    assert size.max() > epsilon / 2


def test_the_paper_has_recipes_of_every_kind():
    trainings = [entry["training"] for entry in RECIPES.values()]
    perturbations = [t["perturbation"] for t in trainings if t["perturbation"]]
    kinds = {(p["kind"], p["norm"], p["domain"]) for p in perturbations}
    assert kinds >= {
        ("adversarial", "l2", "stimulus"),
        ("adversarial", "linf", "stimulus"),
        ("random", "l2", "stimulus"),
        ("random", "linf", "stimulus"),
        ("adversarial", "l2", "front_end"),
        ("random", "l2", "front_end"),
    }
    assert {entry["task"]["name"] for entry in RECIPES.values()} == {
        "objects",
        "words",
        "audioset",
        "words_and_audioset",
    }
    for field in ("stop_after", "trainable", "warm_up_steps", "gradient_limit"):
        assert any(training[field] for training in trainings), field
