"""The log that all processes of a site share, in Redis."""

from __future__ import annotations

import asyncio
import json
import os
import random
import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakSet

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from ..layers.sender import GATHER, get_sender
from ..locks import new_lock
from ..logs import log_sometimes
from ..settings import settings
from .log import Change, Hint, Operations, Position, Replay, Ring, Topic, make_replay
from .redis_outbox import Batches, Outbox
from .redis_scripts import APPEND, SINCE, TOP, Call

# Seconds for each answer of Redis. A subscriber waits longer than that for the log.
TIMEOUT = 2.0
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
# Hints of a topic that are rung at once. Whoever hears of more reads the log instead.
MOST_HINTS = 20


@dataclass(frozen=True)
class Link:
    """The one connection of an event loop; `lock` is held by who uses it."""

    client: Redis
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class RedisLog:
    """Keeps the last `HISTORY_SIZE` changes of each topic, for `HISTORY_SECONDS` after the last.

    `url` is one that redis-py takes. Another site needs another database of the server.
    """

    shared = True

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = new_lock()
        self._outbox = Outbox()
        self._links: dict[asyncio.AbstractEventLoop, Link] = {}
        _logs.add(self)

    def publish(self, topic: Topic, changes: Collection[Change], ring: Ring) -> None:
        if not changes or not self._outbox.add(topic, changes, ring):
            return
        try:
            get_sender().run(self._send)
        except RuntimeError:  # no thread can be started
            self._outbox.sender_failed()
            log_sometimes("Changes can't be logged before the next one")

    async def tops(self, topics: Collection[Topic]) -> dict[Topic, Position]:
        answers = await self._ask([Call(TOP, topic) for topic in topics])
        return {
            topic: Position(*_checked(answer))
            for topic, answer in zip(topics, answers, strict=True)
        }

    async def since(self, topic: Topic, position: Position) -> Replay:
        (answer,) = await self._ask([Call(SINCE, topic, position)])
        epoch, seq, entries = _checked(answer)
        kept = [
            (int(name.partition("-")[0]), Change(json.loads(pk), operation))
            for name, (_, pk, _, operation) in json.loads(entries)
        ]
        return make_replay(position, Position(epoch, seq), kept)

    async def close(self) -> None:
        link = self._links.get(asyncio.get_running_loop())
        if link is not None:
            # Not while it is in use: it would be opened again, and nobody would close it.
            async with link.lock:
                await link.client.aclose()

    def start_anew(self) -> None:
        """Be the log of a forked child: what the parent had published is the parent's to send.

        The links stay. No loop of the child has one of them, and one that was forgotten would be
        closed by redis-py; asyncio would then take it out of the selector that parent and child
        share.
        """
        self._outbox = Outbox()

    async def _send(self) -> None:
        """Append what waits until nothing does, in the sender's loop."""
        try:
            await self._send_all()
        except BaseException:
            self._outbox.sender_failed()
            raise

    async def _send_all(self) -> None:
        pause = FIRST_PAUSE
        while batches := self._outbox.take():
            unsent = await self._append(batches)
            if not unsent:
                pause = FIRST_PAUSE
                await asyncio.sleep(GATHER)
                continue
            self._outbox.put_back(unsent)
            # Full jitter, so that the processes of a site don't return to a Redis together.
            await asyncio.sleep(random.uniform(0, pause))  # noqa: S311
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _append(self, batches: Batches) -> Batches:
        """What is to be appended again; to be there twice, after a lost answer, is harmless."""
        try:
            answers = await self._ask(
                [_append(topic, rows) for (topic, _), rows in batches.items()]
            )
        except Exception:
            log_sometimes("Changes can't be logged; trying again")
            return batches
        unsent: Batches = {}
        for (key, rows), answer in zip(batches.items(), answers, strict=True):
            topic, ring = key
            try:
                hints = _hints(topic, rows, Position(*_checked(answer)))
            except RedisError:
                log_sometimes("Changes of %s can't be logged; trying again", topic.model)
                unsent[key] = rows
            else:
                _ring(ring, hints)
        return unsent

    async def _ask(self, calls: Collection[Call]) -> list[Any]:
        """The answers in one round trip; an error in place of an answer, or raised for all."""
        link = self._link()
        async with link.lock:
            try:
                answers = await _execute(link.client, calls)
            except RedisConnectionError:
                # It was closed since it was used last, and is opened again now.
                answers = await _execute(link.client, calls)
            if any(isinstance(answer, RedisError) for answer in answers):
                # READONLY, for one: the name of a server that was replaced leads to another now.
                await link.client.connection_pool.disconnect()
            return answers

    def _link(self) -> Link:
        loop = asyncio.get_running_loop()
        with self._lock:
            if loop not in self._links:
                for closed in [each for each in self._links if each.is_closed()]:
                    del self._links[closed]
                self._links[loop] = Link(_client(self._url))
            return self._links[loop]


_logs: WeakSet[RedisLog] = WeakSet()


def _start_anew() -> None:
    for log in _logs:
        log.start_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)


def _client(url: str) -> Redis:
    """A client whose calls end soon, whatever redis-py's defaults are: they differ much.

    It tries nothing twice: whoever waits for a slow answer has waited long enough.
    """
    client: Redis = Redis.from_url(
        url,
        decode_responses=True,
        protocol=2,
        socket_timeout=TIMEOUT,
        socket_connect_timeout=TIMEOUT,
        retry=Retry(NoBackoff(), 0),
    )
    return client


async def _execute(client: Redis, calls: Iterable[Call]) -> list[Any]:
    pipeline = client.pipeline(transaction=False)
    for call in calls:
        # Not EVALSHA: a Redis that was restarted has forgotten the scripts, and asking for them
        # is another round trip each time.
        pipeline.eval(call.script, 2, *call.keys, _new_epoch(), *call.arguments)
    return await pipeline.execute(raise_on_error=False)


def _new_epoch() -> str:
    return uuid.uuid4().hex[:8]


def _append(topic: Topic, rows: Operations) -> Call:
    limit = settings.HISTORY_SIZE
    # Those before them would be trimmed at once.
    last = list(rows.items())[-limit:]
    words = [word for pk, operation in last for word in (json.dumps(pk), operation)]
    lifetime = max(1, int(settings.HISTORY_SECONDS * 1000))
    return Call(APPEND, topic, [len(rows), limit, lifetime, *words])


def _hints(topic: Topic, rows: Operations, top: Position) -> list[Hint]:
    """One for each row, the last one having the number `top`; only that one if they are many."""
    first = top.seq - len(rows) + 1
    hints = [
        Hint(topic, Position(top.epoch, seq), Change(pk, operation))
        for seq, (pk, operation) in enumerate(rows.items(), first)
    ]
    return hints if len(hints) <= MOST_HINTS else hints[-1:]


def _ring(ring: Ring, hints: list[Hint]) -> None:
    try:
        ring(hints)
    except Exception:
        log_sometimes("Changes are logged, but nobody could be rung")


def _checked(answer: Any) -> Any:
    if isinstance(answer, Exception):
        raise answer
    return answer
