"""Where sync code runs that serves sockets: in threads of the process's own, or in Django's."""

from __future__ import annotations

import asyncio
import contextvars
import os
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

from asgiref.sync import SyncToAsync, _restore_context, sync_to_async
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from .locks import new_lock
from .logs import log_error
from .pool import Job, Put, ThreadPool
from .settings import settings
from .spawn import spawn

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
    call: Call[T] = Call(function, *args)
    start(call, owner=owner)
    return await call.future


def start(job: Job, *, owner: Hashable) -> None:
    """Have a job done in a thread; see `run_in_thread`."""
    size = settings.THREADS
    if size == 0:
        # With the context of the caller: it is what Django finds the thread by.
        spawn(_run_in_thread_of_django(job), contextvars.copy_context())
    else:
        get_pool(size).start(owner, job)


async def _run_in_thread_of_django(job: Job) -> None:
    put = asyncio.get_running_loop().call_soon_threadsafe
    try:
        while await sync_to_async(job.run, thread_sensitive=True)(put):
            pass
    except BaseException as exc:
        job.fail(exc)
        raise


class Context:
    """Runs sync code as if it was called in the running event loop, with these variables."""

    def __init__(self, variables: contextvars.Context) -> None:
        self._loop = asyncio.get_running_loop()
        self._variables = variables

    def run(self, function: Callable[..., T], *args: Any) -> T:
        """Call a function; what it sets is not seen by the next."""
        SyncToAsync.threadlocal.main_event_loop = self._loop
        SyncToAsync.threadlocal.main_event_loop_pid = os.getpid()
        return self._variables.copy().run(self._call, function, *args)

    def _call(self, function: Callable[..., T], *args: Any) -> T:
        # asgiref's Locals, where Django keeps the active language, belong to a thread besides.
        _restore_context(self._variables)
        return function(*args)


class Call(Generic[T]):
    """A job of one piece: a call whose outcome is the future's."""

    def __init__(self, function: Callable[..., T], *args: Any) -> None:
        self.future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.function = function
        self._args = args
        self._context = Context(contextvars.copy_context())

    def run(self, put: Put) -> bool:
        """Make the call, unless nobody waits: its change must not be found later."""
        if not self.future.cancelled():
            put(self._settle, *self._outcome())
        return False

    def fail(self, exc: BaseException) -> None:
        """It could not be made."""
        self._settle(None, exc)

    def _outcome(self) -> tuple[Any, BaseException | None]:
        try:
            return self._context.run(_with_fresh_connections, self.function, *self._args), None
        except StopIteration as exc:  # a future can't hold one
            return None, _wrapped("StopIteration raised by a sync call", exc)
        except Exception as exc:
            return None, exc
        except BaseException as exc:
            # SystemExit and its like, raised again in the event loop, would end the server.
            return None, _wrapped(f"{type(exc).__name__} raised in a thread", exc)

    def _settle(self, result: Any, error: BaseException | None) -> None:
        if self.future.done():  # cancelled: the client left, or the action's time was up
            return
        if error is None:
            self.future.set_result(result)
        else:
            self.future.set_exception(error)


def _wrapped(message: str, cause: BaseException) -> RuntimeError:
    error = RuntimeError(message)
    error.__cause__ = cause
    return error


def _with_fresh_connections(function: Callable[..., T], *args: Any) -> T:
    tidy_connections()
    try:
        return function(*args)
    finally:
        tidy_connections()


def tidy_connections() -> None:
    """Close connections that are too old or broken, as Django does before and after a request.

    CONN_MAX_AGE and health checks hold, and a connection that the database ended is replaced
    instead of failing for ever. Never raises: one that can't be closed is let go all the same.
    """
    in_thread_of_django = settings.THREADS == 0
    for connection in connections.all(initialized_only=True):
        # There TestCase has a transaction open. In a thread of our own a handler has left it open,
        # and others must not write into it.
        if not (in_thread_of_django and connection.in_atomic_block):
            _tidy(connection)


def _tidy(connection: BaseDatabaseWrapper) -> None:
    try:
        connection.close_if_unusable_or_obsolete()
    except Exception:
        log_error("A database connection could not be closed")


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
            _pool = ThreadPool(size, reserved=RESERVED, alone=ALONE)
        return _pool
