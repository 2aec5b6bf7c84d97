"""What an audience can see, as far as it has been told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Container

from ..spawn import spawn
from ..threads import run_in_thread
from .operations import CREATE, DELETE, UPDATE, told_as
from .reader import Reader

# Pks that are remembered as visible. Beyond it a delete of a row that was not told of before is
# not told either: naming the pk of a row that the user may never have seen is worse.
MAX_VISIBLE = 10_000


class View:
    """The pks that were visible when they were last told of.

    By it a row that enters or leaves what the audience may see is a create or a delete. An audience
    that nothing can be hidden from, which is not `restricted`, does without. `complete` is False
    where there are more than MAX_VISIBLE; those in `pinned`, of which somebody wants to be told,
    are always among them.
    """

    def __init__(
        self, *, restricted: bool, pinned: Container[int | str], on_loaded: Callable[[], None]
    ) -> None:
        self.restricted = restricted
        self._pinned = pinned
        self._on_loaded = on_loaded
        self.pks: dict[int | str, None] = {}
        self.complete = True
        self._reading: asyncio.Task[None] | None = None
        self._reads = 0

    @property
    def is_loading(self) -> bool:
        """Whether it is being read.

        Nothing is told meanwhile: the delete of a row could not be told from that of a row that
        was never seen.
        """
        return self._reads > 0

    async def load(self, reader: Reader) -> None:
        """Read what is visible, once for all who wait for it."""
        if not self.restricted:
            return
        if self._reading is None:
            self._reading = spawn(self._read(reader))
        # Shielded: others may wait for it too.
        await asyncio.shield(self._reading)

    async def _read(self, reader: Reader) -> None:
        self._reads += 1
        this = asyncio.current_task()
        try:
            visible = await run_in_thread(reader.visible, MAX_VISIBLE, owner=reader.owner)
            if self._reading is this:  # else those who waited for it have left
                self.pks.update(dict.fromkeys(visible.pks))
                self.complete = visible.complete
        except BaseException:
            if self._reading is this:
                self._reading = None
            raise
        finally:
            self._reads -= 1
            self._on_loaded()

    def remember(self, pk: int | str) -> None:
        """A row was shown."""
        if self.restricted:
            self.pks[pk] = None
            if len(self.pks) > MAX_VISIBLE:
                self._forget_oldest()

    def _forget_oldest(self) -> None:
        for _ in range(len(self.pks)):
            oldest = next(iter(self.pks))
            del self.pks[oldest]
            if oldest not in self._pinned:
                self.complete = False
                return
            self.pks[oldest] = None  # to the end: it is not looked at again soon

    def forget(self, row: int | str | None) -> None:
        """Nobody wants a row any more, or all that are not pinned: their changes go by."""
        if row is not None:
            self.pks.pop(row, None)
            return
        self.pks = {pk: None for pk in self.pks if pk in self._pinned}
        self.complete = True
        self._reading = None

    def adopt(self, origin: View, row: int | str | None) -> None:
        """Know what `origin` knows: of one row, or of all."""
        if row is None:
            self.pks.update(origin.pks)
            self.complete = self.complete and origin.complete
            self._reading = self._reading or origin._reading
        elif row in origin.pks:
            self.pks[row] = None

    def differences(
        self, now: Collection[int | str], row: int | str | None = None
    ) -> dict[int | str, str]:
        """What has to be told so that `now` is what is known, as operations; of all or of a row.

        What appeared counts as known from here on: somebody has been shown it.
        """
        appeared = {pk: CREATE for pk in now if pk not in self.pks}
        gone = {pk: UPDATE for pk in self.pks if pk not in now and row in (None, pk)}
        for pk in appeared:
            self.remember(pk)
        return {**appeared, **gone}

    def decide(self, pk: int | str, operation: str, *, present: bool) -> str | None:
        """What a change was to the audience; None where it is none of its business."""
        if not self.restricted:
            return told_as(operation, present=present)
        known = pk in self.pks
        if present:
            self.remember(pk)
            unseen = not known and self.complete
            return CREATE if unseen else told_as(operation, present=True)
        self.pks.pop(pk, None)
        return DELETE if known else None
