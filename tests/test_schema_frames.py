"""Frames of a real server are what the schema says, and the schema says enough to be wrong."""

import copy
import json

import pytest
from jsonschema import Draft7Validator
from rest_framework.response import Response

from channels_api.protocol import RequestFrame
from channels_api.results import read_result
from channels_api.schema import make_schema
from tests.app.models import Question
from tests.client import SocketClient

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


class Judge:
    """Tells which messages of the document a frame is."""

    def __init__(self, document):
        for schema in document["components"]["schemas"].values():
            Draft7Validator.check_schema(schema)
        self.document = document

    def is_message(self, name, frame):
        schema = self.document["components"]["messages"][name]["payload"]
        # So that references into the document lead somewhere.
        whole = {**schema, "components": self.document["components"]}
        return Draft7Validator(whole).is_valid(frame)

    def replies(self, operation, frame):
        """The replies of an operation that the frame may be."""
        known = self.document["operations"][operation]["reply"]["messages"]
        names = [each["$ref"].rpartition("/")[2] for each in known]
        return [name for name in names if self.is_message(name, frame)]


@pytest.fixture(scope="module")
def judge():
    from django.test import override_settings  # noqa: PLC0415

    with override_settings(ASGI_APPLICATION="tests.app.asgi.application"):
        return Judge(make_schema(warn=lambda sentence: None))


@pytest.fixture
def url(app_server):
    return app_server().url + "ws/"


async def ask(client, judge, stream, action, *, request=True, **fields):
    """Send a request that is as the schema has it, or not; the reply, and what it may be."""
    payload = {"action": action, "request_id": "r", **fields}
    sent = {"stream": stream, "payload": payload}
    assert judge.is_message(f"{stream}.{action}", sent) is request, sent
    reply = {
        "stream": stream,
        "payload": await client.request(stream, action, request_id="r", **fields),
    }
    return reply["payload"]["data"], judge.replies(f"{stream}.{action}", reply)


@pytest.mark.parametrize(
    ("stream", "data", "changed"),
    [
        ("classic", {"question_text": "a", "votes": 3}, {"votes": 4}),
        ("vs-questions", {"question_text": "a", "owner": None}, {"published": False}),
        ("documents", {"title": "a"}, {"title": "b"}),
        ("tags", {"name": "a"}, {}),
    ],
)
async def test_rows_go_in_and_come_out(url, judge, stream, data, changed):
    async with SocketClient(url) as client:
        row, reply = await ask(client, judge, stream, "create", data=data)
        assert reply == [f"{stream}.create.reply"]
        pk = row[judge.document["x-streams"][stream]["key"]]
        for action, fields in (
            ("retrieve", {"pk": pk}),
            ("update", {"pk": pk, "data": data}),
            ("patch", {"pk": pk, "data": changed}),
            ("list", {"data": {"page": 1}}),
            ("list", {}),
            ("delete", {"pk": pk}),
        ):
            _, reply = await ask(client, judge, stream, action, **fields)
            assert reply == [f"{stream}.{action}.reply"], action
        assert (await ask(client, judge, stream, "retrieve", pk=pk))[1] == ["error"]
        assert (await ask(client, judge, stream, "create", data={}, request=False))[1] == ["error"]


async def test_custom_actions_answer_anything(url, judge):
    async with SocketClient(url) as client:
        _, reply = await ask(client, judge, "classic", "plain_list")
        assert reply == ["classic.plain_list.reply"]
        _, reply = await ask(client, judge, "classic", "echo_pk", pk=1, data=[None])
        assert reply == ["classic.echo_pk.reply"]


async def test_events_of_both_kinds(url, judge):
    async with SocketClient(url) as client, SocketClient(url) as writer:
        _, reply = await ask(client, judge, "classic", "subscribe", data={"action": "*"})
        assert reply == ["classic.subscribe.reply"]
        state = {"action": "*", "snapshot": True, "filter": {}}
        answer, reply = await ask(client, judge, "vs-questions", "subscribe", data=state)
        assert reply == ["vs-questions.subscribe.reply"]
        assert answer["snapshot"] == []
        row = await writer.request("classic", "create", data={"question_text": "a"})
        await writer.request("classic", "delete", pk=row["data"]["id"])
        found = [await client.receive() for _ in range(2)]
        while {frame["payload"]["action"] for frame in found} != {"create", "delete"}:
            found.append(await client.receive())
        for frame in found:
            assert judge.is_message(f"{frame['stream']}.events.change", frame), frame
            assert not judge.is_message(f"{frame['stream']}.events.reset", frame)
            broken = copy.deepcopy(frame)
            broken["payload"]["pk"] = "not a number"
            assert not judge.is_message(f"{frame['stream']}.events.change", broken)


async def test_a_snapshot_has_rows(url, judge):
    await Question.objects.acreate(question_text="a")
    async with SocketClient(url) as client:
        data = {"action": "*", "snapshot": True}
        answer, reply = await ask(client, judge, "classic", "subscribe", data=data)
        assert reply == ["classic.subscribe.reply"]
        assert len(answer["snapshot"]) == 1
        named = {"subscription": answer["subscription"]}
        _, reply = await ask(client, judge, "classic", "unsubscribe", data=named)
        assert reply == ["classic.unsubscribe.reply"]


def test_a_row_without_a_field_is_no_row(judge):
    reply = {"action": "retrieve", "errors": [], "response_status": 200, "request_id": 1}
    row = {"id": 1, "question_text": "a", "votes": 0, "published": True, "owner": None}

    def is_reply(data):
        frame = {"stream": "classic", "payload": {**reply, "data": data}}
        return judge.replies("classic.retrieve", frame) == ["classic.retrieve.reply"]

    assert is_reply(row)
    assert not any(is_reply({key: row[key] for key in row if key != name}) for name in row)
    assert not is_reply({**row, "votes": "0"})


@pytest.mark.parametrize(
    "result",
    [
        ({"taken": True}, 409),
        Response(status=404),
        Response({"detail": "No."}, status=403),
        Response([1, None], status=400),
        ("Go on", 100),
        Response({"a": 1}, status=202),
    ],
)
def test_whatever_a_handler_returns_is_a_reply(judge, result):
    status, data, errors = read_result(result)
    reply = RequestFrame("classic", "plain_list", request_id=1).reply(status, data, errors)

    expected = "classic.plain_list.reply" if status < 400 else "error"
    assert judge.replies("classic.plain_list", json.loads(reply.encode())) == [expected]


def test_all_streams_of_the_suite_are_described(judge):
    """Among them those that fail in every way."""
    from tests.app.streams import Demultiplexer  # noqa: PLC0415 - it imports models

    assert judge.document["x-streams"].keys() == Demultiplexer.streams.keys()
