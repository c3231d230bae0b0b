"""How near a stage brings speech in noise to where it brings the clean clip.

For each clip and stage, the distance between the clean clip and noisy versions of it,
beside that between the clean clip and clean clips of other words: what Feather et al.
2019 compare in trained and untrained networks.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from metamers.errors import StudyError
from metamers.networks.network import Network
from metamers.networks.stages import activations
from metamers.randomness import numpy_generator
from metamers.stimuli.mixing import mix
from metamers.training.augmentation import excerpts
from metamers.training.data import StimulusRows

COLUMNS = (
    "model",
    "stage",
    "stage_index",
    "stimulus_id",
    "noisy_distance",
    "other_distance",
    "ratio",
    "snr",
)
# What makes a clip another one: the word, whatever the network's own task is.
LABEL = "word"


def measure_collapse(
    network: Network,
    entry: Mapping[str, Any],
    stages: Mapping[str, str],
    settings: Mapping[str, Any],
    stimuli_path: str | Path,
    seed: int,
    *,
    model: str,
    device: str | torch.device = "cpu",
    batch_size: int = 48,
) -> pd.DataFrame:
    """Measure how near each stage brings noisy clips to their clean ones.

    The clips are the reference clips, the backgrounds those of the test split. Which
    background and which other clip belong to a clip is drawn from the seed and the
    clip's id, so they are the same for all models.

    Parameters
    ----------
    network
        In evaluation mode, of modality audio.
    entry
        The resolved model entry.
    stages
        Name and path of each stage, in order.
    settings
        ``snr`` in dB, and ``backgrounds_per_clip``, over which distances are averaged.
    stimuli_path
        The stimulus file of sounds.
    seed
        The study's seed.
    model
        Name of the model, for the table.
    device
        Where the network is.
    batch_size
        Clips a forward pass.

    Returns
    -------
    DataFrame
        A row a stage and clip: model, stage, stage_index (from 1), stimulus_id,
        noisy_distance and other_distance, the mean of ||a(clean) - a(other)|| /
        ||a(clean)|| over noisy versions and over other words, ratio (the first over
        the second; empty where the second is 0) and snr.

    Raises
    ------
    StudyError
        If the network is not one of sounds, or all clips are of one word.
    """
    if entry["modality"] != "audio":
        raise StudyError(
            f"model '{model}' is of modality {entry['modality']}: noise collapse is "
            "measured in auditory networks only"
        )
    clips = StimulusRows(stimuli_path, "reference")
    clean = clips.values(np.arange(len(clips)))
    backgrounds = StimulusRows(stimuli_path, "test_background")
    repeats = settings["backgrounds_per_clip"]
    noisy, other = _partners(clips, clean, backgrounds, settings, seed)

    def activation(sounds: np.ndarray) -> dict[str, np.ndarray]:
        return _activations(network, stages, sounds, device, batch_size)

    reference = activation(clean)
    noisy_distance = {name: np.zeros(len(clips)) for name in stages}
    other_distance = {name: np.zeros(len(clips)) for name in stages}
    for repeat in range(repeats):
        heard = activation(noisy[repeat])
        for name, target in reference.items():
            other_target = target[other[repeat]]
            noisy_distance[name] += _distance(heard[name], target) / repeats
            other_distance[name] += _distance(other_target, target) / repeats
    tables = [
        pd.DataFrame(
            {
                "model": model,
                "stage": name,
                "stage_index": index,
                "stimulus_id": clips.id,
                "noisy_distance": noisy_distance[name],
                "other_distance": other_distance[name],
                "ratio": _ratio(noisy_distance[name], other_distance[name]),
                "snr": float(settings["snr"]),
            }
        )
        for index, name in enumerate(stages, start=1)
    ]
    return pd.concat(tables, ignore_index=True)[list(COLUMNS)]


def _partners(
    clips: StimulusRows,
    clean: np.ndarray,
    backgrounds: StimulusRows,
    settings: Mapping[str, Any],
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the noisy versions (repeats, n, samples) and other clips (repeats, n)."""
    words = clips.label(LABEL)
    if len(np.unique(words)) < 2:
        raise StudyError(
            f"{clips.path}: all reference clips are of one word; collapse compares "
            "each clip with another word's"
        )
    repeats, length = settings["backgrounds_per_clip"], clean.shape[1]
    noisy = np.empty((repeats, *clean.shape), dtype=np.float32)
    other = np.empty((repeats, len(clips)), dtype=np.int64)
    for index, name in enumerate(clips.id):
        generator = numpy_generator(seed, "collapse", str(name))
        # Without replacement where there are enough: other versions are other noises.
        enough = len(backgrounds) >= repeats
        chosen = generator.choice(len(backgrounds), repeats, replace=not enough)
        cut = excerpts(backgrounds.values(chosen), generator.random(repeats), length)
        rms = float(np.sqrt((clean[index] ** 2).mean()))
        speech = np.repeat(clean[index : index + 1], repeats, axis=0)
        noisy[:, index] = mix(speech, cut, settings["snr"], rms).clip(-1.0, 1.0)
        candidates = np.flatnonzero(words != words[index])
        enough = len(candidates) >= repeats
        other[:, index] = generator.choice(candidates, repeats, replace=not enough)
    return noisy, other


def _activations(
    network: Network,
    stages: Mapping[str, str],
    sounds: np.ndarray,
    device: str | torch.device,
    batch_size: int,
) -> dict[str, np.ndarray]:
    """Return the flattened activations (n, units) at each stage."""
    parts: dict[str, list[np.ndarray]] = {name: [] for name in stages}
    for start in range(0, len(sounds), batch_size):
        x = torch.from_numpy(sounds[start : start + batch_size]).to(device)
        with torch.no_grad():
            found = activations(network, dict(stages), x)
        for name, value in found.items():
            parts[name].append(value.flatten(1).cpu().numpy())
    return {name: np.concatenate(values) for name, values in parts.items()}


def _distance(value: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """Return ||value - clean|| / ||clean|| of each clip; nan where it is silent."""
    norm = np.linalg.norm(clean.astype(np.float64), axis=1)
    difference = np.linalg.norm(value.astype(np.float64) - clean, axis=1)
    return np.divide(difference, norm, out=np.full_like(norm, np.nan), where=norm > 0)


def _ratio(noisy: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Divide, with nan where two words are the same to the stage."""
    return np.divide(noisy, other, out=np.full_like(other, np.nan), where=other > 0)
