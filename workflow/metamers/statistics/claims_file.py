"""The file of claims: what is claimed, how it is measured, and when it holds.

The file is fixed before anything runs, so it is read strictly: an unknown key, a
missing number or a claim that its own rules cannot decide is an error.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from metamers.errors import StudyError, suggest

Direction = Literal["greater", "less", "different", "equivalent", "at_least"]
EstimandKind = Literal[
    "own_match_minimum",
    "recognition_change",
    "recognition_contrast",
    "recognition_area_contrast",
    "distance_contrast",
    "transfer_contrast",
    "collapse_contrast",
    "robustness_contrast",
    "robustness_correlation",
]
# Estimands that compare the models of `models` with those of `against`.
CONTRASTS = (
    "recognition_contrast",
    "recognition_area_contrast",
    "distance_contrast",
    "transfer_contrast",
    "collapse_contrast",
    "robustness_contrast",
)
# Estimands that do not look at chosen stages.
WITHOUT_STAGES = ("recognition_area_contrast", "robustness_contrast")
# Estimands that people's answers can give.
FOR_PEOPLE = ("recognition_change", "recognition_contrast", "recognition_area_contrast")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Selector(_Strict):
    """Which models of a modality: by name, by group, or all trained ones."""

    groups: list[str] | None = Field(None, min_length=1, description="values of group")
    models: list[str] | None = Field(None, min_length=1, description="names of models")
    trained: bool | None = Field(None, description="trained models, or untrained ones")
    without: list[str] = Field([], description="values of group that are left out")

    @model_validator(mode="after")
    def _not_empty(self) -> Selector:
        if self.groups is None and self.models is None and self.trained is None:
            raise ValueError("give groups, models or trained")
        return self

    def text(self) -> str:
        """Return the selector in words, for reasons."""
        parts = []
        if self.models is not None:
            parts.append("named " + " or ".join(self.models))
        if self.groups is not None:
            parts.append("of group " + " or ".join(self.groups))
        if self.trained is not None:
            parts.append("that is " + ("trained" if self.trained else "untrained"))
        if self.without:
            parts.append("not of group " + " or ".join(self.without))
        return " and ".join(parts)


class Claim(_Strict):
    """One claim: what is measured, on which models and stages, and what decides."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    statement: str = Field(min_length=10)
    modalities: list[Literal["vision", "audio"]] = Field(min_length=1)
    observers: Literal["networks", "people"]
    estimand: EstimandKind
    models: Selector
    against: Selector | None = None
    pairing: Literal["layout", "all"] = "layout"
    stages: Literal["early", "late", "final", "all"] | None = None
    direction: Direction
    smallest_effect: float | None = Field(None, gt=0)
    equivalence_margin: float | None = Field(None, gt=0)
    bound: float | None = Field(None, ge=0, le=1)

    @field_validator("modalities")
    @classmethod
    def _once(cls, modalities: list[str]) -> list[str]:
        if len(set(modalities)) < len(modalities):
            raise ValueError("a modality stands twice")
        return modalities

    @model_validator(mode="after")
    def _can_be_decided(self) -> Claim:
        needed = {"equivalent": "equivalence_margin", "at_least": "bound"}.get(
            self.direction, "smallest_effect"
        )
        for field in ("smallest_effect", "equivalence_margin", "bound"):
            given = getattr(self, field) is not None
            if given != (field == needed):
                raise ValueError(
                    f"direction {self.direction!r} is decided by {needed}, so "
                    + (f"remove {field}" if given else f"give {field}")
                )
        _check_fits(self, "against", self.estimand in CONTRASTS)
        _check_fits(self, "stages", self.estimand not in WITHOUT_STAGES)
        if self.observers == "people" and self.estimand not in FOR_PEOPLE:
            raise ValueError(
                f"people give no {self.estimand}; they give {', '.join(FOR_PEOPLE)}"
            )
        if (self.direction == "at_least") != (self.estimand == "own_match_minimum"):
            raise ValueError("own_match_minimum and direction at_least go together")
        return self


def _check_fits(claim: Claim, field: str, needed: bool) -> None:
    """Refuse a field that the estimand does not use, and the lack of one it does."""
    given = getattr(claim, field) is not None
    if given != needed:
        raise ValueError(
            f"estimand {claim.estimand!r} "
            + (f"needs {field}" if needed else f"does not use {field}")
        )


class Rules(_Strict):
    """What all claims share."""

    significance: float = Field(gt=0, lt=1)
    least_stimuli: int = Field(ge=1)
    least_evaluators: int = Field(ge=1)
    least_models: int = Field(ge=3)


class ClaimsFile(_Strict):
    """The whole file."""

    rules: Rules
    claims: list[Claim] = Field(min_length=1)

    @model_validator(mode="after")
    def _unique(self) -> ClaimsFile:
        names = [claim.id for claim in self.claims]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"the id {twice[0]!r} stands twice; ids are unique")
        return self


def parse_claims(content: object, source: str = "claims") -> ClaimsFile:
    """Validate the content of a file of claims.

    Parameters
    ----------
    content
        What the YAML file holds.
    source
        Name of the file, for the message.

    Returns
    -------
    ClaimsFile
        The rules and the claims.

    Raises
    ------
    StudyError
        Naming every wrong field by its path, the value, and what is allowed.
    """
    try:
        return ClaimsFile.model_validate(content)
    except ValidationError as error:
        lines = [_describe(dict(problem)) for problem in error.errors()]
        raise StudyError(f"{source}: " + "\n  ".join(lines)) from None


def load_claims(path: str | Path) -> ClaimsFile:
    """Read and validate a file of claims (YAML); errors as `parse_claims`."""
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StudyError(
            f"{path}: there is no such file; the study's statistics.claims names it"
        ) from None
    except yaml.YAMLError as error:
        raise StudyError(f"{path}: this is no YAML: {error}") from None
    return parse_claims(content, str(path))


def _describe(problem: dict[str, Any]) -> str:
    """Word one problem of pydantic's for the author of the file."""
    place = "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem["loc"]
    ).lstrip(".")
    value = problem["input"]
    if problem["type"] == "extra_forbidden":
        allowed = _fields(problem["loc"])
        wrong = problem["loc"][-1]
        return (
            f"{place}: unknown key; allowed are {', '.join(allowed)}"
            f"{suggest(wrong, allowed)}"
        )
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "missing" or isinstance(value, dict | BaseModel):
        return f"{place or 'file'}: {message}"
    hint = ""
    if problem["type"] == "literal_error":
        hint = suggest(value, _literals(str(problem["loc"][-1])))
    return f"{place}: {message}, not {value!r}{hint}"


def _fields(place: tuple[int | str, ...]) -> list[str]:
    """Return the keys allowed where an unknown one was found."""
    parent = [part for part in place[:-1] if isinstance(part, str)]
    models: dict[str, type[BaseModel]] = {
        "rules": Rules,
        "claims": Claim,
        "models": Selector,
        "against": Selector,
    }
    model = models[parent[-1]] if parent else ClaimsFile
    return list(model.model_fields)


def _literals(field: str) -> list[str]:
    """Return the words that a field of a claim allows."""
    if field not in Claim.model_fields:
        return []
    annotation = Claim.model_fields[field].annotation
    words = [word for word in get_args(annotation) if isinstance(word, str)]
    for part in get_args(annotation):
        words += [word for word in get_args(part) if isinstance(word, str)]
    return words
