"""A hub's ear on the channel layer: one channel, a membership per group, healed by itself."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

from ..logs import log_sometimes
from ..spawn import spawn
from .sender import layer_between_processes

# Seconds that a subscriber waits for the layer before it is served without it.
TIMEOUT = 2.0
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
# Seconds without a message that are no sign of trouble.
SHORTEST_WAIT = 1.0


class Listener:
    """Keeps the memberships equal to the groups that are wanted and passes on what is heard.

    All of it belongs to one event loop. Nothing here raises: what a failing layer does not take
    is tried again, with growing pauses. `hear` is given each message and must not raise.
    """

    def __init__(self, hear: Callable[[dict[str, Any]], None]) -> None:
        self._hear = hear
        self._wanted: set[str] = set()
        self._joined: set[str] = set()
        # Those that the layer may have forgotten since.
        self._unsure: set[str] = set()
        self._leaving = 0
        self._layer: Any = None
        self._channel = ""
        self._task: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()

    async def join(self, group: str) -> None:
        """Listen to a group; back when the layer has taken it, or after TIMEOUT without it."""
        self._wanted.add(group)
        if self._task is None:
            self._layer = layer_between_processes()
            if self._layer is None:
                return
            self._task = spawn(self._listen())
        await self._try_to_settle()

    async def leave(self, group: str) -> None:
        """Stop listening to a group; after the last one nothing of the layer is in use."""
        self._wanted.discard(group)
        self._leaving += 1
        if self._task is not None:
            await self._try_to_settle()
        self._leaving -= 1
        # Not while another one waits for its turn: it needs to know what was joined, and as whom.
        if not self._wanted and not self._leaving and self._task is not None:
            task, self._task, self._channel = self._task, None, ""
            self._joined.clear()
            self._unsure.clear()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _try_to_settle(self) -> bool:
        try:
            await asyncio.wait_for(self._settle(), TIMEOUT)
        except Exception:
            log_sometimes("The channel layer does not take memberships; trying again")
            return False
        return True

    async def _settle(self) -> None:
        # One at a time, each with the wishes of its moment: a leave that overtakes a join of the
        # same group would end a membership that is needed.
        async with self._lock:
            if self._wanted and not self._channel:
                self._channel = await self._layer.new_channel("channels_api")
            for group in self._wanted - (self._joined - self._unsure):
                await self._layer.group_add(group, self._channel)
                self._joined.add(group)
                self._unsure.discard(group)
            for group in self._joined - self._wanted:
                await self._layer.group_discard(group, self._channel)
                self._joined.discard(group)
                self._unsure.discard(group)

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        pause = FIRST_PAUSE
        settled = await self._try_to_settle()
        # Python before 3.12 loses a cancel that comes just when a wait_for has its result.
        while self._task is asyncio.current_task():
            began = loop.time()
            try:
                if settled:
                    self._hear(await self._layer.receive(self._channel))
                    pause = FIRST_PAUSE
                    continue
            except Exception as exc:
                # redis-py ends a read after 5 s by default, which is when channels_redis would
                # have begun anew: nothing came, and nothing is wrong. By name: it is an error of
                # redis-py's own. One that comes at once is an outage.
                if type(exc).__name__ == "TimeoutError" and loop.time() - began > SHORTEST_WAIT:
                    continue
                log_sometimes("The channel layer can't be heard; trying again")
            # Full jitter, so that the processes of a site don't return to a layer together.
            await asyncio.sleep(random.uniform(0, pause))  # noqa: S311
            pause = min(pause * 2, LONGEST_PAUSE)
            # A layer that was restarted has forgotten its groups; one that was away has not.
            self._unsure |= self._joined
            settled = await self._try_to_settle()
