"""The tasks that one socket watches."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from rest_framework.exceptions import NotFound

from ..exceptions import LimitExceeded
from ..protocol import Reply, byte_length
from ..settings import settings
from .references import TaskReference
from .states import TaskState

if TYPE_CHECKING:
    from .hub import StateReader, TaskHub, WatchedTask

# Makes a reply to the frame that asked: status, data, errors.
MakeReply = Callable[[int, Any, Sequence[Any]], Reply]


class Sink(Protocol):
    """Where replies go: the writer of a socket."""

    @property
    def has_room(self) -> bool:
        """Whether the client keeps up, so that a state may be queued for it."""

    def push(self, text: str) -> None:
        """Queue an encoded frame."""


def encode_state(state: TaskState, signed: str, reply: MakeReply) -> str:
    """The frame of a state; what is too large for a frame is left out of it."""
    text = reply(state.status, state.data(signed), state.errors).encode()
    size = byte_length(text)
    if size > settings.MAX_REPLY_BYTES:
        state = state.cut(size)
        text = reply(state.status, state.data(signed), state.errors).encode()
    return text


class Watch:
    """One frame's interest in one task: each state that comes is one more reply to the frame.

    Until `open` is called, and while the client reads too slowly, the newest state is kept.
    """

    def __init__(
        self, hub: TaskHub, task: WatchedTask, signed: str, reply: MakeReply, sink: Sink
    ) -> None:
        self.task = task
        self.signed = signed
        self._hub = hub
        self._reply = reply
        self._sink = sink
        self._held = True
        self._pending: TaskState | None = None
        self._closed = False
        self.on_open: Callable[[], None] = lambda: None
        self.on_close: Callable[[], None] = lambda: None
        task.listeners.add(self.tell)

    def open(self, shown: TaskState) -> None:
        """The reply has been sent, with this state: others may follow."""
        self._held = False
        self.on_open()
        if shown.is_final:
            self.close()
            return
        self._pending = None if self.task.state == shown else self.task.state
        self.resume()
        self._hub.look(self.task, everything=True)

    def tell(self, state: TaskState) -> None:
        """Send a state, or keep it."""
        self._pending = state
        self.resume()

    def resume(self) -> None:
        """Send what is kept, if the client is ready for it."""
        state = self._pending
        if state is None or self._held or self._closed or not self._sink.has_room:
            return
        self._pending = None
        self._sink.push(encode_state(state, self.signed, self._reply))
        if state.is_final:
            self.close()

    def close(self) -> None:
        """Nothing more is sent."""
        if not self._closed:
            self._closed = True
            self.task.listeners.discard(self.tell)
            self._hub.release(self.task)
            self.on_close()


class Watches:
    """All tasks that one socket watches; `close` must be called when it ends."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._items: dict[Watch, None] = {}
        self._subscribed: dict[Hashable, Watch] = {}
        self._closed = False

    async def begin(self, reference: TaskReference, reader: StateReader, reply: MakeReply) -> Watch:
        """Watch a task that an action has begun. It must be opened, or closed."""
        return await self._add(reference, reader, reply)

    async def subscribe(
        self, stream: str, reference: TaskReference, reader: StateReader, reply: MakeReply
    ) -> Watch:
        """Watch a task by its id; when it is opened, it takes the place of the stream's older one.

        Raises LimitExceeded over `MAX_SUBSCRIPTIONS`.
        """
        key = (stream, reference.task_id)
        if key not in self._subscribed and len(self._subscribed) >= settings.MAX_SUBSCRIPTIONS:
            raise LimitExceeded(
                f"A socket may have {settings.MAX_SUBSCRIPTIONS} subscriptions to tasks. "
                "Unsubscribe from one first."
            )
        watch = await self._add(reference, reader, reply)
        # Not before: a subscribe that fails must not cost the client what it has.
        watch.on_open = lambda: self._take_place(key, watch)
        watch.on_close = lambda: self._leave_place(key, watch)
        return watch

    def unsubscribe(self, stream: str, reference: TaskReference) -> None:
        """End what `subscribe` began; nothing happens where there is no such watch."""
        watch = self._subscribed.get((stream, reference.task_id))
        if watch is not None:
            watch.close()

    def resume(self) -> None:
        """The client has taken what was queued for it."""
        for watch in list(self._items):
            watch.resume()

    def close(self) -> None:
        """End all of them, and those that are on their way."""
        self._closed = True
        for watch in list(self._items):
            watch.close()

    async def _add(self, reference: TaskReference, reader: StateReader, reply: MakeReply) -> Watch:
        # Imported when it is used: most sockets watch no task.
        from .hub import get_hub

        hub = get_hub()
        task = await hub.hold(reference, reader)
        watch = Watch(hub, task, reference.sign(), reply, self._sink)
        if self._closed:  # meanwhile: nobody would end it
            watch.close()
            raise NotFound
        self._items[watch] = None
        watch.on_close = lambda: self._forget(watch)
        return watch

    def _forget(self, watch: Watch) -> None:
        self._items.pop(watch, None)

    def _take_place(self, key: Hashable, watch: Watch) -> None:
        older = self._subscribed.get(key)
        if older is not None:
            older.close()
        self._subscribed[key] = watch

    def _leave_place(self, key: Hashable, watch: Watch) -> None:
        self._forget(watch)
        if self._subscribed.get(key) is watch:
            del self._subscribed[key]
