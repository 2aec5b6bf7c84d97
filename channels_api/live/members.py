"""Who is in an audience, and for which rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .subscription import Subscription


class Missed:
    """What happened while a subscription was on its way in: `changes` are operations by pk."""

    def __init__(self) -> None:
        self.changes: dict[int | str, str] = {}
        self.reset = False
        # Its user, if anything of it has changed.
        self.user: int | str | None = None


class Members:
    """Subscriptions to all rows, and to single ones."""

    def __init__(self) -> None:
        self.everything: dict[Subscription, None] = {}
        self.rows: dict[int | str, dict[Subscription, None]] = {}
        # What somebody wants again since the running read began, and nobody did for a while: all
        # rows, or these.
        self._all_new = False
        self._new_rows: set[int | str] = set()
        # How often each user is among them.
        self.users: Counter[int | str] = Counter()

    def __bool__(self) -> bool:
        return bool(self.everything or self.rows)

    @property
    def first(self) -> Subscription:
        """One of them, where there is any."""
        return next(iter(self.everything or next(iter(self.rows.values()))))

    def __iter__(self) -> Iterator[Subscription]:
        return iter([*self.everything, *(each for row in self.rows.values() for each in row)])

    def add(self, subscription: Subscription) -> None:
        """Let a subscription in, for its row or for all."""
        row = subscription.row
        if subscription.reader.user_pk is not None:
            self.users[subscription.reader.user_pk] += 1
        if row is None:
            self._all_new |= not self.everything
            self.everything[subscription] = None
            return
        if not self.want(row):
            self._new_rows.add(row)
        self.rows.setdefault(row, {})[subscription] = None

    def drop(self, subscription: Subscription) -> None:
        """Let a subscription go, if it is there."""
        row = subscription.row
        group = self.everything if row is None else self.rows.get(row, {})
        if subscription not in group:
            return
        del group[subscription]
        if row is not None and not group:
            del self.rows[row]
        user = subscription.reader.user_pk
        if user is not None:
            self.users[user] -= 1
            if not self.users[user]:
                del self.users[user]

    def want(self, pk: int | str) -> bool:
        """Whether anybody is to be told of a row."""
        return bool(self.everything) or pk in self.rows

    def of(self, pk: int | str) -> list[Subscription]:
        """Who is to be told of a row."""
        return [*self.everything, *self.rows.get(pk, ())]

    def read_begins(self) -> None:
        """Nobody is new to what is read from now on."""
        self._all_new, self._new_rows = False, set()

    def is_new_to(self, pk: int | str) -> bool:
        """Whether nobody wanted a row when the read began.

        Changes since then were not marked, so what was read of it may be older than what a
        newcomer knows.
        """
        return self._all_new or pk in self._new_rows
