"""Subscriptions with state to rows of every kind: keys, look-ups, inheritance, databases."""

import pytest
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import AnonymousUser

from tests.app.models import Question
from tests.app.streams import Demultiplexer
from tests.client import PATIENCE, SocketClient
from tests.live_helpers import do, follow, go_on, hear, keep, question, questions
from tests.replica import Replica

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@pytest.fixture
def url(lone_server) -> str:
    return lone_server().url + "ws/"


@pytest.mark.parametrize(
    ("stream", "key", "field", "values", "model"),
    [
        ("documents", "id", "title", ["a", "b", "c"], "app.document"),
        ("vs-tags", "name", "name", ["a", "1", ' ä/"\\'], "app.tag"),
        ("vs-by-text", "id", "question_text", ["a", "b", "c"], "app.question"),
        ("state-texts", "id", "question_text", ["a", "b", "c"], "app.question"),
        ("state-surveys", "id", "question_text", ["a", "b", "c"], "app.survey"),
    ],
)
async def test_keys_of_every_kind(url, stream, key, field, values, model):
    """All rows, one of them by what the stream looks rows up by, and back after a while."""

    async def create(value: str) -> dict:
        data = {field: value, **({"audience": "all"} if "surveys" in stream else {})}
        reply = await writer.request(stream, "create", data=data)
        assert reply["response_status"] == 201, reply
        return reply["data"]

    async def delete(row: dict) -> None:
        lookup = row[field] if stream in ("vs-by-text", "state-texts") else row[key]
        reply = await writer.request(stream, "delete", pk=lookup)
        assert reply["response_status"] == 200, reply

    async with SocketClient(url) as client, SocketClient(url) as writer:
        first, second = [await create(value) for value in values[:2]]
        async with SocketClient(url) as before:
            replica = await keep(before, stream, Replica(key))
            assert replica.rows == {row[key]: row for row in (first, second)}
        third = await create(values[2])
        await delete(first)
        assert await go_on(client, stream, replica)
        payloads = await hear(client, replica, 2)
        assert {each["pk"]: each["action"] for each in payloads} == {
            third[key]: "create",
            first[key]: "delete",
        }
        assert {each["model"] for each in payloads} == {model}
        assert replica.rows == {row[key]: row for row in (second, third)}
        assert {type(pk) for pk in replica.rows} <= {int, str}
        lookup = second[field] if stream in ("vs-by-text", "state-texts") else second[key]
        async with SocketClient(url) as other:
            alone = await keep(other, stream, Replica(key), pk=lookup)
            assert alone.rows == {second[key]: second}
            await delete(third)
            await delete(second)
            (payload,) = await hear(other, alone)
            assert (payload["action"], payload["pk"]) == ("delete", second[key])
        await hear(client, replica, 2)
        assert replica.rows == {}


async def test_a_child_changes_with_its_parent(url):
    """Where it shares the parent's key; the rows of the parents are kept as well."""
    async with (
        SocketClient(url) as children,
        SocketClient(url) as parents,
        SocketClient(url) as writer,
    ):
        pk = await do(writer, "create_survey", {"question_text": "a", "audience": "all"})
        await do(writer, "create", {"question_text": "no survey"})
        surveys = await keep(children, "state-surveys")
        everything = await keep(parents, "live")
        assert surveys.rows == {pk: {"id": pk, "question_text": "a", "audience": "all"}}
        assert everything.rows == await questions()
        await do(writer, "change", {"pk": pk, "question_text": "b"})
        (payload,) = await hear(children, surveys)
        assert (payload["action"], payload["model"]) == ("update", "app.survey")
        assert surveys.rows[pk]["question_text"] == "b"
        await follow(parents, everything, await questions())
        await do(writer, "remove", pk)
        await hear(children, surveys)
        assert surveys.rows == {}
        await follow(parents, everything, await questions())


async def test_a_child_with_a_key_of_its_own(url):
    async with SocketClient(url) as client, SocketClient(url) as writer:
        # So that the keys of a leaf and of its node differ.
        await do(writer, "create_survey", {"question_text": "a", "audience": "all"})
        pks = [await do(writer, "create_leaf", name, stream="state-write") for name in "ab"]
        replica = await keep(client, "state-leaves", Replica("id_of_leaf"))
        rows = {
            pk: {"id_of_leaf": pk, "name": name, "code": name}
            for pk, name in zip(pks, "ab", strict=True)
        }
        assert replica.rows == rows
        data = {"pk": pks[0], "name": "renamed"}
        await do(writer, "rename_node_of", data, stream="state-write")
        (payload,) = await hear(client, replica)
        assert (payload["action"], payload["pk"]) == ("update", pks[0])
        assert replica.rows == {**rows, pks[0]: {**rows[pks[0]], "name": "renamed"}}


async def test_another_database(url):
    """It has a log of its own: what happens here moves no position there."""
    async with SocketClient(url) as client, SocketClient(url) as writer:
        there = await do(writer, "create_elsewhere", "there")
        async with SocketClient(url) as before:
            replica = await keep(before, "live-other")
            assert replica.rows == {there: question(there, "there")}
        since = dict(replica.position)
        await do(writer, "create", {"question_text": "here"})
        assert await go_on(client, "live-other", replica)
        assert replica.position == since
        pk = await do(writer, "create_elsewhere", "new")
        (payload,) = await hear(client, replica)
        assert (payload["pk"], payload["seq"]) == (pk, since["seq"] + 1)
        assert replica.rows == {there: question(there, "there"), pk: question(pk, "new")}


async def test_in_the_thread_of_a_test(settings):
    """With THREADS = 0, as projects test: snapshot, events, a reset and the way back."""
    settings.CHANNELS_API = {"THREADS": 0}
    first = await Question.objects.acreate(question_text="a")

    async def connect() -> WebsocketCommunicator:
        communicator = WebsocketCommunicator(Demultiplexer.as_asgi(), "/ws/")
        communicator.scope["user"] = AnonymousUser()
        assert (await communicator.connect(timeout=PATIENCE))[0]
        return communicator

    async def keeps(communicator, replica: Replica, data: dict) -> None:
        payload = {"action": "subscribe", "data": {"action": "*", **data}}
        await communicator.send_json_to({"stream": "state-filters", "payload": payload})
        replica.reply((await communicator.receive_json_from(timeout=PATIENCE))["payload"])

    async def hears(communicator, replica: Replica) -> None:
        replica.event((await communicator.receive_json_from(timeout=PATIENCE))["payload"])

    replica = Replica()
    communicator = await connect()
    await keeps(communicator, replica, {"filter": {"votes": 0}})
    assert replica.rows == await questions()
    second = await Question.objects.acreate(question_text="b")
    await hears(communicator, replica)
    first.votes = 1
    await first.asave()
    await hears(communicator, replica)
    assert replica.rows == await questions(pk=second.pk)
    await communicator.disconnect(timeout=PATIENCE)
    await second.adelete()
    first.votes = 0
    await first.asave()
    communicator = await connect()
    await keeps(communicator, replica, {**replica.resume_data(), "filter": {"votes": 0}})
    assert replica.recovered
    for _ in range(2):
        await hears(communicator, replica)
    assert replica.rows == await questions(pk=first.pk)
    await communicator.disconnect(timeout=PATIENCE)
