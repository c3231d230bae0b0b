"""How many images a second training can read, and how many the files allow.

    python tests/benchmarks/benchmark_loading.py [--images FOLDER] [--workers 2]

FOLDER holds a folder of JPEGs for each class; by default it is
../shared/lab/natural16, where that is. The ceiling is decoding, cropping and resizing
alone, in as many processes. The loader hands whole batches of the same over in order,
and once more recolored, as in the recipes of the paper study. With ``--side 400`` the
images are first scaled to that shorter side, which is about ImageNet's.

CPU time is that of all processes. On a machine with work of its own it tells more than
the images a second, which it stretches.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "workflow"))

BATCH = 64
CROPS = {"crop": [0.08, 1.0], "flip": True}
RECIPE = {
    **CROPS,
    "color_jitter": {
        "brightness": 0.1,
        "contrast": 0.1,
        "saturation": 0.1,
        "hue": 0.0,
        "probability": 1.0,
    },
    "lighting": 0.05,
}


def as_imagenet(images: Path, folder: Path, size: int, side: int | None) -> Path:
    """Lay a folder of classes out as ImageNet is, and list it in a stimulus file."""
    from metamers.stimuli.files import write_stimuli
    from metamers.stimuli.prepare import prepare_stimuli

    classes = sorted(path for path in images.iterdir() if path.is_dir())
    rows = ["category,index"]
    for number, source in enumerate(classes):
        rows.append(f"{source.name},{number}")
        for part in ("train", "val"):
            place = folder / part / f"n{number:08d}"
            place.mkdir(parents=True)
            for path in source.iterdir():
                copy = place / path.name
                if side is None or part == "val":
                    copy.symlink_to(path.absolute())
                else:
                    write_scaled(path, copy, side)
    (folder / "categories.csv").write_text("\n".join(rows) + "\n")
    source: dict[str, Any] = {
        "kind": "imagenet",
        "path": str(folder),
        "category_map": str(folder / "categories.csv"),
        "rejected": None,
    }
    settings = {
        "source": source,
        "size": size,
        "channels": 3,
        "training_per_category": None,
        "test_per_category": None,
        "references_per_category": 1,
    }
    path = folder / "vision.h5"
    stimuli = prepare_stimuli("vision", settings, 0)
    write_stimuli(stimuli, path, path.with_suffix(".csv"))
    return path


def write_scaled(path: Path, copy: Path, side: int) -> None:
    """Write an image with a shorter side of so many pixels."""
    with Image.open(path) as image:
        scale = side / min(image.size)
        width, height = (round(scale * length) for length in image.size)
        image.convert("RGB").resize((width, height)).save(copy, quality=92)


def crop(place: int, path: Path, size: int) -> None:
    """Decode one file, cut a random part of it, and resize that."""
    from metamers.stimuli.image_files import cut_from_file
    from metamers.training.augmentation import PICTURE_DRAWS, crop_box

    draws = np.random.default_rng(place).random(PICTURE_DRAWS)
    with Image.open(path) as image:
        box = crop_box(image.height, image.width, draws, (0.08, 1.0))
        cut_from_file(image, box, size)


def ceiling(files: list[Path], size: int, workers: int) -> int:
    """Decode and crop all files, and nothing else; return how many."""
    with multiprocessing.Pool(workers) as pool:
        work = [(place, path, size) for place, path in enumerate(files)]
        pool.starmap(crop, work, chunksize=BATCH)
    return len(files)


def loader(path: Path, count: int, workers: int, augmentation: dict[str, Any]) -> int:
    """Read as many images as training does, up to the device; return how many."""
    from metamers.training.data import training_stimuli
    from metamers.training.loading import read_ahead

    entry = {
        "modality": "vision",
        "task": {"name": "objects", "label": "category", "training_label": "class"},
        "training": {"augmentation": augmentation},
    }
    stimuli = training_stimuli(entry, path, 0)
    order = np.resize(stimuli.order(0), count)
    parts = [order[start : start + BATCH] for start in range(0, count, BATCH)]
    read = partial(stimuli.read, 0)
    return sum(len(x) for x, *_ in read_ahead(read, tuple, parts, workers, "cpu"))


def measure(function: Callable[[], int]) -> tuple[float, float]:
    """Return the images a second of wall time and of CPU time."""

    def cpu() -> float:
        parts = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        used = [resource.getrusage(part) for part in parts]
        return sum(one.ru_utime + one.ru_stime for one in used)

    started = time.perf_counter(), cpu()
    images = function()
    return (
        images / (time.perf_counter() - started[0]),
        images / (cpu() - started[1]),
    )


def main() -> None:
    """Measure all three, and their ratio to the first by CPU time."""
    import torchvision.transforms.v2  # noqa: F401 - so that it is not measured

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, help="folder of class folders")
    parser.add_argument("--workers", type=int, default=2, help="processes (2)")
    parser.add_argument("--count", type=int, default=4096, help="images (4096)")
    parser.add_argument("--size", type=int, default=224, help="of what is given (224)")
    parser.add_argument("--side", type=int, help="shorter side of the files")
    options = parser.parse_args()
    images = options.images or ROOT.parent / "shared/lab/natural16"
    if not images.is_dir():
        sys.exit(f"there is no folder {images}: name one with --images")
    size, workers = options.size, options.workers
    with tempfile.TemporaryDirectory() as name:
        path = as_imagenet(images, Path(name), size, options.side)
        files = sorted(Path(name).glob("train/*/*"))
        repeated = [files[place % len(files)] for place in range(options.count)]
        count = options.count
        found = {
            "decode and crop": measure(partial(ceiling, repeated, size, workers)),
            "loader, crops": measure(partial(loader, path, count, workers, CROPS)),
            "loader, recipe": measure(partial(loader, path, count, workers, RECIPE)),
        }
    most = found["decode and crop"][1]
    for label, (wall, cpu) in found.items():
        line = f"{label:>16}: {wall:.0f} images/s, {cpu:.0f} a second of CPU time"
        sys.stdout.write(f"{line} ({cpu / most:.0%})\n")


if __name__ == "__main__":
    main()
