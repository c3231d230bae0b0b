"""Errors that a user's own files can cause, worded for that user."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class StudyError(ValueError):
    """A study, stimulus or result file that cannot be used as it is."""


def suggest(name: object, allowed: Iterable[str]) -> str:
    """Name the allowed word nearest to a wrong one.

    Parameters
    ----------
    name
        What was written.
    allowed
        What may be written.

    Returns
    -------
    str
        ``"; did you mean 'nearest'?"``, or nothing where no word is near.
    """
    near = difflib.get_close_matches(str(name), [str(word) for word in allowed], n=1)
    return f"; did you mean '{near[0]}'?" if near else ""
