"""Turns without a server: what frames see of their thread, and what becomes of what fails there."""

import asyncio
import contextvars
import json
import threading
from typing import Any

import pytest
from django.db import connection, connections
from django.utils import translation

from channels_api import threads
from channels_api.background.submission import count_hanging, current_submission
from channels_api.bindings import ResourceBindingBase
from channels_api.connection import Connection
from channels_api.decorators import list_action
from channels_api.permissions import AllowAny
from channels_api.threads import run_in_thread
from tests.load_doors import until

# Seconds until a test that fails gives up.
LIMIT = 10

variable = contextvars.ContextVar("variable", default="unset")


class Base(ResourceBindingBase):
    permission_classes = [AllowAny]


class Telling(Base):
    """Tells what it sees, and leaves something behind."""

    @list_action()
    def tell(self, data=None, **kwargs):
        seen = [variable.get(), translation.get_language()]
        variable.set("of another frame")
        translation.activate("fr")
        return seen

    @list_action()
    async def atell(self, data=None, **kwargs):
        return [variable.get(), translation.get_language()]

    @list_action()
    def publish(self, data=None, **kwargs):
        """As to a broker that does not answer until the test has it answer."""
        self.tell()
        submission = current_submission()
        submission.mark("task")
        broker_answers.wait(LIMIT)
        submission.publishing_ended()


broker_answers = threading.Event()


class Using(Base):
    @list_action()
    def use(self, data=None, **kwargs):
        connection.ensure_connection()
        return {"thread": threading.get_ident(), "connection": id(connection.connection)}

    @list_action()
    def leak(self, data=None, **kwargs):
        """A transaction that nobody ends."""
        connection.set_autocommit(False)
        connection.in_atomic_block = True


class Ending(Base):
    def __init__(self, *args: Any) -> None:
        raise SystemExit

    @list_action()
    def tell(self, data=None, **kwargs):
        raise NotImplementedError


class Large(Base):
    made = 0

    @list_action()
    def large(self, data=None, **kwargs):
        type(self).made += 1
        return "x" * 900_000


class Socket:
    """A connection, and the payloads that it was sent."""

    def __init__(self, binding: type[Base], streams: str = "a") -> None:
        self.sent: asyncio.Queue = asyncio.Queue()
        #: What each frame was sent with.
        self.contexts: set[str] = set()
        scope = {"type": "websocket", "path": "/", "headers": []}
        self.connection = Connection(scope, dict.fromkeys(streams, binding), self._send)

    async def _send(self, message: dict) -> None:
        self.contexts.add(variable.get())
        await self.sent.put(json.loads(message["text"])["payload"])

    def ask(self, action: str, stream: str = "a", **payload: Any) -> None:
        frame = {"stream": stream, "payload": {"action": action, **payload}}
        self.connection.receive(json.dumps(frame))

    async def reply(self) -> dict:
        return await asyncio.wait_for(self.sent.get(), LIMIT)

    async def request(self, action: str, **payload: Any) -> dict:
        self.ask(action, **payload)
        return await self.reply()


@pytest.fixture
async def connect():
    sockets = []

    def connect(*args: Any) -> Socket:
        sockets.append(Socket(*args))
        return sockets[-1]

    yield connect
    for socket in sockets:
        await socket.connection.end()


class TestContext:
    """A frame has the context of who brought it, and nothing of the frame before it."""

    async def test_frames_that_start_when_another_one_ends(self, connect, settings):
        settings.CHANNELS_API = {"MAX_IN_FLIGHT": 1}
        socket = connect(Telling, "abc")
        variable.set("of the socket")
        with translation.override("de"):
            for stream, action in [("a", "tell"), ("b", "tell"), ("c", "atell"), ("a", "tell")]:
                socket.ask(action, stream)
            seen = [(await socket.reply())["data"] for _ in range(4)]
        assert seen == [["of the socket", "de"]] * 4

    async def test_the_frame_behind_one_that_was_given_up(self, connect, monkeypatch):
        monkeypatch.setattr("channels_api.background.publishing.PUBLISH_TIMEOUT", 0.01)
        broker_answers.clear()
        socket = connect(Telling)
        variable.set("of the socket")
        socket.ask("publish")
        socket.ask("tell")
        replies = [await socket.reply() for _ in range(2)]
        broker_answers.set()
        await until(lambda: not count_hanging(), count_hanging)
        assert [each["response_status"] for each in replies] == [503, 200]
        assert replies[1]["data"] == ["of the socket", "en-us"]
        assert "of another frame" not in socket.contexts


@pytest.mark.django_db(transaction=True)
class TestConnections:
    @pytest.fixture(autouse=True)
    async def one_thread(self, settings):
        settings.CHANNELS_API = {"THREADS": 1}
        await run_in_thread(connections.close_all, owner="test")
        yield
        await run_in_thread(connections.close_all, owner="test")

    async def wrapper(self):
        return await run_in_thread(lambda: connections["default"], owner="test")

    @pytest.mark.parametrize(("max_age", "kept"), [(0, False), (60, True)])
    async def test_conn_max_age(self, connect, monkeypatch, max_age, kept):
        monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", max_age)
        await connect(Using).request("use")
        assert ((await self.wrapper()).connection is not None) == kept

    async def test_one_that_has_become_too_old_is_not_used(self, connect, monkeypatch):
        monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 60)
        socket = connect(Using)
        await socket.request("use")
        wrapper = await self.wrapper()
        first = wrapper.connection
        wrapper.close_at = 0
        used = (await socket.request("use"))["data"]["connection"]
        assert used != id(first)

    async def test_one_that_can_not_be_closed_is_no_end_of_the_thread(
        self, connect, monkeypatch, caplog
    ):
        monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 0)
        socket = connect(Using)
        thread = (await socket.request("use"))["data"]["thread"]
        wrapper = await self.wrapper()

        left_open = []

        def fail():
            left_open.append(wrapper.connection)
            raise OSError

        monkeypatch.setattr(wrapper, "_close", fail)
        assert (await socket.request("use"))["data"]["thread"] == thread
        assert "A database connection could not be closed" in caplog.text
        monkeypatch.undo()
        for each in left_open:
            each.close()
        assert (await socket.request("use"))["data"]["thread"] == thread

    async def test_a_transaction_that_was_left_open_takes_no_writes_of_others(self, connect):
        await connect(Using).request("leak")
        wrapper = await self.wrapper()
        assert wrapper.connection is None or wrapper.closed_in_transaction
        wrapper.in_atomic_block = wrapper.closed_in_transaction = wrapper.needs_rollback = False


class TestFailure:
    async def test_a_constructor_that_exits(self, connect, caplog):
        socket = connect(Ending)
        for _ in range(2):
            assert (await socket.request("tell"))["response_status"] == 500
        assert "SystemExit raised by a constructor" in caplog.text

    @pytest.mark.parametrize("size", [0, 1])
    async def test_a_thread_that_can_not_be_had(self, connect, settings, monkeypatch, size):
        """What fails around the job itself is an answer, too."""
        settings.CHANNELS_API = {"THREADS": size}

        def fail(*args, **kwargs):
            raise RuntimeError("no thread")

        if size:
            monkeypatch.setattr("channels_api.turns.Turn._begin", fail)
        else:
            monkeypatch.setattr(threads, "sync_to_async", fail)
        assert (await connect(Telling).request("tell"))["response_status"] == 500
        if not size:
            with pytest.raises(RuntimeError, match="no thread"):
                await asyncio.wait_for(run_in_thread(int, owner="a"), LIMIT)


async def test_replies_that_nobody_reads_are_not_made(connect, settings, monkeypatch):
    """A megabyte and one more; whether the client reads them is known when they are sent."""
    settings.CHANNELS_API = {"THREADS": 1}
    monkeypatch.setattr(Large, "made", 0)
    socket = connect(Large)
    stuck = asyncio.Event()
    monkeypatch.setattr(socket.connection.writer, "_send", lambda message: stuck.wait())
    for _ in range(8):
        socket.ask("large")
    # Each call has its turn after one frame: by then all would have been answered.
    for _ in range(10):
        await run_in_thread(int, owner="test")
    assert Large.made == 2
