"""Sockets come, subscribe, act and die, over and over: nothing of them stays in the servers."""

import asyncio
import itertools
import random
import time
from collections.abc import Iterator

import pytest
from websockets import ConnectionClosed

from tests.benchmarks.measures import resident_bytes
from tests.client import SocketClient
from tests.faults_helpers import LONG, LONG_RUN
from tests.live_helpers import keep, until
from tests.nodes_helpers import CORE, Site, keeps_sites, seed
from tests.servers import AppServer
from tests.test_load_endings import hang_up, quiet_census, reset, say_goodbye

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(3600)]

#: Lives of a run, and how many are lived at the same time.
LIVES, AT_ONCE = (500, 10) if LONG else (80, 10)
#: Lives before the memory is looked at: it grows for some hundreds of them, and then no more.
WARM = 1000 if LONG else 30
#: Seconds of the long mixed load.
LOAD = 30 * 60
#: What a process may hold more at the end than when it was warm: an arena or two, and no more.
FLAT = 12 * 2**20
THREADS = 4
#: Sockets of a process that may be on their way out of memory: the last that looked, for example.
GONE = 3

FRAMES = [
    ("questions", "list", {}),
    ("questions", "create", {"data": {"question_text": "soak"}}),
    ("questions", "create", {"data": {}}),
    ("questions", "retrieve", {"pk": 10**9}),
    ("questions", "no such action", {}),
    ("no such stream", "list", {}),
    ("load-a", "echo", {"data": 1}),
    ("load-a", "sleep", {"data": 0.05}),
    ("load-b", "fail", {"data": "Disaster"}),
    ("load-c", "afail", {"data": "SystemExit"}),
    ("load-d", "large", {"data": 100_000}),
]


sites = keeps_sites()


@pytest.fixture
def site(sites, transactional_db):
    # A flood is not what this is about.
    return sites.get(CORE, HEARTBEAT=3, THREADS=THREADS, FRAME_RATE=None)


async def live(url: str, chance: random.Random) -> None:
    """One socket's life. Not all that it asks for is waited for, and it dies somehow."""
    async with SocketClient(url) as client:
        for number in range(chance.randrange(3)):
            stream = chance.choice(["live", "questions"])
            action = chance.choice(["create", "update", "*"])
            await client.send(stream, "subscribe", data={"action": action}, request_id=number)
        if chance.random() < 0.3:
            await client.send("live", "subscribe", data={"action": "*", "snapshot": True})
        for number in range(chance.randrange(12)):
            stream, action, rest = chance.choice(FRAMES)
            await client.send(stream, action, request_id=number, **rest)
        if chance.random() < 0.3:
            await client.send_raw(chance.choice(["no json", "[]", "{}", b"binary"]))
        for _ in range(chance.randrange(12)):
            try:
                await client.receive(timeout=0.05)
            except asyncio.TimeoutError:
                break
            except ConnectionClosed:
                return
        await chance.choice([say_goodbye, hang_up, reset])(client)


async def live_many(site: Site, seeds: Iterator[int]) -> None:
    """Lives on either node, AT_ONCE at a time, until the seeds are used up."""

    async def one_after_another() -> None:
        for number in seeds:
            chance = random.Random(number)  # noqa: S311
            await live(chance.choice(site.urls), chance)

    await asyncio.gather(*(one_after_another() for _ in range(AT_ONCE)))


async def census(node: AppServer) -> dict:
    """What sockets keep busy in a server; `gone` are those that are closed and still in memory."""
    async with SocketClient(node.url + "ws/") as observer:
        gone = (await observer.request("load-a", "given_up"))["data"]
        return {**await quiet_census(observer), "gone": gone}


def memberships(site: Site) -> int:
    """How many channels are in groups of the layer."""
    admin = site.admin()
    return sum(admin.zcard(key) for key in admin.scan_iter("asgi:group:*"))


def until_seconds(seconds: float) -> Iterator[int]:
    """Seeds until the time is up."""
    end = time.monotonic() + seconds
    return itertools.takewhile(lambda _: time.monotonic() < end, itertools.count())


class TestLives:
    async def test_nothing_of_them_stays(self, site):
        await seed(20)
        await live_many(site, iter(range(10_000, 10_000 + WARM)))
        before = [await census(node) for node in site.nodes]
        warm = [resident_bytes(node.pid) for node in site.nodes]
        await live_many(site, iter(range(1000, 1000 + LIVES)))
        await self.see_nothing_left(site, before)
        grown = [resident_bytes(node.pid) - was for node, was in zip(site.nodes, warm, strict=True)]
        assert max(grown) < FLAT
        await self.see_it_still_works(site)

    @LONG_RUN
    async def test_nor_of_half_an_hour_of_them(self, site):
        await seed(20)
        await live_many(site, until_seconds(LOAD / 10))
        before = [await census(node) for node in site.nodes]
        warm = [resident_bytes(node.pid) for node in site.nodes]
        await live_many(site, until_seconds(LOAD))
        await self.see_nothing_left(site, before)
        grown = [resident_bytes(node.pid) - was for node, was in zip(site.nodes, warm, strict=True)]
        assert max(grown) < FLAT
        await self.see_it_still_works(site)

    async def see_nothing_left(self, site: Site, before: list[dict]) -> None:
        """No socket, task, busy thread, subscription or membership of a group."""

        async def is_quiet() -> bool:
            now = [await census(node) for node in site.nodes]
            return all(
                is_now[what] <= most
                for is_now, was in zip(now, before, strict=True)
                for what, most in {
                    "topics": 0,
                    "busy": 0,
                    "gone": GONE,
                    "tasks": was["tasks"],
                }.items()
            )

        await until(is_quiet, 60)

        async def is_empty() -> bool:
            return memberships(site) == 0

        await until(is_empty, 60)
        assert all(node.running for node in site.nodes)

    async def see_it_still_works(self, site: Site) -> None:
        """Who subscribes now hears what the other node writes."""
        async with SocketClient(site.urls[0]) as reader, SocketClient(site.urls[1]) as writer:
            replica = await keep(reader, "live")
            assert memberships(site) > 0
            created = (await writer.request("live", "create", data={"question_text": "after all"}))[
                "data"
            ]
            while created["id"] not in replica.rows:
                replica.event((await reader.receive())["payload"])
            assert replica.rows[created["id"]] == created
