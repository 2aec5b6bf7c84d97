"""What rings the hubs: those of this process at once, others by messages of the channel layer."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any

from ..layers import sender
from ..loops import PerLoop
from .log import Change, Hint, Position, Topic

if TYPE_CHECKING:
    from .hub import Hub

# The message type is never dispatched: the hub reads the messages itself.
MESSAGE_TYPE = "channels_api.hints"
# Hints in one message. A layer holds few messages of a channel, 100 by default, and drops the
# others; it may also have a limit for the size of one, a few KB.
MOST_HINTS = 50


# Here and not with the class: who only publishes changes need not import it.
hubs: PerLoop[Hub] = PerLoop()


def ring(hints: list[Hint]) -> None:
    """Ring the hubs of all processes, from any thread."""
    for hub in hubs.all():
        if not hub.needs(hints):
            continue
        # RuntimeError: its loop is closed, nobody listens there any more.
        with contextlib.suppress(RuntimeError):
            hub.loop.call_soon_threadsafe(hub.hear, hints)
    ring_others(hints)


def ring_others(hints: list[Hint]) -> None:
    """Send hints to the hubs of all other processes; they may be lost."""
    sender.send(
        sender.Message(topic.group, to_message(topic, epoch, part), join)
        for (topic, epoch), found in groupby(hints, key=_origin)
        for part in _parts(list(found))
    )


def _origin(hint: Hint) -> tuple[Topic, str]:
    return hint.topic, hint.position.epoch


def _parts(hints: list[Hint]) -> Iterator[list[Hint]]:
    for start in range(0, len(hints), MOST_HINTS):
        yield hints[start : start + MOST_HINTS]


def to_message(topic: Topic, epoch: str, hints: Iterable[Hint]) -> dict[str, Any]:
    """Hints of one topic and epoch as a layer message, which every layer's encoding can hold."""
    return {
        "type": MESSAGE_TYPE,
        "model": topic.model,
        "alias": topic.alias,
        "epoch": epoch,
        "changes": [[position.seq, *change] for _, position, change in hints],
    }


def join(message: dict[str, Any], following: dict[str, Any]) -> dict[str, Any] | None:
    """One message of two, if they are of one origin and few enough."""
    changes = [*message["changes"], *following["changes"]]
    if len(changes) > MOST_HINTS or {**message, "changes": ()} != {**following, "changes": ()}:
        return None
    return {**message, "changes": changes}


def from_message(message: dict[str, Any]) -> list[Hint]:
    """The hints in a layer message. Raises KeyError for any other message."""
    topic, epoch = Topic(message["model"], message["alias"]), message["epoch"]
    return [
        Hint(topic, Position(epoch, seq), Change(pk, operation))
        for seq, pk, operation in message["changes"]
    ]
