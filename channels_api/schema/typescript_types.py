"""JSON Schemas as TypeScript types."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from textwrap import indent
from typing import Any

# A JSON Schema: an object of keywords, or True or False.
Schema = Any

COMPONENTS = "#/components/schemas/"
SIMPLE = {
    "string": "string",
    "integer": "number",
    "number": "number",
    "boolean": "boolean",
    "null": "null",
}


class Types:
    """Writes types; `names` are the identifiers of components by their names in the document."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names

    def declaration(self, name: str, schema: Schema) -> str:
        """A component as an exported type; an interface where it can be one."""
        about, text = comment(*_about(schema, name)), self.text(schema)
        is_one = len(self._members(schema)) == 1
        # An interface is told by its name in messages, which is shorter than what is in it.
        if is_one and text.startswith("{") and text.endswith("}"):
            return f"{about}export interface {self._names[name]} {text}\n"
        return f"{about}export type {self._names[name]} = {text};\n"

    def text(self, schema: Schema) -> str:
        """The type of what a schema allows."""
        return " | ".join(self._members(schema)) or "never"

    def _members(self, schema: Schema) -> list[str]:
        """The types that are joined by `|`, each once; none of them needs parentheses."""
        members = list(dict.fromkeys(self._alternatives(schema)))
        return ["unknown"] if "unknown" in members else members

    def _grouped(self, schema: Schema) -> str:
        """A type as it can stand before `[]` and `&`."""
        text = self.text(schema)
        return f"({text})" if len(self._members(schema)) > 1 else text

    def _alternatives(self, schema: Schema) -> list[str]:
        if not isinstance(schema, dict):
            return [] if schema is False else ["unknown"]
        if "$ref" in schema:
            return [self._names.get(schema["$ref"].removeprefix(COMPONENTS), "unknown")]
        if "const" in schema or "enum" in schema:
            return [literal(value) for value in schema.get("enum", [schema.get("const")])]
        if "allOf" in schema:
            return self._intersection(schema["allOf"])
        options = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
        if options:
            return [member for option in options for member in self._members(option)]
        return [self._of_kind(kind, schema) for kind in _kinds(schema)]

    def _intersection(self, schemas: Sequence[Schema]) -> list[str]:
        if len(schemas) == 1:
            return self._members(schemas[0])
        return [f"({' & '.join(self._grouped(schema) for schema in schemas)})"]

    def _of_kind(self, kind: str, schema: Mapping[str, Any]) -> str:
        if kind == "object":
            return self._object(schema)
        if kind == "array":
            return self._array(schema.get("items", True))
        return SIMPLE.get(kind, "unknown")

    def _array(self, items: Schema) -> str:
        if isinstance(items, list):
            return f"[{', '.join(self.text(item) for item in items)}]"
        return f"{self._grouped(items)}[]"

    def _object(self, schema: Mapping[str, Any]) -> str:
        required = schema.get("required", ())
        fields = [
            comment(*_about(field, name))
            + property_text(name, self.text(field), required=name in required)
            for name, field in schema.get("properties", {}).items()
        ]
        # Other keys are allowed unless forbidden; where some are known, a slip is likelier.
        others = schema.get("additionalProperties", not fields)
        if others is not False or not fields:
            # The types of fields that are named have to be among those of others.
            fields.append(f"[key: string]: {'unknown' if fields else self.text(others)};")
        return block(fields)


def _kinds(schema: Mapping[str, Any]) -> Sequence[str]:
    """What `type` says, as a list; or what the other keywords are about."""
    if "type" not in schema:
        implied = {"properties": "object", "additionalProperties": "object", "items": "array"}
        return [kind for keyword, kind in implied.items() if keyword in schema][:1] or ["anything"]
    kinds = schema["type"]
    return [kinds] if isinstance(kinds, str) else kinds


def _about(schema: Schema, name: str = "") -> list[str]:
    """What a comment says of a schema: label, help text, choices, and tags."""
    if not isinstance(schema, dict):
        return []
    title = schema.get("title") or ""
    if title.lower() == name.replace("_", " ").lower():
        title = ""  # Django makes it of the name where there is no other
    tags = [
        f"@{tag} {schema[tag] if tag == 'format' else json.dumps(schema[tag], ensure_ascii=False)}"
        for tag in ("format", "default")
        if tag in schema
    ]
    return [title, schema.get("description") or "", *_choices(schema), *tags]


def _choices(schema: Mapping[str, Any]) -> Iterable[str]:
    pairs = zip(schema.get("enum", ()), schema.get("x-enum-labels", ()), strict=False)
    return [f"- {literal(value)}: {label}" for value, label in pairs]


def comment(*texts: str | None) -> str:
    """A doc comment before a declaration, with the line's end; nothing where there is no text."""
    # What stands in a comment comes from the project, and must not end it.
    text = "\n".join(text.strip() for text in texts if text).replace("*/", "*\\/")
    lines = text.splitlines()
    if len(lines) < 2:
        return f"/** {text} */\n" if lines else ""
    return "\n".join(["/**", *(f" * {line}".rstrip() for line in lines), " */\n"])


def block(fields: Iterable[str]) -> str:
    """Fields in braces, each on lines of its own."""
    return "{\n" + indent("\n".join(fields), "  ") + "\n}"


def property_text(name: str, type_text: str, *, required: bool) -> str:
    return f"{property_key(name)}{'' if required else '?'}: {type_text};"


def property_key(name: str) -> str:
    """The name of a property, in quotes where it is no identifier."""
    return name if re.fullmatch(r"[A-Za-z_$][A-Za-z0-9_$]*", name) else literal(name)


def literal(value: Any) -> str:
    """A JSON value as a type of its own."""
    if isinstance(value, (list, dict)):
        return "unknown"
    # Readable in any language; what can't be seen is escaped.
    readable = isinstance(value, str) and value.isprintable()
    return json.dumps(value, ensure_ascii=not readable)
