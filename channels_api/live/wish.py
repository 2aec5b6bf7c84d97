"""What a subscribe asks for."""

from __future__ import annotations

from typing import Any, NamedTuple

from rest_framework.exceptions import ValidationError

from .log import Position
from .operations import CREATE, DELETE, UPDATE

EVERY_ACTION = "*"
ACTIONS = (CREATE, UPDATE, DELETE, EVERY_ACTION)


class State(NamedTuple):
    """What makes a subscription one that keeps a client's replica equal to the rows.

    `filter` is what a list would take. `since` is how far the client was told before, and `have`
    are the rows that it holds; None: it does not say.
    """

    filter: dict[str, Any] | None = None
    since: Position | None = None
    have: frozenset[int | str] | None = None


class Wish(NamedTuple):
    """The action that is subscribed; a `state` where events alone are not enough."""

    action: str
    state: State | None = None


def read_wish(data: Any) -> Wish:
    """The wish in a frame's data. Raises ValidationError."""
    action = read_action(data)
    wants_state = _of_type(data, "snapshot", bool, "true or false") or any(
        data.get(key) is not None for key in ("filter", "since")
    )
    if not wants_state:
        return Wish(action)
    if action != EVERY_ACTION:
        raise ValidationError(
            'With snapshot, filter or since the action must be "*": a part of the changes '
            "is no state."
        )
    state = State(_of_type(data, "filter", dict, "an object"), _since(data), _have(data))
    return Wish(action, state)


def read_action(data: Any) -> str:
    """The action in a frame's data. Raises ValidationError."""
    if not isinstance(data, dict) or "action" not in data:
        raise ValidationError("action required")
    action = data["action"]
    if action not in ACTIONS:
        raise ValidationError(f"action must be one of {', '.join(ACTIONS)}")
    return str(action)


def _of_type(data: dict[str, Any], key: str, kind: type, what: str) -> Any:
    value = data.get(key)
    if value is not None and not isinstance(value, kind):
        raise ValidationError({key: [f"It must be {what}."]})
    return value


def _since(data: dict[str, Any]) -> Position | None:
    since = _of_type(data, "since", dict, "an object with epoch and seq")
    if since is None:
        return None
    epoch, seq = since.get("epoch"), since.get("seq")
    if not isinstance(epoch, str) or type(seq) is not int:
        raise ValidationError({"since": ["It needs an epoch, a string, and a seq, an integer."]})
    return Position(epoch, seq)


def _have(data: dict[str, Any]) -> frozenset[int | str] | None:
    have = _of_type(data, "have", list, "a list of pks")
    if have is None:
        return None
    if any(type(pk) not in (int, str) for pk in have):
        raise ValidationError({"have": ["Its items must be strings and integers."]})
    return frozenset(have)
