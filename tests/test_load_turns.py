"""Frames of one stream that a thread answers one after another: nobody notices that it does."""

import contextlib

import pytest

from tests.client import SocketClient
from tests.load_doors import hold, until

TIMED_OUT = {
    "action": "hold",
    "errors": ["The action took too long."],
    "data": None,
    "response_status": 504,
    "request_id": "stuck",
}


@pytest.fixture
async def connect(server, app_server):
    """A function that opens one more socket, on a server with these settings."""
    async with contextlib.AsyncExitStack() as sockets:

        async def connect(**channels_api) -> SocketClient:
            own = app_server(server.kind, channels_api=channels_api) if channels_api else server
            return await sockets.enter_async_context(SocketClient(own.url + "ws/"))

        yield connect


async def reply(client: SocketClient) -> dict:
    return (await client.receive(timeout=20))["payload"]


async def test_a_reply_does_not_wait_for_the_frame_behind_it(connect, door):
    client = await connect()
    await hold(client, "load-a", door, "first")
    await client.send("load-a", "echo", data=1, request_id="fast")
    await hold(client, "load-a", door, "slow")
    await door.reached_by("first")
    door.open("first")
    assert [(await reply(client))["request_id"] for _ in range(2)] == ["first", "fast"]
    await door.reached_by("first", "slow")
    door.open()
    assert (await reply(client))["data"] == "slow"


async def test_sockets_take_turns_frame_by_frame(connect, door):
    """Not after all frames of the one that came first."""
    client, neighbour = await connect(THREADS=1), await connect(THREADS=1)
    await hold(client, "load-a", door, "first")
    await hold(client, "load-a", door, "second")
    await hold(client, "load-a", door, "third")
    await door.reached_by("first")
    await hold(neighbour, "load-a", door, "neighbour")
    # Answered without a thread, so the frame before it has been read.
    assert (await neighbour.request("no such stream", "echo"))["response_status"] == 404
    door.open()
    for _ in range(3):
        await reply(client)
    assert door.names("reached") == ["first", "neighbour", "second", "third"]


async def test_the_time_of_each_frame_is_its_own(connect, door):
    """One that takes too long among others: they are answered, and it is not begun again."""
    client = await connect(ACTION_TIMEOUT=1)
    await hold(client, "load-a", door, "first")
    await hold(client, "load-a", door, "stuck")
    await client.send("load-a", "echo", data=1, request_id="behind")
    await door.reached_by("first")
    door.open("first")
    assert (await reply(client))["data"] == "first"
    assert await reply(client) == TIMED_OUT
    assert (await reply(client))["data"] == 1
    door.open()
    # Its thread goes on unheard.
    await until(lambda: door.names("left") == ["first", "stuck"], door)
    assert await client.barrier("load-a", "echo") == []
    assert door.names("reached") == ["first", "stuck"]


async def test_frames_that_take_long_together_are_in_time(connect):
    client = await connect(ACTION_TIMEOUT=1.5)
    for number in range(3):
        await client.send("load-a", "sleep", data=0.6, request_id=number)
    assert [(await reply(client))["response_status"] for _ in range(3)] == [200] * 3


async def test_a_frame_that_waited_too_long_for_a_thread_is_never_begun(connect, door):
    settings = {"THREADS": 1, "ACTION_TIMEOUT": 1}
    client, neighbour = await connect(**settings), await connect(**settings)
    await hold(client, "load-a", door, "stuck")
    await door.reached_by("stuck")
    await hold(neighbour, "load-a", door, "stuck")
    assert await reply(client) == TIMED_OUT
    assert await reply(neighbour) == TIMED_OUT
    door.open()
    assert (await neighbour.request("load-a", "echo", data=1))["data"] == 1
    assert door.names("reached") == ["stuck"]
