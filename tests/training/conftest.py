"""Small stimulus files and model entries."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

FOLDER = Path(__file__).parent
# Toy networks are named in entries by their import path.
if str(FOLDER) not in sys.path:
    sys.path.append(str(FOLDER))

RATE = 2000
SAMPLES = 400


def write_file(path, modality, categories, splits, rate=None):
    with h5py.File(path, "w") as file:
        file.attrs["format_version"] = 1
        file.attrs["modality"] = modality
        file.attrs["synthetic"] = True
        file.attrs["categories"] = json.dumps(categories)
        file.attrs["provenance"] = "{}"
        if rate:
            file.attrs["sample_rate"] = rate
        for name, (stimulus, labels) in splits.items():
            group = file.create_group(name)
            group["stimulus"] = stimulus
            names = [f"{name}_{index:03d}" for index in range(len(stimulus))]
            group.create_dataset("id", data=names, dtype=h5py.string_dtype())
            for label, values in labels.items():
                group[f"label/{label}"] = np.asarray(values, dtype=np.int16)


def bars(count, generator):
    """Images of 8 x 8 with a bright bar at one of three heights, in noise."""
    label = np.arange(count) % 3
    images = generator.integers(0, 100, size=(count, 1, 8, 8))
    for image, value in zip(images, label, strict=True):
        image[0, 2 * value + 1, :] += 120
    return images.astype(np.uint8), {"category": label}


def tones(count, generator, noise=0.0):
    """Sounds of one of three frequencies ("words"), of RMS 0.1."""
    label = np.arange(count) % 3
    time = np.arange(SAMPLES) / RATE
    frequency = np.array([100.0, 250.0, 550.0])[label]
    phase = generator.uniform(0, 2 * np.pi, size=count)
    sounds = np.sin(2 * np.pi * frequency[:, None] * time + phase[:, None])
    sounds = sounds + noise * generator.normal(size=sounds.shape)
    sounds *= 0.1 / np.sqrt((sounds**2).mean(axis=1, keepdims=True))
    return np.rint(sounds * 32767).astype(np.int16), {"word": label}


def noises(count, generator):
    """Backgrounds of 700 samples: white noise (0) or a slow hum (1)."""
    label = np.arange(count) % 2
    white = 0.1 * generator.normal(size=(count, 700))
    hum = 0.1 * np.sin(2 * np.pi * 30 * np.arange(700) / RATE)
    sounds = np.where(label[:, None] == 0, white, hum)
    return np.rint(sounds * 32767).astype(np.int16), {"background": label}


@pytest.fixture(scope="session")
def image_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("images") / "vision.h5"
    generator = np.random.default_rng(0)
    splits = {
        name: bars(count, generator)
        for name, count in (("training", 100), ("test", 40), ("reference", 6))
    }
    write_file(path, "vision", {"category": ["high", "middle", "low"]}, splits)
    return path


@pytest.fixture(scope="session")
def sound_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("sounds") / "audio.h5"
    generator = np.random.default_rng(0)
    splits = {
        name: tones(count, generator)
        for name, count in (("training", 90), ("test", 30), ("reference", 6))
    }
    splits["training_background"] = noises(10, generator)
    splits["test_background"] = noises(4, generator)
    noisy, labels = tones(30, generator, noise=0.5)
    splits["test_noisy"] = (noisy, {**labels, "background": np.arange(30) % 2})
    categories = {"word": ["low", "middle", "high"], "background": ["white", "hum"]}
    write_file(path, "audio", categories, splits, RATE)
    return path


@pytest.fixture
def image_entry():
    return {
        "modality": "vision",
        "architecture": "toy_networks:Images",
        "arguments": {"classes": 3},
        "weights": None,
        "seed": 1,
        "task": {
            "name": "bars",
            "label": "category",
            "decision": {"kind": "argmax"},
        },
        "preprocessing": {"mean": [0.5], "std": [0.25]},
        "sample_rate": None,
        "duration": None,
        "training": {
            "epochs": 3,
            "batch_size": 16,
            "learning_rate": 0.1,
            "momentum": 0.9,
            "weight_decay": 1e-4,
            "schedule": {"kind": "one_cycle"},
            "augmentation": {"shift": 0.5, "rotation": 5.0, "scale": 0.05},
            "perturbation": None,
        },
    }


@pytest.fixture
def sound_entry(image_entry):
    return {
        **image_entry,
        "modality": "audio",
        "architecture": "toy_networks:Sounds",
        "arguments": {"classes": 3},
        "task": {"name": "words", "label": "word", "decision": {"kind": "argmax"}},
        "preprocessing": {"front_end": None},
        "sample_rate": RATE,
        "duration": SAMPLES / RATE,
        "training": {
            **image_entry["training"],
            "augmentation": {"shift": 0.01, "snr": [0.0, 10.0]},
        },
    }
