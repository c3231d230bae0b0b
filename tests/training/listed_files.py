"""Stimulus files whose training and test stimuli stay in files of their own."""

import numpy as np
import soundfile
from PIL import Image

from metamers.stimuli.files import write_stimuli
from metamers.stimuli.prepare import prepare_stimuli

SIZE = 16
RATE = 4000
SAMPLES = 2000


def write_image_list(folder, classes=3, training=8, test=4):
    """List images of 30 x 24 pixels, whose upper half has a color of the class."""
    for part, count in (("train", training), ("val", test)):
        for label in range(classes):
            place = folder / "imagenet" / part / f"n{label:02d}"
            place.mkdir(parents=True)
            for number in range(count):
                generator = np.random.default_rng([label, number, len(part)])
                pixels = generator.integers(0, 120, size=(24, 30, 3), dtype=np.uint8)
                pixels[:12, :, label % 3] += 120
                name = f"{part}_{label}_{number}.JPEG"
                Image.fromarray(pixels).save(place / name, quality=95)
    (folder / "map.csv").write_text("category,index\nb,2\na,0\n")
    settings = {
        "source": {
            "kind": "imagenet",
            "path": str(folder / "imagenet"),
            "category_map": str(folder / "map.csv"),
        },
        "size": SIZE,
        "channels": 3,
        "training_per_category": None,
        "test_per_category": None,
        "references_per_category": 1,
    }
    path = folder / "vision.h5"
    write_stimuli(prepare_stimuli("vision", settings, 1), path, folder / "vision.csv")
    return path


def write_sound_list(folder):
    """List words that are tones, one of them silent, and noises of several labels."""
    (folder / "sounds").mkdir()
    time = np.arange(RATE) / RATE
    clips, backgrounds = ["path,word,onset,source"], ["path,labels"]
    for word, pitch in (("low", 200), ("high", 900)):
        for take in range(6):
            name = f"sounds/{word}_{take}.wav"
            sound = 0.2 * np.sin(2 * np.pi * pitch * time + take)
            soundfile.write(folder / name, sound, RATE)
            clips.append(f"{name},{word},0.5,made")
    soundfile.write(folder / "sounds/silent.wav", np.zeros(RATE), RATE)
    clips += [f"sounds/silent.wav,low,{k / 10},other" for k in range(8)]
    generator = np.random.default_rng(0)
    for number, labels in enumerate(["hiss;wind", "hiss", "", "wind"] * 3):
        name = f"sounds/noise_{number}.wav"
        soundfile.write(folder / name, 0.1 * generator.standard_normal(2 * RATE), RATE)
        backgrounds.append(f"{name},{labels}")
    (folder / "clips.csv").write_text("\n".join(clips))
    (folder / "backgrounds.csv").write_text("\n".join(backgrounds))
    settings = {
        "source": {
            "kind": "manifest",
            "clips": str(folder / "clips.csv"),
            "backgrounds": str(folder / "backgrounds.csv"),
            "test_fraction": 0.25,
            "reference_sources": ["made"],
            "references": 2,
        },
        "sample_rate": RATE,
        "duration": SAMPLES / RATE,
        "rms": 0.1,
        "snr": [-5.0, 5.0],
        "references_per_category": 1,
    }
    path = folder / "audio.h5"
    write_stimuli(prepare_stimuli("audio", settings, 3), path, folder / "audio.csv")
    return path


def image_task(**changes):
    """Return a task that learns classes and answers with categories."""
    decision = {"kind": "mapped_maximum", "map": {"b": [2], "a": [0]}}
    task = {"name": "objects", "label": "category", "decision": decision}
    return {**task, "training_label": "class", **changes}


def sound_task(**changes):
    """Return a task that learns words and, beside them, the labels of backgrounds."""
    task = {"name": "words", "label": "word", "decision": {"kind": "argmax"}}
    second = {"label": "background", "multi_label": True, "weight": 0.5, "after": 3}
    return {**task, "second": second, **changes}
