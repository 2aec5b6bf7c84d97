"""What threads hand back to an event loop, in bulk."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .locks import new_lock
from .logs import log_error

if TYPE_CHECKING:
    from .pool import ThreadPool

# Seconds that a result may wait in a thread that has more to do, so that many wake the event loop
# once: each time that it wakes, it and the threads take the interpreter from one another.
HOLD = 0.01


class Outbox:
    """Callbacks on their way from threads to an event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, pool: ThreadPool) -> None:
        self.loop = loop
        self._pool = pool
        self._ready: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._woken = False
        # Whether the loop looks in by itself within HOLD.
        self._looks_in = False
        self._lock = new_lock()

    def put(self, callback: Callable[..., None], *args: Any) -> None:
        """Leave a callback here. It is called after `hand_over`."""
        self._ready.append((callback, args))

    def hand_over(self, *, at_once: bool) -> None:
        """Have what was left here called; within HOLD where it need not be at once."""
        with self._lock:
            if self._woken or not self._ready or (self._looks_in and not at_once):
                return
            self._woken = True
        try:
            self.loop.call_soon_threadsafe(self._wake_up)
        except RuntimeError:
            # The loop was closed while the job ran: the server is gone, nobody waits.
            self._ready.clear()

    def _wake_up(self) -> None:
        # Before the deque is emptied: what comes after the last popleft must wake again.
        with self._lock:
            self._woken = False
        self._empty()
        self._look_in_soon()

    def _look_in(self) -> None:
        with self._lock:
            self._looks_in = False
        if self._ready:
            self._empty()
            self._look_in_soon()

    def _look_in_soon(self) -> None:
        if not self._looks_in and self._pool.is_busy:
            with self._lock:
                self._looks_in = True
            self.loop.call_later(HOLD, self._look_in)

    def _empty(self) -> None:
        while self._ready:
            callback, args = self._ready.popleft()
            try:
                callback(*args)
            except Exception:  # what others wait for comes after it
                log_error("The outcome of work in a thread could not be taken")
