"""Sections of the configuration: frozen values, checked when they are made.

A section is read from the mapping that stands in the configuration, and handed to the stages as
one.  What is wrong with a key is told as section and key, with what was expected and found.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from stretto import WorkflowError

__all__ = ["Section"]


class Section(BaseModel):
    """A part of the configuration; its fields are the keys, with units in their names."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, allow_inf_nan=False)

    @classmethod
    def of(cls, values: Mapping[str, Any], *, section: str) -> Self:
        """Return the section that `values` describes.

        Raises
        ------
        WorkflowError
            If a key is unknown or missing, or its value cannot be used; its path says which.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise WorkflowError(
                f"{first['msg'][:1].lower()}{first['msg'][1:]}, found {first['input']!r}",
                path=(section, *first["loc"]),
            ) from None
