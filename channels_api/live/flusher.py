"""Reads what changed for an audience, and tells its members."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING

from ..logs import log_sometimes
from ..protocol import Event
from ..spawn import spawn
from ..threads import LIVE, run_in_thread
from .log import Change, Position
from .operations import DELETE, merge, told_as
from .reader import CHUNK, Rows
from .snapshot import Snapshot, make_snapshot

if TYPE_CHECKING:
    from .audience import Audience
    from .subscription import StatefulSubscription, Subscription

# Seconds to wait after a read that failed.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
# Changed rows that are remembered while reads fail.
MAX_DIRTY = 10_000

Pending = dict["int | str", str]


@dataclass
class Batch:
    """What is read in one go.

    `changes` are rows that have changed, `late` what slow clients have not been told of, `lost`
    those who need a snapshot. It began at `position`, and is `last` where all that happened until
    then is in it.
    """

    position: Position
    last: bool
    changes: Pending
    late: dict[Subscription, Pending]
    lost: list[StatefulSubscription]

    @property
    def pks(self) -> set[int | str]:
        """The rows to read one by one."""
        rows = {each.row for each in self.lost if each.row is not None}
        return {*self.changes, *chain.from_iterable(self.late.values()), *rows}

    @property
    def needs_everything(self) -> bool:
        """Whether somebody lost all rows and not only one."""
        return any(each.row is None for each in self.lost)


class Flusher:
    """There is a task only while there is something to tell."""

    def __init__(self, audience: Audience, position: Callable[[], Position]) -> None:
        self._audience = audience
        self._position = position
        self.dirty: Pending = {}
        self.lagging: dict[Subscription, None] = {}
        # Up to where everybody has been told, but for those who lag.
        self._told = position()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_running(self) -> bool:
        """Whether it has changes in hand."""
        return self._task is not None

    def adopt(self, origin: Flusher) -> None:
        """Tell what another one was to tell."""
        if origin._told.is_before(self._told):
            self._told = origin._told
        self.mark(Change(pk, operation) for pk, operation in origin.dirty.items())

    def mark(self, changes: Iterable[Change]) -> None:
        """Note what changed; the log's position is behind it already."""
        for change in changes:
            self.dirty[change.pk] = merge(self.dirty.get(change.pk), change.operation)
        if not self.dirty and not self.is_running:
            self._told = self._position()  # nobody here is to hear of it
        self.wake()

    def wake(self) -> None:
        """Begin, if there is something to do."""
        if self._task is None and self._has_work():
            self._task = spawn(self._flush())

    def stop(self) -> None:
        """Nobody is to be told any more."""
        if self._task is not None:
            self._task.cancel()

    def _has_work(self) -> bool:
        return not self._audience.view.is_loading and bool(self.dirty or self.lagging)

    async def _flush(self) -> None:
        pause = FIRST_PAUSE
        try:
            while self._has_work():
                batch = self._take()
                try:
                    rows, snapshot = await self._read(batch)
                except Exception:
                    stream = self._audience.reader.stream
                    log_sometimes("Rows for subscribers to %s can't be read", stream)
                    self._put_back(batch)
                    self._give_up_if_too_late()
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, LONGEST_PAUSE)
                    continue
                pause = FIRST_PAUSE
                if rows.personal or self._audience.is_personal:
                    self._put_back(batch)
                    self._audience.split_if_due()
                    return
                self._tell(batch, rows, snapshot)
        finally:
            self._task = None

    def _give_up_if_too_late(self) -> None:
        if len(self.dirty) > MAX_DIRTY:
            self.dirty.clear()
            for subscription in self._audience.members:
                subscription.give_up()

    async def _read(self, batch: Batch) -> tuple[Rows, Snapshot | None]:
        snapshot = await self._audience.snapshot() if batch.needs_everything else None
        pks = batch.pks
        rows = await self.read_rows(pks) if pks else Rows({})
        return rows, snapshot

    async def read_rows(self, pks: Collection[int | str]) -> Rows:
        """The rows as the audience sees them now."""
        return await run_in_thread(self._audience.reader.read, pks, owner=LIVE)

    def _take(self) -> Batch:
        self._audience.members.read_begins()
        changes = {pk: self.dirty.pop(pk) for pk in list(islice(self.dirty, CHUNK))}
        lost = [each for each in self.lagging if each.stateful and each.is_lost]  # type: ignore[attr-defined]
        late = {each: each.take(CHUNK) for each in self.lagging if each not in lost}
        for each in lost:
            each.begin_reset()  # type: ignore[attr-defined]
        self.lagging.clear()
        return Batch(self._position(), not self.dirty, changes, late, lost)  # type: ignore[arg-type]

    def _put_back(self, batch: Batch) -> None:
        self._mark_again(batch.changes)
        for subscription, pending in batch.late.items():
            subscription.put_back(pending)
        for each in batch.lost:
            each.end_reset(None)
            each.resume()

    def _mark_again(self, changes: Pending) -> None:
        # Beneath what came in meanwhile, which is newer.
        newer, self.dirty = self.dirty, dict(changes)
        for pk, operation in newer.items():
            self.dirty[pk] = merge(self.dirty.get(pk), operation)

    def _tell(self, batch: Batch, rows: Rows, snapshot: Snapshot | None) -> None:
        for each in batch.lost:
            whole = each.row is None
            each.end_reset(snapshot if whole else _snapshot_of_row(each.row, batch.position, rows))
        makes = _EventMaker(self._audience, rows)
        late = {each: self._late_events(batch.late[each], rows, makes) for each in batch.late}
        again, events = self._events(batch.changes, rows, makes)
        position = batch.position if batch.last and not again else None
        for subscription in {**late, **events}:
            new = events.get(subscription, [])
            subscription.deliver(late.get(subscription, []), new, self._told, position)
        if position is not None:
            self._told = position
        for waiting in (*batch.late, *batch.lost):
            waiting.resume()

    def _late_events(self, pending: Pending, rows: Rows, make: _EventMaker) -> list[Event]:
        # One that was deleted and is back since is deleted here all the same: its create is on the
        # way.
        actions = {
            pk: action if action == DELETE else told_as(action, present=pk in rows.texts)
            for pk, action in pending.items()
        }
        return [make(pk, action) for pk, action in actions.items() if action is not None]

    def _events(
        self, changes: Pending, rows: Rows, make: _EventMaker
    ) -> tuple[Pending, dict[Subscription, list[Event]]]:
        """What is to be read again, and who is told what."""
        members, view = self._audience.members, self._audience.view
        again = {pk: changes[pk] for pk in changes if members.is_new_to(pk)}
        self._mark_again(again)
        events: dict[Subscription, list[Event]] = {}
        for pk, operation in changes.items():
            # Of a row that failed it is not known whether it can be seen; it was logged.
            if pk in again or pk in rows.failed or not members.want(pk):
                continue
            action = view.decide(pk, operation, present=pk in rows.texts)
            if action is not None:
                for subscription in members.of(pk):
                    events.setdefault(subscription, []).append(make(pk, action))
        return again, events


class _EventMaker:
    """Makes each event once for all who are told of it."""

    def __init__(self, audience: Audience, rows: Rows) -> None:
        self._reader, self._rows = audience.reader, rows
        self._made: dict[tuple[int | str, str], Event] = {}

    def __call__(self, pk: int | str, action: str) -> Event:
        if (pk, action) not in self._made:
            data = self._rows.texts[pk] if action != DELETE else "null"
            stream, model = self._reader.stream, self._reader.topic.model
            self._made[pk, action] = Event(stream, action, pk, model, data)
        return self._made[pk, action]


def _snapshot_of_row(row: int | str | None, position: Position, rows: Rows) -> Snapshot:
    texts = {pk: text for pk, text in rows.texts.items() if pk == row}
    return make_snapshot(position, Rows(texts, large={pk for pk in rows.large if pk == row}))
