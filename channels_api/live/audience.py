"""Subscribers who see the same: one read, one serialization, one encoded text for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterable
from typing import TYPE_CHECKING

from ..logs import log_sometimes
from ..protocol import Event
from ..threads import LIVE, run_in_thread
from .log import Change
from .operations import CREATE, DELETE, UPDATE, merge
from .reader import Reader, Rows

if TYPE_CHECKING:
    from .subscription import Subscription

# Rows per query.
CHUNK = 500
# Seconds to wait after a read that failed.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
# Pks that are remembered as visible. Beyond it a delete of a row that was not told of before is
# not told either: naming the pk of a row that the user may never have seen is worse.
MAX_VISIBLE = 10_000


class Audience:
    """Marks what changed, reads it once, and decides what each change was to these subscribers.

    All of it belongs to one event loop; reads run in threads. `visible` is what the audience could
    see when it was last told, so that a row which enters or leaves its view is a create or a
    delete to it. A reader that nothing can be hidden from does without.
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
        self._everything: dict[Subscription, None] = {}
        self._rows: dict[int | str, dict[Subscription, None]] = {}
        # What somebody wants again since the running read began, and nobody did for a while: all
        # rows, or these.
        self._all_new = False
        self._new_rows: set[int | str] = set()
        self._visible: dict[int | str, None] = {}
        self._complete = True
        self._visible_read: asyncio.Task[None] | None = None
        self._loading = 0
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
                self._add(subscription)
                await self._load_visible()
            else:
                await self._enter_row(subscription, lookup)
        except BaseException:
            del self._entering[subscription]
            self.remove(subscription)
            self._wake()
            raise
        del self._entering[subscription]
        if subscription.row is not None:
            # Changes of the row since it was looked up went past: nobody knew that it mattered.
            self.mark(change for change in changes if change.pk == subscription.row)
        if self._flusher is None:  # else it does, with the changes that it has in hand
            self._split_if_due()

    def subscriptions(self) -> list[Subscription]:
        """Everybody in the audience."""
        return [*self._everything, *(each for row in self._rows.values() for each in row)]

    def remove(self, subscription: Subscription) -> None:
        """Take a subscription out; the last one ends the audience."""
        self._drop(subscription)
        if not self._everything:
            self._forget_visible()
        self._end_if_empty()

    def mark(self, changes: Iterable[Change]) -> None:
        """Note what changed; it is read and told soon."""
        for change in changes:
            for seen in self._entering.values():
                seen.append(change)
            if self._everything or change.pk in self._rows:
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
        self._add(subscription)
        subscription.audience = self
        if subscription.row is None:
            self._visible.update(origin._visible)
            self._complete = self._complete and origin._complete
            self._visible_read = self._visible_read or origin._visible_read
        elif subscription.row in origin._visible:
            self._visible[subscription.row] = None
        self.mark(Change(pk, operation) for pk, operation in origin._dirty.items())
        if late:
            self.catch_up(subscription)

    def _add(self, subscription: Subscription) -> None:
        row = subscription.row
        if row is None:
            self._all_new |= not self._everything
            self._everything[subscription] = None
        else:
            if not self._everything and row not in self._rows:
                self._new_rows.add(row)
            self._rows.setdefault(row, {})[subscription] = None

    def _drop(self, subscription: Subscription) -> None:
        self._everything.pop(subscription, None)
        self._lagging.pop(subscription, None)
        row = subscription.row
        if row is not None and row in self._rows:
            self._rows[row].pop(subscription, None)
            if not self._rows[row]:
                del self._rows[row]

    async def _enter_row(self, subscription: Subscription, lookup: object) -> None:
        pk = await run_in_thread(subscription.reader.find, lookup, owner=LIVE)
        subscription.row = pk
        self._add(subscription)
        self._remember(pk)

    async def _load_visible(self) -> None:
        if not self.reader.restricted:
            return
        if self._visible_read is None:
            self._visible_read = asyncio.ensure_future(self._read_visible())
        # Shielded: others may wait for it too.
        await asyncio.shield(self._visible_read)

    async def _read_visible(self) -> None:
        # Nothing is told before it is known what was visible: else the delete of a row could not
        # be told from that of a row that was never seen.
        self._loading += 1
        this = asyncio.current_task()
        try:
            visible = await run_in_thread(self.reader.visible, MAX_VISIBLE, owner=LIVE)
            if self._visible_read is this:  # else those who waited for it have left
                self._visible.update(dict.fromkeys(visible.pks))
                self._complete = visible.complete
        except BaseException:
            if self._visible_read is this:
                self._visible_read = None
            raise
        finally:
            self._loading -= 1
            self._wake()

    def _forget_visible(self) -> None:
        # Changes of other rows go by while nobody wants all of them: what was read is no longer so.
        self._visible = {pk: None for pk in self._visible if pk in self._rows}
        self._complete = True
        self._visible_read = None

    def _remember(self, pk: int | str) -> None:
        if self.reader.restricted:
            self._visible[pk] = None
            if len(self._visible) > MAX_VISIBLE:
                del self._visible[next(iter(self._visible))]
                self._complete = False

    def _end_if_empty(self) -> None:
        if self._everything or self._rows or self._entering:
            return
        if self._flusher is not None:
            self._flusher.cancel()
        self._on_empty(self)

    def _wake(self) -> None:
        if self._flusher is None and self._has_work():
            self._flusher = asyncio.ensure_future(self._flush())

    def _has_work(self) -> bool:
        return not self._loading and bool(self._dirty or self._lagging)

    async def _flush(self) -> None:
        pause = FIRST_PAUSE
        try:
            while self._has_work():
                changes = self._take_dirty()
                self._all_new, self._new_rows = False, set()
                late = {each: each.take(CHUNK) for each in self._lagging}
                self._lagging.clear()
                try:
                    rows = await self._read(
                        {*changes, *(pk for pks in late.values() for pk in pks)}
                    )
                except Exception:
                    log_sometimes("Rows for subscribers to %s can't be read", self.reader.stream)
                    self._put_back(changes, late)
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

    @property
    def _is_personal(self) -> bool:
        # Found out here, or by another audience of the same binding.
        return self.key != self.reader.key

    def _split_if_due(self) -> None:
        # Not while somebody enters or the view is read: those know of this audience only. The
        # end of either comes here again.
        if self._is_personal and not self._entering and not self._loading:
            self._on_split(self)

    async def _read(self, pks: set[int | str]) -> Rows:
        return await run_in_thread(self.reader.read, pks, owner=LIVE)

    def _take_dirty(self) -> dict[int | str, str]:
        if len(self._dirty) <= CHUNK:
            taken, self._dirty = self._dirty, {}
            return taken
        return {pk: self._dirty.pop(pk) for pk in list(self._dirty)[:CHUNK]}

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
        # Changes since the read are not marked while nobody wants the row, so what was read of it
        # may be older than what a newcomer knows.
        again = {pk for pk in changes if self._all_new or pk in self._new_rows}
        self._put_back({pk: changes[pk] for pk in again}, {})
        for pk, operation in changes.items():
            if pk in again or not (self._everything or pk in self._rows):
                continue
            if pk in rows.failed:
                continue  # it was logged; whether it can be seen is as it was
            action = self._decide(pk, operation, present=pk in rows.texts)
            if action is None:
                continue
            text = self._event(pk, action, rows)
            for subscription in [*self._everything, *self._rows.get(pk, ())]:
                subscription.tell(pk, action, text)

    def _tell_late(self, late: dict[Subscription, dict[int | str, str]], rows: Rows) -> None:
        texts: dict[tuple[int | str, str], str] = {}
        for subscription, pending in late.items():
            for pk, decided in pending.items():
                action = decided
                if pk not in rows.texts and action != DELETE:
                    continue  # gone since: its delete is on the way
                # One that is back since is deleted here all the same: its create is on the way.
                if (pk, action) not in texts:
                    texts[pk, action] = self._event(pk, action, rows)
                subscription.tell_late(pk, action, texts[pk, action])
            subscription.resume()

    def _decide(self, pk: int | str, operation: str, *, present: bool) -> str | None:
        """What a change was to this audience; None where it is none of its business."""
        if not self.reader.restricted:
            if present:
                return CREATE if operation == CREATE else UPDATE
            # A row that is gone while only its update was told of: its delete is on the way.
            return DELETE if operation == DELETE else None
        known = pk in self._visible
        if present:
            self._remember(pk)
            unseen = not known and self._complete
            return CREATE if operation == CREATE or unseen else UPDATE
        self._visible.pop(pk, None)
        return DELETE if known else None

    def _event(self, pk: int | str, action: str, rows: Rows) -> str:
        data = rows.texts[pk] if action != DELETE else "null"
        reader = self.reader
        return Event(reader.stream, action, pk, reader.topic.model, data).encode()
