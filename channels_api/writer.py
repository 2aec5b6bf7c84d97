"""The one writer of a socket: frames go out one after another, in the order of `push`."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from .exceptions import CloseCode
from .logs import logger
from .protocol import byte_length
from .settings import settings

# The protocol's own close code for it.
INTERNAL_ERROR = 1011
# Bytes that may wait for a client before events for it are remembered as pks instead.
HIGH_WATER = 1_048_576


class Writer:
    """Sends frames to a client, keeping count of what waits.

    There is a task only while there is something to send. `on_room` is called when a client that
    had fallen behind has taken everything, `on_close` when no more is sent to it.
    """

    def __init__(
        self,
        send: Callable[[dict[str, Any]], Awaitable[None]],
        *,
        on_room: Callable[[], None],
        on_close: Callable[[], None],
    ) -> None:
        self._send = send
        self._on_room = on_room
        self._on_close = on_close
        self._queue: deque[str] = deque()
        self._waiting_bytes = 0
        self._was_full = False
        self._close_code: int | None = None
        self._ended = False
        self._task: asyncio.Task[None] | None = None
        self._sending_since: float | None = None
        self._watch: asyncio.TimerHandle | None = None

    @property
    def has_room(self) -> bool:
        """Whether the client keeps up, so that an event may be queued for it."""
        full = self._waiting_bytes >= HIGH_WATER
        self._was_full |= full
        return not full and self.is_open

    @property
    def is_open(self) -> bool:
        """Whether frames are still sent."""
        return not self._ended and self._close_code is None

    def push(self, text: str) -> None:
        """Queue an encoded frame; after `close` it is dropped."""
        if self.is_open:
            self._queue.append(text)
            self._waiting_bytes += byte_length(text)
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
        if self._watch is not None:
            self._watch.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _drop_queue(self) -> None:
        self._queue.clear()
        self._waiting_bytes = 0

    def _wake(self) -> None:
        if self._task is None:
            self._task = asyncio.ensure_future(self._write())

    async def _write(self) -> None:
        try:
            while self._queue:
                text = self._queue.popleft()
                await self._send_watched({"type": "websocket.send", "text": text})
                self._waiting_bytes -= byte_length(text)
                if not self._queue and self._was_full:
                    self._was_full = False
                    # Later, on its own: what fails in there is no failure to send.
                    asyncio.get_running_loop().call_soon(self._on_room)
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

    async def _send_watched(self, message: dict[str, Any]) -> None:
        # One timer that looks now and then, instead of one for each frame.
        loop = asyncio.get_running_loop()
        limit = settings.SEND_TIMEOUT
        self._sending_since = loop.time()
        if limit is not None and self._watch is None:
            self._watch = loop.call_later(limit, self._look, limit)
        try:
            await self._send(message)
        finally:
            if self._is_current():
                self._sending_since = None

    def _is_current(self) -> bool:
        # A task that was given up may end when another one is already writing.
        return self._task is asyncio.current_task()

    def _look(self, limit: float) -> None:
        self._watch = None
        if self._sending_since is None:
            return
        loop = asyncio.get_running_loop()
        stuck_for = loop.time() - self._sending_since
        if stuck_for < limit:
            self._watch = loop.call_later(limit - stuck_for, self._look, limit)
        elif self._task is not None:
            self._give_up(self._task)

    def _give_up(self, stuck: asyncio.Task[None]) -> None:
        stuck.cancel()
        if self._ended:
            return  # not even the close was taken: the rest is the server's business
        self._drop_queue()
        # A reason to close that came before this one stands.
        if self._close_code is None:
            self._begin_to_close(CloseCode.TOO_SLOW)
        self._task = None
        self._wake()
