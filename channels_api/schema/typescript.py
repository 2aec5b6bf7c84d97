"""TypeScript types for the client, made of the schema document alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .typescript_names import Names, capitalized
from .typescript_types import Types, block, comment, property_key, property_text

HEAD = """\
// Types of this project's streams, for the client of channels_api:
//
//     const api = connect<Api>("/ws/");
//
// Written by `manage.py channels_api_types`, which will write it anew: change the bindings instead.
"""


@dataclass(frozen=True)
class Stream:
    """One entry of `x-streams`, with the operations that belong to it.

    `name` is what clients say, `type_name` the name of its interface.
    """

    name: str
    type_name: str
    about: Mapping[str, Any]
    operations: tuple[Mapping[str, Any], ...]


def to_typescript(schema: Mapping[str, Any]) -> str:
    """The text of a TypeScript module that exports the types of a document of `make_schema()`.

    `Api` is for `connect<Api>()`: the streams of the first socket. Further sockets have one each,
    with the socket's name before it (`AdminApi`). Components keep their names, unless these are no
    identifiers or taken.
    """
    names = Names()
    # First of all: it is what pages import by name.
    apis = {
        socket: names.give("Api" if number == 0 else f"{capitalized(socket)}Api")
        for number, socket in enumerate(schema["x-sockets"])
    }
    components = schema.get("components", {}).get("schemas", {})
    types = Types({name: names.give(name) for name in components})
    streams = {socket: list(_streams(schema, socket, names)) for socket in apis}
    parts = [HEAD]
    for socket, api in apis.items():
        parts.append(_api_text(schema["x-sockets"][socket], api, streams[socket]))
    for found in streams.values():
        parts.extend(_stream_text(stream, types) for stream in found)
    parts.extend(types.declaration(name, component) for name, component in components.items())
    return "\n".join(parts)


def _streams(schema: Mapping[str, Any], socket: str, names: Names) -> Iterator[Stream]:
    for key, about in schema["x-streams"].items():
        if about["socket"] == socket:
            operations = tuple(_operations(schema, about))
            # The keys are told apart where several sockets have a stream of one name.
            type_name = names.give(f"{capitalized(key)}Stream")
            yield Stream(about["stream"], type_name, about, operations)


def _operations(schema: Mapping[str, Any], about: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    wanted = (about["socket"], about["stream"])
    for operation in schema["operations"].values():
        action = operation.get("x-action")
        if action and (action["socket"], action["stream"]) == wanted:
            yield operation


def _api_text(socket: Mapping[str, Any], api: str, streams: list[Stream]) -> str:
    about = comment(f"The streams of the socket at {socket['address']}.")
    fields = [f"{property_key(stream.name)}: {stream.type_name};" for stream in streams]
    return f"{about}export interface {api} {block(fields)}\n"


def _stream_text(stream: Stream, types: Types) -> str:
    about, pk = stream.about, types.text(stream.about["pk"])
    row = types.text(about["row"]) if about["row"] is not None else "unknown"
    fields = [f"pk: {pk};", f"held: {types.text(about['event_pk'])};", f"row: {row};"]
    fields.extend(_standard_texts(stream, types))
    custom = [
        _action_text(operation, types, pk=pk if operation["x-action"]["detail"] else None)
        for operation in stream.operations
        if not operation["x-action"]["standard"]
    ]
    if custom:
        fields.append(f"actions: {block(custom)};")
    described = comment(about.get("description"))
    return f"{described}export interface {stream.type_name} {block(fields)}\n"


def _standard_texts(stream: Stream, types: Types) -> Iterator[str]:
    for operation in stream.operations:
        action = operation["x-action"]
        if action["standard"] and _is_offered(action["name"], stream.about):
            if action["name"] == "subscribe":
                yield _subscribe_text(stream.about, action, types)
            else:
                yield _action_text(operation, types)


def _is_offered(name: str, about: Mapping[str, Any]) -> bool:
    """Whether a standard action is a method of the client's stream."""
    if name == "subscribe":
        return bool(about["subscribable"])
    # Tasks are cancelled by `api.task(id)`: 410 answers a delete that went well, and is a refusal.
    return name != "unsubscribe" and not (name == "delete" and about["tasks"])


def _action_text(operation: Mapping[str, Any], types: Types, *, pk: str | None = None) -> str:
    action = operation["x-action"]
    fields = [] if pk is None else [f"pk: {pk};"]
    if action["data"] is not None:
        # Without a schema nothing is known of it, not even whether there has to be any.
        anything = action["data"] in ({}, True)
        fields.append(property_text("data", types.text(action["data"]), required=not anything))
    fields.append(f"result: {types.text(action['result'])};")
    key = property_key(action["name"])
    return f"{comment(operation.get('description'))}{key}: {block(fields)};"


def _subscribe_text(about: Mapping[str, Any], action: Mapping[str, Any], types: Types) -> str:
    data = action["data"] or {}
    wanted = data.get("properties", {}).get("filter", {"type": "object"})
    fields = [f"filter: {types.text(wanted)};"]
    if about["key"] not in ("id", "pk"):
        # The client has to be told: these two are what it looks for. Null: it may be any.
        key = {"type": "string"} if about["key"] is None else {"const": about["key"]}
        fields.append(f"key: {types.text(key)};")
    return f"subscribe: {block(fields)};"
