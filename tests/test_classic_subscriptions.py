"""Subscriptions of 0.4.1: of creates, updates or deletes, or all of them, of all rows or of one."""

import contextlib
import itertools
import uuid

import pytest

from tests.app.models import Question
from tests.classic_client import (
    NOT_FOUND,
    REQUEST_ID,
    add,
    ask,
    ask_and_hear,
    failure,
    question_row,
    success,
)
from tests.client import SocketClient

ACTIONS = ["create", "update", "delete"]
REQUIRED = "action required"
UNKNOWN = "action must be one of create, update, delete, *"


def event(action, question_or_pk, data=None, stream="classic") -> dict:
    """The whole frame of an event, with exactly four keys in the payload."""
    pk = getattr(question_or_pk, "pk", question_or_pk)
    payload = {"action": action, "pk": pk, "data": data, "model": "app.question"}
    return {"stream": stream, "payload": payload}


class Changes:
    """Changes rows, one at a time: each is over when a witness has been told of it.

    The witness hears of everything, from the same read as the other subscribers of the stream. So
    what these have not been sent by then will not come.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    async def __aenter__(self) -> "Changes":
        self._stack = contextlib.AsyncExitStack()
        self._writer = await self._stack.enter_async_context(SocketClient(self.url))
        self._witness = await self._stack.enter_async_context(SocketClient(self.url))
        await ask(self._witness, "classic", "subscribe", data={"action": "*"})
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.aclose()

    async def make(self, action, *, pk=None, text="What?") -> dict:
        """The event of one change."""
        reply = await ask(self._writer, "classic", action, pk=pk, data={"question_text": text})
        assert reply["errors"] == []
        told = await self._witness.receive()
        assert told["payload"]["action"] == {"patch": "update"}.get(action, action)
        return told


async def test_subscribe_and_its_event(server):
    async with SocketClient(server.url + "ws/") as client, Changes(server.url + "ws/") as changes:
        reply = await ask(client, "classic", "subscribe", data={"action": "create"})
        assert reply == success("subscribe", {"action": "create"})
        await changes.make("create")
        question = await Question.objects.aget()
        assert await client.receive() == event("create", question, question_row(question))


@pytest.mark.parametrize("subscribed", [*ACTIONS, "*"])
async def test_the_events_of_all_rows(server, subscribed):
    async with SocketClient(server.url + "ws/") as client, Changes(server.url + "ws/") as changes:
        reply = await ask(client, "classic", "subscribe", data={"action": subscribed})
        assert reply == success("subscribe", {"action": subscribed})
        await changes.make("create")
        question = await Question.objects.aget()
        row = question_row(question)
        await changes.make("update", pk=question.pk, text="Why?")
        await changes.make("patch", pk=question.pk, text="Who?")
        await changes.make("delete", pk=question.pk)
        events = await client.barrier("classic", "plain_list")

    everything = [
        event("create", question, row),
        event("update", question, {**row, "question_text": "Why?"}),
        event("update", question, {**row, "question_text": "Who?"}),
        event("delete", question),
    ]
    assert events == [each for each in everything if subscribed in ("*", each["payload"]["action"])]


@pytest.mark.parametrize("subscribed", [*ACTIONS, "*"])
async def test_the_events_of_one_row(server, subscribed):
    """As text, the key is the same row: 0.4.1's README wrote it so."""
    one = await add(Question, question_text="one")
    other = await add(Question, question_text="other")
    async with SocketClient(server.url + "ws/") as client, Changes(server.url + "ws/") as changes:
        data = {"action": subscribed}
        reply = await ask(client, "classic", "subscribe", pk=str(one.pk), data=data)
        assert reply == success("subscribe", data)
        for pk in [other.pk, one.pk]:
            await changes.make("patch", pk=pk, text="changed")
        await changes.make("create")
        for pk in [other.pk, one.pk]:
            await changes.make("delete", pk=pk)
        events = await client.barrier("classic", "plain_list")

    everything = [
        event("update", one, question_row(one, question_text="changed")),
        event("delete", one),
    ]
    assert events == [each for each in everything if subscribed in ("*", each["payload"]["action"])]


async def test_pk_inside_the_data_subscribes_to_one_row(server):
    one = await add(Question, question_text="one")
    other = await add(Question, question_text="other")
    async with SocketClient(server.url + "ws/") as client, Changes(server.url + "ws/") as changes:
        data = {"action": "update", "pk": one.pk}
        reply = await ask(client, "classic", "subscribe", data=data)
        assert reply == success("subscribe", {"action": "update"})
        await changes.make("patch", pk=other.pk)
        told = await changes.make("patch", pk=one.pk)
        assert await client.barrier("classic", "plain_list") == [told]


async def test_one_s_own_changes_are_told_too(server):
    async with SocketClient(server.url + "ws/") as client:
        await ask(client, "classic", "subscribe", data={"action": "*"})
        data = {"question_text": "What?"}
        reply, events = await ask_and_hear(client, "classic", "create", data=data)

    assert events == [event("create", reply["data"]["id"], reply["data"])]


async def test_the_reply_comes_before_the_events(server):
    """Even where another subscriber has long been told of what happened before the reply."""
    url, stream, door = server.url + "ws/", "classic-door", uuid.uuid4().hex
    async with SocketClient(url) as client, SocketClient(url) as witness:
        await ask(witness, stream, "subscribe", data={"action": "create"})
        data = {"action": "create", "door": door}
        await client.send(stream, "subscribe", data=data, request_id=REQUEST_ID)
        told = await witness.receive()
        assert told["payload"]["data"]["question_text"] == "made during subscribe"
        await ask(witness, stream, "open_door", data=door)
        reply = {"stream": stream, "payload": success("subscribe", {"action": "create"})}
        assert [await client.receive(), await client.receive()] == [reply, told]


async def test_unsubscribe(server):
    async with SocketClient(server.url + "ws/") as client, Changes(server.url + "ws/") as changes:
        data = {"action": "create"}
        await ask(client, "classic", "subscribe", data=data)
        told = await changes.make("create")
        assert await client.receive() == told
        assert await ask(client, "classic", "unsubscribe", data=data) == success("unsubscribe", {})
        await changes.make("create")
        assert await client.barrier("classic", "plain_list") == []
        # Once more is fine, and it can begin anew.
        assert await ask(client, "classic", "unsubscribe", data=data) == success("unsubscribe", {})
        await ask(client, "classic", "subscribe", data=data)
        told = await changes.make("create")
        assert await client.barrier("classic", "plain_list") == [told]


async def test_unsubscribe_from_one_thing_only(server):
    """The same action, of all rows and of one, on this socket and on another."""
    one = await add(Question, question_text="one")
    url = server.url + "ws/"
    async with SocketClient(url) as client, SocketClient(url) as other, Changes(url) as changes:
        update, delete = {"action": "update"}, {"action": "delete"}
        await ask(client, "classic", "subscribe", pk=one.pk, data=update)
        await ask(client, "classic", "subscribe", pk=one.pk, data=delete)
        await ask(client, "classic", "subscribe", data=delete)
        await ask(other, "classic", "subscribe", pk=one.pk, data=update)
        for pk, data in [(None, update), (None, delete), (one.pk, {"action": "*"})]:
            reply = await ask(client, "classic", "unsubscribe", pk=pk, data=data)
            assert reply == success("unsubscribe", {})
        updated = await changes.make("patch", pk=one.pk)
        await ask(client, "classic", "unsubscribe", pk=one.pk, data=update, events=(mine := []))
        assert mine == [updated]
        again = await changes.make("patch", pk=one.pk)
        deleted = await changes.make("delete", pk=one.pk)
        assert await client.barrier("classic", "plain_list") == [deleted]
        assert await other.barrier("classic", "plain_list") == [updated, again]


async def test_unsubscribe_from_what_was_never_subscribed(server):
    async with SocketClient(server.url + "ws/") as client:
        for action, pk in itertools.product([*ACTIONS, "*"], [None, 1]):
            reply = await ask(client, "classic", "unsubscribe", pk=pk, data={"action": action})
            assert reply == success("unsubscribe", {})


async def test_unsubscribe_from_a_row_that_is_gone(server):
    question = await add(Question, question_text="What?")
    async with SocketClient(server.url + "ws/") as client, Changes(server.url + "ws/") as changes:
        data = {"action": "delete"}
        await ask(client, "classic", "subscribe", pk=question.pk, data=data)
        told = await changes.make("delete", pk=question.pk)
        assert await client.receive() == told
        reply = await ask(client, "classic", "unsubscribe", pk=question.pk, data=data)
        assert reply == success("unsubscribe", {})
        # Another with its key is another's business.
        await add(Question, pk=question.pk, question_text="again")
        await changes.make("delete", pk=question.pk)
        assert await client.barrier("classic", "plain_list") == []


async def test_the_same_subscription_twice_is_one(server):
    async with SocketClient(server.url + "ws/") as client, Changes(server.url + "ws/") as changes:
        data = {"action": "create"}
        for _ in range(2):
            reply = await ask(client, "classic", "subscribe", data=data)
            assert reply == success("subscribe", data)
        told = await changes.make("create")
        assert await client.barrier("classic", "plain_list") == [told]
        await ask(client, "classic", "unsubscribe", data=data)
        await changes.make("create")
        assert await client.barrier("classic", "plain_list") == []


async def test_subscribe_to_a_row_that_does_not_exist(server):
    """A refused subscription is none: not to that row, and not to all of them."""
    async with SocketClient(server.url + "ws/") as client, Changes(server.url + "ws/") as changes:
        for pk in [12345, 0, "", False, "0", -1, "x", [], {}]:
            reply = await ask(client, "classic", "subscribe", pk=pk, data={"action": "*"})
            assert reply == failure("subscribe", 404, NOT_FOUND)
        await changes.make("create")
        assert await client.barrier("classic", "plain_list") == []


NO_ACTION = [
    ({}, REQUIRED),
    (None, REQUIRED),
    ([], REQUIRED),
    ("action", REQUIRED),
    ({"Action": "create"}, REQUIRED),
    ({"action": "CREATE"}, UNKNOWN),
    ({"action": "retrieve"}, UNKNOWN),
    ({"action": ""}, UNKNOWN),
    ({"action": None}, UNKNOWN),
    ({"action": ["create"]}, UNKNOWN),
    ({"action": {}}, UNKNOWN),
]


@pytest.mark.parametrize("action", ["subscribe", "unsubscribe"])
async def test_an_action_is_required(server, action):
    async with SocketClient(server.url + "ws/") as client:
        assert await ask(client, "classic", action) == failure(action, 400, REQUIRED)
        for data, message in NO_ACTION:
            reply = await ask(client, "classic", action, data=data)
            assert reply == failure(action, 400, message)


async def test_events_carry_the_stream_that_was_subscribed_to(server):
    """Under the key in `consumers`, whatever `stream` a binding inherits, in its own words."""
    streams = ["classic", "classic-rules", "classic-read-only"]
    async with SocketClient(server.url + "ws/") as client:
        for stream in streams:
            await ask(client, stream, "subscribe", data={"action": "create"})
        data = {"question_text": "What?"}
        reply, events = await ask_and_hear(client, "classic", "create", len(streams), data=data)

    row = reply["data"]
    short = {key: row[key] for key in ["id", "question_text", "votes"]}
    assert sorted(events, key=lambda frame: streams.index(frame["stream"])) == [
        event("create", row["id"], row, "classic"),
        event("create", row["id"], short, "classic-rules"),
        event("create", row["id"], row, "classic-read-only"),
    ]


async def test_what_failed_is_no_event(server):
    question = await add(Question, question_text="What?")
    async with SocketClient(server.url + "ws/") as client, Changes(server.url + "ws/") as changes:
        await ask(client, "classic", "subscribe", data={"action": "*"})
        await ask(client, "classic", "create", data={})
        await ask(client, "classic", "patch", pk=question.pk, data={"votes": "many"})
        await ask(client, "classic", "delete", pk=-1)
        # The first event is that of the first change.
        told = await changes.make("create")
        assert await client.barrier("classic", "plain_list") == [told]
