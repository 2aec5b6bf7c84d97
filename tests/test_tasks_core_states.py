"""States as clients see them: plain JSON whatever a task gave, and never larger than a reply."""

import datetime
import decimal
import json
import math
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.exceptions import ErrorDetail

from channels_api.background.states import FINAL, TaskState, plain
from channels_api.background.watches import encode_state
from channels_api.protocol import RequestFrame, byte_length
from tests.client import parse_strictly

REPLY = RequestFrame("work", "start", request_id="r").reply

# What JSON has, without what only Python tells apart.
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(st.characters(codec="utf-8"))
    # Not -0.0, which is 0 when it is equal and another text when it is shown.
    | st.floats(allow_nan=False, allow_infinity=False).map(lambda number: number + 0.0),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=10,
)


class BreaksInIter:
    def __iter__(self):
        raise OSError("its file is gone")


class BreaksWhenAsked:
    def __getattr__(self, name):
        raise RuntimeError(name)


def cycle() -> list:
    endless: list = []
    endless.append(endless)
    return endless


def deep() -> list:
    value: list = []
    for _ in range(100_000):
        value = [value]
    return value


@given(values)
def test_plain_values_stay_as_they_are(value):
    assert plain(value, math.inf) == value


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (decimal.Decimal("1.50"), 1.5),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        (datetime.timedelta(seconds=90), "90.0"),
        (ErrorDetail("no", "code"), "no"),
        ((1, 2), [1, 2]),
        ({1: "a"}, {"1": "a"}),
        (b"bytes", "bytes"),
        ({1}, [1]),
    ],
)
def test_what_drf_can_encode_is_shown_as_drf_does(value, shown):
    assert plain(value, math.inf) == shown


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (math.nan, "float"),
        ([math.inf], "list"),
        ({(1, 2): 3}, "dict"),
        ("\ud800", "str"),
        (b"\xff", "bytes"),
        (object(), "object"),
        (cycle(), "list"),
        (deep(), "list"),
        (BreaksInIter(), "BreaksInIter"),
        ([BreaksWhenAsked()], "list"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isascii() else "",
)
def test_what_json_can_not_hold_is_named(value, name):
    assert plain(value, math.inf) == {"unserializable": name}


@pytest.mark.parametrize("text", ["x" * 98, "é" * 49])
def test_what_is_too_large_is_counted_in_bytes(text):
    assert plain(text, 100) == text
    assert plain(text, 99) == {"truncated": 100}


def encoded(state: TaskState) -> dict:
    payload = parse_strictly(encode_state(state, "ID", REPLY))["payload"]
    assert payload.keys() == {"action", "errors", "data", "response_status", "request_id"}
    return payload


@given(st.sampled_from(["PENDING", "STARTED", "RETRY", "PROGRESS", *FINAL]), values, values)
def test_a_frame_holds_what_its_state_has(name, meta, result):
    payload = encoded(TaskState(name, meta=meta, result=result))
    data = {"id": "ID", "state": name}
    if name == "SUCCESS":
        data["result"] = result
    elif meta is not None:
        data["meta"] = meta
    status = {"SUCCESS": 200, "FAILURE": 500, "REVOKED": 410, "IGNORED": 410}.get(name, 202)
    assert payload == {
        "action": "start",
        "errors": [],
        "data": data,
        "response_status": status,
        "request_id": "r",
    }


def test_the_moment_of_the_last_news_is_told():
    moment = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
    payload = encoded(TaskState("PROGRESS", meta=1).silent_since(moment))
    since = "2026-01-02T03:04:05Z"
    assert payload["data"] == {"id": "ID", "state": "PROGRESS", "meta": 1, "since": since}


@pytest.mark.parametrize(
    ("state", "kept"),
    [
        (TaskState("SUCCESS", result="x" * 1000), {"result": ...}),
        (TaskState("PROGRESS", meta="x" * 1000), {"meta": ...}),
        (TaskState("SUCCESS", result=["é" * 400]), {"result": ...}),
        (TaskState("FAILURE", errors=["x" * 1000]), {}),
    ],
)
def test_a_frame_over_the_reply_limit_is_cut(settings, state, kept):
    full = byte_length(encode_state(state, "ID", REPLY))
    settings.CHANNELS_API = {"MAX_REPLY_BYTES": full}
    assert encoded(state)["data"].keys() == {"id", "state", *kept}
    assert "truncated" not in json.dumps(encoded(state))
    settings.CHANNELS_API = {"MAX_REPLY_BYTES": full - 1}
    what = {"truncated": full}
    payload = encoded(state)
    assert payload["data"] == {"id": "ID", "state": state.name, **dict.fromkeys(kept, what)}
    assert payload["errors"] == (["Task failed", what] if state.errors else [])
    assert byte_length(encode_state(state, "ID", REPLY)) <= full - 1
    settings.CHANNELS_API = {"MAX_REPLY_BYTES": None}
    assert "truncated" not in json.dumps(encoded(state))


def test_only_what_nothing_comes_after_is_final():
    assert {name: TaskState(name).status for name in FINAL} == FINAL
    assert all(TaskState(name).is_final for name in FINAL)
    for name in ("PENDING", "STARTED", "RETRY", "PROGRESS", "RECEIVED", "success", ""):
        assert (TaskState(name).is_final, TaskState(name).status) == (False, 202)
