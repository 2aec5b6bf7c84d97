"""Pauses between attempts that fail."""

from __future__ import annotations

import asyncio

# Seconds.
FIRST, LONGEST = 0.5, 10.0


class Pauses:
    """Each is twice as long as the one before."""

    def __init__(self) -> None:
        self._next = FIRST

    async def wait(self) -> None:
        """It failed."""
        pause, self._next = self._next, min(self._next * 2, LONGEST)
        await asyncio.sleep(pause)

    def end(self) -> None:
        """It went well."""
        self._next = FIRST
