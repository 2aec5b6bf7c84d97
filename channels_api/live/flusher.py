"""Reads what changed for an audience, and tells its members."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from ..logs import log_sometimes
from ..protocol import Event
from ..spawn import spawn
from ..threads import LIVE, run_in_thread
from .counts import count_told
from .log import Change, Position
from .operations import DELETE, merge, told_as
from .pauses import Pauses
from .reader import CHUNK, Rows
from .resume import GAP

if TYPE_CHECKING:
    from .audience import Audience
    from .subscription import Subscription

# Changed rows that are remembered while reads fail.
MAX_DIRTY = 10_000
# Members that are told before others of the event loop have their turn.
AT_ONCE = 200

Pending = dict["int | str", str]


class Batch(NamedTuple):
    """What is read in one go.

    `changes` are rows that have changed, `late` what slow clients have not been told of. It began
    at `position`, and is `last` where all that happened until then is in it. It may not be told
    where there are more `doubts`, or more was lost, by the time that it has been read. The first of
    the changes was heard of at `since`.
    """

    position: Position
    last: bool
    changes: Pending
    late: dict[Subscription, Pending]
    doubts: int
    losses: int
    since: float

    @property
    def pks(self) -> set[int | str]:
        """The rows to read."""
        late = {
            pk
            for pending in self.late.values()
            for pk, action in pending.items()
            if action != DELETE  # it is told whatever there is by now
        }
        return {*self.changes, *late}


class Flusher:
    """There is a task only while there is something to tell."""

    def __init__(self, audience: Audience, position: Callable[[], Position]) -> None:
        self._audience = audience
        self._position = position
        self.dirty: Pending = {}
        self.lagging: dict[Subscription, None] = {}
        # Up to where everybody has been told, but for those who lag.
        self._told = position()
        self._losses = 0
        # When the first of what is dirty was heard of.
        self._since = 0.0
        self._task: asyncio.Task[None] | None = None

    @property
    def is_running(self) -> bool:
        """Whether it has changes in hand."""
        return self._task is not None

    def adopt(self, origin: Flusher) -> None:
        """Tell what another one was to tell."""
        self.mark(Change(pk, operation) for pk, operation in origin.dirty.items())
        if origin.dirty and origin._told.is_before(self._told):
            self._told = origin._told

    def mark(self, changes: Iterable[Change]) -> None:
        """Note what changed; the log's position is not behind it yet."""
        if not self.dirty and not self.is_running:
            self._told = self._position()  # nothing before it is left to be told
        if not self.dirty:
            self._since = time.monotonic()
        for change in changes:
            self.dirty[change.pk] = merge(self.dirty.get(change.pk), change.operation)
        self.wake()

    def lose(self) -> None:
        """Changes were lost, perhaps of rows that are being read: what is read counts no more.

        Else an old row would be told after the snapshot that has its new state.
        """
        self._losses += 1

    def wake(self) -> None:
        """Begin, if there is something to do."""
        if self._task is None and self._has_work():
            self._task = spawn(self._flush())

    def stop(self) -> None:
        """Nobody is to be told any more."""
        if self._task is not None:
            self._task.cancel()

    def _has_work(self) -> bool:
        audience = self._audience
        waits = audience.view.is_loading or audience.rights.are_in_doubt
        return not waits and bool(self.dirty or self.lagging)

    async def _flush(self) -> None:
        pauses = Pauses()
        try:
            while self._has_work():
                batch, reader = self._take(), self._audience.reader
                try:
                    rows = await self._read(batch)
                    if reader.is_over:
                        # For the others it is read again, by one of them.
                        self._put_back(batch)
                        await pauses.wait()
                        continue
                    if self._is_stale(batch):
                        self._put_back(batch)
                        continue
                    if rows.personal or self._audience.must_split:
                        self._put_back(batch)
                        return
                    await self._tell(batch, rows)
                except Exception:
                    stream = self._audience.reader.stream
                    log_sometimes("Rows for subscribers to %s can't be read", stream)
                    self._put_back(batch)
                    self._give_up_if_too_late()
                    await pauses.wait()
                    continue
                pauses.end()
        finally:
            self._task = None
            self._audience.split_if_due()

    def _give_up_if_too_late(self) -> None:
        if len(self.dirty) > MAX_DIRTY:
            self.dirty.clear()
            for subscription in self._audience.members:
                subscription.give_up()

    async def _read(self, batch: Batch) -> Rows:
        pks = batch.pks
        if not pks:
            return Rows({})
        return await run_in_thread(self._audience.reader.read, pks, owner=LIVE)

    def _take(self) -> Batch:
        self._audience.members.read_begins()
        changes = {pk: self.dirty.pop(pk) for pk in list(islice(self.dirty, CHUNK))}
        late = {each: each.take(CHUNK) for each in self.lagging}
        self.lagging.clear()
        doubts = self._audience.rights.doubts
        return Batch(
            self._position(), not self.dirty, changes, late, doubts, self._losses, self._since
        )

    def _is_stale(self, batch: Batch) -> bool:
        return batch.losses != self._losses or self._audience.rights.changed_since(batch.doubts)

    def _put_back(self, batch: Batch) -> None:
        self._mark_again(batch.changes)
        self._since = batch.since
        for subscription, pending in batch.late.items():
            subscription.put_back(pending)

    def _mark_again(self, changes: Pending) -> None:
        # What came in meanwhile is newer.
        for pk, operation in changes.items():
            newer = self.dirty.get(pk)
            self.dirty[pk] = operation if newer is None else merge(operation, newer)

    async def _tell(self, batch: Batch, rows: Rows) -> None:
        makes = _EventMaker(self._audience, rows)
        late = {each: self._late_events(batch.late[each], rows, makes) for each in batch.late}
        self._lose(each for each in batch.late if not rows.failed.isdisjoint(batch.late[each]))
        again, events = self._events(batch.changes, rows, makes)
        position = batch.position if batch.last and not again else None
        # The same list for all who hear of all rows.
        everything = list(events.values())
        for count, subscription in enumerate({**late, **self._recipients(events)}, 1):
            row = subscription.row
            new = everything if row is None else [events[row]] if row in events else []
            try:
                subscription.deliver(late.get(subscription, ()), new, self._told, position)
            except Exception:  # the others are told all the same
                log_sometimes("A subscriber to %s can't be told", self._audience.reader.stream)
            if count % AT_ONCE == 0:
                await asyncio.sleep(0)
        if position is not None:
            self._told = position
        count_told(self._audience, events, batch.since)
        for waiting in batch.late:
            waiting.resume()

    def _lose(self, subscriptions: Iterable[Subscription]) -> None:
        """They have a row that can't be shown as it is now; a snapshot is made without it."""
        for subscription in subscriptions:
            subscription.lose(GAP)

    def _late_events(self, pending: Pending, rows: Rows, make: _EventMaker) -> list[Event]:
        # One that was deleted and is back since is deleted here all the same: its create is on the
        # way.
        actions = {
            pk: action if action == DELETE else told_as(action, present=pk in rows.texts)
            for pk, action in pending.items()
            if pk not in rows.failed  # of which nothing is known
        }
        return [make(pk, action) for pk, action in actions.items() if action is not None]

    def _events(
        self, changes: Pending, rows: Rows, make: _EventMaker
    ) -> tuple[Pending, dict[int | str, Event]]:
        """What is to be read again, and what is told of which row."""
        members, view = self._audience.members, self._audience.view
        again = {pk: changes[pk] for pk in changes if members.is_new_to(pk)}
        self._mark_again(again)
        events: dict[int | str, Event] = {}
        for pk, operation in changes.items():
            if pk in again or not members.want(pk):
                continue
            if pk in rows.failed:
                self._lose(members.of(pk))
                continue
            action = view.decide(pk, operation, present=pk in rows.texts)
            if action is not None:
                events[pk] = make(pk, action)
        return again, events

    def _recipients(self, events: Collection[int | str]) -> dict[Subscription, None]:
        """Who is told of any of these rows."""
        members = self._audience.members
        of_rows = {each: None for pk in events for each in members.rows.get(pk, ())}
        return {**members.everything, **of_rows} if events else {}


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
