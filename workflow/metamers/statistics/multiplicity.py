"""Holm's correction for several tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metamers.statistics.bootstrap import Floats


def holm(p: Sequence[float] | Floats) -> Floats:
    """Adjust p-values for their number, step down (Holm 1979).

    Parameters
    ----------
    p
        p-values; NaN marks what was not tested and does not count.

    Returns
    -------
    ndarray
        Adjusted values in the same order, at most 1; NaN stays NaN.
    """
    values = np.asarray(p, dtype=float)
    adjusted = np.full(values.shape, np.nan)
    tested = np.flatnonzero(np.isfinite(values))
    ascending = tested[np.argsort(values[tested], kind="stable")]
    factors = np.arange(ascending.size, 0, -1)
    stepped = np.maximum.accumulate(values[ascending] * factors)
    adjusted[ascending] = np.minimum(1.0, stepped)
    return adjusted
