"""Read pickles of numbers from elsewhere, and nothing that could run code.

A pickle may call any function that it can name. The published ones name four things of
NumPy, by which arrays and numbers are rebuilt; an unpickler that knows only these
refuses all others before anything is called.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from metamers.errors import StudyError

MOST_BYTES = 20_000_000
NUMPY_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")


class NumbersUnpickler(pickle.Unpickler):
    """An unpickler of plain Python values, NumPy arrays and NumPy numbers."""

    def find_class(self, module: str, name: str) -> Any:
        """Return one of the four allowed names.

        Raises
        ------
        pickle.UnpicklingError
            For any other name.
        """
        allowed = _allowed()
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return allowed[module, name]

    def persistent_load(self, pid: Any) -> Any:
        """Refuse objects that are kept elsewhere."""
        raise pickle.UnpicklingError("it refers to objects outside the file")


def load_numbers(path: str | Path) -> Any:
    """Read a pickle that holds numbers, text, arrays, lists and dictionaries only.

    Parameters
    ----------
    path
        The file; written by Python 2 or 3.

    Returns
    -------
    object
        What was pickled; text of Python 2 as text.

    Raises
    ------
    StudyError
        If the file is too large, damaged, or names anything but NumPy's arrays and
        numbers. Nothing in it has been run then.
    """
    path = Path(path)
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise StudyError(f"{path}: {size} bytes; the published files have fewer")
    try:
        with open(path, "rb") as file:
            return NumbersUnpickler(file, encoding="latin1").load()
    except Exception as error:  # damaged pickles raise almost anything
        raise StudyError(
            f"{path}: refused: {error}. Published files hold numbers, text and arrays "
            "only; fetch this one again, and do not open it with anything else"
        ) from None


def _allowed() -> dict[tuple[str, str], Any]:
    # NumPy's own pickling rebuilds arrays and numbers with these two functions.
    rebuild_array = np.zeros(0).__reduce__()[0]
    rebuild_number = np.float64(0).__reduce__()[0]
    names: dict[tuple[str, str], Any] = {
        ("numpy", "dtype"): np.dtype,
        ("numpy", "ndarray"): np.ndarray,
    }
    for module in NUMPY_MODULES:
        names[module, "scalar"] = rebuild_number
        names[module, "_reconstruct"] = rebuild_array
    return names
