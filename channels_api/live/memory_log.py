"""The log of a single process."""

from __future__ import annotations

import functools
import hashlib
import os
import time
import uuid
from collections import deque
from collections.abc import Collection, Iterable

from ..locks import new_lock
from ..settings import settings
from .log import Change, Hint, Position, Replay, Ring, Topic, make_replay

Entry = tuple[int, float, Change]


@functools.lru_cache
def _epoch(name: str, pid: int) -> str:
    # Clients see it, and the pid is none of their business.
    return hashlib.sha256(f"{name}-{pid}".encode()).hexdigest()[:12]


class MemoryLog:
    """Keeps the last `HISTORY_SIZE` changes of each topic, for `HISTORY_SECONDS`."""

    shared = False

    def __init__(self) -> None:
        self._name = uuid.uuid4().hex[:12]
        self._lock = new_lock()
        self._publishing = new_lock()
        self._tops: dict[Topic, int] = {}
        self._entries: dict[Topic, deque[Entry]] = {}

    @property
    def epoch(self) -> str:
        """Of this process: forked workers start with the same object and go on differently."""
        return _epoch(self._name, os.getpid())

    def publish(self, topic: Topic, changes: Collection[Change], ring: Ring) -> None:
        # Under a lock, so that the hubs of this process hear the changes in the log's order and
        # need not look up gaps that are none.
        with self._publishing:
            ring(self.append(topic, changes))

    def append(self, topic: Topic, changes: Iterable[Change]) -> list[Hint]:
        """`publish` without the ring."""
        hints, now = [], time.monotonic()
        with self._lock:
            entries = self._entries.setdefault(topic, deque())
            seq = self._tops.get(topic, 0)
            for change in changes:
                seq += 1
                entries.append((seq, now, change))
                hints.append(Hint(topic, Position(self.epoch, seq), change))
            self._tops[topic] = seq
            self._trim(entries, now)
        return hints

    async def tops(self, topics: Collection[Topic]) -> dict[Topic, Position]:
        with self._lock:
            return {topic: self._top(topic) for topic in topics}

    async def since(self, topic: Topic, position: Position) -> Replay:
        with self._lock:
            top = self._top(topic)
            entries = self._entries.get(topic, deque())
            self._trim(entries, time.monotonic())
            kept = [(seq, change) for seq, _, change in entries if seq > position.seq]
        return make_replay(position, top, kept)

    async def close(self) -> None:
        """There is nothing to close."""

    def _top(self, topic: Topic) -> Position:
        return Position(self.epoch, self._tops.get(topic, 0))

    def _trim(self, entries: deque[Entry], now: float) -> None:
        oldest = now - settings.HISTORY_SECONDS
        while entries and (len(entries) > settings.HISTORY_SIZE or entries[0][1] < oldest):
            entries.popleft()
