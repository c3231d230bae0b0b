"""The strict section that every part of a study file is made of."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from metamers.errors import suggest

NAME_PATTERN = r"^[A-Za-z0-9_-]+$"
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=100)]
Epsilon = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """A mapping whose keys are all known; anything else is an error."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        for key in data:
            if key not in cls.model_fields:
                raise PydanticCustomError(
                    "unknown_key",
                    "unknown key '{key}'{hint} Allowed: {allowed}",
                    {
                        "key": str(key),
                        "hint": suggest(key, cls.model_fields) or ".",
                        "allowed": ", ".join(cls.model_fields),
                    },
                )
        return data


def unit(name: str) -> dict[str, Any]:
    """Return the extra schema that states a field's unit."""
    return {"unit": name}
