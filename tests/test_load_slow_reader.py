"""A client that does not read: it costs the server little, and nobody else waits for it.

Under uvicorn a send waits until the client takes it, so that it can be known who reads and who
doesn't. Daphne takes everything at once and keeps it in memory: there, only what is sent can be
bounded, and the deployment page has to say so.
"""

import subprocess
import time

import pytest

from channels_api.exceptions import CloseCode
from tests.client import SocketClient
from tests.load_doors import LIMIT

MEGABYTE = 1024 * 1024
LARGE = 200_000
COUNT = 200

UNLIMITED = {"FRAME_RATE": None, "MAX_QUEUED": None}


def memory_of(server) -> int:
    """The resident memory of a server's process, in bytes."""
    done = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(server.pid)],  # noqa: S607 - wherever the system has it
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout) * 1024


class Sleeper(SocketClient):
    """A client that reads nothing between `fall_asleep` and `wake_up`."""

    def __init__(self, url: str) -> None:
        # Compressed, the replies of the tests are nothing.
        super().__init__(url, compression=None)

    def fall_asleep(self) -> None:
        self.socket.transport.pause_reading()

    def wake_up(self) -> None:
        self.socket.transport.resume_reading()


@pytest.fixture
def unlimited(app_server, server):
    return app_server(server.kind, channels_api=UNLIMITED)


async def test_replies(unlimited):
    """It may ask for more than it takes: the server does not prepare the answers in advance."""
    async with (
        Sleeper(unlimited.url + "ws/") as sleeper,
        SocketClient(unlimited.url + "ws/") as other,
    ):
        for _ in range(10):
            await sleeper.request("load-a", "large", data=LARGE)
        before = memory_of(unlimited)
        sleeper.fall_asleep()
        for number in range(COUNT):
            stream = f"load-{'abcdefgh'[number % 8]}"
            await sleeper.send(stream, "large", data=LARGE, request_id=number)
        # As many turns as it would take to answer all of them.
        for number in range(COUNT):
            assert (await other.request("load-a", "echo", data=number))["data"] == number
        if unlimited.kind == "uvicorn":
            assert memory_of(unlimited) - before < 15 * MEGABYTE
        sleeper.wake_up()
        frames = [await sleeper.receive(timeout=LIMIT) for _ in range(COUNT)]
        assert {len(frame["payload"]["data"]) for frame in frames} == {LARGE}
        assert {frame["payload"]["request_id"] for frame in frames} == set(range(COUNT))
        assert (await sleeper.request("load-a", "echo", data=1))["data"] == 1


async def test_events(unlimited):
    """It is told the last state of what changed, not each change."""
    async with (
        Sleeper(unlimited.url + "ws/") as sleeper,
        SocketClient(unlimited.url + "ws/") as other,
    ):
        row = (await other.request("load-questions", "create", data={"question_text": "?"}))["data"]
        await sleeper.request("load-questions", "subscribe", data={"action": "*"})
        before = memory_of(unlimited)
        sleeper.fall_asleep()
        for votes in range(1, COUNT + 1):
            await other.request("load-questions", "patch", pk=row["id"], data={"votes": votes})
        if unlimited.kind == "uvicorn":
            assert memory_of(unlimited) - before < 15 * MEGABYTE
        sleeper.wake_up()
        seen = [0]
        while seen[-1] < COUNT:
            seen.append((await sleeper.receive(timeout=LIMIT))["payload"]["data"]["votes"])
        assert seen == sorted(seen)
        if unlimited.kind == "uvicorn":
            assert len(seen) < COUNT
        # A change may be told twice, since it is the row of that moment that is told.
        late = await sleeper.barrier("load-a", "echo", timeout=LIMIT)
        assert {frame["payload"]["data"]["votes"] for frame in late} <= {COUNT}


async def test_refusals(app_server, transactional_db):
    """Under uvicorn. They need no action that could wait: after a hundred, the socket is closed."""
    server = app_server("uvicorn", channels_api=UNLIMITED)
    async with (
        Sleeper(server.url + "ws/") as sleeper,
        SocketClient(server.url + "ws/") as other,
    ):
        before = memory_of(server)
        sleeper.fall_asleep()
        for number in range(300):
            # The reply names the stream twice.
            await sleeper.send("x" * 60_000, "echo", request_id=number)
        assert (await other.request("load-a", "echo", data=1))["data"] == 1
        assert memory_of(server) - before < 25 * MEGABYTE
        sleeper.wake_up()
        frames, code = await sleeper.until_closed(timeout=LIMIT)
        assert code == CloseCode.TOO_SLOW
        # What was on its way comes in order; the rest was dropped.
        ids = [frame["payload"]["request_id"] for frame in frames]
        assert ids == list(range(len(ids)))


async def test_it_is_given_up_in_the_end(app_server, transactional_db):
    """Under uvicorn, after SEND_TIMEOUT seconds with a frame that it does not take."""
    server = app_server("uvicorn", channels_api={"SEND_TIMEOUT": 0.5})
    async with (
        Sleeper(server.url + "ws/") as sleeper,
        SocketClient(server.url + "ws/") as other,
    ):
        # Sockets of other tests that are just ending.
        before = (await other.request("load-a", "given_up"))["data"]
        sleeper.fall_asleep()
        for number in range(20):
            await sleeper.send("load-a", "large", data=5 * LARGE, request_id=number)
        deadline = time.monotonic() + LIMIT
        while (await other.request("load-a", "given_up"))["data"] <= before:
            assert time.monotonic() < deadline
        sleeper.wake_up()
        frames, code = await sleeper.until_closed(timeout=LIMIT)
        assert len(frames) < 20
        assert code == CloseCode.TOO_SLOW
