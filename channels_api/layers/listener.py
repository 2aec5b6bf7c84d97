"""A hub's ear on the channel layer: one channel, a membership per group, healed by itself."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from ..logs import log_sometimes
from ..settings import settings
from ..spawn import spawn
from .sender import layer_between_processes

# Seconds that a subscriber waits for the layer before it is served without it, and that the layer
# has for each thing it is asked for.
TIMEOUT = 2.0
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
# Seconds without a message that are no sign of trouble.
SHORTEST_WAIT = 1.0
# Seconds for a probe to come back.
PROBE_TIMEOUT = 3.0
# Seconds for what is cancelled to end.
CANCEL_TIMEOUT = 0.5
# Seconds after which a listener looks for what another one that stopped may have lost.
LOOK_AFTER = 1.0
# Seconds for which a layer that is away is still told to forget groups that nobody needs any more.
LEAVE_TIMEOUT = 60.0
# The type of the messages that a listener sends to a group of its own to hear whether it is in it.
PROBE = "channels_api.probe"

# Those that have a channel, and their event loops.
_listening: WeakKeyDictionary[Listener, asyncio.AbstractEventLoop] = WeakKeyDictionary()


class Listener:
    """Keeps the memberships equal to the groups that are wanted and passes on what is heard.

    All of it belongs to one event loop. Nothing here raises: what a failing layer does not take
    is tried again, with growing pauses. What a layer forgets without a word (a Redis that was
    flushed, or restarted while its client tried again) is found within a heartbeat and
    PROBE_TIMEOUT. `hear` is given each message. `look` is called when a group has been joined later
    than `join` returned, or again, and when other listeners have stopped, once for all that did so
    within LOOK_AFTER: what was sent before may not have been heard. Neither must raise.
    """

    def __init__(self, hear: Callable[[dict[str, Any]], None], look: Callable[[], None]) -> None:
        self._hear = hear
        self._look = look
        self._wanted: set[str] = set()
        # What the layer is to be told of, and who waits for that.
        self._changed: dict[str, asyncio.Future[None]] = {}
        # Those of which it isn't known what the layer makes of them.
        self._unsure: dict[str, None] = {}
        # Whether a group was joined later than somebody took it to be.
        self._must_look = False
        # The look for what others that stopped may have lost, if there is one to come.
        self._look_to_come: asyncio.TimerHandle | None = None
        # The channel that the layer may have in each group. In the order of joining, so that a
        # layer which delivers to the first one has forgotten none.
        self._joined: dict[str, str] = {}
        self._layer: Any = None
        self._channel = ""
        self._settling: asyncio.Task[None] | None = None
        # What goes on as long as there is a channel: hearing, and looking after it.
        self._tasks: list[asyncio.Task[None]] = []
        self._probe_came = asyncio.Event()
        # Whether nothing at all was heard since a probe was lost.
        self._is_deaf = False
        self._last_left_at = 0.0

    async def join(self, group: str) -> None:
        """Listen to a group; back when the layer has taken it, or after TIMEOUT without it."""
        self._wanted.add(group)
        if self._layer is None:
            self._layer = layer_between_processes()
        if self._layer is not None:
            taken = self._change(group)
            await asyncio.wait([taken], timeout=TIMEOUT)
            taken.cancel()  # nobody waits any more

    async def leave(self, group: str) -> None:
        """Stop listening to a group; after the last one nothing of the layer is in use.

        Back after TIMEOUT at the latest; what the layer has not taken by then goes on.
        """
        self._wanted.discard(group)
        if self._layer is None:
            return
        if not self._wanted:
            self._last_left_at = asyncio.get_running_loop().time()
        self._change(group)
        await self._wait_until_settled()

    async def renew(self) -> None:
        """Join all groups again: the layer may have forgotten them without a word."""
        self._doubt()
        await self._wait_until_settled()

    async def _wait_until_settled(self) -> None:
        if self._settling is not None:
            await asyncio.wait([self._settling], timeout=TIMEOUT)

    def _change(self, group: str) -> asyncio.Future[None]:
        if group not in self._changed:
            self._changed[group] = asyncio.get_running_loop().create_future()
        self._settle_soon()
        return self._changed[group]

    def _doubt(self) -> None:
        if self._channel:
            self._unsure.update(dict.fromkeys(self._joined))
            self._settle_soon()

    def _settle_soon(self) -> None:
        if self._settling is None:
            self._settling = spawn(self._settle())

    async def _settle(self) -> None:
        """Tell the layer what has changed. Only one does so, so that nothing is overtaken."""
        pause = FIRST_PAUSE
        try:
            while self._changed or self._unsure:
                is_settled = await self._try_to_settle()
                if self._wanted and is_settled:
                    self._look_if_late()
                    continue
                if is_settled or self._gives_up():
                    await self._close()
                else:
                    pause = await _take_a_break(pause)
        finally:
            self._settling = None

    async def _try_to_settle(self) -> bool:
        try:
            while self._changed or self._unsure:
                if not self._channel and (self._wanted or self._joined):
                    await self._open()
                # First what somebody waits for.
                await self._settle_one(next(iter(self._changed or self._unsure)))
        except Exception:
            log_sometimes("The channel layer does not take memberships; trying again")
            self._let_all_go_on()
            return False
        return True

    async def _open(self) -> None:
        await self._stop()
        # Without a prefix of our own: channels_redis reads one prefix at a time for a whole
        # process, so that the project's own consumers and we would keep each other waiting.
        self._channel = channel = await asyncio.wait_for(self._layer.new_channel(), TIMEOUT)
        self._unsure.update(dict.fromkeys([*self._joined, *self._wanted]))
        _listening[self] = asyncio.get_running_loop()
        self._tasks = [spawn(self._listen(channel)), spawn(self._look_after(channel))]

    async def _settle_one(self, group: str) -> None:
        waiting, is_unsure = self._changed.pop(group, None), group in self._unsure
        self._unsure.pop(group, None)
        try:
            await asyncio.wait_for(self._tell_layer(group, is_unsure), TIMEOUT)
        except BaseException:
            # It may have been taken all the same.
            self._unsure[group] = None
            raise
        else:
            # None: joined again. Done: who waited for it has gone on without it.
            self._must_look |= waiting is None or waiting.done()
        finally:
            if waiting is not None and not waiting.done():
                waiting.set_result(None)

    def _look_if_late(self) -> None:
        if self._must_look:
            self._must_look = False
            self._look()

    async def _tell_layer(self, group: str, is_unsure: bool) -> None:
        layer, channel = self._layer, self._channel
        before = self._joined.get(group, channel)
        if before != channel:
            await layer.group_discard(group, before)
            del self._joined[group]
        # One that is to be left as well: the layer that publishes takes no second discard after
        # one that failed, and would stay subscribed to the group for ever.
        if group in self._wanted or is_unsure:
            self._joined.pop(group, None)
            self._joined[group] = channel
            await layer.group_add(group, channel)
        if group not in self._wanted and group in self._joined:
            await layer.group_discard(group, channel)
            del self._joined[group]

    def _let_all_go_on(self) -> None:
        for waiting in self._changed.values():
            if not waiting.done():
                waiting.set_result(None)

    def _gives_up(self) -> bool:
        now = asyncio.get_running_loop().time()
        return not self._wanted and now - self._last_left_at > LEAVE_TIMEOUT

    async def _close(self) -> None:
        """Use the layer no more. What it could not be told of now, the next join tells it of."""
        self._let_all_go_on()
        self._changed.clear()
        self._unsure.clear()
        self._layer = None
        await self._stop()

    async def _stop(self) -> None:
        tasks, self._tasks, self._channel = set(self._tasks), [], ""
        # Twice: Python before 3.12 loses a cancel that comes just when a wait_for of redis-py has
        # its result. Not at once, as the layer that publishes unsubscribes on the first one.
        for _ in range(2):
            for task in tasks:
                task.cancel()
            if tasks:
                _, tasks = await asyncio.wait(tasks, timeout=CANCEL_TIMEOUT)
        # channels_redis reads for all channels of a process by whoever waits on one of them, and
        # what that one has in its hand when it is cancelled is lost, whosever it is.
        if _listening.pop(self, None) is not None:
            _let_others_look()

    def _look_soon(self) -> None:
        # Not each time: one client that comes and goes would have everything read over and over.
        if self._look_to_come is None:
            loop = asyncio.get_running_loop()
            self._look_to_come = loop.call_later(LOOK_AFTER, self._look_now)

    def _look_now(self) -> None:
        self._look_to_come = None
        self._look()

    async def _listen(self, channel: str) -> None:
        layer, loop = self._layer, asyncio.get_running_loop()
        pause = FIRST_PAUSE
        while self._channel == channel:
            began = loop.time()
            try:
                message = await layer.receive(channel)
            except Exception as exc:
                # redis-py ends a read after 5 s by default, which is when channels_redis would
                # have begun anew: nothing came, and nothing is wrong. By name: it is an error of
                # redis-py's own. One that comes at once is an outage.
                if type(exc).__name__ == "TimeoutError" and loop.time() - began > SHORTEST_WAIT:
                    continue
                log_sometimes("The channel layer can't be heard; trying again")
                # A layer that was restarted has forgotten its groups; one that was away has not.
                self._doubt()
                pause = await _take_a_break(pause)
            else:
                pause = FIRST_PAUSE
                self._take(message)

    def _take(self, message: dict[str, Any]) -> None:
        self._is_deaf = False
        if message.get("type") != PROBE:
            self._hear(message)
        elif message.get("group") == self._first_joined():
            self._probe_came.set()

    async def _look_after(self, channel: str) -> None:
        """Join all groups again before they expire, and when the layer has forgotten them."""
        layer, loop = self._layer, asyncio.get_running_loop()
        lifetime = (getattr(layer, "group_expiry", None) or math.inf) / 4
        renewed_at = loop.time()
        while self._channel == channel:
            # Spread, so that of all processes in a group one asks, and the others hear it, too.
            wait = settings.HEARTBEAT * random.uniform(0.8, 1)  # noqa: S311
            rest = renewed_at + lifetime - loop.time()
            if await self._hears_probe(min(wait, rest)):
                continue
            if rest <= wait:
                renewed_at = loop.time()
                self._doubt()
            elif not await self._is_member(layer):
                log_sometimes("The channel layer does not deliver; joining its groups again")
                self._recover()

    def _recover(self) -> None:
        """Join all groups again; if that was no help, with a new channel.

        The layer may have forgotten the old one, or wait for its messages on a connection that is
        dead without a word. Where anything is heard it only has more than it can hold.
        """
        self._doubt()
        if self._is_deaf:
            self._channel = ""
        self._is_deaf = True

    async def _is_member(self, layer: Any) -> bool:
        """Whether the layer delivers to the group that was joined first; True where it is away."""
        group = self._first_joined()
        if group is None:
            return True
        try:
            probe = {"type": PROBE, "group": group}
            await asyncio.wait_for(layer.group_send(group, probe), TIMEOUT)
        except Exception:
            log_sometimes("The channel layer takes no probe")
            return True
        # Who has left it meanwhile hears nothing, which means nothing.
        return await self._hears_probe(PROBE_TIMEOUT) or group != self._first_joined()

    async def _hears_probe(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._probe_came.wait(), seconds)
        except asyncio.TimeoutError:
            return False
        self._probe_came.clear()
        return True

    def _first_joined(self) -> str | None:
        """The group that has been joined for longest."""
        return next(iter(self._joined), None)


def _let_others_look() -> None:
    loop = asyncio.get_running_loop()
    for other in [each for each, its_loop in list(_listening.items()) if its_loop is loop]:
        other._look_soon()  # noqa: SLF001


async def _take_a_break(pause: float) -> float:
    """Sleep for up to so many seconds; the seconds for the next time."""
    # Full jitter, so that the processes of a site don't return to a layer together.
    await asyncio.sleep(random.uniform(0, pause))  # noqa: S311
    return min(pause * 2, LONGEST_PAUSE)
