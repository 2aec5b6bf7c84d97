"""The log of changes: for each topic a numbered list of (pk, operation).

Rings may be lost, doubled or reordered; the log has it all in order.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
from collections.abc import Awaitable, Callable, Collection
from typing import NamedTuple, Protocol, TypeVar

from ..exceptions import LogUnavailable
from ..logs import log_sometimes
from ..settings import settings
from .operations import RESET, merge

T = TypeVar("T")

# Seconds that a subscriber waits for the log before it is told to come again.
TIMEOUT = 5.0


class Topic(NamedTuple):
    """All rows of one model on one database; `model` is its label, as in "polls.question"."""

    model: str
    alias: str

    @property
    def group(self) -> str:
        """The topic's group in a channel layer: short and ASCII whatever the names are."""
        return f"channels_api.{self.digest}"

    @property
    def digest(self) -> str:
        """The topic as part of a name."""
        return hashlib.sha256(f"{self.model}@{self.alias}".encode()).hexdigest()[:24]


class Change(NamedTuple):
    """What happened to a row; the pk as frames hold it (an int or text).

    The operation `RESET` is of no row: what happened at this place can't be told row by row.
    """

    pk: int | str
    operation: str


ANYTHING = Change(0, RESET)

# What happened to rows, as operations by pk; or EVERY_ROW, which covers whatever comes later.
Operations = dict["int | str", str]
EVERY_ROW: Operations = {ANYTHING.pk: ANYTHING.operation}


def note(rows: Operations, change: Change, *, most: float) -> None:
    """Add a change to what happened; of more than `most` rows it is anything."""
    if rows == EVERY_ROW:
        return
    if change.operation == RESET or (len(rows) >= most and change.pk not in rows):
        rows.clear()
        rows.update(EVERY_ROW)
    else:
        rows[change.pk] = merge(rows.get(change.pk), change.operation)


class Position(NamedTuple):
    """A place in a topic's log. Numbers of different epochs can't be compared."""

    epoch: str
    seq: int

    def is_before(self, other: Position) -> bool:
        """Whether `other` is later, or of another epoch."""
        return other.epoch != self.epoch or other.seq > self.seq


class Hint(NamedTuple):
    """The ring: `change` has the number `position.seq`. It holds strings and ints only."""

    topic: Topic
    position: Position
    change: Change


# Hears of what was appended, in any thread.
Ring = Callable[[list[Hint]], None]


class Replay(NamedTuple):
    """What happened after a position: `changes` in order, up to `top`.

    `fault` says why the log can't tell, as clients are told: "epoch" (the log began anew), "ahead"
    (the position was never reached) or "trimmed" (some is gone). There are no changes then.
    """

    changes: list[Change]
    top: Position
    fault: str | None = None


def make_replay(position: Position, top: Position, kept: list[tuple[int, Change]]) -> Replay:
    """What happened after `position`, from all that is kept of it with its numbers."""
    changes = [change for _, change in kept]
    if position.epoch != top.epoch:
        fault = "epoch"
    elif position.seq > top.seq:
        fault = "ahead"
    elif _lacks_some(position, top, kept) or ANYTHING.operation in (
        change.operation for change in changes
    ):
        fault = "trimmed"
    else:
        return Replay(changes, top)
    return Replay([], top, fault)


def _lacks_some(position: Position, top: Position, kept: list[tuple[int, Change]]) -> bool:
    # The length first: a client may ask for what came after any number, however far away.
    return len(kept) != top.seq - position.seq or [seq for seq, _ in kept] != list(
        range(position.seq + 1, top.seq + 1)
    )


class Log(Protocol):
    """What a log must do.

    `publish` is called from sync code in any thread, the rest from an event loop.
    """

    # Whether other processes write to the same log. If not, what they ring of is not in it.
    shared: bool

    def publish(self, topic: Topic, changes: Collection[Change], ring: Ring) -> None:
        """Give each change the next number and keep it, now or soon; then ring.

        Rows that changed are committed, so nothing of it may be lost, and nothing may wait for it.
        """

    async def tops(self, topics: Collection[Topic]) -> dict[Topic, Position]:
        """The position of the newest change of each topic."""

    async def since(self, topic: Topic, position: Position) -> Replay:
        """What came after `position`."""

    async def close(self) -> None:
        """Let go of what the running loop has open; the next call opens it again."""


async def ask(answer: Awaitable[T]) -> T:
    """What a log answers. Raises LogUnavailable if it does not, or not in time."""
    try:
        return await asyncio.wait_for(answer, TIMEOUT)
    except Exception as exc:
        log_sometimes("The log of changes can't be read")
        raise LogUnavailable from exc


def get_log() -> Log:
    """The log of this process: what `LOG` says."""
    return _log(settings.LOG)


@functools.lru_cache
def _log(name: str) -> Log:
    # Imported when it is used: redis-py costs a start some 50 ms.
    if name == "memory":
        from .memory_log import MemoryLog

        return MemoryLog()
    from .redis_log import RedisLog

    return RedisLog(name)
