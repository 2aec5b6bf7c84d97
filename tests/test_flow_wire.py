"""Pings and pongs through real servers: who is asked, who is closed, and what it costs."""

import asyncio
import contextlib
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
import websockets

from channels_api.exceptions import CloseCode
from channels_api.protocol import SUBPROTOCOL
from tests.app.streams.flow import PADDING
from tests.client import FRAME_PATIENCE, SocketClient, parse_strictly
from tests.faults_helpers import LONG
from tests.frames_cases import error_frame
from tests.live_helpers import do, event, subscribe, until
from tests.memory import MEGABYTE, resident_memory
from tests.raw_sockets import masked, raw_socket, read_until
from tests.servers import AppServer

# An interval that a test can wait for, and still long for what is done within it.
SOON = 1.5
UNANSWERED = error_frame(408, f"No ping was answered for {SOON} seconds.")
NO_PING = error_frame(400, "The pong answers no ping that waits for one.")
# 25 MB of events, or 100: the stream, the size of its rows, how many.
EVENTS = ("flow", 100_000, 1000) if LONG else ("load-questions", 200_000, 125)


class PingedClient(SocketClient):
    """Speaks the protocol. It answers pings at any time while it is `attentive`."""

    def __init__(self, url: str, *, attentive: bool = True, interval: float = 20) -> None:
        # Compressed, the events of the tests are nothing.
        super().__init__(url, subprotocols=[SUBPROTOCOL], compression=None)
        self.attentive = attentive
        self.interval = interval
        self.pings: list[int] = []
        self._frames: asyncio.Queue[Any] = asyncio.Queue()

    async def __aenter__(self) -> "PingedClient":
        await super().__aenter__()
        self._reading = asyncio.ensure_future(self._read())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._reading.cancel()
        await super().__aexit__(*exc_info)

    async def receive(self, *, timeout: float = FRAME_PATIENCE) -> Any:
        """The next frame that is no ping."""
        frame = await asyncio.wait_for(self._frames.get(), timeout)
        if isinstance(frame, websockets.ConnectionClosed):
            raise frame
        return frame

    async def pong(self, number: object) -> None:
        await self.send_raw(json.dumps({"pong": number}))

    async def _read(self) -> None:
        try:
            while True:
                await self._take(parse_strictly(await self.socket.recv()))
        except websockets.ConnectionClosed as closed:
            self._frames.put_nowait(closed)

    async def _take(self, frame: dict) -> None:
        if "ping" not in frame:
            self._frames.put_nowait(frame)
            return
        assert frame == {"ping": len(self.pings) + 1, "interval": self.interval}
        self.pings.append(frame["ping"])
        if self.attentive:
            await self.pong(frame["ping"])


@pytest.fixture
def soon(server, app_server) -> AppServer:
    """The same kind of server, which asks each second."""
    return app_server(server.kind, channels_api={"PING_INTERVAL": SOON})


@pytest.fixture
def unlimited(server, app_server) -> AppServer:
    """The same kind of server, which takes frames at any rate."""
    return app_server(server.kind, channels_api={"FRAME_RATE": None})


def ws(server: AppServer) -> str:
    return server.url + "ws/"


def row_event(action: str, pk: int, votes: int) -> dict:
    row = {"id": pk, "votes": votes, "padding": PADDING}
    return event("flow", action, pk, row)


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (None, None),
        (["chat"], None),
        ([SUBPROTOCOL], SUBPROTOCOL),
        (["bearer.secret", SUBPROTOCOL, "chat"], SUBPROTOCOL),
        (["channels-api.v10", "Channels-API.v1"], None),
    ],
)
async def test_only_our_own_protocol_is_chosen(server, offered, chosen):
    async with SocketClient(ws(server), subprotocols=offered) as client:
        assert client.socket.subprotocol == chosen
        assert (await client.request("frames", "echo", data=1))["data"] == 1


async def test_silence(soon):
    """One answers, one does not, one does not speak the protocol, one answers what nobody asked."""
    async with (
        PingedClient(ws(soon), interval=SOON) as attentive,
        PingedClient(ws(soon), attentive=False, interval=SOON) as silent,
        SocketClient(ws(soon)) as other,
    ):
        assert await silent.until_closed() == ([UNANSWERED], CloseCode.SILENT_TOO_LONG)
        assert silent.pings == [1]
        assert await attentive.barrier("frames", "echo") == []
        assert len(attentive.pings) >= 1
        for number in (1, 9, "1", None):
            await attentive.pong(number)
            assert await attentive.receive() == NO_PING
        await other.send_raw('{"pong": 1}')
        assert await other.barrier("frames", "echo") == [NO_PING]


async def test_who_answers_late_goes_on(server):
    """What was remembered meanwhile is told: the row as it is then."""
    async with (
        PingedClient(ws(server), attentive=False) as client,
        SocketClient(ws(server)) as writer,
    ):
        await subscribe(client, "flow")
        pk = await do(writer, "create", {"question_text": "a"})
        assert await client.receive() == row_event("create", pk, 0)
        for votes in range(1, 11):
            await do(writer, "change", {"pk": pk, "votes": votes})
            assert await client.receive() == row_event("update", pk, votes)
        for votes in range(11, 21):
            await do(writer, "change", {"pk": pk, "votes": votes})
        await client.pong(3)
        assert await client.receive() == row_event("update", pk, 20)


# a client that never reads


@contextlib.contextmanager
def deaf_subscriber(server: AppServer, stream: str) -> Iterator[socket.socket]:
    """Speaks the protocol, subscribes, and never reads again."""
    with raw_socket(server.port, Sec_WebSocket_Protocol=SUBPROTOCOL) as (connection, head):
        assert f"\r\nsec-websocket-protocol: {SUBPROTOCOL}\r\n".encode() in head
        payload = {"action": "subscribe", "data": {"action": "*"}}
        connection.sendall(masked(json.dumps({"stream": stream, "payload": payload}).encode()))
        read_until(connection, b'"response_status":200')
        yield connection


async def test_who_reads_is_never_stopped_and_who_does_not_costs_no_memory(unlimited):
    """Each event comes by itself. No ping by time is due meanwhile: the interval is 20 s."""
    stream, size, count = EVENTS
    async with PingedClient(ws(unlimited)) as client, SocketClient(ws(unlimited)) as writer:
        await subscribe(client, stream)
        pk = await do(writer, "create", {"question_text": "a"})
        await client.receive()

        async def change(first: int, last: int) -> None:
            for votes in range(first, last):
                await do(writer, "change", {"pk": pk, "votes": votes})
                received = await client.receive()
                assert received["payload"]["data"]["votes"] == votes

        # What one subscriber needs is there already.
        await change(1, 21)
        with deaf_subscriber(unlimited, stream) as deaf:
            before = resident_memory(unlimited.pid)
            await change(21, 21 + count)
            grown = resident_memory(unlimited.pid) - before
            assert grown < 10 * MEGABYTE
            # It was there all the time, and was sent what may be sent.
            sent = 0
            while sent < MEGABYTE:
                sent += len(deaf.recv(65_536))
            assert await writer.barrier("frames", "echo") == []
            deaf.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while piece := deaf.recv(65_536):
                    sent += len(piece)
            assert sent < MEGABYTE + 2 * size


async def test_who_does_not_answer_for_events_is_closed(soon):
    """They stop when 1 MiB is not acknowledged, whether they were read or not."""
    async with (
        PingedClient(ws(soon), attentive=False, interval=SOON) as client,
        SocketClient(ws(soon)) as writer,
    ):
        await subscribe(client, "flow")
        with deaf_subscriber(soon, "flow"):
            pk = await do(writer, "create", {"question_text": "a"})
            assert await client.receive() == row_event("create", pk, 0)
            # With eleven of them it is over 1 MiB.
            for votes in range(1, 11):
                await do(writer, "change", {"pk": pk, "votes": votes})
                assert await client.receive() == row_event("update", pk, votes)
            for votes in range(11, 21):
                await do(writer, "change", {"pk": pk, "votes": votes})
            assert await client.until_closed() == ([UNANSWERED], CloseCode.TOO_SLOW)
            assert client.pings == [1, 2, 3]

            async def nobody_subscribes() -> bool:
                return (await writer.request("load-a", "census"))["data"]["topics"] == 0

            # The deaf one is closed as well, although its own end of the socket is open.
            await until(nobody_subscribes)
