"""Sends snapshots to those who lost track of what happened."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ..logs import log_sometimes
from ..spawn import spawn
from ..threads import LIVE, run_in_thread
from .pauses import Pauses
from .reader import Rows
from .snapshot import make_snapshot

if TYPE_CHECKING:
    from .audience import Audience
    from .subscription import StatefulSubscription


class Resets:
    """There is a task only while somebody waits for a snapshot.

    Apart from the flusher, so that nobody's events wait for somebody's snapshot.
    """

    def __init__(self, audience: Audience) -> None:
        self._audience = audience
        self._waiting: dict[StatefulSubscription, None] = {}
        self._task: asyncio.Task[None] | None = None

    def add(self, subscription: StatefulSubscription) -> None:
        """Send one a snapshot soon."""
        self._waiting[subscription] = None
        self.wake()

    def discard(self, subscription: StatefulSubscription) -> None:
        """It has left."""
        self._waiting.pop(subscription, None)

    def wake(self) -> None:
        """Begin, if there is something to do."""
        if self._task is None and self._has_work():
            self._task = spawn(self._run())

    def stop(self) -> None:
        """Nobody is to be sent one any more."""
        if self._task is not None:
            self._task.cancel()

    def _has_work(self) -> bool:
        return bool(self._waiting) and not self._audience.rights.are_in_doubt

    async def _run(self) -> None:
        pauses = Pauses()
        try:
            while self._has_work():
                batch = self._begin()
                try:
                    sent = await self._send(batch)
                except Exception:
                    stream = self._audience.reader.stream
                    log_sometimes("Snapshots for subscribers to %s can't be read", stream)
                    self._put_back(batch)
                    await pauses.wait()
                    continue
                pauses.end()
                if not sent:
                    self._put_back(batch)
                    if self._audience.must_split:
                        self._audience.split_if_due()
                        return
        finally:
            self._task = None

    def _begin(self) -> list[StatefulSubscription]:
        batch = [each for each in self._waiting if each.is_lost]
        self._waiting.clear()
        for subscription in batch:
            subscription.begin_reset()
        return batch

    def _put_back(self, batch: list[StatefulSubscription]) -> None:
        for subscription in batch:
            subscription.end_reset(None)
            subscription.resume()

    async def _send(self, batch: list[StatefulSubscription]) -> bool:
        """Whether what was read may be shown; if not, whoever finds out more begins again."""
        position, doubts = self._audience.position(), self._audience.rights.doubts
        whole = None
        if any(each.row is None for each in batch):
            whole = await self._audience.snapshot(LIVE)
        rows = await self._read({each.row for each in batch if each.row is not None})
        in_doubt = self._audience.rights.changed_since(doubts)
        if in_doubt or rows.personal or self._audience.must_split:
            return False
        for subscription in batch:
            row = subscription.row
            if row is not None:
                own = _of_row(row, rows)
                self._audience.learn(own, row)
                subscription.end_reset(make_snapshot(position, own))
            else:
                subscription.end_reset(whole)
            subscription.resume()
        return True

    async def _read(self, pks: set[int | str]) -> Rows:
        if not pks:
            return Rows({})
        return await run_in_thread(self._audience.reader.read, pks, owner=LIVE)


def _of_row(row: int | str, rows: Rows) -> Rows:
    texts = {pk: text for pk, text in rows.texts.items() if pk == row}
    return Rows(texts, failed=rows.failed & {row}, large=rows.large & {row})
