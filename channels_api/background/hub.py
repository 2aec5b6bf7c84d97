"""One hub per process and event loop: which tasks are watched here, and what they are at."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Hashable
from datetime import datetime, timezone
from typing import Any, Protocol

from ..layers.listener import Listener
from ..logs import log_sometimes
from ..settings import settings
from ..spawn import spawn
from ..threads import TASKS, run_in_thread
from .bell import Ring, from_message, group_of, hubs
from .references import TaskReference
from .states import PENDING, TaskState

# Tasks whose states are read in one hop: those that wait behind them wait no longer than that.
BATCH = 50
# Messages in as many seconds that are a flood. A channel layer drops what it can't hold, by default
# more than 100, so that all watched tasks are read again soon, and not at the next heartbeat.
FLOOD, FLOOD_SECONDS = 50, 1.0


class StateReader(Protocol):
    """Reads the state of one task from where it is stored."""

    def hear(self, ring: Ring) -> bool:
        """Take a ring of the task's job; whether it is one to read for."""

    def read(self, everything: bool) -> TaskState:
        """The state now; in a thread. `everything`: what no ring told of as well."""


Listening = Callable[[TaskState], None]


def get_hub() -> TaskHub:
    """The hub of the running event loop."""
    return hubs.get(TaskHub)


class WatchedTask:
    """A task that somebody watches: what it was at last, and whom to tell."""

    def __init__(self, reference: TaskReference, reader: StateReader) -> None:
        self.reference = reference
        self.reader = reader
        self.listeners: set[Listening] = set()
        self.state = TaskState()
        self.joined: asyncio.Task[None] | None = None
        self.holders = 0
        # Whether the next read is to look at what no ring told of.
        self.everything = True
        self.heard_at = datetime.now(timezone.utc)
        self.is_silent = False

    def update(self, state: TaskState) -> None:
        """Tell the listeners of a state that was read, if it is another one."""
        # A store that was emptied knows of nothing; the client knows better.
        if state.name == PENDING and self.state.name != PENDING:
            return
        if state == self.state or self.state.is_final:
            return
        self.hear()
        self.state = state
        self._tell(state)

    def hear(self) -> None:
        """There are news."""
        self.heard_at = datetime.now(timezone.utc)
        self.is_silent = False

    def tell_silence(self) -> None:
        """Say once since when there are no news: the worker may be gone for good."""
        silent_for = (datetime.now(timezone.utc) - self.heard_at).total_seconds()
        if silent_for < settings.HEARTBEAT or self.is_silent or self.state.is_final:
            return
        self.is_silent = True
        self._tell(self.state.silent_since(self.heard_at))

    def _tell(self, state: TaskState) -> None:
        for listener in list(self.listeners):
            try:
                listener(state)
            except Exception:  # the other listeners, and the heart that beats for all, go on
                log_sometimes("The state of a task can't be told")


class TaskHub:
    """Reads the states of watched tasks when a ring comes, and at each heartbeat.

    Rings may be lost, doubled or reordered: what is told is what was read.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._tasks: dict[Hashable, WatchedTask] = {}
        self._jobs: dict[str, set[WatchedTask]] = {}
        self._listener = Listener(self._hear_message, self._look_at_all)
        self._to_read: dict[WatchedTask, None] = {}
        self._reading: asyncio.Task[None] | None = None
        self._beating: asyncio.Task[None] | None = None
        self._counted_since = float("-inf")
        self._counted = 0
        self._leaving: set[asyncio.Task[None]] = set()

    async def hold(self, reference: TaskReference, reader: StateReader) -> WatchedTask:
        """Watch a task; when this returns, no state that is stored later is missed.

        `release` it again. The reader of whoever came first is the one that is used.
        """
        key = _key(reference)
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = WatchedTask(reference, reader)
            task.joined = spawn(self._join(task))
        task.holders += 1
        if self._beating is None:
            self._beating = spawn(self._beat())
        try:
            # Shielded: one holder that leaves must not cancel what others wait for.
            await asyncio.shield(task.joined)  # type: ignore[arg-type]
        except BaseException:
            self.release(task)
            raise
        return task

    def release(self, task: WatchedTask) -> None:
        """Give a task back; the last one to do so ends the watch."""
        task.holders -= 1
        if task.holders:
            return
        del self._tasks[_key(task.reference)]
        self._to_read.pop(task, None)
        self._leave(task)
        if not self._tasks and self._beating is not None:
            self._beating.cancel()
            self._beating = None

    async def settle(self) -> None:
        """Wait until what was released has left the channel layer."""
        if self._leaving:
            await asyncio.wait(self._leaving)

    async def read(self, task: WatchedTask) -> TaskState:
        """The state of a held task now. Raises what the store raises."""
        [state] = await run_in_thread(_read, [(task.reader, True)], owner=TASKS)
        if isinstance(state, Exception):
            raise state
        task.update(state)
        return task.state

    def look(self, task: WatchedTask, *, everything: bool = False) -> None:
        """Read a task's state soon."""
        task.everything |= everything
        self._to_read[task] = None
        if self._reading is None:
            self._reading = spawn(self._read_all())

    def needs(self, job: str) -> bool:
        """Whether a task of a job is watched here; asked from any thread."""
        return job in self._jobs

    def hear(self, message: Ring) -> None:
        """Take a ring."""
        for task in self._jobs.get(message.job, ()):
            if task.reader.hear(message):
                task.hear()
                self.look(task)

    def _hear_message(self, message: dict[str, Any]) -> None:
        self._count()
        try:
            self.hear(from_message(message))
        except (KeyError, TypeError):
            log_sometimes("The tasks' channel had a message that is no ring")

    def _count(self) -> None:
        now = self.loop.time()
        if now - self._counted_since >= FLOOD_SECONDS:
            self._counted_since, self._counted = now, 0
        self._counted += 1
        if self._counted == FLOOD:
            self.loop.call_later(FLOOD_SECONDS, self._look_at_all)

    def _look_at_all(self) -> None:
        for task in list(self._tasks.values()):
            self.look(task, everything=True)

    async def _join(self, task: WatchedTask) -> None:
        job = task.reference.job
        if job:
            self._jobs.setdefault(job, set()).add(task)
            await self._listener.join(group_of(job))

    def _leave(self, task: WatchedTask) -> None:
        job = task.reference.job
        self._jobs.get(job, set()).discard(task)
        if job in self._jobs and not self._jobs[job]:
            del self._jobs[job]
            leaving = spawn(self._listener.leave(group_of(job)))
            # The loop itself keeps only weak references.
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)

    async def _read_all(self) -> None:
        try:
            while self._to_read:
                batch = list(self._to_read)[:BATCH]
                wanted = [(task.reader, task.everything) for task in batch]
                for task in batch:
                    del self._to_read[task]
                    task.everything = False
                self._take(batch, await run_in_thread(_read, wanted, owner=TASKS))
        except Exception:
            log_sometimes("The states of tasks can't be read; the next heartbeat tries again")
        finally:
            self._reading = None

    def _take(self, batch: list[WatchedTask], states: list[TaskState | Exception]) -> None:
        for task, state in zip(batch, states, strict=True):
            if isinstance(state, Exception):
                task.everything = True
            else:
                task.update(state)

    async def _beat(self) -> None:
        while True:
            # Spread, so that the processes of a site don't read at the same moment.
            await asyncio.sleep(settings.HEARTBEAT * random.uniform(0.8, 1.2))  # noqa: S311
            for task in list(self._tasks.values()):
                task.tell_silence()
            self._look_at_all()


def _key(reference: TaskReference) -> Hashable:
    # Who knows a task by nothing but its id hears no rings, and shows a chord as its body.
    return reference.task_id, reference.job, reference.group


def _read(wanted: list[tuple[StateReader, bool]]) -> list[TaskState | Exception]:
    states: list[TaskState | Exception] = []
    for reader, everything in wanted:
        try:
            states.append(reader.read(everything))
        except Exception as exc:  # one task's store must not cost the others their states
            log_sometimes("The state of a task can't be read; the next heartbeat tries again")
            states.append(exc)
    return states
