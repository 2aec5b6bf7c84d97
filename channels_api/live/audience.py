"""Subscribers who see the same: one read, one serialization, one encoded text for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterable
from itertools import chain, islice
from typing import TYPE_CHECKING

from ..logs import log_sometimes
from ..protocol import Event
from ..threads import LIVE, run_in_thread
from .log import Change
from .members import Members
from .operations import DELETE, merge
from .reader import CHUNK, Reader, Rows
from .view import View

if TYPE_CHECKING:
    from .subscription import Subscription

# Seconds to wait after a read that failed.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
# Changed rows that are remembered while reads fail.
MAX_DIRTY = 10_000


class Audience:
    """Marks what changed, reads it once, and tells those who are to hear of it.

    All of it belongs to one event loop; reads run in threads. Subscribers whose rows turn out to
    differ are split: `on_split` gives each an audience of its own. `on_empty` is called when the
    last one has left.
    """

    def __init__(
        self,
        reader: Reader,
        *,
        on_empty: Callable[[Audience], None],
        on_split: Callable[[Audience], None],
    ) -> None:
        self.reader = reader
        self.key: Hashable = reader.key
        self._on_empty = on_empty
        self._on_split = on_split
        self.members = Members()
        self.view = View(restricted=reader.restricted, on_loaded=self._wake)
        self._entering: dict[Subscription, list[Change]] = {}
        self._dirty: dict[int | str, str] = {}
        self._lagging: dict[Subscription, None] = {}
        self._flusher: asyncio.Task[None] | None = None

    async def enter(self, subscription: Subscription, lookup: object) -> None:
        """Make a subscription part of the audience; `lookup` is a row's, or None for all rows.

        Raises NotFound where the row can't be seen.
        """
        changes = self._entering[subscription] = []
        try:
            if lookup is None:
                self.members.add(subscription)
                await self.view.load(subscription.reader)
            else:
                await self._enter_row(subscription, lookup)
        except BaseException:
            del self._entering[subscription]
            self.remove(subscription)
            self._wake()
            raise
        del self._entering[subscription]
        # The newest of those who were let in speaks for all: its user was loaded last.
        self.reader = subscription.reader
        if subscription.row is not None:
            # Changes of the row since it was looked up went past: nobody knew that it mattered.
            self.mark(change for change in changes if change.pk == subscription.row)
        if self._flusher is None:  # else it does, with the changes that it has in hand
            self._split_if_due()

    async def _enter_row(self, subscription: Subscription, lookup: object) -> None:
        pk = await run_in_thread(subscription.reader.find, lookup, owner=subscription.reader.owner)
        subscription.row = pk
        self.members.add(subscription)
        self.view.remember(pk)

    def remove(self, subscription: Subscription) -> None:
        """Take a subscription out; the last one ends the audience."""
        self._drop(subscription)
        if not self.members.everything:
            self.view.forget(keep=self.members.rows)
        if not self.members and not self._entering:
            if self._flusher is not None:
                self._flusher.cancel()
            self._on_empty(self)

    def mark(self, changes: Iterable[Change]) -> None:
        """Note what changed; it is read and told soon."""
        for change in changes:
            for seen in self._entering.values():
                seen.append(change)
            if self.members.want(change.pk):
                self._dirty[change.pk] = merge(self._dirty.get(change.pk), change.operation)
        self._wake()

    def catch_up(self, subscription: Subscription) -> None:
        """A subscription that could not take its events can take them now."""
        self._lagging[subscription] = None
        self._wake()

    def adopt(self, subscription: Subscription, origin: Audience) -> None:
        """Take a subscription over from an audience that was split, with what it was to be told."""
        late = subscription in origin._lagging
        origin._drop(subscription)
        self.members.add(subscription)
        subscription.audience = self
        self.view.adopt(origin.view, subscription.row)
        self.mark(Change(pk, operation) for pk, operation in origin._dirty.items())
        if late:
            self.catch_up(subscription)

    def _drop(self, subscription: Subscription) -> None:
        self.members.drop(subscription)
        self._lagging.pop(subscription, None)

    def _wake(self) -> None:
        if self._flusher is None and self._has_work():
            self._flusher = asyncio.ensure_future(self._flush())

    def _has_work(self) -> bool:
        return not self.view.is_loading and bool(self._dirty or self._lagging)

    async def _flush(self) -> None:
        pause = FIRST_PAUSE
        try:
            while self._has_work():
                changes, late = self._take()
                try:
                    rows = await self._read({*changes, *chain.from_iterable(late.values())})
                except Exception:
                    log_sometimes("Rows for subscribers to %s can't be read", self.reader.stream)
                    self._put_back(changes, late)
                    self._give_up_if_too_late()
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, LONGEST_PAUSE)
                    continue
                pause = FIRST_PAUSE
                if rows.personal or self._is_personal:
                    self._put_back(changes, late)
                    self._split_if_due()
                    return
                self._tell_late(late, rows)
                self._tell(changes, rows)
        finally:
            self._flusher = None

    def _give_up_if_too_late(self) -> None:
        if len(self._dirty) > MAX_DIRTY:
            self._dirty.clear()
            for subscription in self.members:
                subscription.give_up()

    @property
    def _is_personal(self) -> bool:
        # Found out here, or by another audience of the same binding.
        return self.key != self.reader.key

    def _split_if_due(self) -> None:
        # Not while somebody enters or the view is read: those know of this audience only. The
        # end of either comes here again.
        if self._is_personal and not self._entering and not self.view.is_loading:
            self._on_split(self)

    async def _read(self, pks: set[int | str]) -> Rows:
        return await run_in_thread(self.reader.read, pks, owner=LIVE)

    def _take(self) -> tuple[dict[int | str, str], dict[Subscription, dict[int | str, str]]]:
        """What is to be read: changed rows, and those that slow clients have not been told of."""
        self.members.read_begins()
        changes = {pk: self._dirty.pop(pk) for pk in list(islice(self._dirty, CHUNK))}
        late = {each: each.take(CHUNK) for each in self._lagging}
        self._lagging.clear()
        return changes, late

    def _put_back(
        self, changes: dict[int | str, str], late: dict[Subscription, dict[int | str, str]]
    ) -> None:
        # Beneath what came in meanwhile, which is newer.
        newer, self._dirty = self._dirty, changes
        for pk, operation in newer.items():
            self._dirty[pk] = merge(self._dirty.get(pk), operation)
        for subscription, pending in late.items():
            subscription.put_back(pending)

    def _tell(self, changes: dict[int | str, str], rows: Rows) -> None:
        again = {pk for pk in changes if self.members.is_new_to(pk)}
        self._put_back({pk: changes[pk] for pk in again}, {})
        for pk, operation in changes.items():
            # Of a row that failed it is not known whether it can be seen; it was logged.
            if pk in again or pk in rows.failed or not self.members.want(pk):
                continue
            action = self.view.decide(pk, operation, present=pk in rows.texts)
            if action is not None:
                text = self._event(pk, action, rows)
                for subscription in self.members.of(pk):
                    subscription.tell(pk, action, text)

    def _tell_late(self, late: dict[Subscription, dict[int | str, str]], rows: Rows) -> None:
        texts: dict[tuple[int | str, str], str] = {}
        for subscription, pending in late.items():
            for pk, action in pending.items():
                if pk not in rows.texts and action != DELETE:
                    continue  # gone since: its delete is on the way
                # One that is back since is deleted here all the same: its create is on the way.
                if (pk, action) not in texts:
                    texts[pk, action] = self._event(pk, action, rows)
                subscription.tell_late(pk, action, texts[pk, action])
            subscription.resume()

    def _event(self, pk: int | str, action: str, rows: Rows) -> str:
        data = rows.texts[pk] if action != DELETE else "null"
        reader = self.reader
        return Event(reader.stream, action, pk, reader.topic.model, data).encode()
