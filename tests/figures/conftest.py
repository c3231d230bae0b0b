"""Synthetic tables that look like those of the demo study."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from metamers.figures.inputs import Examples
from metamers.recognition.panel import relation

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
        "label": {"digits": "category", "words": "word"}.get(task, "background"),
        "trained": group != "untrained",
        "siblings": [],
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
    for one, other in (
        ("alexnet_standard", "alexnet_second_seed"),
        ("cochcnn_words", "cochcnn_second_seed"),
    ):
        models[one]["siblings"], models[other]["siblings"] = [other], [one]
    return models


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


def make_transfer(models):
    """Return statistics/transfer.csv of all pairs within a modality."""
    generator = np.random.default_rng(5)
    rows = []
    for name, entry in models.items():
        for other, rest in models.items():
            if rest["modality"] != entry["modality"]:
                continue
            kind = relation(models, name, other)
            for index, stage in enumerate(["natural", *entry["stages"]]):
                depth = index / len(entry["stages"])
                value = true_recognition(depth, entry["group"], kind)
                value = float(np.clip(value + generator.normal(0, 0.05), 0, 1))
                backgrounds = rest["task"] == "backgrounds"
                for screened in (True, False):
                    rows.append(
                        {
                            "modality": entry["modality"],
                            "generator": name,
                            "evaluator": other,
                            "relation": kind,
                            "stage": stage,
                            "stage_index": index,
                            "screened": screened,
                            "n": 38 if screened else 40,
                            "recognition": np.nan if backgrounds else value,
                            "match": value,
                            "agreement": value - 0.1,
                            "relative_distance": 0.5,
                        }
                    )
    return pd.DataFrame(rows)


@pytest.fixture(scope="session")
def transfer(models):
    return make_transfer(models)


def make_collapse(models):
    """Return the rows of collapse/{model}.csv of all audio models."""
    generator = np.random.default_rng(6)
    rows = []
    for name, entry in models.items():
        if entry["modality"] != "audio":
            continue
        for index, stage in enumerate(entry["stages"], 1):
            level = 0.9 if entry["group"] == "untrained" else 0.9 - 0.1 * index
            for item in range(24):
                ratio = level * np.exp(generator.normal(0, 0.2))
                rows.append(
                    {
                        "model": name,
                        "stage": stage,
                        "stage_index": index,
                        "stimulus_id": f"item_{item:03d}",
                        "noisy_distance": ratio,
                        "other_distance": 1.0,
                        "ratio": ratio,
                        "snr": 0.0,
                    }
                )
    return pd.DataFrame(rows)


def make_controls():
    """Return statistics/controls.csv of one late stage of each modality."""
    rows = []
    for modality, name, stage in (
        ("vision", "alexnet_standard", "fc1_relu"),
        ("audio", "cochcnn_words", "relufc"),
    ):
        for control, own, others in (
            ("standard", 1.0, 0.35),
            ("longer", 1.0, 0.31),
            ("noise", 0.97, 0.93),
        ):
            for kind, value, base in (("own", own, 1.0), ("panel", others, 0.35)):
                for screened in (True, False):
                    rows.append(
                        {
                            "modality": modality,
                            "generator": name,
                            "stage": stage,
                            "control": control,
                            "relation": kind,
                            "screened": screened,
                            "recognition": value,
                            "lower": value - 0.07,
                            "upper": min(1.0, value + 0.08),
                            "difference": value - base,
                            "difference_lower": value - base - 0.05,
                            "difference_upper": value - base + 0.05,
                            "difference_p": 0.2,
                            "n_stimuli": 39,
                            "n_evaluators": 1 if kind == "own" else 4,
                        }
                    )
    return pd.DataFrame(rows)


def make_claims():
    """Return statistics/claims.csv."""
    statements = [
        "A network gives its own metamers the answer that it gives to the natural "
        "stimulus, at every stage",
        "Metamers of early stages stay recognizable to other networks",
        "Metamers of late stages lose their recognizability to other networks",
        "Adversarial training makes metamers of late stages more recognizable than "
        "standard training does",
        "Adversarial training makes metamers more recognizable than random "
        "perturbations of the same size do",
        "Random perturbations do not make metamers more recognizable",
        "Reduced aliasing makes metamers more recognizable",
        "Metamers of untrained networks are less recognizable",
        "Robustness does not alone decide recognizability",
        "The published people recognize late-stage metamers of robust models better",
    ]
    verdicts = ["supported", "supported", "contradicted", "supported", "inconclusive"]
    rows = []
    for place, statement in enumerate(statements):
        effect = 0.6 - 0.13 * place
        rows.append(
            {
                "claim": f"claim_{place}",
                "statement": statement,
                "modality": "audio" if place % 3 == 2 else "vision",
                "observer": "people" if "people" in statement else "networks",
                "estimand": "difference_in_recognition",
                "effect": effect,
                "lower": effect - 0.1,
                "upper": effect + 0.12,
                "seed_difference": 0.05 if place < 6 else np.nan,
                "p_adjusted": [0.0004, 0.02, 0.3][place % 3],
                "verdict": verdicts[place % 5],
                "reason": "the interval lies above the smallest effect of interest",
            }
        )
    rows[7].update(
        effect=np.nan,
        lower=np.nan,
        upper=np.nan,
        p_adjusted=np.nan,
        verdict="not testable",
        reason="there is one untrained model; two are needed",
    )
    rows[8].update(effect=3.1, lower=0.9, upper=6.0)
    return pd.DataFrame(rows)


@pytest.fixture(scope="session")
def collapse(models):
    return make_collapse(models)


@pytest.fixture(scope="session")
def controls():
    return make_controls()


@pytest.fixture(scope="session")
def claims():
    return make_claims()


def make_screening(models, stimuli=20):
    """Return screening/{model}.csv of all models."""
    generator = np.random.default_rng(8)
    rows = []
    for name, entry in models.items():
        for index, stage in enumerate(entry["stages"], 1):
            final = stage == "final"
            for item in range(stimuli):
                passed = bool(generator.random() > 0.04 * index)
                answer = "winter" if entry["modality"] == "audio" else str(item % 10)
                rows.append(
                    {
                        "model": name,
                        "stage": stage,
                        "stage_index": index,
                        "stimulus_id": f"item_{item:03d}",
                        "final_loss": 10 ** generator.normal(-3, 0.3),
                        "spearman": 1 - 0.02 * generator.random(),
                        "pearson": 1 - 0.02 * generator.random(),
                        "db_snr": np.inf if item == 0 else generator.normal(30, 4),
                        "null_spearman": np.nan if final else 0.8,
                        "null_pearson": 0.85,
                        "null_db_snr": 6.0,
                        "response": answer if passed else "other",
                        "natural_response": answer,
                        "response_matches": passed,
                        "passed": passed,
                        "reason": ""
                        if passed
                        else ("response differs from the natural one"),
                        "pairs": 2000,
                        "units": 10 if final else 4096,
                        "rule": "maximum",
                    }
                )
    return pd.DataFrame(rows)


def make_nulls(models, name):
    """Return what read_nulls gives for one model."""
    generator = np.random.default_rng(9)
    rows = []
    for index, stage in enumerate(models[name]["stages"], 1):
        final = stage == "final"
        for measure, center, spread in (
            ("spearman", 0.3, 0.15),
            ("pearson", 0.4, 0.15),
            ("db_snr", 0.5, 1.5),
        ):
            sample = generator.normal(center, spread, 2000)
            counts, edges = np.histogram(sample, bins=40)
            for place, count in enumerate(counts):
                rows.append(
                    {
                        "model": name,
                        "stage": stage,
                        "stage_index": index,
                        "measure": measure,
                        "maximum": sample.max(),
                        "ceiling": final and measure == "spearman",
                        "pairs": 2000,
                        "units": 10 if final else 4096,
                        "lower_edge": edges[place],
                        "upper_edge": edges[place + 1],
                        "count": int(count),
                    }
                )
    return pd.DataFrame(rows)


def make_losses(models):
    """Return what read_losses gives for all models."""
    rows = []
    for name, entry in models.items():
        for index, stage in enumerate(entry["stages"], 1):
            for step in range(0, 321, 10):
                median = 0.9 * np.exp(-step / (30 + 12 * index)) + 1e-4 * index
                rows.append(
                    {
                        "model": name,
                        "stage": stage,
                        "stage_index": index,
                        "step": step,
                        "median": median,
                        "lower": median * 0.6,
                        "upper": median * 1.5,
                        "n": 40,
                    }
                )
    return pd.DataFrame(rows)


def make_examples(models, modality):
    """Return a reference and metamers that get noisier with depth."""
    generator = np.random.default_rng(10)
    if modality == "vision":
        across = np.linspace(-1, 1, 32)
        radius = np.hypot(across[:, None], across[None, :])
        reference = (np.abs(radius - 0.5) < 0.15).astype(np.float32)[None]
    else:
        time = np.arange(4800) / 8000
        reference = (0.2 * np.sin(2 * np.pi * (300 + 900 * time) * time)).astype(
            np.float32
        )
    metamers = {}
    for name, entry in models.items():
        if entry["modality"] != modality:
            continue
        for index, stage in enumerate(entry["stages"], 1):
            noise = generator.normal(0, 0.06 * index, reference.shape)
            mixed = reference + noise.astype(np.float32)
            low = 0.0 if modality == "vision" else -1.0
            metamers[name, stage] = np.clip(mixed, low, 1.0)
    return Examples(
        modality=modality,
        stimulus_id="item_003",
        label="3" if modality == "vision" else "winter",
        reference=reference,
        metamers=metamers,
        sample_rate=None if modality == "vision" else 8000,
        synthetic=modality == "audio",
    )


@pytest.fixture(scope="session")
def screening(models):
    return make_screening(models)


@pytest.fixture(scope="session")
def losses(models):
    return make_losses(models)


def make_robustness(models):
    """Return the rows of robustness/{model}.csv of all models."""
    rows = []
    for name, entry in models.items():
        strong = {"adversarial": 0.2, "random": 0.6}.get(entry["group"], 0.8)
        scale = 1.0 if entry["modality"] == "vision" else 0.5
        for epsilon in (0.0, 0.5, 1.0, 1.5, 2.0, 3.0):
            accuracy = 0.97 * np.exp(-strong * epsilon)
            if entry["group"] == "untrained":
                accuracy = 0.1
            rows.append(
                {
                    "model": name,
                    "modality": entry["modality"],
                    "norm": "l2",
                    "epsilon": epsilon * scale,
                    "steps": 10,
                    "n": 200,
                    "accuracy": accuracy,
                }
            )
    return pd.DataFrame(rows)


def make_scores(models):
    """Return statistics/scores.csv."""
    generator = np.random.default_rng(11)
    rows = []
    for name, entry in models.items():
        area = float(generator.uniform(0.5, 0.95))
        rows.append(
            {
                "model": name,
                "modality": entry["modality"],
                "group": entry["group"],
                "accuracy": float(generator.uniform(0.8, 1)),
                "network_area": area,
                "network_area_lower": area - 0.06,
                "network_area_upper": area + 0.04,
                "people_area": np.nan if entry["published"] is None else area - 0.2,
                "people_source": "measured on the published model",
                "own_match": 0.99,
                "robustness": float(generator.uniform(0.1, 0.8)),
                "error_consistency": float(generator.uniform(-0.05, 0.5)),
            }
        )
    return pd.DataFrame(rows)


@pytest.fixture(scope="session")
def robustness(models):
    return make_robustness(models)


@pytest.fixture(scope="session")
def scores(models):
    return make_scores(models)


@pytest.fixture(scope="session")
def vision_examples(models):
    return make_examples(models, "vision")


@pytest.fixture(scope="session")
def audio_examples(models):
    return make_examples(models, "audio")


@pytest.fixture(scope="session")
def null_table(models):
    return make_nulls(models, "alexnet_standard")
