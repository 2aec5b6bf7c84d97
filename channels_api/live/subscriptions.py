"""All subscriptions of one socket."""

from __future__ import annotations

from collections.abc import Hashable
from functools import partial
from typing import TYPE_CHECKING, Any

from rest_framework.exceptions import APIException, PermissionDenied

from ..exceptions import LimitExceeded
from ..protocol import JSONText, encode
from ..settings import settings
from .log import Position, ask, get_log
from .reader import Reader
from .resume import MAX_MISSED, TOO_MANY, find_fault, find_missed
from .subscription import Sink, StatefulSubscription, Subscription
from .wish import State

if TYPE_CHECKING:
    from .hub import Hub

CLOSING = "The socket is being closed."


class SnapshotTooLarge(APIException):
    """There are more rows than a snapshot may have."""

    status_code = 413
    default_detail = "There is too much to be sent at once: narrow the filter."
    default_code = "snapshot_too_large"


class Subscriptions:
    """Begins and ends them; `close` must be called when the socket ends."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._items: dict[Hashable, tuple[Hub, Subscription]] = {}
        self._entering = 0
        self._closed = False
        self._names = 0

    async def add(self, reader: Reader, action: str, lookup: object) -> Subscription:
        """Subscribe to all rows, or to the one that `lookup` names; the same twice is once.

        The subscription must be opened. Raises LimitExceeded over `MAX_SUBSCRIPTIONS`, NotFound
        for a row that can't be seen, LogUnavailable where changes can't be followed, and what
        refuses the user.
        """
        key = (reader.stream, lookup, action)
        if key in self._items:
            return self._items[key][1]
        subscription = Subscription(reader, action, self._sink)
        await self._begin(key, subscription, lookup)
        return subscription

    async def add_stateful(
        self, reader: Reader, state: State, lookup: object, request_id: str | int | None
    ) -> tuple[StatefulSubscription, JSONText]:
        """Subscribe with state, and what the client is answered; each is one of its own.

        Raises what `add` raises, and SnapshotTooLarge.
        """
        self._names += 1
        name = f"s{self._names}"
        subscription = StatefulSubscription(reader, self._sink, name, request_id)
        await self._begin(name, subscription, lookup)
        try:
            answer = await _start(subscription, state)
        except BaseException:
            self.discard(name)
            raise
        if self._closed:
            # Python before 3.12 loses a cancel that comes just when a wait_for has its result.
            raise LimitExceeded(CLOSING)
        self._check_not_expelled(name, subscription)
        return subscription, answer

    def discard(self, key: Hashable) -> None:
        """End a subscription by its name, or a classic one by (stream, row, action).

        Nothing happens where there is no such subscription.
        """
        item = self._items.pop(key, None)
        if item is not None:
            self._end(*item)

    def discard_named(self, stream: str, name: str) -> None:
        """End one by its name, if it is of the stream."""
        item = self._items.get(name)
        if item is not None and item[1].reader.stream == stream:
            self.discard(name)

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

    async def _begin(self, key: Hashable, subscription: Subscription, lookup: object) -> None:
        # Those of other streams that are on their way count: streams run side by side.
        if len(self._items) + self._entering >= settings.MAX_SUBSCRIPTIONS:
            raise LimitExceeded(
                f"A socket may have {settings.MAX_SUBSCRIPTIONS} subscriptions. "
                "Unsubscribe from one first."
            )
        self._entering += 1
        try:
            hub = await self._enter(subscription, lookup)
        finally:
            self._entering -= 1
        if self._closed:  # meanwhile: nobody would end it
            self._end(hub, subscription)
            raise LimitExceeded(CLOSING)
        self._items[key] = (hub, subscription)
        subscription.on_end = partial(self.discard, key)
        self._check_not_expelled(key, subscription)

    def _check_not_expelled(self, key: Hashable, subscription: Subscription) -> None:
        if subscription.is_expelled:  # meanwhile: its user may not see this any more
            self.discard(key)
            raise PermissionDenied

    async def _enter(self, subscription: Subscription, lookup: object) -> Hub:
        # Imported when it is used: it brings most of this package.
        from .hub import get_hub

        hub = get_hub()
        reader = subscription.reader
        await hub.hold(reader)
        try:
            # Read after the topic is held: the key may have changed to a personal one.
            subscription.audience = hub.audience(reader)
            await subscription.audience.enter(subscription, lookup)
        except BaseException:
            hub.release(reader)
            raise
        return hub

    def _end(self, hub: Hub, subscription: Subscription) -> None:
        subscription.close()
        subscription.audience.remove(subscription)
        hub.release(subscription.reader)


async def _start(subscription: StatefulSubscription, state: State) -> JSONText:
    reader = subscription.reader
    replay = None
    if state.since is not None:
        replay = await ask(get_log().since(reader.topic, state.since))
    view = subscription.audience.view
    fault, missed = find_fault(state, replay, view), {}
    if replay is not None and fault is None:
        missed = find_missed(replay.changes, state.have, view, subscription.row)
        fault = TOO_MANY if len(missed) > MAX_MISSED else None
    if fault is not None or replay is None:
        snapshot = await subscription.audience.snapshot_for(subscription)
        if snapshot.text is None:
            raise SnapshotTooLarge
        subscription.start(snapshot.position, {})
        return _answer(subscription, recovered=False, reason=fault, snapshot=snapshot.text)
    # The position is the client's: what is missed has not been told yet.
    told: Any = state.since if missed else replay.top
    subscription.start(told, missed)
    return _answer(subscription, recovered=True)


def _answer(
    subscription: StatefulSubscription,
    *,
    recovered: bool,
    reason: str | None = None,
    snapshot: str | None = None,
) -> JSONText:
    position: Position = subscription.position
    head = {
        "action": subscription.action,
        "subscription": subscription.name,
        "epoch": position.epoch,
        "seq": position.seq,
        "recovered": recovered,
    }
    if reason is None:
        return JSONText(encode(head))
    head["reason"] = reason
    return JSONText(f'{encode(head)[:-1]},"snapshot":{snapshot}}}')
