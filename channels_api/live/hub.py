"""One hub per process and event loop: who needs which topic, and how far each topic was told."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Hashable
from typing import Any

from ..layers.listener import Listener
from ..locks import new_lock
from ..logs import log_sometimes, logger
from .audience import Audience
from .bell import from_message
from .log import Change, Hint, Position, Topic, get_log
from .reader import Reader

_hubs: dict[asyncio.AbstractEventLoop, Hub] = {}
_hubs_lock = new_lock()


def _forget_hubs() -> None:
    # They live on in the parent: ringing them here would write into the parent's event loops.
    _hubs.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_hubs)


def get_hub() -> Hub:
    """The hub of the running event loop."""
    loop = asyncio.get_running_loop()
    with _hubs_lock:
        if loop not in _hubs:
            for closed in [each for each in _hubs if each.is_closed()]:
                del _hubs[closed]
            _hubs[loop] = Hub(loop)
        return _hubs[loop]


def ring(hints: list[Hint]) -> None:
    """Ring every hub of this process, from any thread."""
    with _hubs_lock:
        hubs = list(_hubs.values())
    for hub in hubs:
        if not hub.needs(hints):
            continue
        # RuntimeError: its loop is closed, nobody listens there any more.
        with contextlib.suppress(RuntimeError):
            hub.loop.call_soon_threadsafe(hub.hear_all, hints)


class TopicState:
    """What the hub knows of a topic that somebody needs."""

    def __init__(self) -> None:
        self.holders = 0
        # None until the layer was joined: hints that come earlier are covered by the position.
        self.position: Position | None = None
        self.entered: asyncio.Task[None] | None = None
        self.catching_up: asyncio.Task[None] | None = None
        self.behind = False
        self.audiences: dict[Hashable, Audience] = {}


class Hub:
    """Turns hints into marks on the audiences of a topic, each change once or more, none missed."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._topics: dict[Topic, TopicState] = {}
        self._listener = Listener(self._hear_message)
        self._tasks: set[asyncio.Task[None]] = set()

    async def hold(self, topic: Topic) -> None:
        """Need a topic; when this returns, no change after it is missed. `release` it again."""
        state = self._topics.get(topic)
        if state is None:
            state = self._topics[topic] = TopicState()
            state.entered = asyncio.ensure_future(self._enter(topic, state))
        state.holders += 1
        try:
            # Shielded: one holder that leaves must not cancel what others wait for.
            await asyncio.shield(state.entered)  # type: ignore[arg-type]
        except BaseException:
            self.release(topic)
            raise

    def release(self, topic: Topic) -> None:
        """Give a topic back; the last one to do so ends the group membership."""
        state = self._topics[topic]
        state.holders -= 1
        if state.holders == 0:
            del self._topics[topic]
            self._spawn(self._listener.leave(topic.group))

    def audience(self, reader: Reader) -> Audience:
        """The audience for a reader's key, new where there is none. Its topic must be held."""
        audiences = self._topics[reader.topic].audiences
        if reader.key not in audiences:
            audiences[reader.key] = Audience(reader, on_empty=self._forget, on_split=self._split)
        return audiences[reader.key]

    def needs(self, hints: list[Hint]) -> bool:
        """Whether any topic is held here; asked from any thread.

        A topic that is being entered just now reads its position later, and so covers the hints.
        """
        return any(hint.topic in self._topics for hint in hints)

    def hear_all(self, hints: list[Hint]) -> None:
        """Take several hints."""
        for hint in hints:
            self.hear(hint)

    def hear(self, hint: Hint) -> None:
        """Take a hint: tell the next change at once, ignore an old one, look up a gap."""
        state = self._topics.get(hint.topic)
        if state is None or state.position is None:
            return
        if hint.position.epoch != state.position.epoch:
            self._hear_foreign(hint, state)
        elif hint.position.seq == state.position.seq + 1 and state.catching_up is None:
            state.position = hint.position
            self._emit(state, [hint.change])
        elif hint.position.seq > state.position.seq:
            self._catch_up(hint.topic, state)

    def _hear_message(self, message: dict[str, Any]) -> None:
        try:
            hint = from_message(message)
        except (KeyError, TypeError):
            log_sometimes("The hub's channel had a message that is no hint")
            return
        self.hear(hint)

    def _hear_foreign(self, hint: Hint, state: TopicState) -> None:
        log = get_log()
        if log.shared:
            self._catch_up(hint.topic, state)
        else:
            # Another process with a log of its own in memory. What the hint tells is all that
            # will ever be known of it here, so it becomes a change of this process's log.
            self.hear_all(log.append(hint.topic, [hint.change]))

    def _catch_up(self, topic: Topic, state: TopicState) -> None:
        # Asked again while it runs: what was read may be older than this hint.
        state.behind = True
        if state.catching_up is None:
            state.catching_up = self._spawn(self._read_log(topic, state))

    async def _read_log(self, topic: Topic, state: TopicState) -> None:
        try:
            while state.behind and state.position is not None:
                state.behind = False
                replay = await get_log().since(topic, state.position)
                state.position = replay.top
                self._emit(state, replay.changes)
                if not replay.complete:
                    logger.warning("Changes of %s were lost: the log is too short", topic.model)
        except Exception:
            log_sometimes("The log of changes can't be read")
        finally:
            state.catching_up = None

    def _emit(self, state: TopicState, changes: list[Change]) -> None:
        for audience in list(state.audiences.values()):
            audience.mark(changes)

    async def _enter(self, topic: Topic, state: TopicState) -> None:
        # In this order: a change between the two is in the position or rings later, or both.
        await self._listener.join(topic.group)
        state.position = await get_log().top(topic)

    def _forget(self, audience: Audience) -> None:
        state = self._topics.get(audience.reader.topic)
        if state is not None and state.audiences.get(audience.key) is audience:
            del state.audiences[audience.key]

    def _split(self, audience: Audience) -> None:
        """Give each user of an audience one of its own: their rows turned out to differ."""
        self._forget(audience)
        for subscription in audience.members:
            self.audience(subscription.reader).adopt(subscription, audience)

    def _spawn(self, coroutine: object) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.ensure_future(coroutine)  # type: ignore[call-overload]
        # The loop itself keeps only weak references.
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
