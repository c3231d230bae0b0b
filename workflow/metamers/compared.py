"""Settings of jobs as Snakemake compares them, to see whether a job must run again."""

from __future__ import annotations

from typing import Any


class Slice(dict[str, Any]):
    """Settings of a job, compared by what `compact` leaves of them.

    Snakemake runs a job again when the text of its parameters has changed. A field that
    is new in the schema, and off by default, is not in that text. Scripts get a plain
    dictionary with all fields.
    """

    def __repr__(self) -> str:
        return repr(compact(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


def compact(settings: Any) -> Any:
    """Leave out the fields of settings that are null, false, zero or empty.

    All fields of a study are always written out, so one that is missing can only be
    one of these; what the settings mean is not changed.
    """
    if isinstance(settings, dict):
        kept = {key: compact(value) for key, value in settings.items()}
        return {key: value for key, value in kept.items() if value}
    return settings
