"""What to run first on a GPU: does it compute, remember and keep pace as it should.

Nothing of a study is needed. Each part compares the GPU with the processor or with
itself, on networks with random weights and made-up stimuli; in two minutes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from metamers.gpu_measures import (
    bare_steps,
    engine_steps,
    largest_batch,
    seconds,
    step_memory,
    total_memory,
)
from metamers.networks.network import Network, build_network
from metamers.networks.stages import StageForward
from metamers.randomness import numpy_generator
from metamers.resume import ResumeState
from metamers.stimuli.files import Split, StimulusSet, write_stimuli
from metamers.study.reading import load_study
from metamers.study.slices import resolved_entry, synthesis_of
from metamers.synthesis.numerics import reproducible
from metamers.synthesis.optimization import synthesize
from metamers.training.evaluation import TaskLogits
from metamers.training.loop import repeatable, train
from metamers.training.run import TrainingRun

# Steps in double precision differ by rounding alone: weights that differ in their last
# digit change these metamers by 1e-12; single precision anywhere, by over 1e-7.
AGREEMENT_BOUND = 1e-9
AGREEMENT_STEPS = 20
# An engine step, in forward and backward passes of the network cut off at the stage.
SPEED_BOUND = 1.2
# Weights after a few steps of single precision, trained by one process or by two.
TOGETHER_BOUND = 1e-4
# None of these layers normalizes the batch, of which each process has its half.
LEARNED = ("layer4.1.conv1.weight", "fc.weight")

Say = Callable[[str], object]


@dataclass(frozen=True)
class Finding:
    """What one part of the check found.

    Attributes
    ----------
    name
        What was checked.
    passed
        Whether it is as it should be; None where it could not be checked.
    text
        The numbers, with their bound.
    """

    name: str
    passed: bool | None
    text: str


@dataclass(frozen=True)
class Size:
    """The network on which memory and pace are measured, and how often.

    Attributes
    ----------
    entry
        A resolved model entry.
    stage
        Path of the stage whose metamers are made.
    shape
        Of a stimulus.
    batch
        Metamers made at once.
    steps, repeats
        Steps of a measurement of the pace, of which the best of some counts.
    """

    entry: dict[str, Any]
    stage: str
    shape: tuple[int, ...]
    batch: int
    steps: int
    repeats: int


Part = Callable[[str, Size], tuple[bool | None, str]]


def paper_size() -> Size:
    """Return ResNet50 at the size of the paper study: its last stage, its batch."""
    study = load_study("paper")
    entry = {**resolved_entry(study, "resnet50"), "weights": None}
    batch = synthesis_of(study, "resnet50")["shard_size"]
    stage = list(study.models["resnet50"].stages.values())[-1]
    return Size(entry, stage, (3, 224, 224), batch, steps=10, repeats=3)


def small_size() -> Size:
    """Return a small network, for a processor."""
    entry = vision_entry("metamers:SmallAlexNet", {"classes": 10, "channels": 3})
    return Size(entry, "relu2", (3, 32, 32), 40, steps=10, repeats=8)


def check_gpu(device: str, say: Say) -> int:
    """Check a GPU, and say what was found.

    Parameters
    ----------
    device
        ``cuda``; ``cpu`` goes through the same parts in small.
    say
        Gets each line.

    Returns
    -------
    int
        An exit status: 1 if something is not as it should be, else 0, also where there
        is no GPU.
    """
    if device == "cuda" and not torch.cuda.is_available():
        say(f"skipped: {why_no_gpu()}")
        return 0
    size = paper_size() if device == "cuda" else small_size()
    place = torch.cuda.get_device_name() if device == "cuda" else "the processor"
    say(f"torch {torch.__version__} on {place}, {total_memory(device) / 1e9:.1f} GB")
    parts: dict[str, Part] = {
        "metamers of images, processor and GPU": agreement_of_images,
        "metamers of sounds, processor and GPU": agreement_of_sounds,
        "memory of a batch of the paper study": memory,
        "a training that is killed and resumed": resuming,
        "training by two processes and by one": together,
        "pace of the synthesis": pace,
    }
    findings = []
    with reproducible(device, None):
        for name, part in parts.items():
            found = _guarded(name, part, device, size)
            findings.append(found)
            verdict = {True: "pass", False: "FAIL", None: "not checked"}[found.passed]
            say(f"{verdict:<12}{found.name:<40}{found.text}")
    failed = sum(found.passed is False for found in findings)
    say(f"{failed} of {len(findings)} failed" if failed else "all is as it should be")
    return int(failed > 0)


def why_no_gpu() -> str:
    """Say why torch has no GPU here."""
    if torch.version.cuda is None:
        return (
            f"torch {torch.__version__} is built without CUDA; on a node with a GPU, "
            "install a build with it (https://pytorch.org/get-started/locally)"
        )
    return (
        "torch finds no GPU here; run this on a node that has one, e.g. "
        "srun --partition=gpu --gpus=1 metamers check-gpu"
    )


def _guarded(name: str, part: Part, device: str, size: Size) -> Finding:
    """Return what a part finds; an error is a finding, too."""
    try:
        return Finding(name, *part(device, size))
    except Exception as error:
        return Finding(name, False, f"{type(error).__name__}: {error}")


# ---------------------------------------------------------------- the single parts


def agreement_of_images(device: str, size: Size) -> tuple[bool, str]:
    """Compare metamers of images that the device and the processor make."""
    entry = vision_entry("torchvision:resnet18", {"num_classes": 10})
    shape = (4, 3, 64, 64) if device == "cuda" else (2, 3, 32, 32)
    reference = numpy_generator(0, "check", "images").random(shape)
    start = 0.5 + 0.05 * numpy_generator(0, "check", "start").standard_normal(shape)
    return _agreement(device, entry, "layer4", reference, start.clip(0, 1))


def agreement_of_sounds(device: str, size: Size) -> tuple[bool, str]:
    """Compare metamers of sounds, through a cochleagram."""
    front_end = {"kind": "cochleagram", "low": 50.0, "high": 4000.0}
    entry = {
        "modality": "audio",
        "architecture": "metamers:SmallCochCNN",
        "arguments": {"classes": 2, "rows": 8, "frames": 110},
        "preprocessing": {"front_end": {**front_end, "filters": 6, "sample_factor": 1}},
        "sample_rate": 8000,
        "duration": 0.6,
    }
    generator = numpy_generator(0, "check", "sounds")
    reference = 0.1 * generator.standard_normal((4, 4800)).clip(-3, 3)
    start = 1e-3 * generator.standard_normal((4, 4800))
    return _agreement(device, entry, "relu1", reference, start)


def _agreement(
    device: str,
    entry: dict[str, Any],
    stage: str,
    reference: np.ndarray,
    start: np.ndarray,
) -> tuple[bool, str]:
    settings = {
        "rounds": 2,
        "steps_per_round": AGREEMENT_STEPS // 2,
        "first_step": 1.0,
        "log_every": 1,
        "dtype": "float64",
    }
    made = []
    for place in ("cpu", device):
        forward = StageForward(_network(entry, place).double(), stage)
        target = torch.from_numpy(reference).to(place)
        made.append(synthesize(forward, target, start, settings))
    ours, theirs = made
    metamers = relative_difference(theirs.metamer, ours.metamer)
    losses = float(np.max(np.abs(theirs.loss / ours.loss - 1)))
    moved = relative_difference(ours.metamer, start)
    text = (
        f"after {AGREEMENT_STEPS} steps metamers differ by {metamers:.1e}, losses by "
        f"{losses:.1e} (bound {AGREEMENT_BOUND:.0e}; they moved by {moved:.1g})"
    )
    return max(metamers, losses) <= AGREEMENT_BOUND, text


def relative_difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the norm of a difference, relative to that of what was expected."""
    norm = float(np.linalg.norm(expected))
    return float(np.linalg.norm(found - expected)) / norm


def memory(device: str, size: Size) -> tuple[bool, str]:
    """Measure the memory of a synthesis step, and say how large a batch fits."""
    network, batch = _network(size.entry, device), size.batch
    while batch:
        try:
            shape = (batch, *size.shape)
            before, peak = step_memory(network, size.stage, shape, device)
        except torch.cuda.OutOfMemoryError:
            batch //= 2
            torch.cuda.empty_cache()
            continue
        largest = largest_batch(batch, before, peak, total_memory(device))
        fits = "one takes too little to measure"
        if largest is not None:
            fits = f"about {largest} fit at once"
        text = (
            f"{size.entry['architecture']}, stage {size.stage}: {peak / 1e9:.2f} GB "
            f"for {batch} metamers; {fits} (shard_size: {size.batch})"
        )
        return largest is None or largest >= size.batch, text
    return False, "not even one metamer fits: no memory is free on this GPU"


def resuming(device: str, size: Size) -> tuple[bool, str]:
    """Compare a training whose state was saved and read with one that went on."""
    entry = training_entry(device)
    with tempfile.TemporaryDirectory() as folder:
        stimuli = made_up_images(Path(folder), entry)

        def new_run() -> TrainingRun:
            network = build_network(entry, 0).to(device)
            task = TaskLogits.of(entry, stimuli)
            return TrainingRun(network, entry, task, stimuli, 0, device)

        with repeatable(torch.device(device)):
            whole, killed = new_run(), new_run()
            _steps(whole, 4)
            _steps(killed, 2)
            with ResumeState(Path(folder) / "state", "check") as state:
                state.save(killed.snapshot())
                resumed = new_run()
                resumed.restore(state.load() or {})
            _steps(resumed, 2)
    expected, found = whole.snapshot(), resumed.snapshot()
    different = [
        name
        for name, value in expected.items()
        if not np.array_equal(np.asarray(value), np.asarray(found[name]))
    ]
    if different:
        shown = ", ".join(different[:3])
        text = f"{len(different)} of {len(expected)} tensors are not the same: {shown}"
        return False, text
    return True, f"{len(expected)} tensors are the same, bit for bit, 2 steps later"


def _steps(run: TrainingRun, steps: int) -> None:
    """Take some steps of a training, from where it stands."""
    for _, (x, label) in zip(range(steps), run.remaining_batches(), strict=False):
        run.step(x, label)
        run.progress.batch += 1


def together(device: str, size: Size) -> tuple[bool | None, str]:
    """Compare the weights that two processes train with those of one."""
    if device == "cuda" and torch.cuda.device_count() < 2:
        return None, "needs two GPUs: ask for them to train on several"
    entry = training_entry(device)
    entry["training"]["trainable"] = [name.rpartition(".")[0] for name in LEARNED]
    with tempfile.TemporaryDirectory() as folder:
        stimuli = made_up_images(Path(folder), entry)
        learned = []
        for processes in (1, 2):
            result = train(
                entry, stimuli, study_seed=0, device=device, processes=processes
            )
            weights = result.network.body.state_dict()
            learned.append({name: weights[name].cpu().numpy() for name in LEARNED})
    alone, both = learned
    apart = max(relative_difference(both[name], alone[name]) for name in LEARNED)
    text = f"weights differ by {apart:.1e} (bound {TOGETHER_BOUND:.0e})"
    return apart <= TOGETHER_BOUND, text


def pace(device: str, size: Size) -> tuple[bool, str]:
    """Compare a step of the synthesis with a bare forward and backward pass."""
    network = _network(size.entry, device)
    x = torch.rand(size.batch, *size.shape, device=device)
    engine, bare = (
        make(network, size.stage, x, size.steps) for make in (engine_steps, bare_steps)
    )
    turns = [
        (seconds(bare, device), seconds(engine, device))
        for _ in range(size.repeats + 1)
    ]
    # The first turn warms up.
    floors, engines = zip(*turns[1:], strict=True)
    ratio = min(engines) / min(floors)
    per_second = size.steps / min(engines)
    text = (
        f"{per_second:.2f} steps a second of {size.batch} metamers; a step costs "
        f"{ratio:.3f} bare passes (bound {SPEED_BOUND})"
    )
    return ratio <= SPEED_BOUND, text


# ------------------------------------------------------------ what they work with


def _network(entry: dict[str, Any], device: str) -> Network:
    return build_network(entry, 0).to(device).eval().requires_grad_(False)


def vision_entry(architecture: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the entry of a network that takes images in color."""
    return {
        "modality": "vision",
        "architecture": architecture,
        "arguments": arguments,
        "preprocessing": {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
        "weights": None,
        "seed": 0,
    }


def training_entry(device: str) -> dict[str, Any]:
    """Return the entry of a network that is trained adversarially for an epoch."""
    training = {
        "epochs": 1,
        "batch_size": 32 if device == "cuda" else 8,
        "learning_rate": 0.01,
        "momentum": 0.9,
        "weight_decay": 1e-4,
        "schedule": {"kind": "one_cycle"},
        "augmentation": {"flip": True},
    }
    attack = {"kind": "adversarial", "norm": "l2", "epsilon": 1.0, "steps": 2}
    task = {"name": "made-up", "label": "category", "decision": {"kind": "argmax"}}
    entry = vision_entry("torchvision:resnet18", {"num_classes": 4})
    return {**entry, "task": task, "training": {**training, "perturbation": attack}}


def made_up_images(folder: Path, entry: dict[str, Any]) -> Path:
    """Write a stimulus file of noise, for five steps of training."""
    batch = entry["training"]["batch_size"]
    splits = {}
    for name, count in (("training", 5 * batch), ("test", batch)):
        generator = numpy_generator(0, "check", name)
        pixels = generator.integers(0, 256, (count, 3, 64, 64), dtype=np.uint8)
        ids = np.array([f"{name}_{number}" for number in range(count)])
        splits[name] = Split(pixels, ids, {"category": np.arange(count) % 4})
    stimuli = StimulusSet("vision", splits, {"category": ["a", "b", "c", "d"]})
    path = folder / "vision.h5"
    write_stimuli(stimuli, path, folder / "vision.csv")
    return path
