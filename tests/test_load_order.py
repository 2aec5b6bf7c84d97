"""What waits for what: shown by doors that one frame waits at while another is answered."""

import asyncio
import contextlib
import time

import pytest

from tests.client import PATIENCE, SocketClient
from tests.load_doors import hold

LETTERS = "abcdefghij"


@pytest.fixture
async def connect(server):
    """A function that opens one more socket, on the same server."""
    async with contextlib.AsyncExitStack() as sockets:

        async def connect(server=server) -> SocketClient:
            return await sockets.enter_async_context(SocketClient(server.url + "ws/"))

        yield connect


async def replies(client: SocketClient, count: int, *, timeout: float = PATIENCE) -> dict:
    """The next frames, by their request_id: its data, or the errors of a refusal."""
    frames = [await client.receive(timeout=timeout) for _ in range(count)]
    payloads = [frame["payload"] for frame in frames]
    return {each["request_id"]: each["data"] or each["errors"] for each in payloads}


@pytest.mark.parametrize("action", ["hold", "ahold"])
class TestBlockedAction:
    """C1, C2: one that blocks holds up its own stream and nobody else."""

    @pytest.mark.parametrize("other", ["echo", "aecho"])
    async def test_another_stream_of_the_socket_is_answered(self, connect, door, action, other):
        client = await connect()
        await hold(client, "load-a", door, "first", action)
        await door.reached_by("first")
        assert (await client.request("load-b", other, data=1))["data"] == 1
        door.open()
        assert await replies(client, 1) == {"first": "first"}

    async def test_another_socket_is_answered(self, connect, door, action):
        client, neighbour = await connect(), await connect()
        await hold(client, "load-a", door, "first", action)
        await door.reached_by("first")
        assert (await neighbour.request("load-a", "echo", data=1))["data"] == 1
        door.open()
        assert await replies(client, 1) == {"first": "first"}

    async def test_an_event_for_the_socket_comes(self, connect, door, action):
        client, neighbour = await connect(), await connect()
        await client.request("questions", "subscribe", data={"action": "create"})
        await hold(client, "load-a", door, "first", action)
        await door.reached_by("first")
        row = (await neighbour.request("questions", "create", data={"question_text": "?"}))["data"]
        event = await client.receive(timeout=PATIENCE)
        assert event["payload"]["data"] == row
        door.open()
        assert await replies(client, 1) == {"first": "first"}

    async def test_an_event_of_the_same_stream_comes(self, connect, door, action):
        """Events do not stand in the queue of their stream's frames."""
        client, neighbour = await connect(), await connect()
        await client.request("load-questions", "subscribe", data={"action": "create"})
        await hold(client, "load-questions", door, "first", action)
        await door.reached_by("first")
        await neighbour.request("load-questions", "create", data={"question_text": "?"})
        assert (await client.receive(timeout=PATIENCE))["payload"]["action"] == "create"
        door.open()
        assert await replies(client, 1) == {"first": "first"}

    async def test_the_next_frame_of_its_stream_waits(self, connect, door, action):
        client = await connect()
        await hold(client, "load-a", door, "first", action)
        await hold(client, "load-a", door, "second", action)
        await door.reached_by("first")
        # Another stream's reply: the server has had the time to begin with the second.
        await client.request("load-b", "echo")
        assert door.names("reached") == ["first"]
        door.open("first")
        assert (await client.receive())["payload"]["data"] == "first"
        await door.reached_by("first", "second")
        door.open()
        assert await replies(client, 1) == {"second": "second"}


class TestOrder:
    async def test_sync_and_async_frames_of_a_stream_are_answered_in_order(self, connect):
        """Whichever is faster by itself."""
        client = await connect()
        for number in range(30):
            action = ("echo", "aecho", "census", "no such action")[number % 4]
            await client.send("load-a", action, data=number, request_id=number)
        assert list(await replies(client, 30)) == list(range(30))

    async def test_a_concurrent_action_overtakes(self, connect, door):
        client = await connect()
        await hold(client, "load-a", door, "first")
        await hold(client, "load-a", door, "waits")
        await hold(client, "load-a", door, "overtakes", "overtake")
        await hold(client, "load-a", door, "so does this", "overtake")
        await door.reached_by("first", "overtakes", "so does this")
        door.open("overtakes")
        assert await replies(client, 1) == {"overtakes": "overtakes"}
        door.open()
        assert (await replies(client, 3)).keys() == {"first", "waits", "so does this"}

    async def test_a_thousand_frames_on_one_stream(self, app_server, server, connect):
        unlimited = app_server(server.kind, channels_api={"FRAME_RATE": None, "MAX_QUEUED": None})
        client = await connect(unlimited)
        for number in range(1000):
            await client.send("load-a", "echo", data=number, request_id=number)
        frames = [await client.receive(timeout=20) for _ in range(1000)]
        assert [frame["payload"]["data"] for frame in frames] == list(range(1000))


class TestLimits:
    async def test_eight_in_flight_and_thirty_two_behind(self, connect, door):
        """The rest is refused at once; who waited is answered in the end."""
        client = await connect()
        names = [f"{letter}{number}" for number in range(5) for letter in LETTERS]
        for name in names:
            await hold(client, f"load-{name[0]}", door, name, "ahold")
        refused = await replies(client, 10)
        text = "Too many frames are waiting: 32 are allowed."
        assert refused == {name: [text] for name in names[40:]}
        await door.reached_by(*names[:8])
        door.open()
        assert await replies(client, 40) == {name: name for name in names[:40]}
        assert (await client.request("load-a", "echo", data=1))["data"] == 1

    async def test_a_refusal_in_full(self, app_server, server, connect, door):
        small = app_server(server.kind, channels_api={"MAX_IN_FLIGHT": 1, "MAX_QUEUED": 0})
        client = await connect(small)
        await hold(client, "load-a", door, "first")
        assert await client.request("load-b", "echo", request_id=7) == {
            "action": "echo",
            "errors": ["Too many frames are waiting: 0 are allowed."],
            "data": None,
            "response_status": 429,
            "request_id": 7,
        }
        door.open()
        assert await replies(client, 1) == {"first": "first"}
        assert (await client.request("load-b", "echo", data=1))["data"] == 1

    async def test_concurrent_actions_count(self, app_server, server, connect, door):
        small = app_server(server.kind, channels_api={"MAX_IN_FLIGHT": 1, "MAX_QUEUED": 0})
        client = await connect(small)
        await hold(client, "load-a", door, "first", "overtake")
        await hold(client, "load-a", door, "second", "overtake")
        assert list(await replies(client, 1)) == ["second"]
        door.open()
        assert await replies(client, 1) == {"first": "first"}

    async def test_streams_take_turns_in_a_full_socket(self, app_server, server, connect, door):
        """A stream with a long queue does not keep another one waiting until it is empty."""
        small = app_server(server.kind, channels_api={"MAX_IN_FLIGHT": 1, "MAX_QUEUED": 4})
        client = await connect(small)
        for name in ("a0", "a1", "a2", "a3"):
            await hold(client, "load-a", door, name)
        await hold(client, "load-b", door, "b0")
        # One too many: its refusal tells that those before it are there.
        await hold(client, "load-b", door, "b1")
        assert "b1" in await replies(client, 1)
        door.open()
        assert list(await replies(client, 5)) == ["a0", "b0", "a1", "a2", "a3"]

    async def test_the_101st_subscription_is_refused(self, connect):
        client = await connect()
        created = [
            await client.request("documents", "create", data={"title": "x"}) for _ in range(34)
        ]
        wanted = [(each["data"]["id"], action) for each in created for action in ("update", "*")]
        wanted += [(each["data"]["id"], "delete") for each in created][: 100 - len(wanted)]
        for pk, action in wanted:
            reply = await client.request("documents", "subscribe", pk=pk, data={"action": action})
            assert reply["response_status"] == 200
        assert await client.request(
            "documents", "subscribe", data={"action": "create"}, request_id=7
        ) == {
            "action": "subscribe",
            "errors": ["A socket may have 100 subscriptions. Unsubscribe from one first."],
            "data": None,
            "response_status": 429,
            "request_id": 7,
        }
        pk, action = wanted[0]
        # Again what is subscribed already: that is none more.
        reply = await client.request("documents", "subscribe", pk=pk, data={"action": action})
        assert reply["response_status"] == 200
        await client.request("documents", "unsubscribe", pk=pk, data={"action": action})
        reply = await client.request("documents", "subscribe", data={"action": "create"})
        assert reply["response_status"] == 200

    async def test_subscribes_side_by_side_do_not_pass_the_limit(self, app_server, server, connect):
        small = app_server(server.kind, channels_api={"MAX_SUBSCRIPTIONS": 1})
        client = await connect(small)
        streams = ["questions", "documents", "tags", "load-questions"]
        for stream in streams:
            await client.send(stream, "subscribe", data={"action": "*"}, request_id=stream)
        frames = [await client.receive(timeout=PATIENCE) for _ in streams]
        statuses = [frame["payload"]["response_status"] for frame in frames]
        assert sorted(statuses) == [200, 429, 429, 429]


class TestThreads:
    async def test_ten_sockets_share_the_pool(self, connect):
        """The issue's own figure: with one thread for all it would be four seconds."""
        clients = [await connect() for _ in range(10)]
        await asyncio.gather(*(client.request("load-a", "sleep", data=0) for client in clients))
        start = time.monotonic()
        await asyncio.gather(*(client.request("load-a", "sleep", data=0.4) for client in clients))
        assert time.monotonic() - start < 3

    async def test_one_socket_does_not_take_all_threads(self, app_server, server, connect, door):
        """C3: a hundred slow calls of one socket; another one's is among the next two to start."""
        small = app_server(
            server.kind,
            channels_api={
                "THREADS": 2,
                "FRAME_RATE": None,
                "MAX_IN_FLIGHT": 100,
                "MAX_QUEUED": 100,
            },
        )
        client, neighbour = await connect(small), await connect(small)
        names = [f"{letter}{number}" for number in range(10) for letter in LETTERS]
        busy = names[:2]
        for name in names:
            await hold(client, f"load-{name[0]}", door, name)
        await door.reached_by(*busy)
        # Answered without a thread, so all the frames before it have been read.
        await client.send("no such stream", "echo")
        assert (await client.receive())["payload"]["response_status"] == 404
        await hold(neighbour, "load-a", door, "neighbour")
        await neighbour.send("no such stream", "echo")
        assert (await neighbour.receive())["payload"]["response_status"] == 404
        for name in busy:
            door.open(name)
        await door.reached_by(*busy, names[2], "neighbour")
        door.open()
        assert await replies(neighbour, 1) == {"neighbour": "neighbour"}
        assert await replies(client, 100) == {name: name for name in names}

    async def test_events_come_while_all_threads_are_busy(self, app_server, server, connect, door):
        small = app_server(
            server.kind,
            channels_api={
                "THREADS": 2,
                "FRAME_RATE": None,
                "MAX_IN_FLIGHT": 100,
                "MAX_QUEUED": 100,
            },
        )
        client, neighbour = await connect(small), await connect(small)
        await client.request("questions", "subscribe", data={"action": "create"})
        await hold(neighbour, "load-a", door, "first")
        await door.reached_by("first")
        # It writes the row and keeps the last thread.
        await hold(neighbour, "load-questions", door, "second", "create_and_hold")
        event = await client.receive(timeout=PATIENCE)
        assert event["payload"]["data"]["question_text"] == "second"
        await door.reached_by("first", "second")
        door.open()
        await replies(neighbour, 2)

    async def test_async_to_sync_in_an_action_runs_on_the_servers_loop(self, connect):
        client = await connect()
        loop = (await client.request("load-a", "loop"))["data"]
        assert (await client.request("load-a", "loop_below"))["data"] == loop
