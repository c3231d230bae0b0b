"""Which public weights there are: resources/weights.yaml, read and checked.

Nothing here imports torch or touches the network: a study is planned without either.
Jobs get an entry as plain values, and do not read the registry themselves.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from metamers.errors import StudyError, suggest
from metamers.study.base import NAME_PATTERN, Section
from metamers.study.reading import ROOT, read_yaml

REGISTRY = ROOT / "resources" / "weights.yaml"
SUFFIXES = (".safetensors", ".pth", ".pt", ".mat")

Sentence = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
ModulePath = Annotated[str, StringConstraints(pattern=r"^\w+(\.\w+)*$")]


class Rules(Section):
    """What the names in a file have to do with those of the architecture.

    A name that is one of the architecture's is taken as it is. Of the others, those
    that `leave_out` or `copies` finds are left out, and the rest are renamed. The
    expressions are searched for, so that one for the beginning starts with ``^``.
    """

    rename: dict[str, str] = Field(
        default_factory=dict,
        description="regular expression: replacement; in their order, until the name "
        "is one of the architecture's",
    )
    leave_out: list[str] = Field(
        default_factory=list,
        description="regular expressions of names that are no part of the network",
    )
    copies: dict[str, str] = Field(
        default_factory=dict,
        description="regular expression: replacement; gives the name in the file whose "
        "values the copy must have",
    )
    lacks: list[ModulePath] = Field(
        default_factory=list,
        description="modules of the architecture that the file does not hold",
    )
    placeholders: list[ModulePath] = Field(
        default_factory=list,
        description="packages whose objects stand in the file beside the weights; "
        "they are not made, and what stands in their place does nothing",
    )
    reader: str | None = Field(
        None,
        pattern=r"^metamers(\.\w+)+:\w+$",
        description="module:function that reads a file of another format",
    )

    @model_validator(mode="after")
    def _expressions(self) -> Rules:
        for pattern in (*self.rename, *self.leave_out, *self.copies):
            try:
                re.compile(pattern)
            except re.error as error:
                raise PydanticCustomError(
                    "expression",
                    "'{pattern}' is no regular expression ({error})",
                    {"pattern": pattern, "error": str(error)},
                ) from None
        return self


class PublicWeights(Section):
    """One file of public weights."""

    url: str | None = Field(
        pattern=r"^https://", description="address of the file; null: by hand"
    )
    how: Sentence | None = Field(
        None, description="where to get it by hand; needed without url"
    )
    suffix: Literal[".safetensors", ".pth", ".pt", ".mat"] | None = Field(
        None, description="of the file here; left out: that of the url"
    )
    sha256: str | None = Field(
        None, pattern=r"^[0-9a-f]{64}$", description="checksum, where it is published"
    )
    sha256_prefix: str | None = Field(
        None,
        pattern=r"^[0-9a-f]{8,63}$",
        description="its first digits, where only these are published",
    )
    licence: Sentence | None = Field(description="null: none is stated")
    source: Sentence = Field(description="who published it, and the page")
    architecture: Sentence = Field(description="architecture that it fits")
    checked: Sentence = Field(description="how this entry was checked")
    zero_shot: bool = Field(
        False, description="the read-out is made of the file's own text tower"
    )
    rules: Rules = Field(Rules(), description="names in the file and here")

    @model_validator(mode="after")
    def _complete(self) -> PublicWeights:
        if self.url is None and self.how is None:
            raise PydanticCustomError("how", "without a url say 'how' to get the file")
        if self.file_suffix is None:
            raise PydanticCustomError(
                "suffix", "the url has no known suffix; give 'suffix'"
            )
        if self.sha256 and self.sha256_prefix:
            raise PydanticCustomError(
                "sha256", "give sha256 or sha256_prefix, not both"
            )
        return self

    @property
    def file_suffix(self) -> str | None:
        """The suffix of the file here."""
        path = PurePosixPath(urlsplit(self.url or "").path)
        known = (suffix for suffix in path.suffixes if suffix in SUFFIXES)
        return self.suffix or next(known, None)


@functools.cache
def read_registry(path: Path = REGISTRY) -> dict[str, PublicWeights]:
    """Read the registry of public weights.

    Parameters
    ----------
    path
        A file like resources/weights.yaml.

    Returns
    -------
    dict
        The entries by name, in the order of the file.

    Raises
    ------
    StudyError
        If an entry is wrong; names the file, the entry and the field.
    """
    found = {}
    for name, content in read_yaml(path).items():
        if not re.match(NAME_PATTERN, str(name)):
            raise StudyError(
                f"{path}: {name!r} may hold only letters, digits, '_' and '-'"
            )
        try:
            found[name] = PublicWeights.model_validate(content)
        except ValidationError as error:
            lines = [
                f"{'.'.join(str(part) for part in (name, *problem['loc']))}: "
                f"{problem['msg']}"
                for problem in error.errors()
            ]
            raise StudyError(f"{path}: " + "; ".join(lines)) from None
    return found


def public_weights(name: str, path: Path = REGISTRY) -> PublicWeights:
    """Return one entry of the registry.

    Raises
    ------
    StudyError
        If there is none of that name; names the nearest one.
    """
    known = read_registry(path)
    if name not in known:
        raise StudyError(
            f"weights.public: there are no public weights '{name}' in {path}"
            f"{suggest(name, known)}; there are {', '.join(known)}"
        )
    return known[name]
