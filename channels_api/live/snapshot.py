"""All rows that an audience may see, at one position of the log."""

from __future__ import annotations

import asyncio
from typing import NamedTuple
from weakref import WeakKeyDictionary

from ..protocol import byte_length
from ..settings import settings
from .log import Position
from .reader import Reader, Rows

# What is around a snapshot in its frame.
FRAME_BYTES = 1024
# Snapshots that are read at the same time in an event loop: when all clients come back at once,
# they must not take every thread.
AT_ONCE = 8

_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


class Snapshot(NamedTuple):
    """`text` is a JSON array of all rows, None where they are too many or too large to be sent.

    Every change up to `position` is in it, and perhaps some later ones.
    """

    position: Position
    text: str | None


def make_snapshot(position: Position, rows: Rows) -> Snapshot:
    """The snapshot with these rows."""
    whole = rows.complete and not rows.large
    text = f"[{','.join(rows.texts.values())}]" if whole else ""
    fits = whole and byte_length(text) + FRAME_BYTES <= settings.MAX_REPLY_BYTES
    return Snapshot(position, text if fits else None)


def read_all(reader: Reader, position: Position) -> tuple[Rows, Snapshot]:
    """All that a reader may see; sync code."""
    rows = reader.snapshot(settings.SNAPSHOT_ROWS)
    return rows, make_snapshot(position, rows)


def read_row(reader: Reader, position: Position, row: int | str) -> tuple[Rows, Snapshot]:
    """The row, if a reader may see it; sync code."""
    rows = reader.read([row])
    return rows, make_snapshot(position, rows)


def turn() -> asyncio.Semaphore:
    """What to hold while a snapshot is read."""
    loop = asyncio.get_running_loop()
    if loop not in _turns:
        _turns[loop] = asyncio.Semaphore(AT_ONCE)
    return _turns[loop]
