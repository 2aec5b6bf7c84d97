"""What the load generator does: closed loops of requests, and actions that take a while."""

import asyncio
import time
from typing import Any

from tests.benchmarks.connections import Answers, open_many
from tests.benchmarks.measures import percentile

ROWS = 1000
# Seconds for what is still under way when a load ends.
LIMIT = 60.0
clock = time.perf_counter


def arguments_of(action: str, number: int) -> dict[str, Any]:
    """What a request of this action is sent with."""
    if action == "retrieve":
        return {"pk": 1 + number % ROWS}
    if action == "create":
        return {"data": {"question_text": "What is the meaning of a new question?", "votes": 3}}
    return {}


class ClosedLoop:
    """`depth` requests in flight on each of its sockets, each followed by the next one."""

    def __init__(self, sockets: list[Any], action: str, depth: int) -> None:
        self.sockets = sockets
        self.action = action
        self.depth = depth
        self.number = 0
        self.sent: dict[int, float] = {}
        self.seconds: list[float] = []
        self.refused = 0
        self.idle = asyncio.Event()
        self.begin = self.end = 0.0

    async def run(self, seconds: float, warmup: float) -> dict[str, float]:
        """Requests per second, percentiles of milliseconds, how many there were and went wrong."""
        self.begin = clock() + warmup
        self.end = self.begin + seconds
        for socket in self.sockets:
            socket.on_message = self._answered
            for _ in range(self.depth):
                self._ask(socket)
        try:
            await asyncio.wait_for(self.idle.wait(), warmup + seconds + LIMIT)
        except asyncio.TimeoutError:
            self.refused += len(self.sent)
        if self.number == len(self.sent):
            raise RuntimeError("Nothing was answered")
        milliseconds = [1000 * each for each in self.seconds] or [float("nan")]
        return {
            "per second": len(self.seconds) / seconds,
            "p50 ms": percentile(milliseconds, 50),
            "p99 ms": percentile(milliseconds, 99),
            "answered": self.number - len(self.sent),
            "failed": self.refused,
        }

    def _ask(self, socket: Any) -> None:
        self.number += 1
        self.sent[self.number] = clock()
        socket.send(self.number, self.action, **arguments_of(self.action, self.number))

    def _answered(self, socket: Any, message: Any) -> None:
        now = clock()
        began = self.sent.pop(message.request_id)
        self.refused += not message.ok
        if self.begin <= now <= self.end:
            self.seconds.append(now - began)
        if now < self.end:
            self._ask(socket)
        elif not self.sent:
            self.idle.set()


async def request_reply(
    peer: str,
    port: int,
    *,
    action: str,
    sockets: int,
    depth: int = 1,
    seconds: float = 0.8,
    warmup: float = 0.25,
) -> dict[str, float]:
    """One load of requests."""
    opened = await open_many(peer, port, sockets)
    try:
        return await ClosedLoop(opened, action, depth).run(seconds, warmup)
    finally:
        for socket in opened:
            socket.close()


async def first(peer: str, port: int) -> dict[str, float]:
    """One request on one connection."""
    opened = await open_many(peer, port, 1)
    answers = Answers(opened)
    opened[0].send(1, "retrieve", pk=1)
    failed = await answers.wait(LIMIT)
    opened[0].close()
    return {"failed": failed}


async def naps(peer: str, port: int, *, sockets: int) -> dict[str, float]:
    """Each of these sockets asks for one action that sleeps; seconds until all are answered."""
    opened = await open_many(peer, port, sockets)
    answers = Answers(opened)
    began = clock()
    for number, socket in enumerate(opened):
        socket.send(number, "nap")
    try:
        failed = await answers.wait(LIMIT)
        return {"seconds": clock() - began, "failed": failed}
    finally:
        for socket in opened:
            socket.close()
