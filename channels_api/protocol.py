"""Frames as plain objects: strict JSON in, strict JSON out, no I/O."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple, NoReturn

from rest_framework.utils.encoders import JSONEncoder

from .exceptions import FrameError

# What a client names in its handshake to be sent pings.
SUBPROTOCOL = "channels-api.v1"
MAX_REQUEST_ID_LENGTH = 128
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
# An escape that may be half of a surrogate pair; the only way one gets into a decoded string,
# since servers refuse text that is not UTF-8.
SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
SURROGATE = re.compile("[\ud800-\udfff]")


class RequestFrame(NamedTuple):
    """What a client asks; `pk` and `data` are any JSON value."""

    stream: str
    action: str
    pk: Any = None
    data: Any = None
    request_id: str | int | None = None

    def reply(self, status: int, data: Any, errors: Sequence[Any]) -> Reply:
        """A reply to it."""
        return Reply(self.stream, self.action, status, data, errors, self.request_id)


class JSONText(str):
    """JSON that is encoded already: it goes into a frame as it is."""

    __slots__ = ()


class Reply(NamedTuple):
    """The answer to one frame; `status` is an HTTP status, `errors` is empty where it went well."""

    stream: str | None
    action: str | None
    status: int
    data: Any = None
    errors: Sequence[Any] = ()
    request_id: str | int | None = None

    def encode(self) -> str:
        """The frame's text. Raises TypeError or ValueError for what strict JSON can't hold."""
        raw = isinstance(self.data, JSONText)
        payload = {
            "action": self.action,
            "errors": self.errors,
            "data": None if raw else self.data,
            "response_status": self.status,
            "request_id": self.request_id,
        }
        if not raw:
            return encode({"stream": self.stream, "payload": payload})
        del payload["data"]
        rest = encode(payload)[1:]
        return f'{{"stream":{encode(self.stream)},"payload":{{"data":{self.data},{rest}}}'


class Event:
    """A change of a row, told to subscribers.

    `data` is the row as JSON text, already encoded, so that it is encoded once for everybody who
    sees the same row; "null" for a row that is gone.
    """

    def __init__(
        self, stream: str, action: str, pk: int | str, model: str, data: str = "null"
    ) -> None:
        self.action = action
        self.pk = pk
        self._head = (
            f'{{"stream":{encode(stream)},"payload":{{"action":"{action}",'
            f'"pk":{encode(pk)},"data":{data},"model":"{model}"'
        )

    @cached_property
    def text(self) -> str:
        """The frame's text, with the four keys of a classic event."""
        return self._head + "}}"

    @cached_property
    def size(self) -> int:
        """The bytes of `text`, counted once for everybody."""
        return byte_length(self.text)

    def parts_with(self, keys: str) -> tuple[str, ...]:
        """The frame's text with further keys of the payload, which are encoded already.

        The first part is the same object each time.
        """
        return self._head, f",{keys}}}}}"


class Reset(NamedTuple):
    """What a subscription was told is void; `snapshot` is JSON text, to take the place of it."""

    stream: str
    reason: str
    snapshot: str

    def parts_with(self, keys: str) -> tuple[str, ...]:
        """The frame's text, as that of an Event; the snapshot is a part of its own."""
        head = (
            f'{{"stream":{encode(self.stream)},"payload":{{"action":"reset",'
            f'"reason":"{self.reason}",{keys},"snapshot":'
        )
        return head, self.snapshot, "}}"


_encoder = JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":"))


def encode(value: Any) -> str:
    """`value` as strict JSON, by DRF's encoder.

    Raises TypeError or ValueError (also for NaN, cycles and lone surrogates) where it can't be.
    """
    text = _encoder.encode(value)
    if not text.isascii():
        text.encode()  # a lone surrogate would fail in the server's send and cost the socket
    return text


def byte_length(text: str) -> int:
    """The bytes of `text` as UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def parse(text: str, *, max_depth: int) -> RequestFrame:
    """The request in a text frame; FrameError, with one sentence for the client, if there is none.

    Refused beyond what JSON forbids: numbers that are not finite or not within 64 bit, a key twice
    in an object, unpaired surrogates, and more than `max_depth` levels.
    """
    content = loads(text)
    if not isinstance(content, dict):
        raise FrameError("A frame must be a JSON object.")
    stream: Any = content.get("stream")
    payload: Any = content.get("payload")
    fault = (
        # Without as many brackets it can't be too deep, and there is nothing to walk through.
        (text.count("{") + text.count("[") > max_depth and _depth_fault(content, max_depth))
        or (SURROGATE_ESCAPE.search(text) and _surrogate_fault(content))
        or _shape_fault(content)
    )
    if fault:
        raise FrameError(fault, **_known(content))
    data = payload.get("data")
    pk = payload.get("pk")
    if pk is None and isinstance(data, dict):
        pk = data.get("pk")
    return RequestFrame(stream, payload["action"], pk, data, payload.get("request_id"))


def loads(text: str) -> Any:
    try:
        return _decoder.decode(text)
    except FrameError as fault:
        raise FrameError(fault.message, **_known(_read_leniently(text))) from None
    except json.JSONDecodeError as exc:
        raise FrameError(
            f"The frame is not JSON: {exc.msg} (line {exc.lineno} column {exc.colno})."
        ) from None
    except RecursionError:
        raise FrameError("The frame is nested too deeply.") from None


def _parse_int(digits: str) -> int:
    # The length first: int() of many digits is slow, and fails over 4300 of them.
    if len(digits) > 20 or not INT64_MIN <= (number := int(digits)) <= INT64_MAX:
        raise FrameError("The frame holds an integer that does not fit in 64 bits.")
    return number


def _parse_float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise FrameError("The frame holds a number that is not finite.")
    return number


def _parse_constant(name: str) -> NoReturn:
    raise FrameError(f"The frame holds {name}, which is not JSON.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise FrameError("The frame holds an object with the same key twice.")
    return result


_decoder = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_int=_parse_int,
    parse_float=_parse_float,
    parse_constant=_parse_constant,
)


def _read_leniently(text: str) -> Any:
    # A second time, for the request_id: a client waits for its answer.
    try:
        return _lenient_decoder.decode(text)
    except (ValueError, RecursionError):
        return None


def _unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(result := dict(pairs)) == len(pairs):
        return result
    counts = Counter(key for key, _ in pairs)
    return {key: value for key, value in pairs if counts[key] == 1}


# What the strict one refuses is None here, and a key that stands twice is missing.
_lenient_decoder = json.JSONDecoder(
    object_pairs_hook=_unambiguous,
    parse_int=lambda digits: int(digits) if len(digits) < 19 else None,
    parse_float=float,
    parse_constant=float,
)


def _known(content: Any) -> dict[str, Any]:
    """What is usable of a frame that is refused, so that the reply reaches its request."""
    if not isinstance(content, dict):
        return {}
    payload = content.get("payload")
    found = {"stream": content.get("stream")}
    if isinstance(payload, dict):
        found |= {key: payload.get(key) for key in ("action", "request_id")}
    return {
        key: value
        for key, value in found.items()
        # Half of a surrogate pair could not be sent back.
        if _is_request_id(value) and not _has_surrogate(value)
        if key == "request_id" or isinstance(value, str)
    }


def _is_request_id(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= MAX_REQUEST_ID_LENGTH
    return value is None or (isinstance(value, int) and not isinstance(value, bool))


def _shape_fault(content: dict[str, Any]) -> str | None:
    payload = content.get("payload")
    if "pong" in content and "stream" not in content:
        return "The pong answers no ping that waits for one."
    if "authenticate" in content and "stream" not in content:
        return "A token is taken in the first frame only, where the server asks for one."
    if not isinstance(content.get("stream"), str):
        return "A frame needs a stream, which must be a string."
    if not isinstance(payload, dict):
        return "A frame needs a payload, which must be an object."
    if not _is_request_id(payload.get("request_id")):
        return (
            f"The request_id must be a string of at most {MAX_REQUEST_ID_LENGTH} characters, "
            "an integer or null."
        )
    if not isinstance(payload.get("action"), str):
        return "The payload needs an action, which must be a string."
    return None


def _depth_fault(content: Any, max_depth: int) -> str | None:
    # Level by level and not by recursion: the input decides how deep this goes.
    level, depth = [content], 0
    while level:
        depth += 1
        if depth > max_depth:
            return f"The frame is nested too deeply: {max_depth} levels are allowed."
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, (dict, list))
        ]
    return None


SURROGATE_FAULT = "The frame holds half of a surrogate pair, which is not text."


def _has_surrogate(value: Any) -> bool:
    return isinstance(value, str) and not value.isascii() and bool(SURROGATE.search(value))


def _surrogate_fault(content: Any) -> str | None:
    pending = [content]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            pending += value.keys()
            pending += value.values()
        elif isinstance(value, list):
            pending += value
        elif _has_surrogate(value):
            return SURROGATE_FAULT
    return None
