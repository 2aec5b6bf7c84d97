"""Hints as messages of the channel layer: what rings the hubs of other processes."""

from __future__ import annotations

from typing import Any

from ..layers import sender
from .log import Change, Hint, Position, Topic

# The message type is never dispatched: the hub reads the messages itself.
MESSAGE_TYPE = "channels_api.hint"


def ring(hints: list[Hint]) -> None:
    """Send hints to the hubs of all other processes; they may be lost."""
    sender.send([sender.Message(hint.topic.group, to_message(hint)) for hint in hints])


def to_message(hint: Hint) -> dict[str, Any]:
    """A hint as a layer message: strings and ints only, as every layer's encoding can hold."""
    topic, position, change = hint
    return {
        "type": MESSAGE_TYPE,
        "model": topic.model,
        "alias": topic.alias,
        "epoch": position.epoch,
        "seq": position.seq,
        "pk": change.pk,
        "operation": change.operation,
    }


def from_message(message: dict[str, Any]) -> Hint:
    """The hint in a layer message. Raises KeyError for any other message."""
    return Hint(
        Topic(message["model"], message["alias"]),
        Position(message["epoch"], message["seq"]),
        Change(message["pk"], message["operation"]),
    )
