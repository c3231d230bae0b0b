"""How many images a second training can read, and how many the files allow.

    python tests/benchmarks/benchmark_loading.py [--images FOLDER] [--workers 2]

FOLDER holds a folder of JPEGs for each class. The ceiling is decoding and resizing
alone, in as many processes; the loader besides crops, recolors, mirrors and lights, as
the recipes of the paper study do, and gives batches in order. Without ``--images`` the
photographs of ../shared/lab/natural16 are taken, where they are.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "workflow"))
SIZE, BATCH = 224, 32
AUGMENTATION = {
    "crop": [0.08, 1.0],
    "flip": True,
    "color_jitter": {
        "brightness": 0.1,
        "contrast": 0.1,
        "saturation": 0.1,
        "hue": 0.0,
        "probability": 1.0,
    },
    "lighting": 0.05,
}


def as_imagenet(images: Path, folder: Path) -> Path:
    """Lay a folder of classes out as ImageNet is, and list it in a stimulus file."""
    from metamers.stimuli.files import write_stimuli
    from metamers.stimuli.prepare import prepare_stimuli

    classes = sorted(path for path in images.iterdir() if path.is_dir())
    rows = ["category,index"]
    for number, source in enumerate(classes):
        rows.append(f"{source.name},{number}")
        for part in ("train", "val"):
            place = folder / part / f"n{number:08d}"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(source.absolute())
    (folder / "categories.csv").write_text("\n".join(rows) + "\n")
    source: dict[str, Any] = {
        "kind": "imagenet",
        "path": str(folder),
        "category_map": str(folder / "categories.csv"),
        "rejected": None,
    }
    settings = {
        "source": source,
        "size": SIZE,
        "channels": 3,
        "training_per_category": None,
        "test_per_category": None,
        "references_per_category": 1,
    }
    path = folder / "vision.h5"
    stimuli = prepare_stimuli("vision", settings, 0)
    write_stimuli(stimuli, path, path.with_suffix(".csv"))
    return path


def decode(path: Path) -> int:
    """Decode one file and resize it."""
    with Image.open(path) as image:
        image.draft("RGB", (SIZE, SIZE))
        return image.convert("RGB").resize((SIZE, SIZE)).size[0]


def ceiling(files: list[Path], workers: int) -> float:
    """Return the images a second that are decoded and resized, and nothing else."""
    with multiprocessing.Pool(workers) as pool:
        pool.map(decode, files[: 4 * workers])
        started = time.perf_counter()
        pool.map(decode, files, chunksize=BATCH)
        return len(files) / (time.perf_counter() - started)


def loader(path: Path, count: int, workers: int) -> float:
    """Return the images a second that training gets, from its second batch on."""
    from metamers.training.data import training_stimuli
    from metamers.training.loading import batches

    entry = {
        "modality": "vision",
        "task": {"name": "objects", "label": "category", "training_label": "class"},
        "training": {"augmentation": AUGMENTATION},
    }
    stimuli = training_stimuli(entry, path, 0)
    order = np.resize(stimuli.order(0), count)
    parts = [order[i : i + BATCH] for i in range(0, count - BATCH + 1, BATCH)]
    given = 0
    started = 0.0
    for place, (x, _) in enumerate(batches(stimuli, 0, parts, workers)):
        if place < workers:
            started = time.perf_counter()  # processes start, and read ahead
        else:
            given += len(x)
    return given / (time.perf_counter() - started)


def main() -> None:
    """Measure both, and say their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, help="folder of class folders")
    parser.add_argument("--workers", type=int, default=2, help="processes (2)")
    parser.add_argument("--count", type=int, default=2048, help="images (2048)")
    options = parser.parse_args()
    images = options.images or ROOT.parent / "shared/lab/natural16"
    if not images.is_dir():
        sys.exit(f"there is no folder {images}: name one with --images")
    files = sorted(images.glob("*/*"))
    repeated = [files[i % len(files)] for i in range(options.count)]
    with tempfile.TemporaryDirectory() as name:
        path = as_imagenet(images, Path(name))
        most = ceiling(repeated, options.workers)
        found = loader(path, options.count, options.workers)
    sys.stdout.write(
        f"{options.workers} processes: {most:.0f} images/s decoded and resized, "
        f"{found:.0f} images/s given to training ({found / most:.0%})\n"
    )


if __name__ == "__main__":
    main()
