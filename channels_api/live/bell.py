"""Rings other processes through the channel layer, from any thread, without ever waiting."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from channels.layers import InMemoryChannelLayer, get_channel_layer

from ..locks import new_lock
from ..logs import log_sometimes
from .log import Change, Hint, Position, Topic

# The message type is never dispatched: the hub reads the messages itself.
MESSAGE_TYPE = "channels_api.hint"
# Seconds for the layer to take one hint; and to leave a failing layer alone.
TIMEOUT = 5.0
PAUSE = 1.0
# Seconds that a process which ends waits for its last hints: those of a command are often all.
FINISH_TIMEOUT = 2.0
# Hints that wait while the layer is slow. The oldest are dropped: the log has their changes.
CAPACITY = 10_000


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


def ring(hints: list[Hint]) -> None:
    """Send hints to the hubs of all processes; they may be lost, and nothing is raised for it."""
    if layer_between_processes() is not None:
        _sender().put(hints)


def to_message(hint: Hint) -> dict[str, Any]:
    """A hint as a layer message: strings and ints only, as every layer's encoding can hold."""
    topic, position, change = hint
    return {
        "type": MESSAGE_TYPE,
        "model": topic.model,
        "alias": topic.alias,
        "epoch": position.epoch,
        "seq": position.seq,
        "pk": change.pk,
        "operation": change.operation,
    }


def from_message(message: dict[str, Any]) -> Hint:
    """The hint in a layer message. Raises KeyError for any other message."""
    return Hint(
        Topic(message["model"], message["alias"]),
        Position(message["epoch"], message["seq"]),
        Change(message["pk"], message["operation"]),
    )


class Inline(ThreadPoolExecutor):
    """Runs what it is given at once: for look-ups of host names in the sender's own thread.

    Threads of an ordinary executor are gone when a process ends, just when the last hints of a
    command are sent.
    """

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as exc:
            future.set_exception(exc)
        return future


class Sender:
    """One thread and one event loop for all hints of a process.

    A layer opens its connections per loop: `async_to_sync(layer.group_send)` in sync code would
    connect anew at each call.
    """

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._waiting: deque[Hint] = deque(maxlen=CAPACITY)
        self._sent = threading.Event()
        self._sent.set()
        self._loop = asyncio.new_event_loop()
        self._wake = asyncio.Event()
        threading.Thread(target=self._run, name="channels_api-bell", daemon=True).start()

    def put(self, hints: list[Hint]) -> None:
        # In this order: a sender that has just finished must not undo the clear.
        self._waiting.extend(hints)
        self._sent.clear()
        self._loop.call_soon_threadsafe(self._wake.set)

    def finish(self) -> None:
        """Wait until all is sent, or FINISH_TIMEOUT: the process ends, and its threads with it."""
        if self.pid == os.getpid():
            self._sent.wait(FINISH_TIMEOUT)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.set_default_executor(Inline(max_workers=1))
        self._loop.run_until_complete(self._send_for_ever())

    async def _send_for_ever(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                await self._send(self._waiting.popleft())
            self._sent.set()
            if self._waiting:  # put between the two
                self._sent.clear()
                self._wake.set()

    async def _send(self, hint: Hint) -> None:
        try:
            # Asked for each time: tests and reloads replace it.
            layer = layer_between_processes()
            if layer is not None:
                send = layer.group_send(hint.topic.group, to_message(hint))
                await asyncio.wait_for(send, TIMEOUT)
        except Exception:
            log_sometimes("The channel layer does not take hints; other processes hear later")
            await asyncio.sleep(PAUSE)


_current: Sender | None = None
_lock = new_lock()


def _sender() -> Sender:
    global _current
    with _lock:
        # A forked child has the object but not its thread.
        if _current is None or _current.pid != os.getpid():
            _current = Sender()
            atexit.register(_current.finish)
        return _current
