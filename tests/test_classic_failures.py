"""A failure stays inside its frame, and its text inside the server."""

import re

import pytest

from tests.app.models import Question
from tests.app.streams.classic import FAILURES, RETURNED, SECRET
from tests.classic_client import NOT_FOUND, REQUEST_ID, ask, failure, success
from tests.client import SocketClient, parse_strictly

STREAM = "classic-failing"
ERROR = "Internal server error"

#: Exceptions that are meant for clients. The text of Http404 is not.
MEANT_FOR_CLIENTS = {
    "Http404": (404, NOT_FOUND),
    "PermissionDenied": (403, "You do not have permission to perform this action."),
    "APIException": (418, "I'm a teapot."),
    "ValidationError": (400, "x"),
}
UNEXPECTED = sorted(FAILURES.keys() - MEANT_FOR_CLIENTS.keys())
UNSERIALIZABLE = [
    "object",
    "NaN",
    "infinity",
    "a cycle",
    "a tuple as key",
    "half a surrogate pair",
    "bytes that are no text",
    "model instances",
    "response with an object",
    "response with an object as error",
]


def logged(server, error_id: str) -> str:
    """What the server's log says from an error id on: one record."""
    *before, record = server.log.split(error_id)
    assert len(before) == 1, "the id stands once in the log"
    return re.split(r"\n(?:ERROR|INFO|WARNING):", record)[0]


def error_id_of(reply, action) -> str:
    """The id in a reply that is a 500 and tells nothing else."""
    [_, reference] = reply["errors"]
    assert reply == failure(action, 500, ERROR, reference)
    assert reference.keys() == {"error_id"}
    return reference["error_id"]


async def still_answers(client) -> None:
    assert await ask(client, "classic", "plain_list") == success("plain_list", "some data")


@pytest.mark.parametrize("action", ["fail", "async_fail"])
async def test_an_exception_is_a_500_with_an_id(server, action):
    async with SocketClient(server.url + "ws/") as client:
        for name in UNEXPECTED:
            await client.send(STREAM, action, data=name, request_id=REQUEST_ID)
            text = await client.socket.recv()
            assert SECRET not in text
            assert "hunter2" not in text
            record = logged(server, error_id_of(parse_strictly(text)["payload"], action))
            assert "Traceback (most recent call last)" in record
            assert "raise FAILURES[data]()" in record
            assert SECRET in record
            await still_answers(client)


@pytest.mark.parametrize("action", ["fail", "async_fail"])
async def test_an_exception_that_is_meant_for_clients(server, action):
    async with SocketClient(server.url + "ws/") as client:
        for name, answer in MEANT_FOR_CLIENTS.items():
            reply = await ask(client, STREAM, action, data=name)
            assert reply == failure(action, *answer)
        await still_answers(client)


async def test_an_exception_around_the_handler(server):
    """In a permission, in a serializer's context: the reply does not differ."""
    question = await Question.objects.acreate(question_text="What?")
    async with SocketClient(server.url + "ws/") as client:
        for action in ["fails_in_permission", "create", "retrieve", "list", "update"]:
            reply = await ask(client, STREAM, action, pk=question.pk, data={})
            assert SECRET in logged(server, error_id_of(reply, action))
        await still_answers(client)


@pytest.mark.parametrize("action", ["returns", "async_returns"])
async def test_a_return_value_that_json_can_not_hold(server, action):
    async with SocketClient(server.url + "ws/") as client:
        for returned in UNSERIALIZABLE:
            reply = await ask(client, "classic", action, data=returned)
            assert "Traceback" in logged(server, error_id_of(reply, action))
            await still_answers(client)


def test_the_values_that_json_can_not_hold_are_there():
    assert set(UNSERIALIZABLE) <= RETURNED.keys()


@pytest.mark.parametrize("action", ["text", "async_text"])
async def test_a_reply_has_a_limit(server, action):
    """1 MiB of frame, to the byte."""
    async with SocketClient(server.url + "ws/") as client:
        await client.send("classic", action, data=0, request_id=REQUEST_ID)
        room = 1_048_576 - len(await client.socket.recv())
        reply = await ask(client, "classic", action, data=room)
        assert reply == success(action, "x" * room)
        message = "The reply is too large: ask for less, for example with a page or a filter."
        reply = await ask(client, "classic", action, data=room + 1)
        assert reply == failure(action, 413, message)
        await still_answers(client)


async def test_a_failure_delays_and_ends_no_other_stream(server):
    """Replies to frames that were sent at once: each comes, whatever became of the others."""
    async with SocketClient(server.url + "ws/") as client:
        for number, name in enumerate(UNEXPECTED):
            await client.send(STREAM, "fail", data=name, request_id=number)
            await client.send("classic", "echo", data=name, request_id=f"echo-{number}")
        frames = [await client.receive() for _ in range(2 * len(UNEXPECTED))]

    failed = [frame["payload"] for frame in frames if frame["stream"] == STREAM]
    echoed = [frame["payload"] for frame in frames if frame["stream"] == "classic"]
    assert [payload["request_id"] for payload in failed] == [*range(len(UNEXPECTED))]
    assert echoed == [
        success("echo", name, request_id=f"echo-{number}") for number, name in enumerate(UNEXPECTED)
    ]
