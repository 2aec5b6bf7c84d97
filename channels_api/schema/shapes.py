"""The schemas that are the library's own: subscriptions, events, tasks, errors, pings."""

from __future__ import annotations

from ..live.wish import ACTIONS
from ..protocol import MAX_REQUEST_ID_LENGTH
from .draft7 import NULL, Schema, any_of

REQUEST_ID: Schema = {
    "type": ["string", "integer", "null"],
    "maxLength": MAX_REQUEST_ID_LENGTH,
    "description": "Comes back in the reply.",
}
# `{}`, and no key in it.
NOTHING: Schema = {"type": "object", "maxProperties": 0}
ERRORS: Schema = {
    "type": "array",
    "description": "Sentences, and objects of sentences by field.",
    "items": {"type": ["string", "object"]},
}
NO_ERRORS: Schema = {"type": "array", "maxItems": 0}
TASK: Schema = {"$ref": "#/components/schemas/Task"}
TASK_STATE: Schema = {
    "type": "object",
    "description": "What a task is at.",
    "properties": {
        "id": {"type": "string", "description": "The pk of the task in the stream of tasks."},
        "state": {
            "type": "string",
            "description": "PENDING, STARTED, RETRY, SUCCESS, FAILURE, REVOKED, or the task's own.",
        },
        "meta": {"description": "What the task has told of its progress."},
        "result": {"description": "What it has returned, with SUCCESS."},
        "since": {
            "type": "string",
            "format": "date-time",
            "description": "Nothing was heard of it since then.",
        },
    },
    "required": ["id", "state"],
}
POSITION: Schema = {
    "type": "object",
    "properties": {"epoch": {"type": "string"}, "seq": {"type": "integer"}},
    "required": ["epoch", "seq"],
}
SUBSCRIBED_ACTION: Schema = {"enum": list(ACTIONS)}
UNSUBSCRIBE_DATA: Schema = {
    "type": "object",
    "properties": {"action": SUBSCRIBED_ACTION, "subscription": {"type": "string"}},
    "anyOf": [{"required": ["action"]}, {"required": ["subscription"]}],
}
PING: Schema = {
    "type": "object",
    "properties": {
        "ping": {"type": "integer", "minimum": 1},
        "interval": {"type": "number", "description": "Seconds until the next one at the latest."},
    },
    "required": ["ping", "interval"],
}
PONG: Schema = {
    "type": "object",
    "properties": {"pong": {"type": "integer", "minimum": 1}},
    "required": ["pong"],
}


def subscribe_data(filters: dict[str, Schema], pk: Schema) -> Schema:
    """What `subscribe` takes."""
    return {
        "type": "object",
        "properties": {
            "action": SUBSCRIBED_ACTION,
            "snapshot": {"type": "boolean", "description": "Begin with all rows."},
            "filter": {"type": "object", "properties": filters},
            "since": {**POSITION, "description": "Go on where a lost connection was."},
            "have": {
                "type": "array",
                "items": pk,
                "description": "The pks of the rows that the client holds.",
            },
        },
        "required": ["action"],
    }


def subscribed(row: Schema) -> Schema:
    """What `subscribe` answers; all but the action where a state was asked for."""
    return {
        "type": "object",
        "properties": {
            "action": SUBSCRIBED_ACTION,
            "subscription": {"type": "string"},
            **POSITION["properties"],
            "recovered": {"type": "boolean"},
            "reason": {"enum": ["first", "epoch", "trimmed", "ahead", "too_many"]},
            "snapshot": {"type": "array", "items": row},
        },
        "required": ["action"],
    }


def frame(stream: Schema, payload: dict[str, Schema], *, optional: tuple[str, ...] = ()) -> Schema:
    """A frame of a stream; its payload has these keys."""
    required = [key for key in payload if key not in optional]
    inner = {"type": "object", "properties": payload, "required": required}
    return {
        "type": "object",
        "properties": {"stream": stream, "payload": inner},
        "required": ["stream", "payload"],
    }


def reply(action: Schema, data: Schema, status: Schema, errors: Schema) -> dict[str, Schema]:
    """The payload of a reply."""
    return {
        "action": action,
        "errors": errors,
        "data": data,
        "response_status": status,
        "request_id": REQUEST_ID,
    }


def event(row: Schema, pk: Schema, model: Schema) -> dict[str, Schema]:
    """The payload of an event; the last keys are there with a state."""
    return {
        "action": {"enum": ["create", "update", "delete"]},
        "pk": pk,
        "data": any_of(row, NULL),
        "model": model,
        **STATEFUL,
    }


def reset(row: Schema) -> dict[str, Schema]:
    """The payload of a reset."""
    return {
        "action": {"const": "reset"},
        "reason": {"enum": ["gap", "too_many", "forbidden"]},
        **STATEFUL,
        "snapshot": {"type": ["array", "null"], "items": row},
    }


STATEFUL: dict[str, Schema] = {
    "subscription": {"type": "string"},
    "request_id": {**REQUEST_ID, "description": "That of the subscribe."},
    **POSITION["properties"],
    "n": {"type": "integer", "description": "Counts the frames of the subscription."},
}
