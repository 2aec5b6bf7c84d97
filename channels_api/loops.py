"""What belongs to an event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Generic, TypeVar

from .locks import new_lock

T = TypeVar("T")


class PerLoop(Generic[T]):
    """One object for each event loop of this process."""

    def __init__(self) -> None:
        self._objects: dict[asyncio.AbstractEventLoop, T] = {}
        self._lock = new_lock()
        if hasattr(os, "register_at_fork"):
            # They live on in the parent: what they are told here would be written into its loops.
            os.register_at_fork(after_in_child=self._objects.clear)

    def get(self, make: Callable[[asyncio.AbstractEventLoop], T]) -> T:
        """That of the running loop, made if there is none."""
        loop = asyncio.get_running_loop()
        with self._lock:
            if loop not in self._objects:
                for closed in [each for each in self._objects if each.is_closed()]:
                    del self._objects[closed]
                self._objects[loop] = make(loop)
            return self._objects[loop]

    def all(self) -> list[T]:
        """All of them; may be asked from any thread."""
        with self._lock:
            return list(self._objects.values())
