"""What the load generator does: sockets that stay open and do nothing."""

import time
from collections.abc import Sequence
from typing import Any

from tests.benchmarks.connections import Answers, open_many

LIMIT = 120.0
held: list[Any] = []


async def hold(
    peer: str,
    port: int,
    *,
    sockets: int,
    path: str = "",
    sessions: Sequence[str] = (),
    deflate: bool = False,
) -> dict[str, float]:
    """Open so many more."""
    opened = await open_many(peer, port, sockets, path=path, sessions=sessions, deflate=deflate)
    held.extend(opened)
    return {"held": len(held)}


async def subscribe(peer: str, port: int) -> dict[str, float]:
    """One subscription on each of them, and the seconds until all are answered."""
    answers = Answers(held)
    began = time.perf_counter()
    for socket in held:
        socket.subscribe()
    failed = await answers.wait(LIMIT)
    return {"seconds": time.perf_counter() - began, "failed": failed}


async def release(peer: str, port: int) -> dict[str, float]:
    """Close them all; how many of them the server had closed before."""
    closed = sum(socket.closed for socket in held)
    for socket in held:
        socket.close()
    held.clear()
    return {"closed": closed}
