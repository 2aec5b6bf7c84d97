"""The one canonical form of a primary key that a client sent."""

from __future__ import annotations

import functools
import re
import uuid
from collections.abc import Callable
from typing import Any

from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import connections, models
from rest_framework.exceptions import NotFound

INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,18})\Z", re.ASCII)
UUID_TEXT = re.compile(
    r"[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}\Z"
)

Canonical = Callable[[Any], Any]


def canonical_pk(model: type[models.Model], lookup_field: str, value: Any) -> Any:
    """`value` from a frame as the value of the model's lookup field.

    Databases and Django read `true`, 1.9, " 1 " and "0_1" as 1. What permissions, look-ups and
    subscriptions are given must be one thing, so everything that is not written as the field
    writes it is no pk: raises NotFound. What is canonical already stays as it is.
    """
    return _canonical(model, lookup_field)(value)


def wire_pk(value: Any) -> int | str:
    """A primary key as frames, logs and hints hold it: an int, or else text."""
    return value if isinstance(value, int) and not isinstance(value, bool) else str(value)


@functools.lru_cache(maxsize=1024)
def _canonical(model: type[models.Model], lookup_field: str) -> Canonical:
    field = model_field(model, lookup_field)
    if isinstance(field, models.IntegerField):
        return functools.partial(_integer, _range(field))
    if isinstance(field, models.UUIDField):
        return _uuid
    if isinstance(field, (models.CharField, models.TextField)):
        return functools.partial(_text, field.max_length)
    return functools.partial(_other, field)


def model_field(model: type[models.Model], lookup_field: str) -> Any:
    """The field that a lookup looks at, through relations; None for what is no field."""
    options = model._meta
    field: Any = options.pk
    try:
        for name in lookup_field.split("__"):
            field = options.pk if name == "pk" else options.get_field(name)
            if field.is_relation:
                options = field.related_model._meta
    except FieldDoesNotExist:
        return None  # an annotation
    while getattr(field, "remote_field", None) is not None:
        field = field.target_field
    return field


def _range(field: models.IntegerField[Any, Any]) -> tuple[int, int]:
    # The narrowest of all databases: a pk beyond a column's range is an error in PostgreSQL and
    # a silent miss in SQLite.
    ranges = [
        connections[alias].ops.integer_field_range(field.get_internal_type())
        for alias in connections
    ]
    lows = [low for low, _ in ranges if low is not None]
    highs = [high for _, high in ranges if high is not None]
    return max(lows, default=-(2**63)), min(highs, default=2**63 - 1)


def _integer(limits: tuple[int, int], value: Any) -> int:
    if isinstance(value, str) and INTEGER.match(value) and value != "-0":
        value = int(value)
    if type(value) is not int or not limits[0] <= value <= limits[1]:
        raise NotFound
    return value


def _uuid(value: Any) -> uuid.UUID:
    if isinstance(value, uuid.UUID):
        return value
    if not isinstance(value, str) or not UUID_TEXT.match(value):
        raise NotFound
    return uuid.UUID(value)


def _text(max_length: int | None, value: Any) -> str:
    if not isinstance(value, str) or "\x00" in value:
        raise NotFound
    if max_length is not None and len(value) > max_length:
        raise NotFound
    return value


def _other(field: models.Field[Any, Any] | None, value: Any) -> Any:
    # Dates, decimals and fields of other packages: text that reads the same when written again.
    if value is None or isinstance(value, (bool, list, dict)):
        raise NotFound
    if isinstance(value, str) and "\x00" in value:
        raise NotFound
    if field is None:
        return value
    try:
        result = field.to_python(value)
    except (ValidationError, ValueError, TypeError):
        raise NotFound from None
    if result is None or str(result) != str(value):
        raise NotFound
    return result
