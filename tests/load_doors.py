"""Doors: what an action in a server waits at until the test, in another process, opens it.

A door is a directory that both processes see, so that it needs neither the socket nor a thread of
the server, which are what the tests fill up.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Seconds until a test that fails gives up; none is waited for in one that passes.
LIMIT = 20
PAUSE = 0.005


class Door:
    """Each caller has a name, and may pass when the door is open for that name or for all."""

    def __init__(self, directory: str | Path) -> None:
        self.directory = Path(directory)

    def open(self, name: str = "all") -> None:
        """Let a name pass, or all of them."""
        (self.directory / f"open-{name}").touch()

    def is_open(self, name: str) -> bool:
        """Whether a name may pass."""
        return any((self.directory / f"open-{who}").exists() for who in (name, "all"))

    def names(self, what: str) -> list[str]:
        """Who has "reached" the door, "left" it, or was "cancelled" there, in order."""
        path = self.directory / what
        return path.read_text().splitlines() if path.exists() else []

    async def reached_by(self, *names: str) -> None:
        """Back when exactly these have come to the door, in any order."""
        await until(lambda: sorted(self.names("reached")) == sorted(names), self)

    def pass_through(self, name: str) -> None:
        """In the server, from a thread."""
        self._note("reached", name)
        for _ in self._tries(name):
            time.sleep(PAUSE)
        self._note("left", name)

    async def apass_through(self, name: str) -> None:
        """In the server, from the event loop."""
        self._note("reached", name)
        try:
            for _ in self._tries(name):
                await asyncio.sleep(PAUSE)
        except asyncio.CancelledError:
            self._note("cancelled", name)
            raise
        finally:
            self._note("left", name)

    def _note(self, what: str, name: str) -> None:
        # One small write to a file that is open for appending is not mixed with others.
        with (self.directory / what).open("a") as file:
            file.write(f"{name}\n")

    def _tries(self, name: str) -> Iterator[None]:
        deadline = time.monotonic() + LIMIT
        while not self.is_open(name):
            if time.monotonic() > deadline:
                raise TimeoutError(f"nobody opened the door for {name}")
            yield

    def __repr__(self) -> str:
        return f"{self.names('reached')} came, {self.names('left')} left"


async def until(condition: Callable[[], bool], about: object = "") -> None:
    """Back when the condition is true; an error if that takes longer than LIMIT."""
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain: {about}"
        await asyncio.sleep(PAUSE)


async def hold(client: Any, stream: str, door: Door, name: str, action: str = "hold") -> None:
    """Send a frame whose action waits at a door; the name is its `request_id`, too."""
    data = {"door": str(door.directory), "name": name}
    await client.send(stream, action, data=data, request_id=name)
