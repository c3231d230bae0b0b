"""The published regressions of auditory cortex on the stages of networks.

One file for each network and stage (released code,
regression_results): explained variance of 7,694 voxels of eight participants in ten
splits of the sounds. What is read of each voxel is the median over splits, and of each
participant and region the median over voxels.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from metamers.errors import StudyError
from metamers.recognition.published.unpickling import load_numbers

FILE_PATH = re.compile(
    r".*/audio_networks/(?P<model>[A-Za-z0-9_.-]+)/regression_results/"
    r"natsound_activations/voxelwise_regression_b'(?P<stage>[A-Za-z0-9_]+)'_[^/]+\.pckl"
)
ALL_VOXELS = "all_aud_voxels"
COLUMNS = ["model", "stage", "roi", "participant", "n_voxels", "median_r2"]


def read_voxels_file(path: str | Path) -> pd.DataFrame:
    """Summarize the regressions on one stage of one network.

    Parameters
    ----------
    path
        A published file at its published path.

    Returns
    -------
    DataFrame
        `COLUMNS`: one row for each region of interest and participant. ``stage`` is
        the name in the file, without the suffix of straight-through stages;
        ``median_r2`` is noise-corrected explained variance.

    Raises
    ------
    StudyError
        Where the path or an array is not as published.
    """
    path = Path(path)
    named = FILE_PATH.fullmatch(path.as_posix())
    if named is None:
        raise StudyError(
            f"{path}: not the path of a published file; they are called "
            ".../NETWORK/regression_results/natsound_activations/voxelwise_..."
        )
    explained, participants, regions = _arrays(path, load_numbers(path))
    voxels = np.median(explained, axis=1)
    rows = [
        (
            named["model"],
            named["stage"],
            region,
            int(participant),
            int(chosen.sum()),
            float(np.median(voxels[chosen])),
        )
        for region, mask in regions.items()
        for participant in np.unique(participants)
        if (chosen := mask & (participants == participant)).any()
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def read_voxels(paths: Sequence[str | Path]) -> pd.DataFrame:
    """Summarize the regressions of all files; an empty table where there are none."""
    parts = [read_voxels_file(path) for path in sorted(map(str, paths))]
    if not parts:
        return pd.DataFrame(columns=COLUMNS)
    return pd.concat(parts, ignore_index=True)


def _arrays(path: Path, content: Any) -> tuple[Any, Any, dict[str, Any]]:
    """Return explained variance, participants and masks of the regions."""
    try:
        explained = np.asarray(content["r2s"], dtype=float)
        participants = np.asarray(content["voxel_meta"]["subj_idx"], dtype=int)
        masks = np.asarray(content["roi_masks"]["masks"], dtype=float) > 0
        names = [str(name) for name in content["roi_masks"]["mask_names"]]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise StudyError(
            f"{path}: an array is missing ({error}); fetch it again"
        ) from None
    voxels = len(explained)
    shapes = [explained.ndim == 2, participants.shape == (voxels,)]
    if not all(shapes) or masks.shape != (voxels, len(names)):
        raise StudyError(f"{path}: its arrays do not describe the same voxels")
    if not np.isfinite(explained).all():
        raise StudyError(f"{path}: explained variance is missing for some voxels")
    regions = {ALL_VOXELS: np.ones(voxels, dtype=bool)}
    return (
        explained,
        participants,
        {**regions, **dict(zip(names, masks.T, strict=True))},
    )
