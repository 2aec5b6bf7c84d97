"""Anything at all as a frame: exactly one answer to each, strict JSON, and the socket lives on."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.frames_helpers import KINDS, ask, assert_answers, reply, ws

# Streams with tables are among those that are asked.
pytestmark = pytest.mark.django_db(transaction=True)

# Nine bad frames are what a socket may send; the tenth would end it.
MOST = 9
# Each example opens a socket, on a machine that may be busy.
over_the_wire = settings(max_examples=60, deadline=None)

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=[])),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=10,
)
int64 = st.integers(-(2**63), 2**63 - 1)
# The part of `values` that a reply can hold.
held = st.recursive(
    st.none()
    | st.booleans()
    | int64
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=10,
)
names = st.sampled_from(["frames", "questions", "tags", "echo", "point", "list", "subscribe"])
payloads = st.fixed_dictionaries(
    {"action": names | st.text() | values},
    optional={"pk": values, "data": values, "request_id": st.text() | st.integers() | values},
)
# `json.dumps` writes NaN, long integers and halves of surrogate pairs as well.
requests = st.fixed_dictionaries(
    {"stream": names | st.text() | values, "payload": payloads | values}
).map(json.dumps)


@pytest.fixture(scope="module", params=KINDS)
def server(request, app_server):
    """The usual server for a whole module: Hypothesis calls a test many times."""
    return app_server(request.param)


@over_the_wire
@given(message=st.text() | st.binary() | values.map(json.dumps))
async def test_any_message_has_one_answer(server, message):
    async with ws(server) as client:
        answer = await ask(client, message)
        assert answer.keys() == {"stream", "payload"}
        assert 400 <= answer["payload"]["response_status"] < 500
        await assert_answers(client)


@over_the_wire
@given(messages=st.lists(requests | st.text() | st.binary(), min_size=1, max_size=MOST))
async def test_any_messages_have_as_many_answers(server, messages):
    async with ws(server) as client:
        for message in messages:
            answer = await ask(client, message)
            assert answer.keys() == {"stream", "payload"}
            assert answer["payload"].keys() == {
                "action",
                "errors",
                "data",
                "response_status",
                "request_id",
            }
            assert answer["payload"]["response_status"] != 500, answer
            assert bool(answer["payload"]["errors"]) == (
                answer["payload"]["response_status"] >= 400
            )
        await assert_answers(client)


@over_the_wire
@given(data=held, request_id=st.none() | st.text(max_size=128) | int64)
async def test_what_json_can_hold_comes_back(server, data, request_id):
    async with ws(server) as client:
        await client.send("frames", "echo", data=data, request_id=request_id)
        assert await client.receive() == reply(data, request_id)
