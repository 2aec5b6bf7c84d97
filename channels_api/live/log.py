"""The log of changes: for each topic a numbered list of (pk, operation).

Rings may be lost, doubled or reordered; the log has it all in order.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from ..locks import new_lock
from ..settings import settings


class Topic(NamedTuple):
    """All rows of one model on one database; `model` is its label, as in "polls.question"."""

    model: str
    alias: str

    @property
    def group(self) -> str:
        """The topic's group in a channel layer: short and ASCII whatever the names are."""
        name = f"{self.model}@{self.alias}".encode()
        return f"channels_api.{hashlib.sha256(name).hexdigest()[:24]}"


class Change(NamedTuple):
    """What happened to a row; the pk as frames hold it (an int or text)."""

    pk: int | str
    operation: str


class Position(NamedTuple):
    """A place in a topic's log. Numbers of different epochs can't be compared."""

    epoch: str
    seq: int


class Hint(NamedTuple):
    """The ring: `change` has the number `position.seq`. It holds strings and ints only."""

    topic: Topic
    position: Position
    change: Change


@dataclass(frozen=True)
class Replay:
    """What happened after a position: `changes` in order, up to `top`.

    `complete` is False where the log can't tell any more (another epoch, or trimmed).
    """

    complete: bool
    changes: list[Change]
    top: Position


class Log(Protocol):
    """What a log must do. `append` is called from sync code in any thread, the rest from a loop."""

    # Whether other processes write to the same log.
    shared: bool

    def append(self, topic: Topic, changes: Iterable[Change]) -> list[Hint]:
        """Give each change the next number and keep it."""

    async def top(self, topic: Topic) -> Position:
        """The position of the newest change."""

    async def since(self, topic: Topic, position: Position) -> Replay:
        """What came after `position`."""


class MemoryLog:
    """The log of a single process; each topic keeps its last `HISTORY_SIZE` changes."""

    shared = False

    def __init__(self) -> None:
        self._name = uuid.uuid4().hex[:12]
        self._lock = new_lock()
        self._tops: dict[Topic, int] = {}
        self._changes: dict[Topic, deque[tuple[int, Change]]] = {}

    @property
    def epoch(self) -> str:
        """Of this process: forked workers start with the same object and go on differently."""
        return f"{self._name}-{os.getpid()}"

    def append(self, topic: Topic, changes: Iterable[Change]) -> list[Hint]:
        hints = []
        with self._lock:
            kept = self._changes.get(topic)
            if kept is None:
                kept = self._changes[topic] = deque(maxlen=settings.HISTORY_SIZE)
            seq = self._tops.get(topic, 0)
            for change in changes:
                seq += 1
                kept.append((seq, change))
                hints.append(Hint(topic, Position(self.epoch, seq), change))
            self._tops[topic] = seq
        return hints

    async def top(self, topic: Topic) -> Position:
        with self._lock:
            return Position(self.epoch, self._tops.get(topic, 0))

    async def since(self, topic: Topic, position: Position) -> Replay:
        with self._lock:
            top = Position(self.epoch, self._tops.get(topic, 0))
            missed = [item for item in self._changes.get(topic, ()) if item[0] > position.seq]
        complete = position.epoch == top.epoch and top.seq - position.seq == len(missed)
        return Replay(complete, [change for _, change in missed] if complete else [], top)


_log: Log = MemoryLog()


def get_log() -> Log:
    """The log of this process."""
    return _log
