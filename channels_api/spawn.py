"""Tasks of the process's own."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def spawn(coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Start a task that serves everybody, without the context of who happened to come first.

    Their language, their request and their tracing would be those of all who come after.
    """
    return contextvars.Context().run(asyncio.ensure_future, coroutine)
