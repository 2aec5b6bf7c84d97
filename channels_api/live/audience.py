"""Subscribers who see the same: one read, one serialization, one encoded text for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Hashable, Iterable
from typing import TYPE_CHECKING

from ..logs import log_sometimes
from ..settings import settings
from ..spawn import spawn
from ..threads import LIVE, run_in_thread
from .flusher import Flusher
from .log import Change, Position
from .members import Members
from .operations import LOOK
from .reader import Reader, Rows
from .snapshot import Snapshot, make_snapshot, turn
from .view import MAX_VISIBLE, View

if TYPE_CHECKING:
    from .subscription import Subscription

GAP = "gap"


class Audience:
    """Marks what changed, reads it once, and tells those who are to hear of it.

    All of it belongs to one event loop; reads run in threads. Subscribers whose rows turn out to
    differ are split: `on_split` gives each an audience of its own. `on_empty` is called when the
    last one has left. `position` gives the place in the log up to which changes were marked.
    """

    def __init__(
        self,
        reader: Reader,
        *,
        position: Callable[[], Position],
        on_empty: Callable[[Audience], None],
        on_split: Callable[[Audience], None],
    ) -> None:
        self.reader = reader
        self.key: Hashable = reader.key
        self.position = position
        self._on_empty = on_empty
        self._on_split = on_split
        self.members = Members()
        self.view = View(restricted=reader.restricted, on_loaded=self._wake)
        self.flusher = Flusher(self, position)
        self._entering: dict[Subscription, list[Change]] = {}
        self._next_snapshot: asyncio.Task[Snapshot | None] | None = None

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
        if not self.flusher.is_running:  # else it does, with the changes that it has in hand
            self.split_if_due()

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
            self.flusher.stop()
            self._on_empty(self)

    def mark(self, changes: Iterable[Change]) -> None:
        """Note what changed; it is read and told soon."""
        wanted = []
        for change in changes:
            for seen in self._entering.values():
                seen.append(change)
            if self.members.want(change.pk):
                wanted.append(change)
        self.flusher.mark(wanted)

    def catch_up(self, subscription: Subscription) -> None:
        """A subscription that could not take what it was to be told can take it now."""
        self.flusher.lagging[subscription] = None
        self._wake()

    async def snapshot(self) -> Snapshot | None:
        """All rows, read once for all who ask before the read begins; None: they are personal."""
        if self._next_snapshot is None:
            self._next_snapshot = spawn(self._read_snapshot())
        # Shielded: others may wait for it too.
        return await asyncio.shield(self._next_snapshot)

    async def snapshot_for(self, subscription: Subscription) -> Snapshot:
        """What a subscription begins with."""
        shared = await self.snapshot() if subscription.row is None else None
        if shared is not None:
            return shared
        position = self.position()
        rows = await _read_own(subscription)
        if rows.personal:
            # It was found out just now; of what is personal the reader reads its own.
            rows = await _read_own(subscription)
        # It may have come into another audience meanwhile.
        subscription.audience.learn(rows, subscription.row)
        return make_snapshot(position, rows)

    def learn(self, rows: Rows, row: int | str | None = None) -> None:
        """Somebody is shown rows: all that can be seen, or the only one of interest."""
        if rows.complete and (row is not None or self.members.everything):
            self._compare(rows.texts.keys() | rows.failed, row)

    def reset(self) -> None:
        """What happened can't be told: whoever keeps state is given all of it anew."""
        for subscription in self.members:
            if subscription.stateful:
                subscription.lose(GAP)  # type: ignore[attr-defined]
        # To those without state what can be found out is told: rows of their own, and which rows
        # can be seen.
        self.mark(Change(pk, LOOK) for pk in list(self.members.rows))
        spawn(self.revalidate())

    async def revalidate(self, users: Collection[int | str] | None = None) -> None:
        """Look again at what may be seen, by all or by some users, and tell of the difference."""
        try:
            await self._renew(users)
            if self.view.restricted and not self.view.is_loading:
                await self._look_at_view()
        except Exception:
            log_sometimes("What subscribers to %s may see can't be read", self.reader.stream)

    def adopt(self, subscription: Subscription, origin: Audience) -> None:
        """Take a subscription over from an audience that was split, with what it was to be told."""
        late = subscription in origin.flusher.lagging
        origin._drop(subscription)
        self.members.add(subscription)
        subscription.audience = self
        self.view.adopt(origin.view, subscription.row)
        self.flusher.adopt(origin.flusher)
        if late:
            self.catch_up(subscription)

    @property
    def is_personal(self) -> bool:
        """Whether its members turned out to see different things.

        That may have been found out here, or by another audience of the same binding.
        """
        return self.key != self.reader.key

    def split_if_due(self) -> None:
        """Give each user an audience of its own, if they see different things."""
        # Not while somebody enters or the view is read: those know of this audience only. The
        # end of either comes here again.
        if self.is_personal and not self._entering and not self.view.is_loading:
            self._on_split(self)

    def _drop(self, subscription: Subscription) -> None:
        self.members.drop(subscription)
        self.flusher.lagging.pop(subscription, None)

    def _wake(self) -> None:
        self.flusher.wake()

    async def _read_snapshot(self) -> Snapshot | None:
        async with turn():
            # Who asks from now on waits for the next one: in this one something may be missing.
            self._next_snapshot = None
            position = self.position()
            rows = await run_in_thread(self.reader.snapshot, settings.SNAPSHOT_ROWS, owner=LIVE)
        if rows.personal or self.is_personal:
            return None
        self.learn(rows)
        return make_snapshot(position, rows)

    async def _renew(self, users: Collection[int | str] | None) -> None:
        readers = {
            each.reader.owner: each.reader
            for each in self.members
            if each.reader.user_pk is not None and (users is None or each.reader.user_pk in users)
        }
        refused = set()
        for owner, reader in readers.items():
            if not await run_in_thread(reader.renew, owner=LIVE):
                refused.add(owner)
        for subscription in list(self.members):
            # Where the whole audience is one user's, reads find nothing any more.
            if subscription.reader.owner in refused and subscription.reader.is_shared:
                subscription.expel(self.view.pks)

    async def _look_at_view(self) -> None:
        among = None if self.members.everything else list(self.members.rows)
        visible = await run_in_thread(self.reader.visible, MAX_VISIBLE, among, owner=LIVE)
        if bool(self.members.everything) != (among is None) or self.view.is_loading:
            return  # another question by now
        if visible.complete:
            self._compare(visible.pks)
            return
        for subscription in list(self.members.everything):
            if subscription.stateful:
                subscription.give_up()

    def _compare(self, pks: Collection[int | str], row: int | str | None = None) -> None:
        """Tell of what can be seen now and could not before, and the other way round."""
        if self.view.restricted and not self.view.is_loading:
            differences = self.view.differences(pks, row)
            self.mark(Change(pk, operation) for pk, operation in differences.items())


async def _read_own(subscription: Subscription) -> Rows:
    reader = subscription.reader
    if subscription.row is not None:
        return await run_in_thread(reader.read, [subscription.row], owner=reader.owner)
    return await run_in_thread(reader.snapshot, settings.SNAPSHOT_ROWS, owner=reader.owner)
