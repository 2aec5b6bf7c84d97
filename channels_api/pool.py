"""A bounded pool of threads that works for many owners in turns."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Hashable
from contextvars import Context
from functools import partial
from typing import NamedTuple, Protocol
from weakref import WeakKeyDictionary

from .exceptions import Overloaded
from .locks import new_lock
from .outbox import Outbox
from .pressure import Pressure

Put = Callable[..., object]
# Seconds between two looks at whether what waits needs one more thread.
PATIENCE = 0.005


class Job(Protocol):
    """What a thread does, piece by piece."""

    def run(self, put: Put) -> bool:
        """Do a piece; whether there is another. Must not raise.

        `put(callback, *args)` has `callback(*args)` called in the event loop that started it.
        """

    def fail(self, exc: BaseException) -> None:
        """It is not run on, as `run` has raised after all; called in that event loop."""


class _Item(NamedTuple):
    """A job that waits for a thread."""

    owner: Hashable
    job: Job
    outbox: Outbox


class _Worker:
    """A thread of a pool.

    `take` gives it the next item. Before it gives None it has noted that the worker sleeps, so
    that somebody calls `wake`.
    """

    def __init__(
        self, pool: ThreadPool, name: object, take: Callable[[_Worker], _Item | None]
    ) -> None:
        self._pool = pool
        self._take = take
        self._bed = threading.Lock()
        self._bed.acquire()
        # In a context of its own, where Python would give it that of the socket which came first.
        # Daemons, since an action that never ends must not keep the process from exiting.
        threading.Thread(
            target=Context().run, args=[self._work], name=f"channels_api-{name}", daemon=True
        ).start()

    def wake(self) -> None:
        """Look for items again."""
        self._bed.release()

    def _work(self) -> None:
        while True:
            item = self._take(self)
            while item is not None:
                item = self._do(item)
            if self._pool.is_closed:
                return
            self._bed.acquire()

    def _do(self, item: _Item) -> _Item | None:
        """Do a piece of a job; what is to be done next."""
        try:
            if item.job.run(item.outbox.put):
                self._pool.put_back(item)
        except BaseException as exc:  # the thread is for others, too
            item.outbox.put(item.job.fail, exc)
        self._pool.done += 1  # about: nothing but whether it grows is looked at
        following = self._take(self)
        # After it is known whether there is more to do, and after this thread counts as idle: who
        # hears of the result may have the next job for it.
        item.outbox.hand_over(at_once=following is None)
        return following


class ThreadPool:
    """At most `size` threads for all owners but those in `alone`.

    One more serves each owner in `reserved` and nobody else; those in `alone` have that one only.
    Threads start when there is work: the first at once, each other one when what runs waits for
    something that is not the interpreter.
    """

    def __init__(
        self, size: int, *, reserved: Collection[Hashable] = (), alone: Collection[Hashable] = ()
    ) -> None:
        self.size = size
        self.pid = os.getpid()
        self.is_closed = False
        # Pieces of work, of all threads.
        self.done = 0
        # The loops that look. Each for itself: one that ends takes its timer with it.
        self._looks: WeakKeyDictionary[asyncio.AbstractEventLoop, Pressure] = WeakKeyDictionary()
        self._reserved = reserved
        self._alone = alone
        self._lock = new_lock()
        self._waiting: OrderedDict[Hashable, deque[_Item]] = OrderedDict()
        self._started = 0
        # The last to fall asleep is the first to be woken: what it works with is still at hand.
        self._asleep: list[_Worker] = []
        # The thread of each owner that has one, and those of them that sleep.
        self._own: dict[Hashable, _Worker] = {}
        self._own_asleep: set[Hashable] = set()
        self._outboxes: dict[asyncio.AbstractEventLoop, Outbox] = {}

    def start(self, owner: Hashable, job: Job) -> None:
        """Queue a job, whose callbacks belong to the running event loop.

        Owners take turns when threads are scarce, a piece of a job each. Raises Overloaded where
        no thread can be had.
        """
        with self._lock:
            self._queue(_Item(owner, job, self._outbox(asyncio.get_running_loop())))
            try:
                self._wake_one(owner)
            except RuntimeError as exc:  # the system gives no more threads
                if owner in self._own or (self._started and owner not in self._alone):
                    if self._asleep:
                        self._asleep.pop().wake()
                    return  # another thread will come to it
                self._next_of(owner)  # the only one: no thread has ever run for it
                raise Overloaded from exc

    def put_back(self, item: _Item) -> None:
        """Queue what is left of a job, behind what others wait for."""
        with self._lock:
            self._queue(item)

    def close(self) -> None:
        """Let the threads end when the queued jobs are done."""
        with self._lock:
            self.is_closed = True
            for worker in [*self._asleep, *(self._own[owner] for owner in self._own_asleep)]:
                worker.wake()
            self._asleep.clear()
            self._own_asleep.clear()

    @property
    def is_busy(self) -> bool:
        """Whether a thread works."""
        return self._started > len(self._asleep)

    def _outbox(self, loop: asyncio.AbstractEventLoop) -> Outbox:
        if loop not in self._outboxes:
            for closed in [each for each in self._outboxes if each.is_closed()]:
                del self._outboxes[closed]
            self._outboxes[loop] = Outbox(loop, self)
        return self._outboxes[loop]

    def _queue(self, item: _Item) -> None:
        self._waiting.setdefault(item.owner, deque()).append(item)

    def _wake_one(self, owner: Hashable) -> None:
        if owner in self._own_asleep:
            self._own_asleep.remove(owner)
            self._own[owner].wake()
        elif owner in self._reserved and owner not in self._own:
            self._own[owner] = _Worker(self, owner, partial(self._take_own, owner))
        elif owner in self._alone:
            pass  # its thread looks for more when it is through
        elif not self.is_busy:
            self._wake_any()
        elif self._has_more and asyncio.get_running_loop() not in self._looks:
            pressure = Pressure()
            pressure.look(self.done)
            self._look_later(pressure)

    @property
    def _has_more(self) -> bool:
        return bool(self._asleep) or self._started < self.size

    def _wake_any(self) -> None:
        if self._asleep:
            self._asleep.pop().wake()
        elif self._started < self.size:
            _Worker(self, self._started + 1, self._take)
            self._started += 1

    def _look_later(self, pressure: Pressure) -> None:
        loop = asyncio.get_running_loop()
        self._looks[loop] = pressure
        loop.call_later(PATIENCE, self._look)

    def _look(self) -> None:
        with self._lock:
            pressure = self._looks.pop(asyncio.get_running_loop())
            if self._next_owner is None:
                return
            if pressure.look(self.done):
                with contextlib.suppress(RuntimeError):  # the system gives no more threads
                    self._wake_any()
            if self._has_more:
                self._look_later(pressure)

    def _take(self, worker: _Worker) -> _Item | None:
        with self._lock:
            owner = self._next_owner
            if owner is None:
                self._asleep.append(worker)
                return None
            return self._next_of(owner)

    @property
    def _next_owner(self) -> Hashable | None:
        return next((each for each in self._waiting if each not in self._alone), None)

    def _take_own(self, owner: Hashable, _: _Worker) -> _Item | None:
        with self._lock:
            if owner not in self._waiting:
                self._own_asleep.add(owner)
                return None
            return self._next_of(owner)

    def _next_of(self, owner: Hashable) -> _Item:
        items = self._waiting[owner]
        item = items.popleft()
        # The owner goes to the end of the line, so that each has its turn.
        if items:
            self._waiting.move_to_end(owner)
        else:
            del self._waiting[owner]
        return item
