"""Looks again at who may see what, for what changes that without changing a row."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import TYPE_CHECKING

from ..logs import log_sometimes
from ..spawn import spawn
from ..threads import LIVE, run_in_thread
from .pauses import Pauses
from .resume import TOO_MANY
from .view import MAX_VISIBLE

if TYPE_CHECKING:
    from .audience import Audience


class Rights:
    """What an audience and its users may see; there is a task only while that is looked at.

    Nothing is read or told while something of a user has changed and it is not known yet what they
    may see: they would be told what is theirs no more, and others what is read with their eyes.
    """

    def __init__(self, audience: Audience) -> None:
        self._audience = audience
        # Whose rights are to be looked at again; None among them: everybody's, and the view.
        self._to_look_at: set[int | str | None] = set()
        self._task: asyncio.Task[None] | None = None
        self.are_in_doubt = False
        # How often they came to be.
        self.doubts = 0

    def look_soon(self, users: Collection[int | str] | None = None) -> None:
        """Look again at what may be seen: by some users, or by all."""
        if users is None:
            self._to_look_at.add(None)
        else:
            self._to_look_at |= self._audience.members.users.keys() & set(users)
        if self._to_look_at and self._task is None:
            self._task = spawn(self._look())

    def doubt(self, users: Collection[int | str] | None) -> None:
        """Something of users has changed; None: of any."""
        self._audience.miss(users)
        self.look_soon(users)
        if self._to_look_at:
            self.are_in_doubt = True
            self.doubts += 1

    def adopt(self, origin: Rights) -> None:
        """Look at what another one has not come to the end of."""
        if origin._task is not None:
            self.look_soon()

    def changed_since(self, doubts: int) -> bool:
        """Whether what was begun after so many doubts may be for somebody no more."""
        return self.are_in_doubt or self.doubts != doubts

    async def wait(self) -> None:
        """Wait until nothing is being looked at."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _look(self) -> None:
        try:
            while self._to_look_at and self._audience.members:
                users, self._to_look_at = self._to_look_at, set()
                try:
                    await self._look_at(users)
                except Exception:  # what is in doubt since is looked at all the same
                    stream = self._audience.reader.stream
                    log_sometimes("What subscribers to %s may see can't be read", stream)
        finally:
            self._task = None
            self._trust()

    async def _look_at(self, users: Collection[int | str | None]) -> None:
        await self._renew_surely(users)
        if not self._to_look_at:
            self._trust()
        # What others share does not change with one of them.
        if None in users or not self._audience.reader.is_shared:
            await self._look_at_view()

    def _trust(self) -> None:
        self.are_in_doubt = False
        self._audience.split_if_due()
        self._audience.wake()

    async def _renew_surely(self, users: Collection[int | str | None]) -> None:
        pauses = Pauses()
        while True:
            try:
                await self._renew(users)
            except Exception:
                if not self.are_in_doubt:
                    raise  # there will be another look
                stream = self._audience.reader.stream
                log_sometimes("The users who subscribed to %s can't be read", stream)
                await pauses.wait()
            else:
                return

    async def _renew(self, users: Collection[int | str | None]) -> None:
        audience = self._audience
        readers = {
            (each.reader.owner, each.row): each.reader
            for each in audience.members
            if each.reader.user_pk is not None and (None in users or each.reader.user_pk in users)
        }
        refused = set()
        for key, reader in readers.items():
            if not await run_in_thread(reader.renew, owner=LIVE):
                refused.add(key)
        for subscription in list(audience.members):
            if (subscription.reader.owner, subscription.row) in refused:
                pks = list(audience.view.pks)
                # Not only in the end: its reader must speak for nobody from now on.
                audience.drop(subscription)
                subscription.expel(pks)

    async def _look_at_view(self) -> None:
        view, members = self._audience.view, self._audience.members
        if not view.restricted or view.is_loading or not members:
            return
        doubts = self.doubts
        if members.everything:
            await self._look_at_everything(doubts)
            return
        rows, reader = list(members.rows), self._audience.reader
        visible = await run_in_thread(reader.visible_among, rows, owner=LIVE)
        if self._must_repeat(doubts) or members.everything or view.is_loading:
            return
        self._audience.compare(visible | (members.rows.keys() - {*rows}) & view.pks.keys())

    async def _look_at_everything(self, doubts: int) -> None:
        view, members = self._audience.view, self._audience.members
        visible = await run_in_thread(self._audience.reader.visible, MAX_VISIBLE, owner=LIVE)
        if self._must_repeat(doubts) or not members.everything or view.is_loading:
            return  # another question by now
        if visible.complete:
            self._audience.compare(visible.pks)
            return
        for subscription in list(members.everything):
            subscription.lose(TOO_MANY)

    def _must_repeat(self, doubts: int) -> bool:
        # It may be what its reader sees in another audience by now.
        if self.changed_since(doubts):
            self.look_soon()
            return True
        return False
