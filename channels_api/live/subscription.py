"""The subscriptions of one socket."""

from __future__ import annotations

from typing import Protocol

from ..exceptions import LimitExceeded
from ..settings import settings
from .audience import Audience
from .hub import Hub, get_hub
from .operations import merge
from .reader import Reader

EVERY_ACTION = "*"
# Pks that a subscription remembers for a client that does not take its events.
MAX_DIRTY = 10_000

Key = tuple[str, object, str]


class Sink(Protocol):
    """Where events go: the writer of a socket."""

    @property
    def has_room(self) -> bool:
        """Whether the client keeps up, so that an event may be queued for it."""

    def push(self, text: str) -> None:
        """Queue an encoded frame."""

    def too_slow(self) -> None:
        """Give the client up."""


class Subscription:
    """One socket's wish to hear of `action` on all rows of a stream, or on one.

    It remembers pks, never rows, for a client that is not ready for them: before the reply to its
    subscribe has been sent, and while it reads too slowly.
    """

    def __init__(self, reader: Reader, action: str, sink: Sink) -> None:
        self.reader = reader
        self.action = action
        self.row: int | str | None = None
        self.audience: Audience
        self._sink = sink
        self._held = True
        self._pending: dict[int | str, str] = {}

    def open(self) -> None:
        """The reply has been sent: events may follow."""
        self._held = False
        self.resume()

    @property
    def is_held(self) -> bool:
        """Whether it has not been opened."""
        return self._held

    def close(self) -> None:
        """Nothing more is sent, not even what is being read for it."""
        self._held = True

    def resume(self) -> None:
        """Ask for the events that could not be taken, if there are any."""
        if self._pending and self._ready:
            self.audience.catch_up(self)

    def tell(self, pk: int | str, action: str, text: str) -> None:
        """Send an event that this subscription is for, or remember its pk."""
        if self.action not in (EVERY_ACTION, action):
            return
        if self._ready and not self._pending:
            self._sink.push(text)
        else:
            self._remember(pk, action)

    def tell_late(self, pk: int | str, action: str, text: str) -> None:
        """Send an event that was taken, or remember its pk again."""
        if self._ready:
            self._sink.push(text)
        else:
            self._remember(pk, action)

    def give_up(self) -> None:
        """Its events can't be told any more: the client has to begin anew."""
        self._sink.too_slow()

    def take(self, limit: int) -> dict[int | str, str]:
        """Up to `limit` of the pks that are to be told, and how."""
        return {pk: self._pending.pop(pk) for pk in list(self._pending)[:limit]}

    def put_back(self, pending: dict[int | str, str]) -> None:
        """What was taken could not be told."""
        newer, self._pending = self._pending, pending
        for pk, action in newer.items():
            self._pending[pk] = merge(self._pending.get(pk), action)
        self.resume()

    @property
    def _ready(self) -> bool:
        return not self._held and self._sink.has_room

    def _remember(self, pk: int | str, action: str) -> None:
        self._pending[pk] = merge(self._pending.get(pk), action)
        if len(self._pending) > MAX_DIRTY:
            self._sink.too_slow()


class Subscriptions:
    """All subscriptions of one socket; `close` must be called when it ends."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._items: dict[Key, tuple[Hub, Subscription]] = {}
        self._entering = 0
        self._closed = False

    async def add(self, reader: Reader, action: str, lookup: object) -> Subscription:
        """Subscribe to all rows, or to the one that `lookup` names; the same twice is once.

        The subscription must be opened. Raises LimitExceeded over `MAX_SUBSCRIPTIONS`, NotFound
        for a row that can't be seen.
        """
        key = (reader.stream, lookup, action)
        if key in self._items:
            return self._items[key][1]
        # Those of other streams that are on their way count: streams run side by side.
        if len(self._items) + self._entering >= settings.MAX_SUBSCRIPTIONS:
            raise LimitExceeded(
                f"A socket may have {settings.MAX_SUBSCRIPTIONS} subscriptions. "
                "Unsubscribe from one first."
            )
        self._entering += 1
        try:
            item = await self._enter(reader, action, lookup)
        finally:
            self._entering -= 1
        if self._closed:  # meanwhile: nobody would end it
            self._end(*item)
            raise LimitExceeded("The socket is being closed.")
        self._items[key] = item
        return item[1]

    async def _enter(self, reader: Reader, action: str, lookup: object) -> tuple[Hub, Subscription]:
        hub = get_hub()
        subscription = Subscription(reader, action, self._sink)
        await hub.hold(reader.topic)
        try:
            # Read after the topic is held: the key may have changed to a personal one.
            subscription.audience = hub.audience(reader)
            await subscription.audience.enter(subscription, lookup)
        except BaseException:
            hub.release(reader.topic)
            raise
        return hub, subscription

    def discard(self, stream: str, action: str, lookup: object) -> None:
        """Unsubscribe; nothing happens where there is no such subscription."""
        item = self._items.pop((stream, lookup, action), None)
        if item is not None:
            self._end(*item)

    def resume(self) -> None:
        """The client has taken what was queued for it."""
        for _, subscription in list(self._items.values()):
            subscription.resume()

    def close(self) -> None:
        """End all of them, and those that are on their way."""
        self._closed = True
        items, self._items = self._items, {}
        for item in items.values():
            self._end(*item)

    def _end(self, hub: Hub, subscription: Subscription) -> None:
        subscription.close()
        subscription.audience.remove(subscription)
        hub.release(subscription.reader.topic)
