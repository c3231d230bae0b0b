"""What the figures say of the stimuli: chance, and whether speech is synthetic."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from metamers.stimuli.files import read_attributes

# The label that recognition is scored by.
REFERENCE_LABEL = {"vision": "category", "audio": "word"}
SYNTHETIC = "The words are synthetic speech (eSpeak NG)."


def chance_by_modality(stimuli_paths: Iterable[str | Path]) -> dict[str, float | None]:
    """Return the proportion correct by chance of each modality.

    Parameters
    ----------
    stimuli_paths
        Stimulus files.

    Returns
    -------
    dict
        {modality: one over its categories}.
    """
    found: dict[str, float | None] = {}
    for path in stimuli_paths:
        attributes = read_attributes(path)
        names = attributes["categories"][REFERENCE_LABEL[attributes["modality"]]]
        found[attributes["modality"]] = 1 / len(names)
    return found


def synthetic_note(stimuli_paths: Iterable[str | Path]) -> str:
    """Return the sentence that says that speech is synthetic; nothing if none is."""
    synthetic = any(read_attributes(path)["synthetic"] for path in stimuli_paths)
    return SYNTHETIC if synthetic else ""
