"""Null distributions of the screening measures as files and as thresholds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from metamers.errors import StudyError, suggest
from metamers.files import atomic_path
from metamers.synthesis.measures import MEASURES, at_ceiling

FORMAT_VERSION = 1
RULES = ("maximum", "quantile")


@dataclass(frozen=True)
class NullDistribution:
    """How alike the activations to different natural stimuli are, by one measure.

    Attributes
    ----------
    maximum
        Largest value over the pairs.
    ceiling
        Whether the maximum is the largest value the measure can take at all.
    pairs
        Number of pairs.
    units
        Number of values of the stage's activation to one stimulus.
    quantile_levels, quantiles
        Levels in [0, 1], ascending, and the measure's values there.
    histogram_counts, histogram_edges
        Pairs in each bin, and the bins' edges; the outermost bins hold what lies
        beyond them.
    """

    maximum: float
    ceiling: bool
    pairs: int
    units: int
    quantile_levels: np.ndarray
    quantiles: np.ndarray
    histogram_counts: np.ndarray
    histogram_edges: np.ndarray

    def quantile(self, level: float) -> float:
        """Return the quantile at a level, linear between the levels that are kept."""
        upper = int(np.searchsorted(self.quantile_levels, level))
        if np.isclose(self.quantile_levels[upper], level, rtol=0, atol=1e-12):
            return float(self.quantiles[upper])
        return float(np.interp(level, self.quantile_levels, self.quantiles))


Null = dict[str, dict[str, NullDistribution]]


def threshold(
    null: NullDistribution, measure: str, screening: Mapping[str, Any]
) -> float | None:
    """Return what a metamer must exceed; None where the measure is at its ceiling.

    Parameters
    ----------
    null
        The measure's null distribution at the stage.
    measure
        Its name.
    screening
        ``rule``: "maximum" (as published) or "quantile", and for this ``quantile``,
        a level in (0, 1).

    Raises
    ------
    StudyError
        If the rule is unknown or the quantile is not in (0, 1).
    """
    rule = screening["rule"]
    if rule == "maximum":
        return None if null.ceiling else null.maximum
    if rule != "quantile":
        raise StudyError(
            f"screening.rule: {rule!r} is not one of {', '.join(RULES)}"
            f"{suggest(rule, RULES)}"
        )
    level = screening.get("quantile")
    if not isinstance(level, int | float) or not 0 < level < 1:
        raise StudyError(
            f"screening.quantile: {level!r} is not a number between 0 and 1; the rule "
            "'quantile' needs one, e.g. 0.999"
        )
    value = null.quantile(level)
    return None if at_ceiling(measure, value) else value


def write_null(
    null: Null, path: str | Path, provenance: Mapping[str, Any] | None = None
) -> None:
    """Write the null distributions of one model.

    Parameters
    ----------
    null
        By stage and measure.
    path
        The HDF5 file.
    provenance
        How they were made.
    """
    first = next(iter(null.values()))[MEASURES[0]]
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["format_version"] = FORMAT_VERSION
        file.attrs["stages"] = json.dumps(list(null))
        file.attrs["provenance"] = json.dumps(dict(provenance or {}))
        file["quantile_levels"] = first.quantile_levels
        for stage, measures in null.items():
            for measure, distribution in measures.items():
                group = file.create_group(f"{stage}/{measure}")
                for name in ("maximum", "ceiling", "pairs", "units"):
                    group.attrs[name] = getattr(distribution, name)
                group["quantiles"] = distribution.quantiles
                for name in ("histogram_counts", "histogram_edges"):
                    group.create_dataset(
                        name, data=getattr(distribution, name), compression="gzip"
                    )


def read_null(path: str | Path) -> Null:
    """Read what `write_null` wrote, stages in their order.

    Raises
    ------
    StudyError
        If the file is missing, damaged or of another format.
    """
    try:
        with h5py.File(path, "r") as file:
            levels = file["quantile_levels"][:]
            return {
                stage: {
                    measure: _read_distribution(file[stage][measure], levels)
                    for measure in file[stage]
                }
                for stage in json.loads(file.attrs["stages"])
            }
    except (OSError, KeyError, json.JSONDecodeError) as error:
        raise StudyError(
            f"{path} is no readable file of null distributions ({error}); delete it "
            "and run the rule sample_null again"
        ) from error


def read_null_provenance(path: str | Path) -> dict[str, Any]:
    """Return how the null distributions of a file were made."""
    with h5py.File(path, "r") as file:
        return json.loads(file.attrs["provenance"])


def _read_distribution(group: Any, levels: np.ndarray) -> NullDistribution:
    return NullDistribution(
        maximum=float(group.attrs["maximum"]),
        ceiling=bool(group.attrs["ceiling"]),
        pairs=int(group.attrs["pairs"]),
        units=int(group.attrs["units"]),
        quantile_levels=levels,
        quantiles=group["quantiles"][:],
        histogram_counts=group["histogram_counts"][:],
        histogram_edges=group["histogram_edges"][:],
    )
