"""The fields of serializers as JSON Schema."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any

from django.core.validators import RegexValidator
from rest_framework import serializers
from rest_framework.fields import empty
from rest_framework.utils.model_meta import get_field_info

from ..protocol import encode
from . import sources
from .draft7 import Schema, nullable, plain, to_draft7
from .keys import UNKNOWN, lookup_schema, value_schema
from .leaves import Leaves

Warn = Callable[[str], Any]


class Use(Enum):
    """What a serializer is looked at for; the value ends the names of its schemas."""

    ROW = ""
    INPUT = "Input"
    PATCH = "Patch"


class Fields:
    """Maps fields; `nested` gives the schema of a serializer that stands in another one."""

    def __init__(self, leaves: Leaves, nested: Callable[[Any, Use], Schema], warn: Warn) -> None:
        self._leaves = leaves
        self._nested = nested
        self._warn = warn

    def map_field(self, field: Any, use: Use) -> Schema:
        """The schema of a field, with its title, its description and whether it may be null."""
        schema = self._type(field, use)
        if _may_be_null(field, use):
            schema = nullable(schema)
        return plain({**schema, **_notes(field, use)})  # type: ignore[no-any-return]

    def _type(self, field: Any, use: Use) -> Schema:
        if not self._leaves.is_declared(field):
            for kind, method in self._kinds:
                if isinstance(field, kind):
                    return method(field, use)
        return self._leaf(field, use)

    @property
    def _kinds(self) -> Iterable[tuple[type, Callable[[Any, Use], Schema]]]:
        # The first that fits: a subclass before its base.
        return (
            (serializers.ListSerializer, self._list),
            (serializers.BaseSerializer, self._nested),
            (serializers.ManyRelatedField, self._many_related),
            (serializers.ListField, self._list),
            (serializers.DictField, self._dict),
            (serializers.MultipleChoiceField, _multiple_choice),
            (serializers.FilePathField, _file_path),
            (serializers.ChoiceField, _choice),
            (serializers.PrimaryKeyRelatedField, self._related),
            (serializers.SlugRelatedField, _slug),
            (serializers.FileField, _file),
        )

    def _list(self, field: Any, use: Use) -> Schema:
        if isinstance(field, serializers.ListSerializer):
            schema = self._nested(field, use)
            if not schema:
                return {}
        else:
            schema = {"type": "array", "items": self._child(field, use)}
        for key, name in (("minItems", "min_length"), ("maxItems", "max_length")):
            if getattr(field, name, None) is not None:
                schema[key] = getattr(field, name)
        if use is not Use.ROW and not getattr(field, "allow_empty", True):
            schema.setdefault("minItems", 1)
        return schema

    def _dict(self, field: Any, use: Use) -> Schema:
        return {"type": "object", "additionalProperties": self._child(field, use) or True}

    def _child(self, field: Any, use: Use) -> Schema:
        child = field.child
        if isinstance(child, serializers.BaseSerializer):
            return self._nested(child, use)
        if isinstance(child, serializers.Field) and type(child).__name__ == "_UnvalidatedField":
            return {}
        return _of_item(self.map_field(child, use))

    def _many_related(self, field: Any, use: Use) -> Schema:
        schema: Schema = {
            "type": "array",
            "items": _of_item(self.map_field(field.child_relation, use)),
        }
        if use is not Use.ROW and not field.allow_empty:
            schema["minItems"] = 1
        return schema

    def _related(self, field: Any, use: Use) -> Schema:
        if field.pk_field is not None:
            return _of_item(self.map_field(field.pk_field, use))
        return lookup_schema(related_model(field))

    def _leaf(self, field: Any, use: Use) -> Schema:
        try:
            schema = to_draft7(self._leaves.map_field(field, row=use is Use.ROW))
        except Exception as exc:
            self._warn(f"{_place(field)} can't be described, and may be anything: {exc!r}")
            return {}
        for key in ("title", "default", "readOnly", "writeOnly"):
            schema.pop(key, None)
        if any(map(_is_no_pattern, field.validators)):
            schema.pop("pattern", None)
        if use is not Use.ROW and schema.get("type") == "string" and not _may_be_blank(field):
            schema["minLength"] = max(schema.get("minLength", 0), 1)
        return schema


def related_model(field: Any) -> Any:
    """The model whose rows a relation names; None where that can't be known."""
    queryset = getattr(field, "queryset", None)
    if queryset is not None:
        return queryset.model
    outer = field.parent if isinstance(field.parent, serializers.ManyRelatedField) else field
    model = getattr(getattr(outer.parent, "Meta", None), "model", None)
    relations = {} if model is None else get_field_info(model).relations
    relation = relations.get(str(outer.source))
    return None if relation is None else relation.related_model


def _is_no_pattern(validator: Any) -> bool:
    """Whether it has an expression that JSON Schema can't have: with flags, or of what is wrong."""
    if not isinstance(validator, RegexValidator):
        return False
    regex: Any = validator.regex
    return bool(validator.inverse_match or regex.flags & re.IGNORECASE)


def _may_be_blank(field: Any) -> bool:
    return field.allow_blank if isinstance(field, serializers.CharField) else True


def _slug(field: Any, _: Use) -> Schema:
    model = related_model(field)
    if model is None:
        return UNKNOWN
    # Of a property nothing is known.
    known = {each.name: each for each in model._meta.get_fields()}.get(field.slug_field)
    return {} if known is None else value_schema(known)


def _choice(field: Any, _: Use) -> Schema:
    labels = dict(field.choices)
    # The label that stands for no choice: null is valid where the field says so.
    labels.pop(None, None)
    if field.allow_blank and "" not in labels:
        labels[""] = ""
    values = plain(list(labels))
    schema: Schema = {"enum": values, "x-enum-labels": plain(list(map(str, labels.values())))}
    kinds = {_json_type(value) for value in values}
    return {"type": kinds.pop(), **schema} if len(kinds) == 1 else schema


def _file_path(_: Any, __: Use) -> Schema:
    # Its choices are the files of the server.
    return {"type": "string"}


def _json_type(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    return "number" if isinstance(value, float) else "string"


def _multiple_choice(field: Any, use: Use) -> Schema:
    schema: Schema = {"type": "array", "items": _choice(field, use), "uniqueItems": True}
    return schema if field.allow_empty or use is Use.ROW else {**schema, "minItems": 1}


def _file(_: Any, use: Use) -> Schema:
    if use is Use.ROW:
        return {"type": ["string", "null"], "format": "uri"}
    # A form has it; in a frame no file can be sent.
    return {"type": "string", "format": "binary"}


def _may_be_null(field: Any, use: Use) -> bool:
    if field.allow_null:
        return True
    return use is Use.ROW and sources.may_be_null(field)


def _notes(field: Any, use: Use) -> Schema:
    notes: Schema = {}
    if field.label:
        notes["title"] = str(field.label)
    if field.help_text:
        notes["description"] = str(field.help_text)
    if use is Use.ROW:
        return {**notes, "readOnly": True} if field.read_only else notes
    if field.write_only:
        notes["writeOnly"] = True
    default = _default(field)
    return notes if default is empty or use is Use.PATCH else {**notes, "default": default}


def _default(field: Any) -> Any:
    if field.default is empty or field.default is None or callable(field.default):
        return empty
    try:
        encode(field.default)
    except (TypeError, ValueError):
        return empty
    return field.default


def _of_item(schema: Schema) -> Schema:
    # The rest is said of the list.
    return {key: schema[key] for key in schema if key not in ("title", "readOnly", "writeOnly")}


def _place(field: Any) -> str:
    return f"{type(field.parent).__name__}.{field.field_name}"
