"""One task that sends for many sockets."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from .loops import PerLoop
from .spawn import current_task, spawn


class Carrier:
    """Runs the senders of an event loop, one after another in the same task.

    A server takes most frames without waiting. To make and to collect a task for each of a thousand
    sockets would cost as much as to write to them. They share a context, which is nobody's: what a
    sender leaves in a context variable is seen by the next.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[Callable[[], Awaitable[None]]] = deque()
        # The one that takes from what waits; others have a sender that takes longer in their hands.
        self._task: asyncio.Task[None] | None = None

    def carry(self, sender: Callable[[], Awaitable[None]]) -> None:
        """Have a sender run soon; it waits for no other one that has to wait itself."""
        self._waiting.append(sender)
        self._begin()

    def _begin(self) -> None:
        if self._task is None and self._waiting:
            self._task = spawn(self._run())
            # Called after the task's first step, when it is through or has to wait, or was
            # cancelled before: what comes from then on is another's.
            self._loop.call_soon(self._relieve)

    async def _run(self) -> None:
        this = current_task()
        while self._task is this and self._waiting:
            await self._waiting.popleft()()

    def _relieve(self) -> None:
        self._task = None
        self._begin()


carriers: PerLoop[Carrier] = PerLoop()
