"""The measures of likeness that screening compares with a null distribution."""

from __future__ import annotations

MEASURES = ("spearman", "pearson", "db_snr")
# The largest value a measure can take by its definition; none for a level in dB.
CEILINGS: dict[str, float | None] = {"spearman": 1.0, "pearson": 1.0, "db_snr": None}
CEILING_TOLERANCE = 1e-6

# The response to a metamer that is not a stimulus, since it holds values that are no
# numbers.
NO_RESPONSE = -1


def at_ceiling(measure: str, value: float) -> bool:
    """Say whether no metamer can exceed `value` because the measure ends there.

    Over the few units of a final stage two different stimuli reach a rank correlation
    of 1 by chance: such a threshold would fail every metamer, perfect ones too.
    """
    ceiling = CEILINGS[measure]
    return ceiling is not None and value >= ceiling - CEILING_TOLERANCE
