"""What the rules of the published study need to know: settings, code and files.

It belongs to no study file: its data are fixed by the manifest, its settings here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from metamers.errors import StudyError, suggest
from metamers.figures.published.catalogue import FIGURES, TABLES, table_names
from metamers.fingerprint import code_fingerprint
from metamers.plan import tracked
from metamers.recognition.published.manifest import PARTS

# The published tests drew 10,000 rearrangements from this seed; ours draw as many, of
# which each test derives its own stream.
SEED, DRAWS, HALVES = 517, 10_000, 1_000
SETTINGS: dict[str, dict[str, Any]] = {
    "analyse_published_anova": {"seed": SEED, "draws": DRAWS},
    "analyse_published_correlations": {"seed": SEED, "halves": HALVES},
}


class PublishedPlan:
    """Settings, code and inputs of the published study's jobs.

    Parameters
    ----------
    config
        Snakemake's configuration: ``published_parts`` (names of `PARTS`, or one text
        with commas) and ``published_mirror`` (folder with a copy of the public
        repository).

    Attributes
    ----------
    parts
        Parts of the public data to fetch.

    Raises
    ------
    StudyError
        If a part is unknown.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        wanted = config.get("published_parts") or list(PARTS)
        names = wanted.split(",") if isinstance(wanted, str) else list(wanted)
        self.parts = [str(name).strip() for name in names]
        for name in self.parts:
            if name not in PARTS:
                raise StudyError(
                    f"published_parts: {name!r} is not a part of the public data; "
                    f"allowed are {', '.join(PARTS)}{suggest(name, PARTS)}"
                )

    def settings(self, rule: str) -> Callable[[Any], dict[str, Any]]:
        """Return the function that gives a rule's jobs their settings."""

        def of(wildcards: Any) -> dict[str, Any]:
            named = dict(wildcards.items())
            if rule == "fetch_published":
                return {**named, "wanted": named["part"] in self.parts}
            if rule == "plot_published":
                entry = FIGURES[named["figure"]]
                shown = ("title", "caption", "differs")
                return {**named, **{name: getattr(entry, name) for name in shown}}
            return {**named, **SETTINGS.get(rule, {})}

        return of

    def code(self, rule: str) -> Callable[[Any], str]:
        """Return the function that gives a rule's jobs their code's fingerprint."""

        def of(wildcards: Any) -> str:
            figure = wildcards.get("figure")
            if figure is None:
                return code_fingerprint(scripts=(rule,))
            module = f"metamers.figures.published.{FIGURES[figure].module}"
            return code_fingerprint(module, scripts=(rule,))

        return of

    def tables(self, wildcards: Any) -> list[str]:
        """Return the files that a figure reads, ``models`` among them."""
        paths = [TABLES[name] for name in table_names(wildcards.figure)]
        return [tracked(path) if in_repository(path) else path for path in paths]


def in_repository(path: str) -> bool:
    """Say whether a table is a tracked resource, not a result."""
    return path.startswith("resources/")
