"""The types of fields that hold no other fields, by drf-spectacular or else by DRF itself."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, Protocol

from rest_framework import serializers
from rest_framework.schemas.openapi import AutoSchema

from .draft7 import Schema

# DRF takes each field that it does not know for text. These are.
TEXT = (
    serializers.CharField,
    serializers.DateField,
    serializers.DateTimeField,
    serializers.TimeField,
    serializers.DurationField,
    serializers.UUIDField,
    serializers.StringRelatedField,
    serializers.HyperlinkedRelatedField,
    serializers.DecimalField,
)


class Leaves(Protocol):
    """Maps fields to OpenAPI's schemas; {} where nothing is known."""

    def is_declared(self, field: Any) -> bool:
        """Whether the project itself has said what the field is."""

    def map_field(self, field: Any, *, row: bool) -> Schema:
        """The schema of a field, in a row or else in an input."""


class PlainLeaves:
    """What DRF alone knows."""

    def __init__(self) -> None:
        self._schemas = AutoSchema()

    def is_declared(self, field: Any) -> bool:
        return False

    def map_field(self, field: Any, *, row: bool) -> Schema:
        if isinstance(field, serializers.BooleanField):
            return {"type": "boolean"}
        if isinstance(field, serializers.HyperlinkedRelatedField):
            return {"type": "string", "format": "uri"}
        if isinstance(field, serializers.TimeField):
            return {"type": "string", "format": "time"}
        found: Schema = self._schemas.map_field(field)
        if found == {"type": "string"} and not isinstance(field, TEXT):
            return {}
        if not isinstance(field, serializers.JSONField):
            self._schemas.map_field_validators(field, found)
            return found
        return {}


class SpectacularLeaves:
    """What drf-spectacular knows: type hints of methods, `extend_schema_field`, extensions."""

    def __init__(self) -> None:
        from drf_spectacular.openapi import AutoSchema as Spectacular
        from drf_spectacular.plumbing import ComponentRegistry

        self._schemas: Any = Spectacular()
        self._schemas.registry = ComponentRegistry()

    def is_declared(self, field: Any) -> bool:
        from drf_spectacular.drainage import has_override
        from drf_spectacular.extensions import OpenApiSerializerFieldExtension

        extension = OpenApiSerializerFieldExtension.get_match(field)
        return has_override(field, "field") or extension is not None

    def map_field(self, field: Any, *, row: bool) -> Schema:
        from drf_spectacular.drainage import GENERATOR_STATS

        with GENERATOR_STATS.silence():
            GENERATOR_STATS.reset()
            found = self._schemas._map_serializer_field(field, "response" if row else "request")
            if found is not None:
                self._schemas._insert_field_validators(field, found)
            # It has guessed, and said so.
            guessed = bool(GENERATOR_STATS)
            GENERATOR_STATS.reset()
        return {} if guessed or found is None else self._inlined(found)

    def _inlined(self, schema: Any) -> Any:
        """The schema with those that it names in their places."""
        if isinstance(schema, list):
            return [self._inlined(each) for each in schema]
        if not isinstance(schema, dict):
            return schema
        name = str(schema.get("$ref", "")).rpartition("/")[2]
        if name:
            found = self._schemas.registry._components[name, "schemas"].schema
            return {**self._inlined(found), **{k: v for k, v in schema.items() if k != "$ref"}}
        return {key: self._inlined(value) for key, value in schema.items()}


def make_leaves() -> Leaves:
    """The mapping with the best knowledge that is installed."""
    return SpectacularLeaves() if find_spec("drf_spectacular") else PlainLeaves()
