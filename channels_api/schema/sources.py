"""What lies between a row and the value of a field: the model's fields that its source names."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import FieldDoesNotExist


def may_be_null(field: Any) -> bool:
    """Whether a row's value may be null although the field does not say so."""
    steps = _steps(field)
    # DRF takes a reverse one-to-one that leads nowhere for null, and all that lies behind it.
    if any(step.one_to_one and not step.concrete for step in steps):
        return True
    # DRF does not say it of a field that can't be written.
    if not field.read_only or len(steps) < len(_path(field)):
        return False
    last = steps[-1]
    return bool(last.concrete and last.null and not last.many_to_many)


def may_be_missing(field: Any) -> bool:
    """Whether a row's value may lie behind a foreign key that is null: DRF leaves that out."""
    between = _steps(field)[: len(_path(field)) - 1]
    return any(step.is_relation and step.concrete and step.null for step in between)


def _steps(field: Any) -> list[Any]:
    """The model's fields on the path, up to what is none: a property, an annotation."""
    model = getattr(getattr(field.parent, "Meta", None), "model", None)
    found: list[Any] = []
    for name in _path(field):
        if model is None:
            break
        try:
            found.append(model._meta.get_field(name))
        except FieldDoesNotExist:
            break
        model = found[-1].related_model
    return found


def _path(field: Any) -> list[str]:
    return str(field.source).split(".")
