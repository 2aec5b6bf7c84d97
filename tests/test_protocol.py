"""Frames as plain objects: strict JSON in, strict JSON out."""

import datetime
import decimal
import json
import math
import re
import uuid

import pytest
from django.utils.functional import lazystr
from hypothesis import example, given
from hypothesis import strategies as st

from channels_api.exceptions import FrameError
from channels_api.protocol import Event, Reply, RequestFrame, byte_length, encode, parse
from tests.client import parse_strictly
from tests.frames_cases import (
    BAD_FRAMES,
    GOOD_REQUEST_IDS,
    TOO_DEEP_TO_READ,
    frame,
    nested,
)

DEPTH = 32
# Lone surrogates are no text: servers refuse them before we see them.
texts = st.text(st.characters(exclude_categories=["Cs"]))
int64 = st.integers(-(2**63), 2**63 - 1)
finite = st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | int64 | finite | texts,
    lambda children: st.lists(children) | st.dictionaries(texts, children),
    max_leaves=20,
)


def fault_of(text: str) -> FrameError:
    with pytest.raises(FrameError) as caught:
        parse(text, max_depth=DEPTH)
    return caught.value


def name_of(value) -> str:
    """The same in each process of the suite: without the address."""
    return re.sub(r" at 0x\w+", "", ascii(value))


class TestParse:
    def test_all_that_a_frame_holds(self):
        text = json.dumps(
            {
                "stream": "questions",
                "payload": {"action": "update", "pk": 1, "data": {"a": [1]}, "request_id": "r"},
            }
        )
        expected = RequestFrame("questions", "update", 1, {"a": [1]}, "r")
        assert parse(text, max_depth=DEPTH) == expected

    def test_only_stream_and_action_are_needed(self):
        text = '{"stream": "questions", "payload": {"action": "list"}}'
        assert parse(text, max_depth=DEPTH) == RequestFrame("questions", "list", None, None, None)

    def test_other_keys_are_ignored(self):
        text = '{"stream": "s", "x": 1, "payload": {"action": "a", "self": 1, "stream": 2}}'
        assert parse(text, max_depth=DEPTH) == RequestFrame("s", "a")

    def test_empty_strings_are_strings(self):
        text = '{"stream": "", "payload": {"action": "", "request_id": ""}}'
        assert parse(text, max_depth=DEPTH) == RequestFrame("", "", request_id="")

    @pytest.mark.parametrize(
        ("pk", "data", "expected"),
        [
            ("null", '{"pk": 5}', 5),
            ("1", '{"pk": 5}', 1),
            ("0", '{"pk": 5}', 0),
            ('""', '{"pk": 5}', ""),
            ("false", '{"pk": 5}', False),
            ("null", '[{"pk": 5}]', None),
        ],
    )
    def test_a_pk_inside_data_counts_where_there_is_none_outside(self, pk, data, expected):
        request = parse(frame(pk=pk, data=data), max_depth=DEPTH)
        assert request.pk == expected
        assert type(request.pk) is type(expected)
        assert request.data == json.loads(data)

    def test_a_pk_inside_data_counts_where_the_payload_has_no_such_key(self):
        text = '{"stream": "s", "payload": {"action": "a", "data": {"pk": 5}}}'
        assert parse(text, max_depth=DEPTH).pk == 5

    @pytest.mark.parametrize("bad", BAD_FRAMES, ids=lambda bad: bad.name)
    def test_refuses_with_one_sentence_and_what_is_known(self, bad):
        fault = fault_of(bad.text)
        assert fault.message == bad.message
        assert fault.status == 400
        assert (fault.stream, fault.action, fault.request_id) == bad.known

    @pytest.mark.parametrize("request_id", GOOD_REQUEST_IDS, ids=ascii)
    def test_takes_request_ids(self, request_id):
        parsed = parse(frame(request_id=json.dumps(request_id)), max_depth=DEPTH).request_id
        assert parsed == request_id
        assert type(parsed) is type(request_id)

    @pytest.mark.parametrize("levels", [2, 31, 32])
    def test_takes_so_many_levels(self, levels):
        data = parse(nested(levels), max_depth=DEPTH).data
        assert json.dumps(data).count("[") == levels - 2

    @pytest.mark.parametrize("levels", [33, 500, 990, 1500, 32_000])
    @pytest.mark.parametrize(("opening", "closing"), ["[]", ('{"a":', "}")], ids=["list", "object"])
    def test_refuses_more_levels_however_many(self, levels, opening, closing):
        """Also where Python's own parser gives up, which depends on its version."""
        inner = opening * (levels - 2) + "1" + closing * (levels - 2)
        assert fault_of(frame(data=inner)).message.startswith(TOO_DEEP_TO_READ[:-1])

    @pytest.mark.parametrize("text", ["[" * 65_536, '{"a":' * 13_000])
    def test_refuses_levels_that_never_end(self, text):
        assert fault_of(text)

    def test_the_limit_of_levels_is_the_callers(self):
        assert parse(nested(40), max_depth=40)
        with pytest.raises(FrameError, match="3 levels are allowed"):
            parse(nested(4), max_depth=3)

    @pytest.mark.parametrize("number", [2**53, 2**53 + 1, 2**63 - 1, -(2**63), 0])
    def test_integers_of_64_bits_stay_exact(self, number):
        assert parse(frame(pk=str(number), data=str(number)), max_depth=DEPTH).pk == number

    @pytest.mark.parametrize("digits", ["1e308", "-1.7976931348623157e308", "5e-324", "1e-999"])
    def test_floats_that_a_browser_can_hold(self, digits):
        data = parse(frame(data=digits), max_depth=DEPTH).data
        assert data == float(digits)
        assert math.isfinite(data)

    @pytest.mark.parametrize(
        ("escaped", "text"),
        [
            (r"\ud83d\ude00", "\U0001f600"),
            (r"\uD83D\uDE00", "\U0001f600"),
            ("\U0001f600", "\U0001f600"),
            # A backslash and then letters, not an escape.
            (r"\\ud800", r"\ud800"),
            (r"\\\\ud800", r"\\ud800"),
            (r"\ud7ff\ue000", "\ud7ff\ue000"),
            (r"\u0000", "\x00"),
        ],
    )
    def test_takes_whole_surrogate_pairs_and_what_only_looks_like_half(self, escaped, text):
        data = parse(frame(data=f'{{"{escaped}": "{escaped}"}}'), max_depth=DEPTH).data
        assert data == {text: text}

    @given(
        st.text() | values.map(json.dumps) | st.text('{}[]":,\\u d8019.eE-NaInfity', max_size=60)
    )
    @example("[" * 1000 + "]" * 1000)
    def test_any_text_is_a_request_or_one_error(self, text):
        assert_request_or_error(text)

    @given(
        st.fixed_dictionaries(
            {},
            optional={
                "stream": st.text() | values,
                "payload": values
                | st.fixed_dictionaries(
                    {},
                    optional={
                        "action": st.text() | values,
                        "request_id": st.text() | values | st.integers() | st.floats(),
                        "pk": values | st.floats(),
                        "data": values | st.text(st.characters(categories=["Cs"])),
                    },
                ),
            },
        )
    )
    def test_any_object_is_a_request_or_one_error(self, content):
        """`json.dumps` writes lone surrogates, NaN and long integers as well."""
        assert_request_or_error(json.dumps(content))

    @given(texts, texts, values, values, st.none() | int64 | texts.filter(lambda t: len(t) <= 128))
    def test_a_request_is_taken_as_it_is(self, stream, action, pk, data, request_id):
        text = json.dumps(
            {
                "stream": stream,
                "payload": {"action": action, "pk": pk, "data": data, "request_id": request_id},
            },
            ensure_ascii=len(stream) % 2 == 0,
        )
        if pk is None and isinstance(data, dict):
            pk = data.get("pk")
        assert parse(text, max_depth=100) == RequestFrame(stream, action, pk, data, request_id)


def assert_request_or_error(text: str) -> None:
    """Whatever comes of it can be answered, and the answer is strict JSON."""
    answer = answer_to(text)
    if answer.status == 400:
        (message,) = answer.errors
        assert message.endswith(".")
        assert "\n" not in message
    assert parse_strictly(answer.encode()).keys() == {"stream", "payload"}


def answer_to(text: str) -> Reply:
    try:
        request = parse(text, max_depth=DEPTH)
    except FrameError as fault:
        known = {"request_id": fault.request_id, "errors": [fault.message]}
        return Reply(fault.stream, fault.action, fault.status, **known)
    data = [request.pk, request.data]
    return Reply(request.stream, request.action, 200, data, request_id=request.request_id)


class TestEncode:
    @given(values)
    def test_any_json_value_comes_back(self, value):
        assert parse_strictly(encode(value)) == value

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (uuid.UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
            (datetime.date(2024, 2, 29), '"2024-02-29"'),
            (
                datetime.datetime(2024, 2, 29, tzinfo=datetime.timezone.utc),
                '"2024-02-29T00:00:00Z"',
            ),
            (datetime.timedelta(seconds=90), '"90.0"'),
            (lazystr("lazy"), '"lazy"'),
            (b"bytes", '"bytes"'),
            ((1, 2), "[1,2]"),
            ({3}, "[3]"),
            (iter([1, 2]), "[1,2]"),
            ({1: None, None: 2}, '{"1":null,"null":2}'),
            ("ü\U0001f600", '"ü\U0001f600"'),
            ('\u2028\x00"', '"\u2028\\u0000\\""'),
        ],
        ids=name_of,
    )
    def test_as_drf_writes_it_and_compact(self, value, text):
        assert encode(value) == text

    def test_decimals_depend_on_the_version_of_drf(self):
        """A number in 3.18, a string before."""
        assert encode(decimal.Decimal("1.50")) in ("1.5", '"1.50"')

    @pytest.mark.parametrize(
        "value",
        [
            math.nan,
            [math.inf],
            {"a": -math.inf},
            {math.nan: 1},
            "\ud800",
            {"\udfff": 1},
            ["ok", {"a": "\ude00\ud83d"}],
            object(),
            {(1, 2): 1},
            b"\xff",
        ],
        ids=name_of,
    )
    def test_refuses_what_strict_json_cannot_hold(self, value):
        with pytest.raises((TypeError, ValueError)):
            encode(value)

    def test_refuses_what_holds_itself(self):
        value: list = []
        value.append(value)
        with pytest.raises(ValueError, match="Circular"):
            encode(value)

    @given(st.text() | st.text(st.characters(categories=["Cs"])))
    def test_bytes_of_a_text(self, text):
        assert byte_length(text) == len(text.encode("utf-8", "surrogatepass"))


class TestReply:
    def test_always_has_the_same_keys(self):
        assert parse_strictly(Reply(None, None, 400).encode()) == {
            "stream": None,
            "payload": {
                "action": None,
                "errors": [],
                "data": None,
                "response_status": 400,
                "request_id": None,
            },
        }

    def test_all_that_a_reply_holds(self):
        reply = Reply("s", "a", 201, {"id": uuid.UUID(int=1)}, [{"f": ["m"]}], "r")
        assert parse_strictly(reply.encode()) == {
            "stream": "s",
            "payload": {
                "action": "a",
                "errors": [{"f": ["m"]}],
                "data": {"id": "00000000-0000-0000-0000-000000000001"},
                "response_status": 201,
                "request_id": "r",
            },
        }


class TestEvent:
    @given(texts, st.sampled_from(["create", "update", "delete"]), int64 | texts, values)
    def test_has_exactly_four_keys(self, stream, action, pk, row):
        event = Event(stream, action, pk, "polls.question", encode(row))
        assert parse_strictly(event.text) == {
            "stream": stream,
            "payload": {"action": action, "pk": pk, "data": row, "model": "polls.question"},
        }

    def test_of_a_row_that_is_gone(self):
        event = Event("s", "delete", 1, "polls.question")
        assert parse_strictly(event.text)["payload"]["data"] is None
