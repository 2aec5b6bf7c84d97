"""How actions, sockets and servers end: nothing stays behind, and nobody else is harmed."""

import asyncio
import contextlib
import json
import signal
import socket
import struct
import time

import pytest
from django.contrib.auth.models import AnonymousUser

from channels_api.demultiplexer import WebsocketDemultiplexer
from tests.app.streams.load import CONSUMERS, FAILURES
from tests.client import SocketClient
from tests.load_doors import LIMIT, hold, until


async def census(client: SocketClient) -> dict:
    return (await client.request("load-a", "census"))["data"]


async def quiet_census(client: SocketClient) -> dict:
    """The least of several: a socket of the test before, or a thread, may be about to end."""
    taken = [await census(client) for _ in range(10)]
    return {key: min(each[key] for each in taken) for key in taken[0]}


async def until_census(client: SocketClient, **expected: int) -> None:
    deadline = time.monotonic() + LIMIT
    found = await census(client)
    while expected.items() - found.items():
        assert time.monotonic() < deadline, f"expected {expected}, found {found}"
        await asyncio.sleep(0.01)
        found = await census(client)


class TestFailure:
    """A failure stays inside its frame, whatever it is."""

    @pytest.mark.parametrize("kind", sorted(FAILURES))
    @pytest.mark.parametrize("action", ["fail", "afail"])
    async def test_what_is_raised(self, server, action, kind):
        async with SocketClient(server.url + "ws/") as client:
            reply = await client.request("load-a", action, data=kind, request_id=7)
            error_id = reply["errors"][1]["error_id"]
            assert reply == {
                "action": action,
                "errors": ["Internal server error", {"error_id": error_id}],
                "data": None,
                "response_status": 500,
                "request_id": 7,
            }
            assert (await client.request("load-a", "echo", data=1))["data"] == 1
        assert error_id in server.log
        assert server.running


class TestTimeout:
    @pytest.fixture
    def impatient(self, app_server, server):
        return app_server(server.kind, channels_api={"ACTION_TIMEOUT": 0.5})

    async def test_an_async_action_is_cancelled(self, impatient, door):
        async with SocketClient(impatient.url + "ws/") as client:
            await hold(client, "load-a", door, "late", "ahold")
            assert await client.receive() == timed_out("ahold", "late")
            assert (door.names("cancelled"), door.names("left")) == (["late"], ["late"])
            assert (await client.request("load-a", "echo", data=1))["data"] == 1

    async def test_the_result_of_a_sync_action_is_dropped(self, impatient, door):
        async with SocketClient(impatient.url + "ws/") as client:
            await hold(client, "load-a", door, "late")
            assert await client.receive() == timed_out("hold", "late")
            # The next of its stream need not wait for it.
            assert (await client.request("load-a", "echo", data=1))["data"] == 1
            door.open()
            await until(lambda: door.names("left") == ["late"], door)
            assert await client.barrier("load-a", "echo") == []

    async def test_an_action_that_goes_on_when_it_is_cancelled(self, impatient, door):
        """It has its say: what it returns is its reply."""
        async with SocketClient(impatient.url + "ws/") as client:
            await hold(client, "load-a", door, "late", "stubborn")
            assert (await client.receive())["payload"]["data"] == "went on"
            assert (await client.request("load-a", "echo", data=1))["data"] == 1

    async def test_who_is_in_time_is_left_alone(self, impatient, door):
        """The clock is that of the frame, not of the socket."""
        async with SocketClient(impatient.url + "ws/") as client:
            await hold(client, "load-a", door, "late", "ahold")
            await client.receive()
            for _ in range(3):
                assert (await client.request("load-a", "aecho", data=1))["data"] == 1


def timed_out(action: str, request_id: str) -> dict:
    payload = {
        "action": action,
        "errors": ["The action took too long."],
        "data": None,
        "response_status": 504,
        "request_id": request_id,
    }
    return {"stream": "load-a", "payload": payload}


async def say_goodbye(client: SocketClient) -> None:
    await client.socket.close()


async def hang_up(client: SocketClient) -> None:
    """End the TCP connection, without the closing handshake."""
    client.socket.transport.abort()


async def reset(client: SocketClient) -> None:
    """As a network does that forgets a connection: RST."""
    raw = client.socket.transport.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.socket.transport.abort()


@pytest.mark.parametrize("leave", [say_goodbye, hang_up, reset])
class TestClientLeaves:
    """C10: during a sync and an async action, with frames waiting and a subscription."""

    async def test_nothing_stays_behind(self, server, door, leave):
        async with SocketClient(server.url + "ws/") as observer:
            before = await quiet_census(observer)
            async with SocketClient(server.url + "ws/") as client:
                await client.request("questions", "subscribe", data={"action": "*"})
                await hold(client, "load-a", door, "async", "ahold")
                await hold(client, "load-b", door, "sync")
                await hold(client, "load-b", door, "waiting")
                await door.reached_by("async", "sync")
                await until_census(observer, topics=1, busy=1)
                await leave(client)
                await until(lambda: door.names("left") == ["async"], door)
                assert door.names("cancelled") == ["async"]
                # The thread is all that is left of it.
                await until_census(observer, topics=0, busy=1, tasks=before["tasks"])
                door.open()
                await until(lambda: door.names("left") == ["async", "sync"], door)
                await until_census(observer, **before)
        assert (before["topics"], before["busy"]) == (0, 0)
        assert "waiting" not in door.names("reached")

    async def test_an_action_that_takes_no_notice(self, server, door, leave):
        """It catches its cancellation and returns a result, which nobody is sent."""
        async with SocketClient(server.url + "ws/") as observer:
            before = await quiet_census(observer)
            async with SocketClient(server.url + "ws/") as client:
                await client.request("questions", "subscribe", data={"action": "*"})
                await hold(client, "load-a", door, "async", "stubborn")
                await door.reached_by("async")
                await leave(client)
                await until_census(observer, **before)


class TestIdleSockets:
    async def test_tasks(self, server):
        """One is the application; uvicorn's protocol has four of its own."""
        async with contextlib.AsyncExitStack() as sockets:
            observer = await sockets.enter_async_context(SocketClient(server.url + "ws/"))
            before = await quiet_census(observer)
            for _ in range(10):
                await sockets.enter_async_context(SocketClient(server.url + "ws/"))
            after = await quiet_census(observer)
        each = (after["tasks"] - before["tasks"]) / 10
        assert each <= {"daphne": 1, "uvicorn": 5}[server.kind]

    @pytest.mark.parametrize("streams", [1, 8])
    async def test_tasks_do_not_depend_on_the_number_of_streams(self, streams):
        class Demultiplexer(WebsocketDemultiplexer):
            consumers = dict(list(CONSUMERS.items())[:streams])

        sent: asyncio.Queue = asyncio.Queue()
        to_receive: asyncio.Queue = asyncio.Queue()
        before = asyncio.all_tasks()
        scope = {"type": "websocket", "path": "/", "headers": [], "user": AnonymousUser()}
        await to_receive.put({"type": "websocket.connect"})
        application = asyncio.ensure_future(
            Demultiplexer.as_asgi()(scope, to_receive.get, sent.put)
        )
        assert (await sent.get())["type"] == "websocket.accept"
        for number in range(streams):
            frame = {"stream": f"load-{'abcdefgh'[number]}", "payload": {"action": "echo"}}
            await to_receive.put({"type": "websocket.receive", "text": json.dumps(frame)})
        for _ in range(streams):
            await asyncio.wait_for(sent.get(), LIMIT)
        # The frames' own tasks end just after their replies.
        await until(lambda: asyncio.all_tasks() - before == {application}, asyncio.all_tasks)
        await to_receive.put({"type": "websocket.disconnect", "code": 1000})
        await application
        assert asyncio.all_tasks() == before


class TestShutdown:
    """D2, the server's half: SIGTERM ends it within seconds, whatever is going on."""

    @pytest.fixture
    def own_server(self, app_server, server):
        """Of this test alone: others are not to wait until it is up again."""
        return app_server(server.kind, env={"TEST_PURPOSE": "shutdown"})

    async def test_with_open_sockets(self, own_server, door):
        async with contextlib.AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(SocketClient(own_server.url + "ws/"))
                for _ in range(10)
            ]
            for client in clients:
                await client.request("questions", "subscribe", data={"action": "*"})
            await hold(clients[0], "load-a", door, "async", "ahold")
            await hold(clients[1], "load-a", door, "sync")
            await door.reached_by("async", "sync")
            own_server.process.send_signal(signal.SIGTERM)
            # The sync action is still at its door.
            await asyncio.to_thread(own_server.process.wait, 10)
            closed = [await client.until_closed() for client in clients]
            assert {code for _, code in closed} <= {1001, 1006, 1012}
        printed = own_server.log[own_server.log_before :]
        assert "Traceback" not in printed
        assert "was destroyed" not in printed
        assert "never" not in printed
