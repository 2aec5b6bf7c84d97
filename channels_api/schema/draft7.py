"""From OpenAPI's schemas, which DRF and drf-spectacular write, to JSON Schema's draft 7."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from ..protocol import encode

Schema = dict[str, Any]

NULL: Schema = {"type": "null"}
NUMBERS = ("maximum", "minimum", "exclusiveMaximum", "exclusiveMinimum", "multipleOf")
# Schemas by name, a schema, and lists of schemas.
NAMED = ("properties", "patternProperties")
SINGLE = ("items", "additionalProperties", "not")
LISTS = ("oneOf", "anyOf", "allOf")
# What draft 7 does not know, and what Python's regular expressions have and JavaScript's have not.
FOREIGN = ("nullable", "example", "discriminator", "xml", "externalDocs", "x-spec-enum-id")
PYTHONIC = ("(?P", "(?i", "(?s", "(?m", "(?x", "(?a", "(?u", "(?L", "(?>", "(?(", "(?#")


def plain(value: Any) -> Any:
    """`value` as JSON would have it: no lazy text, no Decimal, no tuple. Raises as `encode`."""
    return json.loads(encode(value))


def to_draft7(schema: Mapping[str, Any]) -> Schema:
    """An OpenAPI schema, 3.0 or 3.1, as JSON Schema."""
    found: Schema = {key: value for key, value in schema.items() if key not in FOREIGN}
    for key in NAMED:
        if key in found:
            found[key] = {name: to_draft7(each) for name, each in found[key].items()}
    for key in SINGLE:
        if isinstance(found.get(key), Mapping):
            found[key] = to_draft7(found[key])
    for key in LISTS:
        if key in found:
            found[key] = [to_draft7(each) for each in found[key]]
    if len(found.get("allOf", ())) == 1:
        found = {**found.pop("allOf")[0], **found}
    _mend_numbers(found)
    _mend_pattern(found)
    found = _without_blank(found)
    return nullable(found) if schema.get("nullable") else found


def nullable(schema: Schema) -> Schema:
    """The same, or null."""
    if not schema or is_nullable(schema):
        return schema
    kind = schema.get("type")
    if kind is None:
        notes: Schema = {key: schema[key] for key in ("title", "description") if key in schema}
        rest = {key: value for key, value in schema.items() if key not in notes}
        return {"anyOf": [rest, NULL], **notes}
    found = {**schema, "type": [*([kind] if isinstance(kind, str) else kind), "null"]}
    if "enum" in found and None not in found["enum"]:
        found["enum"] = [*found["enum"], None]
    return found


def is_nullable(schema: Schema) -> bool:
    """Whether null is one of its types."""
    return "null" in schema.get("type", ()) or NULL in schema.get("anyOf", ())


def any_of(*schemas: Schema) -> Schema:
    """What is valid by one of them."""
    different = [each for index, each in enumerate(schemas) if each not in schemas[:index]]
    if {} in different:
        return {}
    return different[0] if len(different) == 1 else {"anyOf": different}


def _mend_numbers(schema: Schema) -> None:
    for bound in ("Maximum", "Minimum"):
        exclusive = schema.get(f"exclusive{bound}")
        if isinstance(exclusive, bool):
            del schema[f"exclusive{bound}"]
            if exclusive and bound.lower() in schema:
                schema[f"exclusive{bound}"] = schema.pop(bound.lower())
    numeric = {"number", "integer"}.intersection(_types(schema))
    for key in NUMBERS:
        if key not in schema:
            continue
        value = schema[key]
        if isinstance(value, Decimal):
            schema[key] = value = int(value) if value == int(value) else float(value)
        if not numeric or not isinstance(value, (int, float)):
            del schema[key]  # the digits of a decimal that is text, the seconds of a duration


def _types(schema: Schema) -> list[str]:
    kind = schema.get("type", [])
    return [kind] if isinstance(kind, str) else list(kind)


def _mend_pattern(schema: Schema) -> None:
    pattern = schema.get("pattern")
    if pattern is None:
        return
    if any(mark in pattern for mark in PYTHONIC):
        del schema["pattern"]
        return
    for anchor, ours in ((r"\A", "^"), (r"\Z", "$"), (r"\z", "$")):
        pattern = pattern.replace(anchor, ours)
    schema["pattern"] = pattern


def _without_blank(schema: Schema) -> Schema:
    """Text that may be empty as one schema, where drf-spectacular makes two of it."""
    kinds = schema.get("oneOf", ())
    if len(kinds) != 2 or kinds[1] != {"type": "string", "maxLength": 0}:
        return schema
    rest = {key: value for key, value in schema.items() if key != "oneOf"}
    inner = {key: value for key, value in kinds[0].items() if key not in ("pattern", "minLength")}
    return {**inner, **rest}
