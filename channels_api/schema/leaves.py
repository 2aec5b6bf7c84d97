"""The types of fields that hold no other fields, by DRF itself; spectacular.py knows more."""

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


def make_leaves() -> Leaves:
    """The mapping with the best knowledge that is installed."""
    if find_spec("drf_spectacular") is None:
        return PlainLeaves()
    from .spectacular import SpectacularLeaves

    return SpectacularLeaves()
