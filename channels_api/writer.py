"""The one writer of a socket: frames go out one after another, in the order of `push`."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable
from typing import Any

from .carrier import Carrier, carriers
from .control import parse_pong, ping_text
from .exceptions import CloseCode
from .flow import Flow
from .logs import logger
from .protocol import Reply, byte_length
from .settings import settings

# The protocol's own close code for it.
INTERNAL_ERROR = 1011
# Bytes that may wait for a client, or be on their way to it without having been acknowledged,
# before events for it are remembered as pks instead.
HIGH_WATER = 1_048_576
# Unacknowledged bytes at which a client that had fallen behind is sent events again. More than can
# be sent without a ping, or the last of them would never be acknowledged.
LOW_WATER = HIGH_WATER // 2


class Writer:
    """Sends frames to a client, keeping count of what waits.

    It is in a task only while there is something to send, and has a timer only while something can
    take too long. `on_room` is called when a client that had fallen behind has taken everything,
    `on_close` when no more is sent to it.
    """

    def __init__(
        self,
        send: Callable[[dict[str, Any]], Awaitable[None]],
        *,
        on_room: Callable[[], None],
        on_close: Callable[[], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._send = send
        self._on_room = on_room
        self._on_close = on_close
        # Frames in parts, and their bytes. A list: it is short, and empty for most sockets.
        self._queue: list[tuple[tuple[str, ...], int]] = []
        self._waiting_bytes = 0
        self._was_full = False
        self._close_code: int | None = None
        self._ended = False
        self._carrier = carriers.get(Carrier)
        # Whether it is to be carried; and the task that does.
        self._is_woken = False
        self._task: asyncio.Task[Any] | None = None
        self._flow = Flow()
        # Until when the server has to take what is being sent.
        self._send_by = math.inf
        self._timer: asyncio.TimerHandle | None = None

    @property
    def has_room(self) -> bool:
        """Whether the client keeps up, so that an event may be queued for it."""
        full = self._waiting_bytes + self._flow.unacknowledged >= HIGH_WATER
        self._was_full |= full
        return not full and self.is_open

    @property
    def is_open(self) -> bool:
        """Whether frames are still sent."""
        return not self._ended and self._close_code is None

    def start_pings(self, interval: float | None) -> None:
        """Ping the client every `interval` seconds and after so many bytes; None: never."""
        self._flow = Flow(interval, self._loop.time())
        self._set_timer()

    def take_pong(self, text: str) -> bool:
        """Take a frame if it is a pong that a ping waits for, else return False."""
        number = parse_pong(text)
        if number is None or not self._flow.pong(number, self._loop.time()):
            return False
        self._tell_room()
        return True

    def push(self, *parts: str, size: int | None = None) -> None:
        """Queue an encoded frame, which may be in parts; after `close` it is dropped.

        Parts are put together when they are sent: what many sockets wait for is kept once. `size`
        is their bytes, where the caller knows them.
        """
        if self.is_open:
            if size is None:
                size = sum(map(byte_length, parts))
            self._queue.append((parts, size))
            self._waiting_bytes += size
            self._wake()

    def close(self, code: int) -> None:
        """Close the socket after what has been queued."""
        if self.is_open:
            self._begin_to_close(code)
            self._wake()

    def _begin_to_close(self, code: int) -> None:
        self._close_code = code
        self._on_close()

    def too_slow(self) -> None:
        """Close the socket of a client that does not take what it asked for."""
        self._drop_queue()
        self.close(CloseCode.TOO_SLOW)

    async def end(self) -> None:
        """Stop sending: the socket is gone."""
        self._ended = True
        self._queue.clear()
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _drop_queue(self) -> None:
        self._queue.clear()
        self._waiting_bytes = 0

    def _wake(self) -> None:
        if self._task is None and not self._is_woken:
            self._is_woken = True
            self._carrier.carry(self._write)

    async def _write(self) -> None:
        self._is_woken = False
        if self._ended:
            return
        self._task = asyncio.current_task()
        try:
            while self._queue or self._ping_is_due:
                await self._send_next()
                self._tell_room()
            if self._close_code is not None:
                self._ended = True
                # A plain int: daphne fails on an IntEnum, and then closes nothing.
                code = int(self._close_code)
                await self._send_watched({"type": "websocket.close", "code": code})
        except Exception:
            # Servers raise their own errors when the client is gone, and its disconnect follows.
            # A client that is still there must not wait in vain.
            logger.debug("A socket takes no more frames", exc_info=True)
            if self.is_open:
                self._on_close()
                self._ended = True
                with contextlib.suppress(Exception):
                    await self._send({"type": "websocket.close", "code": INTERNAL_ERROR})
            self._ended = True
        finally:
            if self._is_current():
                self._task = None

    @property
    def _ping_is_due(self) -> bool:
        return self.is_open and self._flow.ping_is_due(self._loop.time())

    async def _send_next(self) -> None:
        if self._ping_is_due:
            # Before what waits: the client can answer for what was sent, and for no more.
            number = self._flow.ping(self._loop.time())
            text = ping_text(number, self._flow.interval)
            await self._send_watched({"type": "websocket.send", "text": text})
            return
        parts, size = self._queue.pop(0)
        await self._send_watched({"type": "websocket.send", "text": "".join(parts)})
        self._waiting_bytes -= size
        self._flow.sent(size)

    def _tell_room(self) -> None:
        if self._was_full and not self._waiting_bytes and self._flow.unacknowledged <= LOW_WATER:
            self._was_full = False
            # Later, on its own: what fails in there is no failure to send.
            self._loop.call_soon(self._on_room)

    async def _send_watched(self, message: dict[str, Any]) -> None:
        limit = settings.SEND_TIMEOUT
        self._send_by = math.inf if limit is None else self._loop.time() + limit
        if self._timer is None or self._timer.when() > self._send_by:
            self._set_timer()
        try:
            await self._send(message)
        finally:
            if self._is_current():
                self._send_by = math.inf

    def _is_current(self) -> bool:
        # A task that was given up may end when another one is already writing.
        return self._task is asyncio.current_task()

    def _set_timer(self) -> None:
        # One timer that looks now and then, instead of one for each frame.
        look_at = self._send_by
        if self.is_open:
            look_at = min(look_at, self._flow.next_look(self._loop.time()))
        if self._timer is not None and self._timer.when() > look_at:
            self._timer.cancel()
            self._timer = None
        if self._timer is None and look_at != math.inf:
            self._timer = self._loop.call_at(look_at, self._look)

    def _look(self) -> None:
        self._timer = None
        now = self._loop.time()
        if now >= self._send_by:
            self._give_up(CloseCode.TOO_SLOW)
        elif self.is_open and self._flow.miss_pong(now):
            self._close_unanswered()
        elif self._ping_is_due:
            self._wake()
        self._set_timer()

    def _close_unanswered(self) -> None:
        is_reading = not self._waiting_bytes and not self._flow.unacknowledged
        code = CloseCode.SILENT_TOO_LONG if is_reading else CloseCode.TOO_SLOW
        if self._task is not None:
            self._give_up(code)  # the reason would not be taken either
            return
        message = f"No ping was answered for {self._flow.interval:g} seconds."
        self.push(Reply(None, None, 408, None, [message]).encode())
        self.close(code)

    def _give_up(self, code: CloseCode) -> None:
        """Close without waiting for the send that is stuck."""
        self._send_by = math.inf
        if self._task is not None:
            self._task.cancel()
        if self._ended:
            return  # not even the close was taken: the rest is the server's business
        self._drop_queue()
        # A reason to close that came before this one stands.
        if self._close_code is None:
            self._begin_to_close(code)
        self._task = None
        self._wake()
