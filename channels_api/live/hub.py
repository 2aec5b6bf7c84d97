"""One hub per process and event loop: who needs which topic, and how far each topic was told."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterable
from itertools import groupby
from operator import attrgetter
from typing import Any

from ..layers.listener import Listener
from ..logs import log_sometimes, logger
from ..settings import settings
from ..spawn import spawn
from .audience import Audience
from .bell import from_message, hubs
from .log import Change, Hint, Position, Topic, ask, get_log
from .operations import RESET
from .reader import Reader
from .topics import Follower, TopicState

# Seconds between attempts to read a log that fails.
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0


def get_hub() -> Hub:
    """The hub of the running event loop."""
    return hubs.get(Hub)


class Hub:
    """Turns hints into marks on the audiences of a topic, each change once or more, none missed."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._topics: dict[Topic, TopicState] = {}
        self._listener = Listener(self._hear_message, self._catch_up_all)
        self._timers: list[asyncio.Task[None]] = []
        # Those of the topics that are the users of somebody.
        self._user_topics: Counter[Topic] = Counter()

    async def hold(self, reader: Reader) -> None:
        """Need what a reader needs; when this returns, no change after it is missed.

        `release` it again. Raises LogUnavailable where the log can't be read.
        """
        topics = _topics_of(reader)
        for topic in topics:
            self._hold(topic)
        if reader.user_topic is not None:
            self._user_topics[reader.user_topic] += 1
        try:
            await self._wait_for(topics)
        except BaseException:
            self.release(reader)
            raise

    def release(self, reader: Reader) -> None:
        """Give it back; the last one to do so ends the group membership."""
        if reader.user_topic is not None:
            self._user_topics -= Counter([reader.user_topic])
        self._drop(_topics_of(reader))

    async def follow(self, topic: Topic, follower: Follower) -> None:
        """Tell a follower which rows change; when this returns, no change after it is missed.

        `unfollow` it again. Raises LogUnavailable where the log can't be read.
        """
        self._hold(topic)
        self._topics[topic].followers.append(follower)
        try:
            await self._wait_for([topic])
        except BaseException:
            self.unfollow(topic, follower)
            raise

    def unfollow(self, topic: Topic, follower: Follower) -> None:
        """Tell it no more."""
        self._topics[topic].followers.remove(follower)
        self._drop([topic])

    def audience(self, reader: Reader) -> Audience:
        """The audience for a reader's key, new where there is none. Its topic must be held."""
        state = self._topics[reader.topic]
        audience = state.audiences.get(reader.key)
        if audience is None:
            audience = Audience(
                reader,
                position=state.known_position,
                on_empty=self._forget,
                on_split=self._split,
                on_wish=state.audiences.place,
            )
            state.audiences.add(audience)
        return audience

    def needs(self, hints: list[Hint]) -> bool:
        """Whether any topic is held here; asked from any thread.

        A topic that is being entered just now reads its position later, and so covers the hints.
        """
        return any(hint.topic in self._topics for hint in hints)

    def hear(self, hints: list[Hint]) -> None:
        """Take hints: tell the next changes at once, ignore old ones, look up a gap."""
        for topic, found in groupby(hints, key=attrgetter("topic")):
            state = self._topics.get(topic)
            if state is None:
                continue
            # Those in a row as one: a transaction may have changed very many rows.
            following: list[Change] = []
            for hint in found:
                if state.is_next(hint, len(following)):
                    following.append(hint.change)
                    continue
                self._go_on(topic, state, following)
                following = []
                self._hear_another(hint, state)
            self._go_on(topic, state, following)

    def _hear_another(self, hint: Hint, state: TopicState) -> None:
        """Take a hint that is not of the next change."""
        if state.position is None:
            state.behind = True  # what is being read as its position may be older
        elif hint.position.epoch != state.position.epoch:
            self._hear_foreign(hint, state)
        elif hint.position.seq > state.position.seq:
            self._catch_up(hint.topic, state)

    def _hear_message(self, message: dict[str, Any]) -> None:
        try:
            self.hear(from_message(message))
        except Exception:  # the listener, and all who come after, go on
            log_sometimes("The hub's channel had a message that is no hint")

    def _hear_foreign(self, hint: Hint, state: TopicState) -> None:
        log = get_log()
        if log.shared:
            self._catch_up(hint.topic, state)
        else:
            # Another process with a log of its own in memory. What the hint tells is all that
            # will ever be known of it here, so it becomes a change of this process's log.
            log.publish(hint.topic, [hint.change], self.hear)

    def _catch_up(self, topic: Topic, state: TopicState) -> None:
        # Asked again while it runs: what was read may be older than this hint.
        state.behind = True
        if state.catching_up is None and state.position is not None:
            state.catching_up = spawn(self._read_log(topic, state))

    def _catch_up_all(self) -> None:
        for topic, state in self._topics.items():
            self._catch_up(topic, state)

    async def _read_log(self, topic: Topic, state: TopicState) -> None:
        try:
            while state.behind and state.position is not None:
                state.behind = False
                replay = await get_log().since(topic, state.position)
                if replay.top.epoch != state.position.epoch:
                    # Whatever lost the log may have lost the groups of the layer as well.
                    spawn(self._listener.renew())
                if replay.fault is None:
                    self._go_on(topic, state, replay.changes)
                else:
                    logger.warning("Changes of %s were lost (%s)", topic.model, replay.fault)
                    state.position = replay.top
                    self._reset(topic, state)
        except Exception:
            log_sometimes("The log of changes can't be read; trying again")
        finally:
            state.catching_up = None

    def _go_on(self, topic: Topic, state: TopicState, changes: list[Change]) -> None:
        """Tell of the changes that come next, then count them: until then they are to come."""
        if changes:
            self._emit(topic, state, changes)
            epoch, seq = state.known_position()
            state.position = Position(epoch, seq + len(changes))

    def _emit(self, topic: Topic, state: TopicState, changes: list[Change]) -> None:
        if any(change.operation == RESET for change in changes):
            self._reset(topic, state)
            return
        state.audiences.mark(changes)
        self._tell_of_rows(topic, state, [change.pk for change in changes])

    def _reset(self, topic: Topic, state: TopicState) -> None:
        for audience in state.audiences:
            audience.reset()
        self._tell_of_rows(topic, state, None)

    def _tell_of_rows(self, topic: Topic, state: TopicState, pks: list[int | str] | None) -> None:
        if state.followers:
            rows = None if pks is None else frozenset(pks)  # many may be compared with many
            for follower in state.followers:
                follower(rows)
        self._look_at_users(topic, pks)

    def _look_at_users(self, topic: Topic, pks: list[int | str] | None) -> None:
        """Look again at what users may see of whom something has changed; None: all of them."""
        if topic not in self._user_topics:
            return
        users = None if pks is None else frozenset(pks)
        for state in list(self._topics.values()):
            for audience in state.audiences:
                if audience.reader.user_topic == topic and audience.may_have_any(users):
                    audience.rights.doubt(users)

    async def _enter(self, topic: Topic, state: TopicState) -> None:
        # In this order: a change between the two is in the position or rings later, or both.
        await self._listener.join(topic.group)
        tops = await ask(get_log().tops([topic]))
        state.position = tops[topic]
        if state.behind:
            self._catch_up(topic, state)

    async def _beat(self) -> None:
        """Compare the tops now and then: the last hint that was lost has no successor."""
        pause = FIRST_PAUSE
        # Spread, so that the processes of a site don't read at the same moment.
        wait = settings.HEARTBEAT * random.uniform(0.8, 1)  # noqa: S311
        while self._is_current():
            await asyncio.sleep(wait)
            log = get_log()
            try:
                self._compare(await ask(log.tops(list(self._topics))) if log.shared else {})
            except Exception:
                wait = random.uniform(0, pause)  # noqa: S311
                pause = min(pause * 2, LONGEST_PAUSE)
            else:
                wait = settings.HEARTBEAT * random.uniform(0.8, 1)  # noqa: S311
                pause = FIRST_PAUSE

    def _is_current(self) -> bool:
        # Python before 3.12 loses a cancel that comes just when a wait_for has its result.
        return asyncio.current_task() in self._timers

    def _compare(self, tops: dict[Topic, Position]) -> None:
        for topic, top in tops.items():
            state = self._topics.get(topic)
            if state is not None and state.position and state.position.is_before(top):
                self._catch_up(topic, state)

    async def _revalidate(self) -> None:
        """Look again at what may be seen, for what changes that without changing a row."""
        while self._is_current():
            every = settings.REVALIDATE
            # The setting may be changed, or come back.
            await asyncio.sleep((every or 60) * random.uniform(0.8, 1))  # noqa: S311
            for state in list(self._topics.values()) if every else ():
                for audience in state.audiences:
                    audience.rights.look_soon()
                    await audience.rights.wait()

    def _hold(self, topic: Topic) -> None:
        state = self._topics.get(topic)
        if state is None:
            state = self._topics[topic] = TopicState()
            state.entered = spawn(self._enter(topic, state))
        state.holders += 1
        if not self._timers:
            self._timers = [spawn(self._beat()), spawn(self._revalidate())]

    async def _wait_for(self, topics: Iterable[Topic]) -> None:
        for topic in topics:
            # Shielded: one holder that leaves must not cancel what others wait for.
            await asyncio.shield(self._topics[topic].entered)  # type: ignore[arg-type]

    def _drop(self, topics: Iterable[Topic]) -> None:
        for topic in topics:
            state = self._topics[topic]
            state.holders -= 1
            if state.holders == 0:
                del self._topics[topic]
                spawn(self._listener.leave(topic.group))
        if not self._topics:
            for timer in self._timers:
                timer.cancel()
            self._timers = []
            spawn(self._close_log())

    def _forget(self, audience: Audience) -> None:
        state = self._topics.get(audience.reader.topic)
        if state is not None:
            state.audiences.discard(audience)

    def _split(self, audience: Audience) -> None:
        """Give each user of an audience one of its own: their rows turned out to differ."""
        self._forget(audience)
        for subscription in audience.members:
            self.audience(subscription.reader).adopt(subscription, audience)

    async def _close_log(self) -> None:
        if not self._topics:  # else somebody has come meanwhile and reads it
            await get_log().close()


def _topics_of(reader: Reader) -> list[Topic]:
    # One topic where the rows are the users themselves.
    topics = {reader.topic: None, reader.user_topic or reader.topic: None}
    return list(topics)
