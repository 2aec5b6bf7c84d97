"""The audiences of a topic, and to which of them a changed row matters."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import TYPE_CHECKING

from .log import Change

if TYPE_CHECKING:
    from .audience import Audience


class Audiences:
    """Finds audiences by their key, and marks changes on those that are to hear of them.

    Where what is seen depends on the user, each subscription to a row may be an audience: one
    change must not cost a step for each of them.
    """

    def __init__(self) -> None:
        self._by_key: dict[Hashable, Audience] = {}
        # By the only row that they are about; None: about more.
        self._by_row: dict[int | str | None, dict[Audience, None]] = {}
        self._row_of: dict[Audience, int | str | None] = {}

    def __iter__(self) -> Iterator[Audience]:
        return iter(list(self._by_key.values()))

    def __len__(self) -> int:
        return len(self._by_key)

    def get(self, key: Hashable) -> Audience | None:
        """The audience of a key, if there is one."""
        return self._by_key.get(key)

    def add(self, audience: Audience) -> None:
        """Have an audience, under its key."""
        self._by_key[audience.key] = audience
        self._put(audience)

    def discard(self, audience: Audience) -> None:
        """Let an audience go, if it is here."""
        if self._by_key.get(audience.key) is audience:
            del self._by_key[audience.key]
            self._take_out(audience)

    def place(self, audience: Audience) -> None:
        """What an audience wants has changed."""
        if audience in self._row_of:
            self._take_out(audience)
            self._put(audience)

    def mark(self, changes: list[Change]) -> None:
        """Mark changes on the audiences that may want them."""
        for audience in list(self._by_row.get(None, ())):
            audience.mark(changes)
        for change in changes:
            for audience in list(self._by_row.get(change.pk, ())):
                audience.mark([change])

    def _put(self, audience: Audience) -> None:
        row = self._row_of[audience] = audience.only_row
        self._by_row.setdefault(row, {})[audience] = None

    def _take_out(self, audience: Audience) -> None:
        row = self._row_of.pop(audience)
        del self._by_row[row][audience]
        if not self._by_row[row]:
            del self._by_row[row]
