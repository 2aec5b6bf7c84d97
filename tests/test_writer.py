"""The writer of a socket, with an ASGI server's `send` played by the test."""

import asyncio
from collections.abc import Callable

import pytest

from channels_api.exceptions import CloseCode
from channels_api.writer import HIGH_WATER, Writer

# Seconds after which a send that never returns is given up, in the tests that have one.
SOON = 0.02
HALF = "x" * (HIGH_WATER // 2)


def sent(*texts: str) -> list[dict]:
    return [{"type": "websocket.send", "text": text} for text in texts]


def closed(code: int) -> list[dict]:
    return [{"type": "websocket.close", "code": code}]


class Server:
    """The server's side of a socket. While it is blocked a send waits, as for a full TCP window."""

    def __init__(self) -> None:
        self.taken: list[dict] = []
        self.error: Exception | None = None
        self.begun = 0
        self.cancelled = 0
        #: Turns of the event loop that a send needs to end after it was cancelled.
        self.turns_to_cancel = 0
        self._busy = False
        self._free = asyncio.Event()
        self._free.set()

    def block(self) -> None:
        self._free.clear()

    def unblock(self) -> None:
        self._free.set()

    async def send(self, message: dict) -> None:
        self.begun += 1
        if self.error is not None:
            raise self.error
        try:
            await self._free.wait()
        except asyncio.CancelledError:
            for _ in range(self.turns_to_cancel):
                await asyncio.sleep(0)
            self.cancelled += 1
            raise
        # daphne takes nothing else for a close code, not even an IntEnum.
        assert type(message.get("code", 0)) is int
        assert not self._busy, "two sends at once"
        self._busy = True
        await asyncio.sleep(0)
        self._busy = False
        self.taken.append(message)


async def until(condition: Callable[[], object], seconds: float = 10) -> None:
    """Wait until something is so; the limit is there to end a test that fails."""
    loop = asyncio.get_running_loop()
    give_up = loop.time() + seconds
    while not condition():
        assert loop.time() < give_up, "waited in vain"
        await asyncio.sleep(0.001)


def other_tasks() -> set[asyncio.Task]:
    return asyncio.all_tasks() - {asyncio.current_task()}


@pytest.fixture
async def server():
    return Server()


@pytest.fixture
async def rooms():
    """A list that gets an item each time that the writer says it has room again."""
    return []


@pytest.fixture
async def writer(server, rooms):
    writer = Writer(
        server.send, on_room=lambda: rooms.append(len(server.taken)), on_close=lambda: None
    )
    yield writer
    await writer.end()


class TestOrder:
    async def test_frames_go_out_in_the_order_of_push(self, writer, server):
        texts = [str(number) for number in range(100)]
        for text in texts[:50]:
            writer.push(text)
        await until(lambda: server.taken)
        for text in texts[50:]:
            writer.push(text)
        await until(lambda: len(server.taken) == 100)
        assert server.taken == sent(*texts)

    async def test_one_send_at_a_time(self, writer, server):
        server.block()
        writer.push("a")
        await until(lambda: server.begun)
        writer.push("b")
        await asyncio.sleep(0)
        assert server.begun == 1
        server.unblock()
        await until(lambda: len(server.taken) == 2)

    async def test_no_task_while_there_is_nothing_to_send(self, writer, server):
        assert other_tasks() == set()
        writer.push("a")
        assert len(other_tasks()) == 1
        await until(lambda: server.taken and not other_tasks())
        writer.push("b")
        await until(lambda: len(server.taken) == 2)


class TestClose:
    async def test_comes_after_what_was_queued(self, writer, server):
        writer.push("a")
        writer.push("b")
        writer.close(4400)
        await until(lambda: len(server.taken) == 3)
        assert server.taken == sent("a", "b") + closed(4400)

    async def test_without_a_frame_before(self, writer, server):
        writer.close(4400)
        await until(lambda: server.taken)
        assert server.taken == closed(4400)

    async def test_nothing_follows(self, writer, server):
        writer.close(4400)
        assert not writer.is_open
        writer.push("too late")
        writer.close(4413)
        await until(lambda: server.taken and not other_tasks())
        writer.push("far too late")
        writer.close(4413)
        assert other_tasks() == set()
        assert server.taken == closed(4400)

    async def test_is_open_until_then(self, writer, server):
        assert writer.is_open
        writer.push("a")
        assert writer.is_open

    async def test_too_slow_drops_what_waits(self, writer, server):
        """What is on its way already can't be taken back."""
        server.block()
        writer.push("on its way")
        await until(lambda: server.begun)
        writer.push("waits")
        writer.too_slow()
        server.unblock()
        await until(lambda: len(server.taken) == 2)
        assert server.taken == sent("on its way") + closed(CloseCode.TOO_SLOW)

    async def test_the_first_reason_stands(self, writer, server):
        server.block()
        writer.close(4400)
        writer.too_slow()
        server.unblock()
        await until(lambda: server.taken)
        assert server.taken == closed(4400)


class TestRoom:
    async def test_there_is_room_below_the_mark_only(self, writer, server):
        server.block()
        assert writer.has_room
        writer.push("x" * (HIGH_WATER - 1))
        assert writer.has_room
        writer.push("x")
        assert not writer.has_room

    async def test_what_is_being_sent_counts(self, writer, server):
        server.block()
        writer.push(HALF)
        await until(lambda: server.begun)
        writer.push(HALF)
        assert not writer.has_room

    async def test_bytes_count_and_not_characters(self, writer, server):
        server.block()
        writer.push("\U0001f600" * (HIGH_WATER // 4))
        assert not writer.has_room

    async def test_room_is_told_when_all_has_been_taken(self, writer, server, rooms):
        server.block()
        writer.push(HALF)
        writer.push(HALF)
        writer.push("last")
        assert not writer.has_room
        server.unblock()
        await until(lambda: rooms)
        assert rooms == [3]
        assert writer.has_room

    async def test_room_is_told_once(self, writer, server, rooms):
        server.block()
        writer.push(HALF * 2)
        assert not writer.has_room
        server.unblock()
        await until(lambda: rooms)
        writer.push("more")
        await until(lambda: len(server.taken) == 2 and not other_tasks())
        assert rooms == [1]

    async def test_room_is_told_to_nobody_who_never_missed_it(self, writer, server, rooms):
        server.block()
        writer.push("x")
        assert writer.has_room
        server.unblock()
        await until(lambda: server.taken and not other_tasks())
        assert rooms == []

    async def test_what_is_pushed_on_room_is_sent(self, server):
        writer = Writer(server.send, on_room=lambda: writer.push("event"), on_close=lambda: None)
        server.block()
        writer.push(HALF * 2)
        assert not writer.has_room
        server.unblock()
        await until(lambda: len(server.taken) == 2)
        assert server.taken[1:] == sent("event")
        await writer.end()

    async def test_a_closed_socket_has_no_room(self, writer, server):
        writer.close(4400)
        assert not writer.has_room


class TestSendTimeout:
    @pytest.fixture(autouse=True)
    def soon(self, settings):
        settings.CHANNELS_API = {"SEND_TIMEOUT": SOON}

    async def test_a_send_that_never_returns_is_given_up(self, writer, server):
        server.block()
        writer.push("stuck")
        writer.push("waits")
        await until(lambda: server.cancelled)
        server.unblock()
        assert not writer.is_open
        await until(lambda: server.taken)
        assert server.taken == closed(CloseCode.TOO_SLOW)

    async def test_a_close_that_was_waiting_behind_it_is_sent(self, writer, server):
        server.block()
        writer.push("stuck")
        writer.close(4400)
        await until(lambda: server.cancelled)
        server.unblock()
        await until(lambda: server.taken)
        assert server.taken == closed(4400)

    @pytest.mark.parametrize("turns", [0, 1, 5])
    async def test_a_close_that_never_returns_is_given_up_as_well(self, writer, server, turns):
        """However long the first send takes to let go."""
        server.turns_to_cancel = turns
        server.block()
        writer.push("stuck")
        await until(lambda: server.cancelled == 2 and not other_tasks())
        assert server.begun == 2
        assert server.taken == []

    @pytest.mark.parametrize("turns", [0, 1, 5])
    async def test_the_end_finds_a_close_that_is_stuck(self, writer, server, turns):
        server.turns_to_cancel = turns
        server.block()
        writer.push("stuck")
        await until(lambda: server.begun == 2)
        await writer.end()
        await until(lambda: not other_tasks())
        assert server.cancelled == 2

    async def test_many_that_take_a_while_are_no_such_send(self, writer, server, settings):
        """The time is that of one frame, not that of the client."""
        settings.CHANNELS_API = {"SEND_TIMEOUT": 1.0}
        loop = asyncio.get_running_loop()
        start = loop.time()
        server.block()
        count = 0
        while loop.time() - start < 1.2:
            writer.push(str(count))
            count += 1
            await until(lambda: server.begun == count)  # noqa: B023
            server.unblock()
            await until(lambda: len(server.taken) == count)  # noqa: B023
            server.block()
        assert writer.is_open
        assert server.cancelled == 0

    async def test_none_is_no_limit(self, writer, server, settings):
        settings.CHANNELS_API = {"SEND_TIMEOUT": None}
        server.block()
        writer.push("waits")
        await until(lambda: server.begun)
        # Another socket's timeout comes later and passes meanwhile.
        settings.CHANNELS_API = {"SEND_TIMEOUT": SOON}
        slow = Server()
        slow.block()
        other = Writer(slow.send, on_room=list, on_close=list)
        other.push("stuck")
        await until(lambda: slow.cancelled)
        assert server.cancelled == 0
        server.unblock()
        await until(lambda: server.taken)
        assert server.taken == sent("waits")
        await other.end()


class TestEnd:
    async def test_a_send_in_progress_is_cancelled(self, writer, server):
        server.block()
        writer.push("stuck")
        await until(lambda: server.begun)
        await writer.end()
        assert server.cancelled == 1
        assert other_tasks() == set()
        assert not writer.is_open

    async def test_nothing_is_sent_any_more(self, writer, server):
        await writer.end()
        writer.push("too late")
        writer.close(4400)
        assert other_tasks() == set()
        assert server.begun == 0

    async def test_not_even_a_close_that_had_not_begun(self, writer, server):
        writer.close(CloseCode.FLOOD)
        await writer.end()
        await until(lambda: not other_tasks())
        assert server.begun == 0

    async def test_twice_is_no_error(self, writer):
        await writer.end()
        await writer.end()

    async def test_a_send_that_raises_is_the_end(self, writer, server):
        """Servers raise errors of their own when the client is gone."""
        server.error = RuntimeError("Unexpected ASGI message")
        writer.push("a")
        writer.push("b")
        await until(lambda: not writer.is_open)
        writer.push("c")
        writer.close(4400)
        assert other_tasks() == set()
        # The frame, and a close: a client that is still there must not wait in vain.
        assert server.begun == 2

    async def test_a_close_that_raises_is_the_end(self, writer, server):
        server.error = RuntimeError("Unexpected ASGI message")
        writer.close(4400)
        await until(lambda: server.begun and not other_tasks())
        assert server.begun == 1
