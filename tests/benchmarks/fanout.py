"""What the load generator does: one row is written, and many sockets are told of it."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from tests.benchmarks.connections import Answers, open_many
from tests.benchmarks.measures import percentile
from tests.benchmarks.peers import count_queries

# Seconds for all to have subscribed; for one write to be told to all.
SUBSCRIBING = 120.0
TELLING = 20.0
# Seconds after which no further write begins.
BUDGET = 12.0
clock = time.perf_counter


class FanOut:
    """Sockets that are subscribed, and one more that writes; `votes` counts the writes."""

    def __init__(self, sockets: Sequence[Any], writer: Any) -> None:
        self.sockets = sockets
        self.writer = writer
        self.votes = 0
        self.began = 0.0
        self.told: set[int] = set()
        self.all_told = asyncio.Event()
        self.forget()

    def forget(self) -> None:
        """What was measured so far counts no more."""
        self.writes = self.delivered = self.lost = 0
        self.to_last: list[float] = []

    async def subscribe(self) -> None:
        """Have all sockets subscribed."""
        answers = Answers(self.sockets)
        for socket in self.sockets:
            socket.subscribe()
        if refused := await answers.wait(SUBSCRIBING):
            raise RuntimeError(f"{refused} of {len(self.sockets)} sockets are not subscribed")
        for number, socket in enumerate(self.sockets):
            socket.on_message = self._told(number)

    async def write(self) -> None:
        """Write once, and wait until all were told of it."""
        self.writes += 1
        self.told.clear()
        self.all_told.clear()
        self.began = clock()
        await self.write_unheard()
        try:
            await asyncio.wait_for(self.all_told.wait(), TELLING)
        except asyncio.TimeoutError:
            self.lost += len(self.sockets) - len(self.told)
        self.delivered += len(self.told)

    async def write_unheard(self) -> None:
        """Write, and wait for the reply alone."""
        self.votes += 1
        answers = Answers([self.writer])
        self.writer.send(self.votes, "patch", pk=1, data={"votes": self.votes})
        if await answers.wait(TELLING):
            raise RuntimeError("A write was refused or not answered")

    def _told(self, number: int) -> Callable[[Any, Any], None]:
        def told(socket: Any, message: Any) -> None:
            if not message.is_event or message.data["votes"] != self.votes:
                return
            self.told.add(number)
            if len(self.told) == len(self.sockets) and not self.all_told.is_set():
                self.to_last.append(1000 * (clock() - self.began))
                self.all_told.set()

        return told


async def fan_out(
    peer: str,
    port: int,
    *,
    subscribers: int,
    events: int,
    path: str = "",
    sessions: Sequence[str] = (),
    deflate: bool = False,
) -> dict[str, float]:
    """So many writes, each when the one before was told to all.

    Events per second count the writing as well. Reads per event are the queries of the server,
    without those that the same write makes where nobody is subscribed.
    """
    opened = await open_many(
        peer, port, subscribers + 1, path=path, sessions=sessions, deflate=deflate
    )
    try:
        return await _measure(FanOut(opened[1:], opened[0]), events, port)
    finally:
        for socket in opened:
            socket.close()


async def _measure(fan: FanOut, events: int, port: int) -> dict[str, float]:
    # The first ones of a server look up and compile more.
    await fan.write_unheard()
    alone = await asyncio.to_thread(count_queries, port)
    await fan.write_unheard()
    alone = await asyncio.to_thread(count_queries, port) - alone
    await fan.subscribe()
    await fan.write()
    fan.forget()
    queries = await asyncio.to_thread(count_queries, port)
    began = clock()
    while fan.writes < events and clock() - began < BUDGET:
        await fan.write()
    seconds = clock() - began
    queries = await asyncio.to_thread(count_queries, port) - queries
    to_last = fan.to_last or [float("nan")]
    return {
        "events per second": fan.delivered / seconds,
        "to last p50 ms": percentile(to_last, 50),
        "to last p99 ms": percentile(to_last, 99),
        "reads per event": queries / fan.writes - alone,
        "lost": fan.lost,
        "told": fan.delivered,
    }
