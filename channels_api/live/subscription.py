"""One socket's subscription: what it is told, and what is remembered for it while it can't be."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Protocol

from ..metrics import RESETS, measure
from ..protocol import Event, Reset, byte_length, encode
from .log import Position
from .operations import DELETE, merge
from .reader import Reader
from .resume import TOO_MANY
from .wish import EVERY_ACTION

if TYPE_CHECKING:
    from .audience import Audience
    from .snapshot import Snapshot

# Pks that a subscription remembers for a client that does not take its events.
MAX_DIRTY = 10_000
FORBIDDEN = "forbidden"


class Sink(Protocol):
    """Where events go: the writer of a socket."""

    @property
    def has_room(self) -> bool:
        """Whether the client keeps up, so that an event may be queued for it."""

    def push(self, *parts: str, size: int | None = None) -> None:
        """Queue an encoded frame, which may be in parts, of so many bytes if that is known."""

    def too_slow(self) -> None:
        """Give the client up."""


class Subscription:
    """One socket's wish to hear of `action` on all rows of a stream, or on one.

    It remembers pks, never rows, for a client that is not ready for them: before the reply to its
    subscribe has been sent, and while it reads too slowly. This one is told as 0.4.1 did it, as
    long as the log goes on; for more there is StatefulSubscription.
    """

    def __init__(self, reader: Reader, action: str, sink: Sink) -> None:
        self.reader = reader
        self.action = action
        self.row: int | str | None = None
        self.audience: Audience
        self._sink = sink
        self._held = True
        self._closed = False
        self._pending: dict[int | str, str] = {}
        # Called where the server ends it.
        self.on_end: Callable[[], None] = lambda: None
        # Whether its user was refused. Before its reply is sent it is not ended yet.
        self.is_expelled = False

    def open(self) -> None:
        """The reply has been sent: events may follow."""
        self._held = self._closed
        if self.is_expelled:
            self.expel(())
        self.resume()

    @property
    def is_held(self) -> bool:
        """Whether it has not been opened."""
        return self._held

    def close(self) -> None:
        """Nothing more is sent, not even what is being read for it."""
        self._held = self._closed = True

    def resume(self) -> None:
        """Ask for what could not be told, if there is any."""
        if self._pending and self.is_ready:
            self.audience.catch_up(self)

    def deliver(
        self,
        late: Sequence[Event],
        events: Sequence[Event],
        told: Position,
        position: Position | None,
    ) -> None:
        """Send events, or remember their pks: those that were taken before, and new ones.

        The audience had told everything up to `told` before it read them; with them, it has told
        everything up to `position` (None: there is more to come before that can be said).
        """
        for event in late:
            self._send_or_remember(event, blocked=False)
        for event in events:
            # In their order where some wait already: a create comes before its update.
            if self.action in (EVERY_ACTION, event.action):
                self._send_or_remember(event, blocked=bool(self._pending))

    def lose(self, reason: str) -> None:
        """Changes were lost. Who is told of changes alone can't be told of that."""

    def give_up(self) -> None:
        """What changed can't be told any more: the client has to begin anew."""
        self._sink.too_slow()

    def expel(self, pks: Collection[int | str]) -> None:
        """End it for a user who may not have it any more; `pks` were seen."""
        self.is_expelled = True
        if not self._held:
            self._tell_of_the_end(pks)
            self.on_end()

    def _tell_of_the_end(self, pks: Collection[int | str]) -> None:
        if self.action in (EVERY_ACTION, DELETE):
            reader = self.reader
            for pk in [*pks] if self.row is None else [self.row]:
                self._sink.push(Event(reader.stream, DELETE, pk, reader.topic.model).text)

    def take(self, limit: int) -> dict[int | str, str]:
        """Up to `limit` of the pks that are to be told, and how."""
        return {pk: self._pending.pop(pk) for pk in list(self._pending)[:limit]}

    def put_back(self, pending: dict[int | str, str]) -> None:
        """What was taken could not be told."""
        for pk, action in pending.items():
            newer = self._pending.get(pk)
            self._pending[pk] = action if newer is None else merge(action, newer)
        self.resume()

    @property
    def is_ready(self) -> bool:
        """Whether frames may be sent to it now."""
        return not self._held and self._sink.has_room

    def _send_or_remember(self, event: Event, *, blocked: bool) -> None:
        if self.is_ready and not blocked:
            self._send(event)
        else:
            self._remember(event.pk, event.action)

    def _send(self, event: Event) -> None:
        self._sink.push(event.text, size=event.size)

    def _remember(self, pk: int | str, action: str) -> None:
        self._pending[pk] = merge(self._pending.get(pk), action)
        if len(self._pending) > MAX_DIRTY:
            self.give_up()


class StatefulSubscription(Subscription):
    """A subscription that keeps a client's replica equal to the rows that its user may see.

    Each frame carries the position up to which the client has been told everything, so that it
    can go on from there on another socket; it moves with the last frame of a batch only. `n`
    counts the frames. What can't be told row by row becomes a reset, with a snapshot.
    """

    def __init__(self, reader: Reader, sink: Sink, name: str, request_id: str | int | None) -> None:
        super().__init__(reader, EVERY_ACTION, sink)
        self.name = name
        # How far the client was told; of no meaning before `start`.
        self.position = Position("", 0)
        self._names = f'"subscription":{encode(name)},"request_id":{encode(request_id)}'
        self._n = 0
        # Why the client's replica is void until it has a new snapshot; and why it was before that
        # snapshot began to be read. What is lost meanwhile need not be in it.
        self._lost: str | None = None
        self._resetting: str | None = None
        # What was taken last.
        self._taken: dict[int | str, str] = {}

    @property
    def is_lost(self) -> bool:
        """Whether it needs a snapshot."""
        return self._lost is not None

    def start(self, position: Position, pending: dict[int | str, str]) -> None:
        """The client knows all up to `position`, and is to be told of `pending`."""
        self.position = position
        newer, self._pending = self._pending, pending
        for pk, action in newer.items():
            self._remember(pk, action)

    def lose(self, reason: str) -> None:
        # The client gets a snapshot as soon as it can take one. What was taken must not come back
        # after it: a row that was deleted may be there again.
        self._pending.clear()
        self._taken.clear()
        self._lost = reason
        self.resume()

    def take(self, limit: int) -> dict[int | str, str]:
        self._taken = super().take(limit)
        return self._taken

    def give_up(self) -> None:
        self.lose(TOO_MANY)

    def _tell_of_the_end(self, pks: Collection[int | str]) -> None:
        self._push_reset(Reset(self.reader.stream, FORBIDDEN, "[]"))

    def begin_reset(self) -> None:
        """Its snapshot is about to be read."""
        self._resetting, self._lost = self._lost, None
        self._pending.clear()

    def end_reset(self, snapshot: Snapshot | None) -> None:
        """Send the snapshot to take the place of what the client has; None: there is none yet.

        One that can't be sent ends the subscription: the client has to ask for less.
        """
        reason, self._resetting = self._resetting or TOO_MANY, None
        if snapshot is None or self.is_lost or not self.is_ready:
            self._lost = self._lost or reason
            return
        if snapshot.text is None:
            reason = TOO_MANY
        self.position = snapshot.position
        self._push_reset(Reset(self.reader.stream, reason, snapshot.text or "null"))
        if snapshot.text is None:
            self.on_end()

    def deliver(
        self,
        late: Sequence[Event],
        events: Sequence[Event],
        told: Position,
        position: Position | None,
    ) -> None:
        resetting = self._resetting is not None
        if not (self._pending or late or resetting) and self.position.is_before(told):
            self.position = told
        everything = [*late, *events]
        for index, event in enumerate(everything):
            if self.is_lost:
                return  # it will be in the snapshot
            # What comes while the snapshot is read need not be in it.
            if resetting or not self.is_ready or (index >= len(late) and self._pending):
                self._remember(event.pk, event.action)
                continue
            # With the last of them the client knows all, unless more waits for it.
            is_last = index == len(everything) - 1 and not self._pending
            if is_last and position is not None and self.position.is_before(position):
                self.position = position
            self._send(event)

    def resume(self) -> None:
        if self._resetting is not None:
            return  # once more at the end of it
        if not self.is_lost:
            super().resume()
        elif self.is_ready:
            self.audience.resets.add(self)

    def _send(self, event: Event) -> None:
        keys = self._next_keys()
        size = event.size + byte_length(keys) + len(",")
        self._sink.push(*event.parts_with(keys), size=size)

    def _push_reset(self, reset: Reset) -> None:
        self._sink.push(*reset.parts_with(self._next_keys()))
        measure(RESETS, stream=reset.stream, reason=reset.reason)

    def _next_keys(self) -> str:
        self._n += 1
        epoch, seq = self.position
        return f'{self._names},"epoch":"{epoch}","seq":{seq},"n":{self._n}'
