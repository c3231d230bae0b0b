"""The model card: what a network is, what it can do, how it was made."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from metamers.networks.network import Network
from metamers.networks.stages import describe
from metamers.training.data import TEST_SPLIT, StimulusRows

if TYPE_CHECKING:
    import pandas as pd

# Natural stimuli that the stages are looked at with: a few, since a stage whose units
# are all silent for one stimulus does not show its ReLU.
EXAMPLES = 4


def model_card(
    network: Network,
    entry: Mapping[str, Any],
    *,
    model: str,
    group: str,
    stages: Mapping[str, str],
    straight_through: Mapping[str, bool],
    history: pd.DataFrame,
    stimuli_path: str | Path,
    robustness: pd.DataFrame | None = None,
    provenance: Mapping[str, Any] | None = None,
    device: str | torch.device = "cpu",
) -> dict[str, Any]:
    """Describe a model.

    Parameters
    ----------
    network
        In evaluation mode.
    entry
        The resolved model entry.
    model, group
        Its name and group in the study.
    stages
        Name and path of each stage, in order.
    straight_through
        By stage, False where the plain gradient is asked for.
    history
        From `train`, or read from training.csv.
    stimuli_path
        The stimulus file of the entry's modality.
    robustness
        From `measure_robustness`, if it was measured.
    provenance
        How the weights were made.
    device
        Where the network is.

    Returns
    -------
    dict
        JSON-ready; numbers that do not exist are None. ``test_accuracy`` is on all
        test stimuli (sounds: in noise), ``robust_accuracy`` on those attacked.
    """
    rows = StimulusRows(stimuli_path, TEST_SPLIT[entry["modality"]])
    x = torch.from_numpy(rows.values(np.arange(min(EXAMPLES, len(rows))))).to(device)
    descriptions = describe(network, dict(stages), x, dict(straight_through))
    last = history.iloc[-1]
    given, trained = entry.get("weights") is not None, bool(entry.get("training"))
    origin = "given" if given else "trained" if trained else "untrained"
    if given and trained:
        origin = "given, then trained"
    return {
        "model": model,
        "group": group,
        "origin": origin,
        "entry": dict(entry),
        "parameters": sum(value.numel() for value in network.parameters()),
        "stages": [
            {
                "name": stage.name,
                "path": stage.path,
                "gradient": stage.gradient,
                "shape": list(stage.shape),
                "units": stage.units,
            }
            for stage in descriptions
        ],
        "epochs": int(last["epoch"]),
        "training_loss": _number(last["training_loss"]),
        "training_accuracy": _number(last["training_accuracy"]),
        "training_seconds": round(float(history["seconds"].sum()), 3),
        "test_split": rows.split,
        "test_stimuli": len(rows),
        "test_loss": _number(last["test_loss"]),
        "test_accuracy": _number(last["test_accuracy"]),
        "robust_accuracy": None if robustness is None else _robust(robustness),
        "provenance": None if provenance is None else dict(provenance),
    }


def _robust(table: pd.DataFrame) -> dict[str, Any]:
    """Return the attack and the accuracy at each epsilon."""
    first = table.iloc[0]
    return {
        "norm": str(first["norm"]),
        "steps": int(first["steps"]),
        "stimuli": int(first["n"]),
        "accuracy": {
            f"{epsilon:g}": _number(accuracy)
            for epsilon, accuracy in zip(
                table["epsilon"], table["accuracy"], strict=True
            )
        },
    }


def _number(value: Any) -> float | None:
    """Return a number that JSON knows, or None."""
    number = float(value)
    return number if math.isfinite(number) else None
