"""Tasks of the process's own."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

# A loop itself keeps only weak references.
_running: set[asyncio.Task[Any]] = set()


def spawn(coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Start a task that serves everybody, without the context of who happened to come first.

    Their language, their request and their tracing would be those of all who come after. It goes
    on although nobody keeps what is returned.
    """
    task = contextvars.Context().run(asyncio.ensure_future, coroutine)
    _running.add(task)
    task.add_done_callback(_running.discard)
    return task
