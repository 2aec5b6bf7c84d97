"""What the tests of faults have in common: parts that go away, and many tasks at a time."""

import asyncio
import itertools
import os
import signal
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.client import SocketClient
from tests.servers import CeleryWorker, Server
from tests.tasks_helpers import frame, started, succeeded
from tests.tasks_stacks import Stack, Stacks

#: TEST_LONG=1: the long runs too.
LONG = os.environ.get("TEST_LONG") == "1"
LONG_RUN = pytest.mark.skipif(not LONG, reason="a long run: TEST_LONG=1")

#: A socket may ask for as many tasks at once as it likes.
NO_LIMITS = {"FRAME_RATE": None, "MAX_QUEUED": None}


def kill(server: Server) -> None:
    """End a server and all that it has started, without a word."""
    os.killpg(server.pid, signal.SIGKILL)
    server.process.wait()


@contextmanager
def away(*servers: Server) -> Iterator[None]:
    """Without these: connections are refused. Afterwards they are back, and remember nothing."""
    for server in servers:
        kill(server)
    try:
        yield
    finally:
        for server in servers:
            server.start()


@contextmanager
def hanging(*servers: Server) -> Iterator[None]:
    """These take connections and requests, and answer none."""
    for server in servers:
        os.killpg(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for server in servers:
            os.killpg(server.pid, signal.SIGCONT)


def start_worker(stacks: Stacks, stack: Stack, queue: str, *arguments: str, **env: str) -> None:
    """One more worker of a stack, for the tasks of one queue."""
    worker = CeleryWorker(env={**stack.server.env, **env}, arguments=["-Q", queue, *arguments])
    stacks.start(worker)


def work(task: str, *args, **options) -> dict:
    """The data of a frame that starts a task on the stream `work`."""
    return {"task": task, "args": args, "options": options}


async def begin(client: SocketClient, task: str, *args, stream: str = "work", **options) -> str:
    """Start a task; its id."""
    reply = await client.request(stream, "start", data=work(task, *args, **options))
    assert reply == {
        "action": "start",
        "errors": [],
        "data": {"id": reply["data"]["id"], "state": "PENDING"},
        "response_status": 202,
        "request_id": reply["request_id"],
    }
    return reply["data"]["id"]


def news(frames: list[dict]) -> list[dict]:
    """Without those that say that there are none: what waits in a queue is silent as well."""
    return [each for each in frames if "since" not in each["payload"]["data"]]


async def next_news(client: SocketClient) -> dict:
    """The next frame that does not say that there are none."""
    received = await client.receive(timeout=20)
    while not news([received]):
        received = await client.receive(timeout=20)
    return received


async def run_many(url: str, count: int, *, sockets: int = 4, window: int = 30, **options) -> None:
    """Run tasks at once, over some sockets, and see that each is told as it should be.

    `window`: frames of a socket that wait for their first reply.
    """
    shares = [range(first, count, sockets) for first in range(sockets)]
    ids = await asyncio.gather(*(run_share(url, share, window, options) for share in shares))
    assert len({task for share in ids for task in share}) == count


async def run_share(url: str, numbers: range, window: int, options: dict) -> list[str]:
    """Run the tasks of one socket; their ids."""
    told = defaultdict(list)
    to_send, running = list(numbers), set(numbers)
    async with SocketClient(url) as client:
        while running:
            while to_send and len(numbers) - len(to_send) - len(told) < window:
                number = to_send.pop(0)
                data = work("double", number, **options)
                await client.send("work", "start", data=data, request_id=number)
            received = await client.receive(timeout=20)
            told[received["payload"]["request_id"]].append(received)
            if received["payload"]["response_status"] != 202:
                running.discard(received["payload"]["request_id"])
        assert await client.barrier("questions") == []
    assert told.keys() == set(numbers)
    return [check_story(frames, number) for number, frames in told.items()]


def check_story(frames: list[dict], number: int) -> str:
    """The frames of one task are all that there is to tell, in order; its id."""
    task = frames[0]["payload"]["data"]["id"]
    pending = frame("work", "start", number, 202, {"id": task, "state": "PENDING"})
    last = succeeded("work", "start", number, task, number * 2)
    begun = started("work", "start", number, task)
    told = news(frames)
    # It may be over before anybody has read that it has begun.
    assert told in ([pending, begun, last], [pending, last]), frames
    for before, silent in itertools.pairwise(frames):
        if silent not in told:
            silent["payload"]["data"].pop("since")
            assert silent == before
    return task
