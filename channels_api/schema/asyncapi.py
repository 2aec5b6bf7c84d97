"""The AsyncAPI 3 document of the project's sockets."""

from __future__ import annotations

import re
from collections.abc import Container
from typing import Any

from ..sockets import Socket
from . import shapes
from .draft7 import Schema
from .serializers import FORBIDDEN
from .streams import ActionSchema, StreamSchema

VERSION = "3.0.0"
ANY_STATUS: Schema = {"type": "integer", "minimum": 100, "maximum": 399}
TASK_STATUS: Schema = {"enum": [200, 202, 410, 500]}
REFUSED: Schema = {"type": "integer", "minimum": 400, "maximum": 599}
# A handler may return its data with such a status, or a response without any.
RETURNED: Schema = {"description": "Null, or what the action has returned with this status."}
FAILURES: Schema = {
    "type": "array",
    "description": "Sentences, and objects of sentences by field; or what the action has returned.",
}
# A reply has what its request had there.
CORRELATION = {"location": "$message.payload#/payload/request_id"}
# A handshake is a GET.
BINDINGS = {"ws": {"method": "GET", "bindingVersion": "0.1.0"}}
TEXT_OR_NULL: Schema = {"type": ["string", "null"]}


class Document:
    """Collects channels, operations and messages."""

    def __init__(self, title: str) -> None:
        self._info = {"title": title, "version": "1.0.0"}
        self._sockets: dict[str, Any] = {}
        self._channels: dict[str, Any] = {}
        self._operations: dict[str, Any] = {}
        self._messages: dict[str, Any] = {}
        self._streams: dict[str, Any] = {}
        self._add_common_messages()

    def finish(self, schemas: dict[str, Schema]) -> dict[str, Any]:
        """The document; these are the schemas that the streams refer to."""
        return {
            "asyncapi": VERSION,
            "info": self._info,
            "defaultContentType": "application/json",
            "channels": self._channels,
            "operations": self._operations,
            "components": {"schemas": schemas, "messages": self._messages},
            "x-sockets": self._sockets,
            "x-streams": self._streams,
        }

    def add_socket(self, socket: Socket, streams: list[StreamSchema]) -> None:
        """A socket: each of its streams is a channel, and they have one address."""
        path = re.sub(r"\W+", "_", socket.address, flags=re.ASCII).strip("_")
        name = _free(path or "root", self._sockets)
        self._sockets[name] = {"address": socket.address}
        if socket.parameters:
            self._sockets[name]["parameters"] = {each: {} for each in socket.parameters}
        for stream in streams:
            self._add_stream(name, stream)
        self._add_pings(name)

    def _add_channel(self, key: str, socket: str) -> str:
        # One for the whole socket would do, but what reads documents goes through all messages of
        # a channel for each of its operations.
        channel = _free(FORBIDDEN.sub("_", key), self._channels)
        self._channels[channel] = {**self._sockets[socket], "bindings": BINDINGS, "messages": {}}
        return channel

    def _add_stream(self, socket: str, stream: StreamSchema) -> None:
        # Another socket may have a stream of the same name.
        key = f"{socket}.{stream.name}" if stream.name in self._streams else stream.name
        channel = self._add_channel(key, socket)
        self._streams[key] = {
            "socket": socket,
            "stream": stream.name,
            "description": stream.description,
            "model": stream.model,
            "key": stream.key,
            "pk": stream.pk,
            "event_pk": stream.event_pk,
            "row": stream.row,
            "subscribable": stream.subscribable,
            "tasks": stream.tasks,
        }
        for action in stream.actions:
            operation = self._action(channel, f"{key}.{action.name}", stream, action)
            operation["x-action"] = {"socket": socket, **_called(stream, action)}
        if stream.subscribable:
            self._add_events(channel, key, stream)

    def _action(
        self, channel: str, key: str, stream: StreamSchema, action: ActionSchema
    ) -> dict[str, Any]:
        request = self._add_correlated(key, _request(stream, action), f"{key}: request")
        replies = [self._add_correlated(f"{key}.reply", _reply(stream, action), f"{key}: reply")]
        # Any action of the project's own may hand its work to a task.
        shared = ["error"] if action.is_standard and not stream.tasks else ["error", "task"]
        operation = {
            "action": "receive",
            "channel": {"$ref": f"#/channels/{channel}"},
            "title": key,
            **({"description": action.description} if action.description else {}),
            "messages": self._refer(channel, request),
            "reply": {
                "channel": {"$ref": f"#/channels/{channel}"},
                "messages": self._refer(channel, *replies, *shared),
            },
        }
        self._operations[_free(key, self._operations)] = operation
        return operation

    def _add_events(self, channel: str, key: str, stream: StreamSchema) -> None:
        row, name = stream.told, {"const": stream.name}
        model: Schema = {"const": stream.model} if stream.model else {"type": "string"}
        classic = (*shapes.STATEFUL,)
        event = shapes.frame(name, shapes.event(row, stream.event_pk, model), optional=classic)
        messages = (
            self._add_message(f"{key}.events.change", event, f"{key}: a row has changed"),
            self._add_message(
                f"{key}.events.reset",
                shapes.frame(name, shapes.reset(row)),
                f"{key}: all rows are replaced",
            ),
        )
        self._send(channel, f"{key}.events", f"{key}: events of a subscription", *messages)

    def _add_pings(self, socket: str) -> None:
        channel = self._add_channel(socket, socket)
        key = _free(f"{socket}.ping", self._operations)
        self._send(channel, key, f"{socket}: pings, for clients of channels-api.v1", "ping")
        self._operations[key]["reply"] = {
            "channel": {"$ref": f"#/channels/{channel}"},
            "messages": self._refer(channel, "pong"),
        }

    def _send(self, channel: str, key: str, title: str, *messages: str) -> None:
        self._operations[_free(key, self._operations)] = {
            "action": "send",
            "channel": {"$ref": f"#/channels/{channel}"},
            "title": title,
            "messages": self._refer(channel, *messages),
        }

    def _refer(self, channel: str, *messages: str) -> list[Schema]:
        known = self._channels[channel]["messages"]
        for name in messages:
            known[name] = {"$ref": f"#/components/messages/{name}"}
        return [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in messages]

    def _add_message(self, key: str, payload: Schema, title: str) -> str:
        name = _free(FORBIDDEN.sub("_", key), self._messages)
        self._messages[name] = {"title": title, "payload": payload}
        return name

    def _add_correlated(self, key: str, payload: Schema, title: str) -> str:
        name = self._add_message(key, payload, title)
        self._messages[name]["correlationId"] = CORRELATION
        return name

    def _add_common_messages(self) -> None:
        self._add_message("ping", shapes.PING, "The server asks whether the client reads")
        self._add_message("pong", shapes.PONG, "All before the ping was read")
        self._add_correlated("error", _error(), "A request was refused, or has failed")
        self._add_correlated("task", _task(), "What a task is at that an action has begun")


def _called(stream: StreamSchema, action: ActionSchema) -> dict[str, Any]:
    return {
        "stream": stream.name,
        "name": action.name,
        "detail": action.detail,
        "method": action.method,
        "standard": action.is_standard,
        "data": action.data,
        "result": action.result,
    }


def _request(stream: StreamSchema, action: ActionSchema) -> Schema:
    payload: dict[str, Schema] = {"action": {"const": action.name}}
    optional = ["request_id"]
    if action.detail or action.name in ("subscribe", "unsubscribe"):
        payload["pk"] = stream.pk
        if not action.detail:
            optional.append("pk")
    if action.data is not None:
        payload["data"] = action.data
        if not action.data.get("required") and "$ref" not in action.data:
            optional.append("data")
    payload["request_id"] = shapes.REQUEST_ID
    return shapes.frame({"const": stream.name}, payload, optional=tuple(optional))


def _reply(stream: StreamSchema, action: ActionSchema) -> Schema:
    status = (
        {"const": 201 if action.name == "create" else 200} if action.is_standard else ANY_STATUS
    )
    name = {"const": action.name}
    payload = shapes.reply(name, action.result, status, shapes.NO_ERRORS)
    return shapes.frame({"const": stream.name}, payload)


def _error() -> Schema:
    payload = shapes.reply(TEXT_OR_NULL, RETURNED, REFUSED, FAILURES)
    return shapes.frame({**TEXT_OR_NULL, "description": "Null where it is not known."}, payload)


def _task() -> Schema:
    text: Schema = {"type": "string"}
    return shapes.frame(text, shapes.reply(text, shapes.TASK, TASK_STATUS, shapes.ERRORS))


def _free(name: str, taken: Container[str]) -> str:
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name}{number}"
    return found
