"""The types of fields by drf-spectacular. Imported where it is installed."""

from __future__ import annotations

from typing import Any

from drf_spectacular.drainage import GENERATOR_STATS, has_override
from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ComponentRegistry
from rest_framework.generics import GenericAPIView

from .draft7 import Schema


class SpectacularLeaves:
    """What drf-spectacular knows: type hints of methods, `extend_schema_field`, extensions."""

    def __init__(self) -> None:
        schemas: Any = AutoSchema()
        # A serializer that a project names for a field is given the context of a view.
        schemas.view = GenericAPIView(request=None, format_kwarg=None)
        schemas.registry = self._registry = ComponentRegistry()
        # Private in name, and the only way: its documents are made of views, not of fields.
        self._map = schemas._map_serializer_field  # noqa: SLF001
        self._constrain = schemas._insert_field_validators  # noqa: SLF001

    def is_declared(self, field: Any) -> bool:
        extension = OpenApiSerializerFieldExtension.get_match(field)
        return has_override(field, "field") or extension is not None

    def map_field(self, field: Any, *, row: bool) -> Schema:
        with GENERATOR_STATS.silence():
            GENERATOR_STATS.reset()
            found = self._map(field, "response" if row else "request")
            if found is not None:
                self._constrain(field, found)
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
            found = self._registry._components[name, "schemas"].schema  # noqa: SLF001
            return {**self._inlined(found), **{k: v for k, v in schema.items() if k != "$ref"}}
        return {key: self._inlined(value) for key, value in schema.items()}
