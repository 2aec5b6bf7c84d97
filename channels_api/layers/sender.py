"""Sends messages to other processes through the channel layer, from any thread, without waiting."""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, NamedTuple

from channels.layers import InMemoryChannelLayer, get_channel_layer

from ..locks import new_lock
from ..logs import log_sometimes

# Seconds for the layer to take one message; and to leave a failing layer alone.
TIMEOUT = 5.0
PAUSE = 1.0
# Seconds for which changes that follow one another are gathered, so that they go as one: a message
# costs a millisecond of CPU, which is more than the save that it tells of. The first goes at once.
GATHER = 0.005
# Seconds that a process which ends waits for its last messages: those of a command are often all.
FINISH_TIMEOUT = 2.0
# Messages that wait while the layer is slow. The oldest are dropped: what they told of can be read.
CAPACITY = 10_000


class Message(NamedTuple):
    """What a group is sent; the body holds strings and ints only, as every layer can.

    `join` makes one body of it and of one that follows, or None where they can't be one.
    """

    group: str
    body: dict[str, Any]
    join: Callable[[dict[str, Any], dict[str, Any]], dict[str, Any] | None] | None = None

    def joined(self, following: Message) -> Message | None:
        """Both in one, if they can be."""
        if self.join is None or following.group != self.group:
            return None
        body = self.join(self.body, following.body)
        return None if body is None else self._replace(body=body)


def layer_between_processes() -> Any:
    """The project's channel layer, or None where none leads out of this process.

    Inside the process hubs are rung directly, so the in-memory layer has nothing to add; besides,
    it can't be used from another thread's loop.
    """
    try:
        layer = get_channel_layer()
    except Exception:
        log_sometimes("The channel layer could not be loaded")
        return None
    return None if isinstance(layer, InMemoryChannelLayer) else layer


def send(messages: Iterable[Message]) -> None:
    """Send to the groups' members in other processes.

    Messages may be lost, and nothing is raised for it.
    """
    if layer_between_processes() is not None:
        get_sender().put(messages)


class Inline(ThreadPoolExecutor):
    """Runs what it is given at once: for look-ups of host names in the sender's own thread.

    Threads of an ordinary executor are gone when a process ends, just when the last messages of
    a command are sent.
    """

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as exc:
            future.set_exception(exc)
        return future


class Sender:
    """One thread and one event loop for all messages of a process.

    A layer opens its connections per loop: `async_to_sync(layer.group_send)` in sync code would
    connect anew at each call.
    """

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._waiting: deque[Message | Callable[[], None]] = deque(maxlen=CAPACITY)
        self._sent = threading.Event()
        self._sent.set()
        self._works: set[Future[None]] = set()
        self.loop = asyncio.new_event_loop()
        self._wake = asyncio.Event()
        threading.Thread(target=self._run, name="channels_api-sender", daemon=True).start()

    def put(self, messages: Iterable[Message | Callable[[], None]]) -> None:
        """Send messages, in their order; a function is called in the loop when its turn comes."""
        # In this order: a sender that has just finished must not undo the clear.
        self._waiting.extend(messages)
        self._sent.clear()
        self.loop.call_soon_threadsafe(self._wake.set)

    def run(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run this in the loop, beside the messages; a process that ends waits for it too."""
        # Without the context of who happened to come first: see `spawn`.
        empty = contextvars.Context()
        future = empty.run(asyncio.run_coroutine_threadsafe, work(), self.loop)
        self._works.add(future)
        future.add_done_callback(self._works.discard)

    def finish(self) -> None:
        """Wait until all is sent, or FINISH_TIMEOUT: the process ends, and its threads with it."""
        if self.pid == os.getpid():
            ends = time.monotonic() + FINISH_TIMEOUT
            # In this order: works put messages.
            wait(list(self._works), FINISH_TIMEOUT)
            self._sent.wait(max(0, ends - time.monotonic()))

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.set_default_executor(Inline(max_workers=1))
        self.loop.run_until_complete(self._send_for_ever())

    async def _send_for_ever(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            gathers = False
            for item in self._joined():
                if isinstance(item, Message):
                    await self._send(item)
                    gathers |= item.join is not None
                else:
                    item()
            self._sent.set()
            if self._waiting:  # put between the two
                self._sent.clear()
                self._wake.set()
            if gathers:
                await asyncio.sleep(GATHER)

    def _joined(self) -> Iterator[Message | Callable[[], None]]:
        """What waits, in its order; messages that came while the layer was busy go as one.

        To a layer a message costs far more than what is in it.
        """
        last: Message | Callable[[], None] | None = None
        while self._waiting:
            item = self._waiting.popleft()
            both = None
            if isinstance(last, Message) and isinstance(item, Message):
                both = last.joined(item)
            if last is not None and both is None:
                yield last
            last = both or item
        if last is not None:
            yield last

    async def _send(self, message: Message) -> None:
        try:
            await self._send_in_time(message)
        except (Exception, asyncio.CancelledError):  # the timer's: nobody else cancels this task
            log_sometimes("The channel layer takes no messages; other processes hear later")
            await asyncio.sleep(PAUSE)

    async def _send_in_time(self, message: Message) -> None:
        # Not `wait_for`: before Python 3.12 it makes a task, a sixth of what a message costs.
        task: Any = asyncio.current_task()
        timer = self.loop.call_later(TIMEOUT, task.cancel)
        try:
            # Asked for each time: tests and reloads replace it.
            layer = layer_between_processes()
            if layer is not None:
                await layer.group_send(message.group, message.body)
        finally:
            timer.cancel()


def finish() -> None:
    """Wait until what was put here is sent, as `Sender.finish` does, if anything was."""
    if _current is not None:
        _current.finish()


_current: Sender | None = None
_lock = new_lock()


def get_sender() -> Sender:
    """The sender of this process; a new one after a fork."""
    global _current
    with _lock:
        # A forked child has the object but not its thread.
        if _current is None or _current.pid != os.getpid():
            _current = Sender()
            atexit.register(_current.finish)
        return _current
