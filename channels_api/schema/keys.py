"""Primary keys, and values that name rows otherwise, as schemas."""

from __future__ import annotations

from typing import Any

from django.db import models

from ..lookups import model_field
from .draft7 import Schema

# Text where it is neither, such as a date.
UNKNOWN: Schema = {"type": ["integer", "string"]}


def lookup_schema(model: type[models.Model] | None, lookup_field: str = "pk") -> Schema:
    """What names a row of a model in a frame."""
    return UNKNOWN if model is None else value_schema(model_field(model, lookup_field))


def value_schema(field: Any) -> Schema:
    """The values of a model's field that is used as a key."""
    if isinstance(field, models.IntegerField):
        return {"type": "integer"}
    if isinstance(field, models.UUIDField):
        return {"type": "string", "format": "uuid"}
    if isinstance(field, (models.CharField, models.TextField)):
        length = {} if field.max_length is None else {"maxLength": field.max_length}
        return {"type": "string", **length}
    return UNKNOWN if field is None else {"type": "string"}
