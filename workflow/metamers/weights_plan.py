"""What the rules of public weights need to know: entries, code, and what is by hand.

They belong to no study: the weights of one file serve all.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from metamers.compared import Slice
from metamers.errors import StudyError
from metamers.fingerprint import code_fingerprint
from metamers.networks.weights_registry import PublicWeights, public_weights
from metamers.study.definition import Study

FOLDER = "results/weights"


class FetchSettings(Slice):
    """Settings of a fetch, compared by what the file is and how it is read.

    Its content is checked, so its address changes nothing; nor does a checksum that
    becomes known later. If each fetched it again, all that was made with the weights
    would be made again as well.
    """

    def __repr__(self) -> str:
        return repr({key: self[key] for key in ("public", "suffix", "rules")})


class Recorded(str):
    """Text that is recorded with a result and not compared, so it runs nothing."""

    def __repr__(self) -> str:
        return repr("")

    def __reduce__(self) -> tuple[Any, ...]:
        return str, (str(self),)


class WeightsPlan:
    """The public weights of a study, and the settings and code of their jobs.

    Parameters
    ----------
    study
        The study.

    Raises
    ------
    StudyError
        If it names weights that are not in the registry, or does not train or give
        what a file lacks.
    """

    def __init__(self, study: Study) -> None:
        self.used: dict[str, PublicWeights] = {}
        for model, entry in study.models.items():
            weights = entry.weights
            if weights is None or weights.public is None:
                continue
            try:
                found = public_weights(weights.public)
            except StudyError as error:
                raise StudyError(f"models.{model}.{error}") from None
            self.used[weights.public] = found
            given = weights.head is not None or found.zero_shot
            trained = entry.training is not None and (
                not entry.training.trainable
                or set(found.rules.lacks) <= set(entry.training.trainable)
            )
            if found.rules.lacks and not (given or trained):
                lacking = ", ".join(found.rules.lacks)
                raise StudyError(
                    f"models.{model}: the weights {weights.public} lack {lacking}; "
                    f"train it (training: {{trainable: [{lacking}], ...}}) or give it "
                    "(weights: {head: FILE, ...})"
                )

    def by_hand(self, mirror: str | None) -> list[str]:
        """Return what must be put here by hand before a run and is not here.

        Parameters
        ----------
        mirror
            Folder that is read instead of the network, if any.

        Returns
        -------
        list of str
            A line for each file: where it goes, and where to get it.
        """
        wanted = {
            f"{name}{entry.file_suffix}": entry.how
            for name, entry in self.used.items()
            if entry.url is None
        }
        folders = [FOLDER] if mirror is None else [FOLDER, mirror]
        return [
            f"{FOLDER}/{file}: {how}"
            for file, how in wanted.items()
            if not any(Path(folder, file).is_file() for folder in folders)
        ]

    def settings(self, rule: str) -> Callable[[Any], dict[str, Any]]:
        """Return the function that gives a rule's jobs their settings."""

        def of(wildcards: Any) -> dict[str, Any]:
            if rule == "make_zero_shot_head":
                return {"public": wildcards.public}
            entry = public_weights(wildcards.public)
            known = entry.model_dump(include={"url", "how", "sha256", "sha256_prefix"})
            return FetchSettings(
                public=wildcards.public,
                suffix=entry.file_suffix,
                rules=entry.rules.model_dump(exclude_defaults=True),
                **known,
            )

        return of

    def code(self, rule: str) -> Callable[[Any], str]:
        """Return the function that gives a rule's jobs their code's fingerprint."""

        def of(wildcards: Any) -> str:
            found = code_fingerprint(scripts=(rule,))
            # Whatever fetches a file, its content is checked.
            return Recorded(found) if rule == "fetch_weights" else found

        return of


def card_of(public: str) -> str:
    """Return the card of public weights, relative to the working directory."""
    return f"{FOLDER}/{public}.json"


def head_of(public: str) -> str:
    """Return the zero-shot read-out of public weights, likewise."""
    return f"{FOLDER}/{public}_head.safetensors"
