"""What was published and is not in the log yet."""

from __future__ import annotations

from collections.abc import Iterable

from ..locks import new_lock
from .log import Change, Operations, Ring, Topic, note

# Rows that wait, of all topics together. A topic that would have more is read anew as a whole.
CAPACITY = 10_000

# The rows of a topic and what happened to each, in the order of their first change; and whom to
# ring when they are in the log.
Batches = dict[tuple[Topic, Ring], Operations]


class Outbox:
    """Keeps each row once, however often it changes while the log is slow; for any thread."""

    def __init__(self) -> None:
        self._lock = new_lock()
        self._waiting: Batches = {}
        self._count = 0
        self._has_sender = False

    def add(self, topic: Topic, changes: Iterable[tuple[int | str, str]], ring: Ring) -> bool:
        """Whether nobody is sending: then it is the caller's turn to see to it."""
        with self._lock:
            self._add((topic, ring), changes)
            idle, self._has_sender = not self._has_sender, True
            return idle

    def take(self) -> Batches:
        """All of it. Whoever gets nothing ends, and the next `add` finds nobody sending."""
        with self._lock:
            taken, self._waiting, self._count = self._waiting, {}, 0
            self._has_sender = bool(taken)
            return taken

    def put_back(self, unsent: Batches) -> None:
        """Keep what could not be sent, in front of what came meanwhile."""
        with self._lock:
            newer, self._waiting = self._waiting, unsent
            self._count = sum(map(len, unsent.values()))
            for key, rows in newer.items():
                self._add(key, rows.items())

    def sender_failed(self) -> None:
        """Nobody is sending after all."""
        with self._lock:
            self._has_sender = False

    def _add(self, key: tuple[Topic, Ring], changes: Iterable[tuple[int | str, str]]) -> None:
        rows = self._waiting.setdefault(key, {})
        others = self._count - len(rows)
        for change in changes:
            note(rows, Change(*change), most=CAPACITY - others)
        self._count = others + len(rows)
