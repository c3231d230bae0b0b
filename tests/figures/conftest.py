"""Synthetic tables that look like those of the demo study."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

ALEXNET = ["relu0", "relu1", "relu2", "relu3", "relu4", "fc0_relu", "fc1_relu", "final"]
RESNET = ["conv1_relu1", "layer1", "layer2", "layer3", "layer4", "avgpool", "final"]
COCHCNN = ["cochleagram", "relu0", "relu1", "relu2", "relufc", "final"]


def model(modality, group, stages, task, published=None):
    return {
        "modality": modality,
        "group": group,
        "stages": list(stages),
        "task": task,
        "published": published,
    }


def demo_models():
    """Return the demo's models as the figures get them."""
    vision = {
        "alexnet_standard": ("standard", ALEXNET, "alexnet"),
        "alexnet_second_seed": ("second_seed", ALEXNET, "alexnet"),
        "alexnet_adversarial": ("adversarial", ALEXNET, "alexnet_l2_3_robust"),
        "alexnet_random": ("random", ALEXNET, "alexnet_random_l2_3_perturb"),
        "alexnet_reduced_aliasing": (
            "reduced_aliasing",
            ALEXNET,
            "alexnet_reduced_aliasing_early_checkpoint",
        ),
        "alexnet_untrained": ("untrained", ALEXNET, None),
        "resnet_standard": ("standard", RESNET, "resnet50"),
    }
    audio = {
        "cochcnn_words": ("standard", "words", "kell2018"),
        "cochcnn_second_seed": ("second_seed", "words", "kell2018"),
        "cochcnn_backgrounds": ("other_task", "backgrounds", None),
        "cochcnn_adversarial": (
            "adversarial",
            "words",
            "kell2018_l2_1_robust_waveform",
        ),
        "cochcnn_reduced_aliasing": ("reduced_aliasing", "words", None),
        "cochcnn_untrained": ("untrained", "words", None),
    }
    models = {
        name: model("vision", group, stages, "digits", published)
        for name, (group, stages, published) in vision.items()
    }
    models |= {
        name: model("audio", group, COCHCNN, task, published)
        for name, (group, task, published) in audio.items()
    }
    return models


def relation(models, generator, observer):
    """Say what an observer is to a generator."""
    one, other = models[generator], models[observer]
    if generator == observer:
        return "own"
    if one["task"] != other["task"]:
        return "other_task"
    if other["group"] == "untrained":
        return "untrained"
    if {one["group"], other["group"]} == {"standard", "second_seed"} and (
        one["stages"] == other["stages"]
    ):
        return "seed_sibling"
    return "panel"


def true_recognition(depth, group, kind):
    """Return a plausible proportion correct."""
    floor = {"adversarial": 0.75, "random": 0.35, "untrained": 0.1}.get(group, 0.2)
    if kind == "own":
        return 0.98
    if kind == "untrained":
        return 0.12
    if kind == "seed_sibling":
        floor = min(1, floor + 0.2)
    return 0.97 - (0.97 - floor) * depth**2


@pytest.fixture(scope="session")
def models():
    return demo_models()


@pytest.fixture(scope="session")
def recognition(models):
    """Return statistics/recognition_by_stage.csv."""
    generator = np.random.default_rng(3)
    rows = []
    for name, entry in models.items():
        kinds = {
            relation(models, name, other)
            for other, rest in models.items()
            if rest["modality"] == entry["modality"]
        }
        for index, stage in enumerate(["natural", *entry["stages"]]):
            for kind in sorted(kinds):
                for screened in (True, False):
                    depth = index / len(entry["stages"])
                    mean = true_recognition(depth, entry["group"], kind)
                    mean = float(np.clip(mean + generator.normal(0, 0.03), 0, 1))
                    apart = kind == "other_task"
                    lost = int(generator.integers(0, 4)) if index > 4 else 0
                    rows.append(
                        {
                            "generator": name,
                            "modality": entry["modality"],
                            "stage": stage,
                            "stage_index": index,
                            "relation": kind,
                            "recognition": np.nan if apart else mean,
                            "lower": np.nan if apart else max(0, mean - 0.08),
                            "upper": np.nan if apart else min(1, mean + 0.08),
                            "n_stimuli": 40 - (lost if screened else 0),
                            "n_evaluators": 4 if kind == "panel" else 1,
                            "screened": screened,
                            "agreement": mean,
                        }
                    )
    return pd.DataFrame(rows)


@pytest.fixture(scope="session")
def published():
    """Return some of resources/published_recognition.csv."""
    generator = np.random.default_rng(4)
    known = {
        ("vision", "alexnet", "V1"): ALEXNET,
        ("vision", "alexnet", "V4"): ALEXNET,
        ("vision", "alexnet_l2_3_robust", "V4"): ALEXNET,
        ("vision", "alexnet_random_l2_3_perturb", "V4"): ALEXNET,
        ("vision", "alexnet_reduced_aliasing_early_checkpoint", "V9"): ALEXNET,
        ("vision", "resnet50", "V1"): RESNET,
        ("audio", "kell2018", "A1"): ["input_after_preproc", *COCHCNN[1:]],
    }
    rows = []
    for (modality, name, experiment), stages in known.items():
        for index, stage in enumerate([f"natural_{modality}", *stages]):
            depth = index / len(stages)
            for kind in ("human", "network"):
                mean = 0.95 if kind == "network" else 0.9 * (1 - depth) + 0.05
                rows.append(
                    {
                        "modality": modality,
                        "repo_experiment": experiment,
                        "model": name,
                        "stage": stage,
                        "stage_index": index,
                        "observer_kind": kind,
                        "n": 22,
                        "mean": mean + generator.normal(0, 0.01),
                        "sem": 0.02,
                    }
                )
    return pd.DataFrame(rows)


def make_trials(models, stimuli=20):
    """Return a trial table of all pairs within a modality."""
    generator = np.random.default_rng(5)
    words = {
        "digits": [str(digit) for digit in range(10)],
        "words": ["winter", "seven", "river", "mountain"],
        "backgrounds": ["babble", "pink_noise"],
    }
    rows = []
    for name, entry in models.items():
        for other, rest in models.items():
            if rest["modality"] != entry["modality"]:
                continue
            kind = relation(models, name, other)
            for index, stage in enumerate(["natural", *entry["stages"]]):
                depth = index / len(entry["stages"])
                chance = true_recognition(depth, entry["group"], kind)
                answers = words[rest["task"]]
                for item in range(stimuli):
                    label = words["digits" if "alex" in name or "res" in name else (
                        "words"
                    )]
                    label = label[item % len(label)]
                    natural = label if label in answers else answers[item % 2]
                    right = index == 0 or generator.random() < chance
                    wrong = answers[(answers.index(natural) + 1) % len(answers)]
                    response = natural if right else wrong
                    rows.append(
                        {
                            "study": "demo",
                            "modality": entry["modality"],
                            "observer": other,
                            "observer_kind": "network",
                            "generator": name,
                            "stage": stage,
                            "stage_index": index,
                            "stimulus_id": f"item_{item:03d}",
                            "label": label,
                            "response": response,
                            "natural_response": natural,
                            "correct": (
                                pd.NA
                                if rest["task"] == "backgrounds"
                                else response == label
                            ),
                            "passed": index == 0 or generator.random() < 0.95,
                            "relative_distance": generator.random(),
                            "task": rest["task"],
                            "generator_task": entry["task"],
                        }
                    )
    frame = pd.DataFrame(rows)
    return frame.assign(correct=frame["correct"].astype("boolean"))


@pytest.fixture(scope="session")
def trials(models):
    return make_trials(models)
