"""Subscribers who see the same: one read, one serialization, one encoded text for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Hashable, Iterable

from ..spawn import spawn
from ..threads import run_in_thread
from .flusher import Flusher
from .log import Change, Position
from .members import Members, Missed
from .operations import LOOK, merge
from .reader import Reader, Rows
from .resets import Resets
from .resume import GAP
from .rights import Rights
from .snapshot import Snapshot, read_all, read_row, turn
from .subscription import StatefulSubscription, Subscription
from .view import View


class Audience:
    """Marks what changed, reads it once, and tells those who are to hear of it.

    All of it belongs to one event loop; reads run in threads. Subscribers whose rows turn out to
    differ are split: `on_split` gives each an audience of its own. `on_empty` is called when the
    last one has left, `on_wish` when it wants to hear of other rows than before. `position` gives
    the place in the log up to which changes were marked.
    """

    def __init__(
        self,
        reader: Reader,
        *,
        position: Callable[[], Position],
        on_empty: Callable[[Audience], None],
        on_split: Callable[[Audience], None],
        on_wish: Callable[[Audience], None],
    ) -> None:
        self.reader = reader
        self.key: Hashable = reader.key
        self.position = position
        self._on_empty = on_empty
        self._on_split = on_split
        self._on_wish = on_wish
        self.members = Members()
        self.view = View(
            restricted=reader.restricted, pinned=self.members.rows, on_loaded=self.wake
        )
        self.flusher = Flusher(self, position)
        self.resets = Resets(self)
        self.rights = Rights(self)
        self._entering: dict[Subscription, Missed] = {}
        self._next_snapshot: asyncio.Task[Snapshot | None] | None = None

    @property
    def only_row(self) -> int | str | None:
        """The row whose changes alone are to be marked; None where there may be others."""
        members = self.members
        if self._entering or members.everything or len(members.rows) != 1:
            return None
        return next(iter(members.rows))

    async def enter(self, subscription: Subscription, lookup: object) -> None:
        """Make a subscription part of the audience; `lookup` is a row's, or None for all rows.

        Raises NotFound where the row can't be seen, and what refuses the user.
        """
        missed, reader = Missed(), subscription.reader
        self._entering[subscription] = missed
        self._on_wish(self)
        try:
            if reader.user_pk is not None:
                # Whatever of the user was read before is older than what is heard from now on.
                await run_in_thread(reader.authorize, owner=reader.owner)
            if lookup is None:
                self.members.add(subscription)
                await self.view.load(reader)
            else:
                await self._enter_row(subscription, lookup)
        except BaseException:
            del self._entering[subscription]
            self.remove(subscription)
            self.wake()
            raise
        del self._entering[subscription]
        self._on_wish(self)
        # The newest of those who were let in speaks for all: its user was loaded last.
        self.reader = reader
        # What has changed since it was read went past: nobody knew that it mattered.
        row = subscription.row
        if row is not None and (row in missed.changes or missed.reset):
            self.mark([Change(row, missed.changes.get(row, LOOK))])
        if missed.user is not None:
            self.rights.doubt([missed.user])
        self.split_if_due()

    async def _enter_row(self, subscription: Subscription, lookup: object) -> None:
        pk = await run_in_thread(subscription.reader.find, lookup, owner=subscription.reader.owner)
        subscription.row = pk
        self.members.add(subscription)
        self.view.remember(pk)

    def remove(self, subscription: Subscription) -> None:
        """Take a subscription out; the last one ends the audience."""
        self.drop(subscription)
        if not self.members.everything and subscription.row not in self.members.rows:
            self.view.forget(subscription.row)
        if not self.members and not self._entering:
            self.flusher.stop()
            self.resets.stop()
            self._on_empty(self)

    def mark(self, changes: Iterable[Change]) -> None:
        """Note what changed; it is read and told soon."""
        wanted = []
        for change in changes:
            for missed in self._entering.values():
                earlier = missed.changes.get(change.pk)
                missed.changes[change.pk] = merge(earlier, change.operation)
            if self.members.want(change.pk):
                wanted.append(change)
        self.flusher.mark(wanted)

    def catch_up(self, subscription: Subscription) -> None:
        """A subscription that could not take what it was to be told can take it now."""
        self.flusher.lagging[subscription] = None
        self.wake()

    async def snapshot(self, owner: Hashable) -> Snapshot | None:
        """All rows, read once for all who ask before the read begins; None: to each their own.

        `owner` is whose turn it is in the thread pool.
        """
        if self._next_snapshot is None:
            self._next_snapshot = spawn(self._read_snapshot(owner))
        # Shielded: others may wait for it too.
        return await asyncio.shield(self._next_snapshot)

    async def snapshot_for(self, subscription: Subscription) -> Snapshot:
        """What a subscription begins with."""
        while True:
            audience = subscription.audience
            doubts = audience.rights.doubts
            snapshot = await self._snapshot_for(subscription)
            # Of what came to be in doubt in another audience this one knows nothing.
            if subscription.audience is audience and not audience.rights.changed_since(doubts):
                return snapshot
            await subscription.audience.rights.wait()

    async def _snapshot_for(self, subscription: Subscription) -> Snapshot:
        owner = subscription.reader.owner
        audience = subscription.audience
        shared = await audience.snapshot(owner) if subscription.row is None else None
        if shared is not None:
            return shared
        position = audience.position()
        rows, snapshot = await _read_own(subscription, position)
        if rows.personal:
            # It was found out just now; of what is personal the reader reads its own.
            rows, snapshot = await _read_own(subscription, position)
        subscription.audience.learn(rows, subscription.row)
        return snapshot

    def learn(self, rows: Rows, row: int | str | None = None) -> None:
        """Somebody is shown rows: all that can be seen, or the only one of interest."""
        if rows.complete and (row is not None or self.members.everything):
            self.compare(rows.texts.keys() | rows.failed, row)

    def reset(self) -> None:
        """What happened can't be told: whoever keeps state is given all of it anew."""
        for missed in self._entering.values():
            missed.reset = True
        self.flusher.lose()
        for subscription in self.members:
            subscription.lose(GAP)
        # To those without state what can be found out is told: rows of their own, and which rows
        # can be seen.
        self.mark([Change(pk, LOOK) for pk in self.members.rows])
        self.rights.look_soon()

    def adopt(self, subscription: Subscription, origin: Audience) -> None:
        """Take a subscription over from an audience that was split, with what it was to be told."""
        origin.drop(subscription)
        self.members.add(subscription)
        self._on_wish(self)
        subscription.audience = self
        self.view.adopt(origin.view, subscription.row)
        self.flusher.adopt(origin.flusher)
        self.rights.adopt(origin.rights)
        subscription.resume()

    @property
    def must_split(self) -> bool:
        """Whether its members turned out to see different things.

        That may have been found out here, or by another audience of the same binding.
        """
        return self.key != self.reader.key

    def split_if_due(self) -> None:
        """Give each user an audience of its own, if they see different things."""
        # Not while somebody enters, the view or what has changed is read, or it is in doubt what
        # somebody may see: those know of this audience only. The end of each comes here again.
        reads = self.view.is_loading or self.flusher.is_running
        if self.must_split and not (self._entering or reads or self.rights.are_in_doubt):
            self._on_split(self)

    def drop(self, subscription: Subscription) -> None:
        """Let a subscription go; its reader speaks for nobody any more."""
        self.members.drop(subscription)
        self.flusher.lagging.pop(subscription, None)
        if isinstance(subscription, StatefulSubscription):
            self.resets.discard(subscription)
        if self.reader is subscription.reader and self.members:
            # Whoever has left is not looked at any more: they may have lost their rights since.
            self.reader = self.members.first.reader

    def may_have_any(self, users: frozenset[int | str] | None) -> bool:
        """Whether any of the users (None: of all) is in it, or perhaps on their way in."""
        # Asked of all audiences whenever a user is saved, as each login does.
        return users is None or bool(self._entering) or not users.isdisjoint(self.members.users)

    def miss(self, users: Collection[int | str] | None) -> None:
        """Something of users has changed (None: of any), perhaps of one who is on their way in."""
        for subscription, missed in self._entering.items():
            if users is None or subscription.reader.user_pk in users:
                missed.user = subscription.reader.user_pk

    def wake(self) -> None:
        """Go on with what had to wait, if there is any."""
        self.flusher.wake()
        self.resets.wake()

    async def _read_snapshot(self, owner: Hashable) -> Snapshot | None:
        async with turn():
            # Who asks from now on waits for the next one: in this one something may be missing.
            self._next_snapshot = None
            position, doubts = self.position(), self.rights.doubts
            reader = self.reader
            rows, snapshot = await run_in_thread(read_all, reader, position, owner=owner)
        # What nobody sees who is not logged in any more is not for the others.
        if rows.personal or self.must_split or reader.is_over:
            return None
        # Else it may be what its reader sees in another audience by now.
        if not self.rights.changed_since(doubts):
            self.learn(rows)
        return snapshot

    def compare(self, pks: Collection[int | str], row: int | str | None = None) -> None:
        """Tell of what can be seen now and could not before, and the other way round."""
        if self.view.restricted and not self.view.is_loading:
            differences = self.view.differences(pks, row)
            self.mark(Change(pk, operation) for pk, operation in differences.items())


async def _read_own(subscription: Subscription, position: Position) -> tuple[Rows, Snapshot]:
    reader, row = subscription.reader, subscription.row
    if row is not None:
        return await run_in_thread(read_row, reader, position, row, owner=reader.owner)
    # Also after a read for all that had shown that they see different things, as each process finds
    # out anew: they would all begin at once.
    async with turn():
        return await run_in_thread(read_all, reader, position, owner=reader.owner)
