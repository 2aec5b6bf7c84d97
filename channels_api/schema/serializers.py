"""Serializers as JSON Schema: each is a component, once for each use."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from rest_framework import serializers
from rest_framework.fields import empty

from .draft7 import Schema, plain
from .fields import Fields, Use, Warn
from .leaves import Leaves
from .sources import may_be_missing

# What may stand in the name of a component.
FORBIDDEN = re.compile(r"[^A-Za-z0-9._-]")


class Components:
    """The named schemas of a document."""

    def __init__(self, leaves: Leaves, warn: Warn) -> None:
        self.schemas: dict[str, Schema] = {}
        self._fields = Fields(leaves, self.describe, warn)
        self._owners: dict[str, type | None] = {}
        # Those that are being described, each in the one before.
        self._open: list[type] = []
        self._warn = warn

    def add(self, name: str, schema: Schema, suffix: str = "") -> Schema:
        """Name a schema, and refer to it; a name that another one has gets a number."""
        number, full = 1, f"{name}{suffix}"
        while full in self.schemas and self.schemas[full] != schema:
            number += 1
            full = f"{name}{number}{suffix}"
        self.schemas[full] = schema
        return {"$ref": f"#/components/schemas/{full}"}

    def describe(self, serializer: Any, use: Use) -> Schema:
        """The schema of a serializer, by reference; {} and a warning where it can't be made."""
        kind = type(serializer)
        if use is Use.ROW and _shows_otherwise(kind):
            self._warn(f"{kind.__name__} has its own to_representation(): rows may be anything.")
            return {}
        if isinstance(serializer, serializers.ListSerializer):
            return {"type": "array", "items": self.describe(serializer.child, use)}
        if kind in self._open:
            self._warn(f"{kind.__name__} stands in itself, where it may be anything.")
            return {}
        self._open.append(kind)
        try:
            schema = self._object(serializer, use)
        except Exception as exc:
            self._warn(f"{kind.__name__} can't be described, and may be anything: {exc!r}")
            return {}
        finally:
            self._open.pop()
        return self.add(self._name(kind), schema, use.value)

    def _name(self, kind: type) -> str:
        base = FORBIDDEN.sub("_", kind.__name__.removesuffix("Serializer")) or "Serializer"
        number, name = 1, base
        while self._owners.setdefault(name, kind) is not kind:
            number += 1
            name = f"{base}{number}"
        return name

    def _object(self, serializer: Any, use: Use) -> Schema:
        properties, required = {}, []
        for name, field in _fields(serializer, use):
            properties[name] = self._fields.map_field(field, use)
            if (use is Use.ROW and _is_always_there(field)) or (
                use is Use.INPUT and field.required
            ):
                required.append(name)
        schema: Schema = {"type": "object", "properties": properties}
        return plain({**schema, "required": required} if required else schema)  # type: ignore[no-any-return]


def key_field(serializer: Any, model: Any) -> str | None:
    """The field of a row that holds its primary key, if it is shown."""
    sources = {"pk"} if model is None else {"pk", model._meta.pk.name, model._meta.pk.attname}
    for name, field in _fields(serializer, Use.ROW):
        if field.source in sources:
            return name
    return None


def _fields(serializer: Any, use: Use) -> Iterator[tuple[str, Any]]:
    for name, field in serializer.fields.items():
        hidden = field.write_only if use is Use.ROW else field.read_only
        if not hidden and not isinstance(field, serializers.HiddenField):
            yield name, field


def _shows_otherwise(kind: type) -> bool:
    """Whether the project, and not DRF, makes a row of an object."""
    owner = next(each for each in kind.__mro__ if "to_representation" in vars(each))
    return not owner.__module__.startswith("rest_framework.")


def _is_always_there(field: Any) -> bool:
    """Whether no row is without it: DRF leaves out what is not there and need not be."""
    if field.required or field.allow_null or field.default is not empty:
        return True
    return not may_be_missing(field)
