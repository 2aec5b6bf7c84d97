"""Client connections that cost less than any server: no coroutine, task or queue for a message.

`on_message(connection, message)` is called right where the bytes come in.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import picows
import websockets

from tests.benchmarks.frames import Http, Message
from tests.benchmarks.peers import PEERS, Peer

AT_ONCE = 50
TEXT = (picows.WSMsgType.TEXT, picows.WSMsgType.BINARY)


def ignore(connection: Any, message: Message) -> None:
    """What is done with messages that nobody waits for."""


class WebSocket(picows.WSListener):
    """One socket of a peer that speaks frames."""

    def __init__(self, peer: Peer) -> None:
        super().__init__()
        self.frames = peer.frames
        self.on_message: Callable[[Any, Message], None] = ignore
        self.closed = False

    @classmethod
    async def open(cls, peer: Peer, port: int, path: str = "", cookie: str = "") -> "WebSocket":
        _, connection = await picows.ws_connect(
            lambda: cls(peer),
            f"ws://127.0.0.1:{port}/{path}",
            websocket_handshake_timeout=30,
            extra_headers={"Cookie": cookie} if cookie else None,
        )
        return connection

    def on_ws_connected(self, transport: Any) -> None:
        self.transport = transport

    def on_ws_frame(self, transport: Any, frame: Any) -> None:
        if frame.msg_type in TEXT:
            self.on_message(self, self.frames.parse(frame.get_payload_as_bytes()))
        elif frame.msg_type == picows.WSMsgType.CLOSE:
            transport.disconnect()

    def on_ws_disconnected(self, transport: Any) -> None:
        self.closed = True

    def send(self, request_id: int, action: str, **rest: Any) -> None:
        frame = self.frames.request(request_id, action, **rest)
        self.transport.send(picows.WSMsgType.TEXT, frame)

    def subscribe(self) -> None:
        self.transport.send(picows.WSMsgType.TEXT, self.frames.subscribe())

    def close(self) -> None:
        self.transport.disconnect(graceful=False)


class HttpConnection(asyncio.Protocol):
    """One kept-alive connection."""

    def __init__(self, peer: Peer) -> None:
        self.frames = peer.frames
        self.on_message: Callable[[Any, Message], None] = ignore
        self.closed = False
        self.asked: deque[int] = deque()
        self.received = b""

    @classmethod
    async def open(cls, peer: Peer, port: int) -> "HttpConnection":
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: cls(peer), "127.0.0.1", port)
        return connection

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True

    def data_received(self, data: bytes) -> None:
        self.received += data
        while self.asked and (found := self.frames.parse(self.asked[0], self.received)):
            message, length = found
            self.received = self.received[length:]
            self.asked.popleft()
            self.on_message(self, message)

    def send(self, request_id: int, action: str, **rest: Any) -> None:
        self.asked.append(request_id)
        self.transport.write(self.frames.request(request_id, action, **rest))

    def close(self) -> None:
        self.transport.abort()


class DeflateSocket:
    """One socket whose frames are compressed, which picows can't; it costs more than the others."""

    def __init__(self, peer: Peer, socket: websockets.ClientConnection) -> None:
        self.frames = peer.frames
        self.on_message: Callable[[Any, Message], None] = ignore
        self.closed = False
        self._socket = socket
        self._tasks = {asyncio.create_task(self._read())}

    @classmethod
    async def open(cls, peer: Peer, port: int) -> "DeflateSocket":
        url = f"ws://127.0.0.1:{port}/"
        return cls(peer, await websockets.connect(url, proxy=None, compression="deflate"))

    def send(self, request_id: int, action: str, **rest: Any) -> None:
        self._send(self.frames.request(request_id, action, **rest))

    def subscribe(self) -> None:
        self._send(self.frames.subscribe())

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._socket.transport.abort()

    def _send(self, frame: bytes) -> None:
        self._tasks.add(asyncio.create_task(self._socket.send(frame, text=True)))

    async def _read(self) -> None:
        async for text in self._socket:
            self.on_message(self, self.frames.parse(text))
        self.closed = True


async def open_many(
    name: str,
    port: int,
    count: int,
    *,
    path: str = "",
    sessions: Sequence[str] = (),
    deflate: bool = False,
) -> list[Any]:
    """So many connections to a peer; the sessions take turns. `deflate`: as browsers ask for it."""
    peer = PEERS[name]
    if deflate:
        return [await DeflateSocket.open(peer, port) for _ in range(count)]
    if isinstance(peer.frames, Http):
        return [await HttpConnection.open(peer, port) for _ in range(count)]
    opened: list[Any] = []
    while len(opened) < count:
        numbers = range(len(opened), min(count, len(opened) + AT_ONCE))
        cookies = (f"sessionid={sessions[n % len(sessions)]}" if sessions else "" for n in numbers)
        opened += await asyncio.gather(
            *(WebSocket.open(peer, port, path, cookie) for cookie in cookies)
        )
    return opened


class Answers:
    """Waits for one reply on each of some connections."""

    def __init__(self, connections: Sequence[Any]) -> None:
        self.missing = len(connections)
        self.refused = 0
        self.complete = asyncio.Event()
        for connection in connections:
            connection.on_message = self._take

    async def wait(self, seconds: float) -> int:
        """How many were refused or did not come in so many seconds."""
        try:
            await asyncio.wait_for(self.complete.wait(), seconds)
        except asyncio.TimeoutError:
            return self.refused + self.missing
        return self.refused

    def _take(self, connection: Any, message: Message) -> None:
        if message.is_event:
            return
        self.missing -= 1
        self.refused += not message.ok
        if not self.missing:
            self.complete.set()
