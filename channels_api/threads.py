"""The bounded thread pool that runs sync code for all sockets of a process."""

from __future__ import annotations

import asyncio
import contextvars
import os
import queue
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from asgiref.sync import SyncToAsync, _restore_context, sync_to_async
from django.db import close_old_connections, connections

from .exceptions import Overloaded
from .locks import new_lock
from .settings import settings

T = TypeVar("T")

# The owners of the reads for subscriptions, of those of tasks' states, and of what cancels tasks. A
# thread of its own serves each of them and nobody else, so that no number of slow actions holds up
# an event. The last two have that thread alone: each call that waits for a result backend that
# hangs would take one from the actions, until none is left.
LIVE = "live"
TASKS = "tasks"
CANCELS = "cancels"
RESERVED = (LIVE, TASKS, CANCELS)
ALONE = (TASKS, CANCELS)


async def run_in_thread(function: Callable[..., T], *args: Any, owner: Hashable) -> T:
    """Run sync code that may use the database; its return value or exception comes back here.

    Owners (sockets, or one of RESERVED) take turns when threads are scarce, so one owner's calls
    delay those of another by one call at most. A caller that is cancelled leaves a call that runs
    to end unheard; one that has not begun never does. Raises Overloaded where no thread can be had.
    """
    size = settings.THREADS
    if size == 0:
        return await sync_to_async(_in_thread_of_test, thread_sensitive=True)(function, *args)
    return await get_pool(size).submit(owner, function, *args)


def _with_fresh_connections(function: Callable[..., T], *args: Any) -> T:
    # As Django does around a request: CONN_MAX_AGE and health checks hold, and a connection that
    # the database ended is replaced instead of failing for ever.
    close_old_connections()
    try:
        return function(*args)
    finally:
        close_old_connections()


def _in_thread_of_test(function: Callable[..., T], *args: Any) -> T:
    # Django itself would close a connection in a transaction, as TestCase has one open.
    _close_idle_connections()
    try:
        return function(*args)
    finally:
        _close_idle_connections()


def _close_idle_connections() -> None:
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()


def close_connections() -> None:
    """Close the database connections of this thread, but for those in a transaction."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()


def give_back_thread() -> None:
    """Let the thread end that Django keeps for the request that is being answered.

    For a request that waits: its next sync call is given another one. Nothing happens where the
    thread is not the request's own, as under WSGI.
    """
    context = SyncToAsync.thread_sensitive_context.get(None)
    if context is None or getattr(context, "_executor", None) is not None:
        return
    executor = SyncToAsync.context_to_thread_executor.pop(context, None)
    if executor is not None:
        executor.shutdown(wait=False)


_pool: ThreadPool | None = None
_pool_lock = new_lock()


def get_pool(size: int) -> ThreadPool:
    """The process's pool; a new one where the size has changed or the process was forked."""
    global _pool
    with _pool_lock:
        if _pool is None or _pool.size != size or _pool.pid != os.getpid():
            if _pool is not None:
                _pool.close()
            _pool = ThreadPool(size)
        return _pool


@dataclass
class _Call:
    function: Callable[..., Any]
    args: tuple[Any, ...]
    context: contextvars.Context
    outbox: _Outbox
    future: asyncio.Future[Any]

    def run(self) -> None:
        if self.future.cancelled():  # before it began: nobody is to find its change later
            return
        SyncToAsync.threadlocal.main_event_loop = self.outbox.loop
        SyncToAsync.threadlocal.main_event_loop_pid = os.getpid()
        try:
            result, error = self.context.run(self._call), None
        except Exception as exc:
            result, error = None, exc
        except BaseException as exc:
            # SystemExit and its like, raised again in the event loop, would end the server.
            result, error = None, RuntimeError(f"{type(exc).__name__} raised in a thread")
            error.__cause__ = exc
        self.outbox.put(self.future, result, error)

    def _call(self) -> Any:
        # asgiref's Locals, where Django keeps the active language, belong to a thread besides.
        _restore_context(self.context)
        return _with_fresh_connections(self.function, *self.args)


class _Outbox:
    """Hands results back to an event loop: one wake-up for all that are ready by then."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._ready: deque[tuple[asyncio.Future[Any], Any, BaseException | None]] = deque()
        self._woken = False
        self._lock = new_lock()

    def put(self, future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
        self._ready.append((future, result, error))
        with self._lock:
            if self._woken:
                return
            self._woken = True
        try:
            self.loop.call_soon_threadsafe(self._drain)
        except RuntimeError:
            # The loop was closed while the call ran: the server is gone, nobody waits.
            self._ready.clear()

    def _drain(self) -> None:
        # Before the deque is emptied: a result that comes after the last popleft must wake again.
        with self._lock:
            self._woken = False
        while self._ready:
            future, result, error = self._ready.popleft()
            if future.done():  # cancelled: the client left, or the action's time was up
                continue
            if error is None:
                future.set_result(result)
            elif isinstance(error, StopIteration):  # a future can't hold one
                future.set_exception(RuntimeError("StopIteration raised by a sync call"))
            else:
                future.set_exception(error)


class ThreadPool:
    """At most `size` daemon threads for all but ALONE, and one more for each of RESERVED only.

    Threads start when there is work. They are daemons, since an action that never ends must not
    keep the process from exiting.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.pid = os.getpid()
        self._lock = new_lock()
        self._waiting: OrderedDict[Hashable, deque[_Call]] = OrderedDict()
        # Those that any thread may take.
        self._waiting_calls = 0
        self._started = 0
        self._idle = 0
        # A token for each of them: a thread that gets one may find the call taken already, by the
        # thread that serves its owner. None of them is ever missing.
        self._tokens: queue.SimpleQueue[bool] = queue.SimpleQueue()
        # Of the owners whose own thread has been started.
        self._own_tokens: dict[Hashable, queue.SimpleQueue[bool]] = {}
        self._outboxes: dict[asyncio.AbstractEventLoop, _Outbox] = {}

    def submit(self, owner: Hashable, function: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        """Queue a call; the future belongs to the running event loop."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        with self._lock:
            outbox = self._outbox(loop)
            call = _Call(function, args, contextvars.copy_context(), outbox, future)
            self._waiting.setdefault(owner, deque()).append(call)
            self._waiting_calls += owner not in ALONE
            try:
                self._start_threads(owner)
            except RuntimeError as exc:  # the system gives no more threads
                if not (owner in self._own_tokens if owner in ALONE else self._started):
                    self._take(owner)  # there is no other: no thread has ever run for it
                    raise Overloaded from exc
            own = self._own_tokens.get(owner)
        if own is not None:
            own.put(True)
        if owner not in ALONE:
            self._tokens.put(True)
        return future

    def close(self) -> None:
        """Let the threads end when the queued calls are done."""
        for _ in range(self._started):
            self._tokens.put(False)
        for own in self._own_tokens.values():
            own.put(False)

    def _outbox(self, loop: asyncio.AbstractEventLoop) -> _Outbox:
        if loop not in self._outboxes:
            for closed in [each for each in self._outboxes if each.is_closed()]:
                del self._outboxes[closed]
            self._outboxes[loop] = _Outbox(loop)
        return self._outboxes[loop]

    def _start_threads(self, owner: Hashable) -> None:
        # An idle thread takes one call, whosever it is.
        if self._idle < self._waiting_calls and self._started < self.size:
            self._start(self._serve, str(self._started + 1))
            self._started += 1
        if owner in RESERVED and owner not in self._own_tokens:
            tokens: queue.SimpleQueue[bool] = queue.SimpleQueue()
            self._start(partial(self._serve_owner, owner, tokens), str(owner))
            self._own_tokens[owner] = tokens

    def _start(self, target: Callable[[], None], name: str) -> None:
        threading.Thread(target=target, name=f"channels_api-{name}", daemon=True).start()

    def _serve(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
            more = self._tokens.get()
            with self._lock:
                self._idle -= 1
                call = self._next() if more else None
            if not more:
                return
            if call is not None:
                call.run()
            # Not kept until the next call comes: results and requests can be large.
            del call

    def _serve_owner(self, owner: Hashable, tokens: queue.SimpleQueue[bool]) -> None:
        while tokens.get():
            with self._lock:
                call = self._take(owner) if owner in self._waiting else None
            if call is not None:
                call.run()
            del call

    def _next(self) -> _Call | None:
        owner = next((each for each in self._waiting if each not in ALONE), None)
        return None if owner is None else self._take(owner)

    def _take(self, owner: Hashable) -> _Call:
        calls = self._waiting[owner]
        call = calls.popleft()
        self._waiting_calls -= owner not in ALONE
        # The owner goes to the end of the line, so that each has its turn.
        if calls:
            self._waiting.move_to_end(owner)
        else:
            del self._waiting[owner]
        return call
