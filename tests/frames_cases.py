"""Texts that are no request, and what a client is told about each: for the parser and the wire."""

import json
from dataclasses import dataclass
from typing import Any

NOTHING_KNOWN = (None, None, None)
ALL_KNOWN = ("frames", "echo", 7)

NO_STREAM = "A frame needs a stream, which must be a string."
NO_PAYLOAD = "A frame needs a payload, which must be an object."
NO_ACTION = "The payload needs an action, which must be a string."
NO_OBJECT = "A frame must be a JSON object."
BAD_REQUEST_ID = "The request_id must be a string of at most 128 characters, an integer or null."
TOO_DEEP = "The frame is nested too deeply: 32 levels are allowed."
TOO_DEEP_TO_READ = "The frame is nested too deeply."
TWICE = "The frame holds an object with the same key twice."
BIG_INT = "The frame holds an integer that does not fit in 64 bits."
NOT_FINITE = "The frame holds a number that is not finite."
HALF_A_PAIR = "The frame holds half of a surrogate pair, which is not text."


def not_json(reason: str) -> str:
    return f"The frame is not JSON: {reason}."


def not_a_number(name: str) -> str:
    return f"The frame holds {name}, which is not JSON."


@dataclass(frozen=True)
class BadFrame:
    """A text, the one sentence that answers it, and the (stream, action, request_id) echoed."""

    name: str
    text: str
    message: str
    known: tuple[Any, Any, Any] = NOTHING_KNOWN

    def reply(self) -> dict:
        """The whole frame that a client receives."""
        return error_frame(400, self.message, *self.known)


def error_frame(
    status: int, message: str, stream: Any = None, action: Any = None, request_id: Any = None
) -> dict:
    payload = {
        "action": action,
        "errors": [message],
        "data": None,
        "response_status": status,
        "request_id": request_id,
    }
    return {"stream": stream, "payload": payload}


def frame(*, data: str = "null", pk: str = "null", request_id: str = "7") -> str:
    """The text of a request whose values stand there as they are given, JSON or not."""
    return (
        '{"stream": "frames", "payload": {"action": "echo", '
        f'"request_id": {request_id}, "pk": {pk}, "data": {data}}}}}'
    )


def nested(levels: int) -> str:
    """A request of so many levels; it has two itself."""
    return frame(data="[" * (levels - 2) + "1" + "]" * (levels - 2))


#: All that `frame()` says of itself.
KNOWN = ("frames", "echo", 7)
HALF = '"\\ud800"'

NOT_JSON = [
    BadFrame("empty", "", not_json("Expecting value (line 1 column 1)")),
    BadFrame("blank", " \n ", not_json("Expecting value (line 2 column 2)")),
    BadFrame("word", "hello", not_json("Expecting value (line 1 column 1)")),
    BadFrame(
        "cut off", '{"stream": "fr', not_json("Unterminated string starting at (line 1 column 12)")
    ),
    BadFrame("no value", '{"stream": }', not_json("Expecting value (line 1 column 12)")),
    BadFrame("no colon", '{"stream"}', not_json("Expecting ':' delimiter (line 1 column 10)")),
    BadFrame(
        "two texts", frame() + "{}", not_json(f"Extra data (line 1 column {len(frame()) + 1})")
    ),
    BadFrame("leading zero", "01", not_json("Extra data (line 1 column 2)")),
    BadFrame("byte order mark", "\ufeff" + frame(), not_json("Expecting value (line 1 column 1)")),
    BadFrame(
        "control character", '"a\x00b"', not_json("Invalid control character at (line 1 column 3)")
    ),
    BadFrame("NaN, then no JSON", "[NaN, ", not_a_number("NaN")),
    BadFrame("NaN", frame(data="NaN"), not_a_number("NaN"), ALL_KNOWN),
    BadFrame("Infinity", frame(pk="Infinity"), not_a_number("Infinity"), ALL_KNOWN),
    BadFrame(
        "minus Infinity",
        frame(request_id="-Infinity"),
        not_a_number("-Infinity"),
        ("frames", "echo", None),
    ),
]
NO_NUMBERS = [
    BadFrame("1e999", frame(data='{"filter": 1e999}'), NOT_FINITE, ALL_KNOWN),
    BadFrame("-1e999", frame(pk="-1e999"), NOT_FINITE, ALL_KNOWN),
    BadFrame("1e309", frame(data="1e309"), NOT_FINITE, ALL_KNOWN),
    BadFrame("2^63", frame(data=str(2**63)), BIG_INT, ALL_KNOWN),
    BadFrame("-2^63 - 1", frame(data=str(-(2**63) - 1)), BIG_INT, ALL_KNOWN),
    BadFrame("10^30", frame(pk=str(10**30)), BIG_INT, ALL_KNOWN),
    BadFrame("request_id 2^63", frame(request_id=str(2**63)), BIG_INT, ("frames", "echo", None)),
    BadFrame("5000 digits", frame(data="9" * 5000), BIG_INT, ALL_KNOWN),
    BadFrame("60 000 digits", frame(data="-" + "9" * 60_000), BIG_INT, ALL_KNOWN),
]
TWO_KEYS = [
    BadFrame("stream twice", '{"stream": "frames", ' + frame()[1:], TWICE, (None, "echo", 7)),
    BadFrame("pk twice", frame(pk='1, "pk": 1'), TWICE, ALL_KNOWN),
    BadFrame("key in data twice", frame(data='[{"a": 1, "\\u0061": 2}]'), TWICE, ALL_KNOWN),
]
NO_OBJECTS = [
    BadFrame(text, text, NO_OBJECT) for text in ("[]", '"x"', "null", "5", "true", "1.5", "[{}]")
]
NO_SHAPE = [
    BadFrame("no stream", "{}", NO_STREAM),
    BadFrame(
        "stream null",
        '{"stream": null, "payload": {"action": "echo", "request_id": "a"}}',
        NO_STREAM,
        (None, "echo", "a"),
    ),
    BadFrame(
        "stream list",
        '{"stream": ["frames"], "payload": {"action": "echo"}}',
        NO_STREAM,
        (None, "echo", None),
    ),
    BadFrame("no payload", '{"stream": "frames"}', NO_PAYLOAD, ("frames", None, None)),
    BadFrame(
        "payload list", '{"stream": "frames", "payload": []}', NO_PAYLOAD, ("frames", None, None)
    ),
    BadFrame(
        "no action",
        '{"stream": "frames", "payload": {"request_id": 7}}',
        NO_ACTION,
        ("frames", None, 7),
    ),
    BadFrame(
        "action number",
        '{"stream": "frames", "payload": {"action": 5, "request_id": 7}}',
        NO_ACTION,
        ("frames", None, 7),
    ),
]
NO_TEXT = [
    BadFrame("half in stream", frame().replace('"frames"', HALF), HALF_A_PAIR, (None, "echo", 7)),
    BadFrame("half in action", frame().replace('"echo"', HALF), HALF_A_PAIR, ("frames", None, 7)),
    BadFrame("half in request_id", frame(request_id=HALF), HALF_A_PAIR, ("frames", "echo", None)),
    BadFrame("half in pk", frame(pk=HALF), HALF_A_PAIR, KNOWN),
    BadFrame("half in data", frame(data=f"[[{HALF}]]"), HALF_A_PAIR, KNOWN),
    BadFrame("half in a key", frame(data=f'{{"a": [{{{HALF}: 1}}]}}'), HALF_A_PAIR, KNOWN),
    BadFrame("half in a key of the frame", frame().replace('"pk"', HALF), HALF_A_PAIR, KNOWN),
    BadFrame("second half", frame(data='"a\\uDFFFb"'), HALF_A_PAIR, KNOWN),
    BadFrame("pair the wrong way round", frame(data='"\\ude00\\ud83d"'), HALF_A_PAIR, KNOWN),
    # Two faults at once: what is echoed has to be text all the same.
    BadFrame(
        "half in stream, too deep",
        nested(33).replace('"frames"', HALF),
        TOO_DEEP,
        (None, "echo", 7),
    ),
    BadFrame("half in action, no stream", f'{{"payload": {{"action": {HALF}}}}}', HALF_A_PAIR),
]
NO_REQUEST_ID = [
    BadFrame(
        f"request_id {value}", frame(request_id=value), BAD_REQUEST_ID, ("frames", "echo", None)
    )
    for value in ("true", "false", "1.0", "1e3", "[]", "[1]", "{}")
] + [
    BadFrame(
        "request_id of 129",
        frame(request_id=json.dumps("x" * 129)),
        BAD_REQUEST_ID,
        ("frames", "echo", None),
    ),
]
DEEP = [
    BadFrame("33 levels", nested(33), TOO_DEEP, KNOWN),
    BadFrame("33 levels of objects", frame(data='{"a": ' * 31 + "1" + "}" * 31), TOO_DEEP, KNOWN),
]

BAD_FRAMES = [
    *NOT_JSON,
    *NO_NUMBERS,
    *TWO_KEYS,
    *NO_OBJECTS,
    *NO_SHAPE,
    *NO_TEXT,
    *NO_REQUEST_ID,
    *DEEP,
]

#: Request ids that come back as they are.
GOOD_REQUEST_IDS = [
    None,
    "",
    "a",
    "x" * 128,
    "\U0001f600" * 128,
    '\x00\u2028\\ "',
    0,
    -1,
    2**53,
    2**53 + 1,
    2**63 - 1,
    -(2**63),
]
