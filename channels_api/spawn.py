"""Tasks of the process's own."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextvars import Context
from typing import Any, TypeVar

T = TypeVar("T")

# A loop itself keeps only weak references.
_running: set[asyncio.Task[Any]] = set()


def spawn(coroutine: Coroutine[Any, Any, T], context: Context | None = None) -> asyncio.Task[T]:
    """Start a task, which goes on although nobody keeps what is returned.

    Unless a context is given, it serves everybody, and has not that of who happened to come first:
    their language, their request and their tracing would be those of all who come after.
    """
    task = (context or Context()).run(asyncio.ensure_future, coroutine)
    _running.add(task)
    task.add_done_callback(_running.discard)
    return task


def current_task() -> asyncio.Task[Any]:
    """The task that runs this."""
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("This runs in a task only.")
    return task


class Timer:
    """Cancels the current task after some seconds (None: never), and tells that it was the one."""

    def __init__(self, seconds: float | None) -> None:
        self.fired = False
        self._task = asyncio.current_task()
        loop = asyncio.get_running_loop()
        self._handle = None if seconds is None else loop.call_later(seconds, self._fire)

    def stop(self) -> None:
        """It was in time."""
        if self._handle is not None:
            self._handle.cancel()

    def _fire(self) -> None:
        self.fired = True
        if self._task is not None:
            self._task.cancel()
