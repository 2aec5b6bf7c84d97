"""Two servers, a Celery worker and commands on one database and one Redis: nothing gets lost.

The heartbeat is so far away here that only rings can have brought what is heard.
"""

import asyncio
import contextlib
import random

import pytest
from redis.asyncio import Connection

from tests.client import SocketClient
from tests.faults_helpers import LONG
from tests.live_helpers import follow, go_on, keep, questions, subscribe
from tests.nodes_helpers import (
    CORE,
    PUBSUB,
    Site,
    audience,
    call,
    keeps_sites,
    seed,
    write_by_command,
    write_by_socket,
    write_by_worker,
)
from tests.replica import Replica

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(400)]

HEARTBEAT = 60
#: One within which a client of these tests still waits for what no ring brings.
SHORT_HEARTBEAT = 3
#: Seconds for what rings bring, on a busy machine.
SOON = 20
#: How long a connection of redis-py may be silent.
SILENCE = Connection().socket_timeout or 5


sites = keeps_sites()


@pytest.fixture
def site(sites, transactional_db):
    return sites.get(CORE, worker=True, HEARTBEAT=HEARTBEAT)


@pytest.fixture
def beating_site(sites, transactional_db):
    return sites.get(CORE, worker=True, HEARTBEAT=SHORT_HEARTBEAT)


@pytest.fixture(params=["redis", "redis-pubsub", PUBSUB, CORE] if LONG else [CORE])
def any_site(request, sites, transactional_db):
    return sites.get(request.param, worker=True, HEARTBEAT=HEARTBEAT)


async def test_what_anybody_writes_is_told_on_every_node(any_site):
    site = any_site
    old = await seed(25)
    async with audience(site) as all_of_them:
        plans = [
            {
                "label": f"writer-{number}",
                "count": 20,
                "owners": all_of_them.owners,
                "remove": old[number::6],
            }
            for number in range(5)
        ]
        await asyncio.gather(
            write_by_socket(site, 0, plans[0]),
            write_by_socket(site, 1, plans[1]),
            write_by_worker(site, plans[2]),
            write_by_command(site, plans[3]),
            write_by_command(site, plans[4]),
        )
        await all_of_them.equal(SOON)
        now = await questions()
        assert len(now) == 5 * 20 + len(old[5::6])
        gone = {pk: None for pk in old if pk not in now}
        left = {pk: row for pk, row in now.items() if pk not in old}
        await all_of_them.heard({**gone, **left}, SOON)


async def take_some(client: SocketClient, replica: Replica, count: int) -> None:
    """Take up to so many frames, for as long as they come at once."""
    with contextlib.suppress(asyncio.TimeoutError):
        for _ in range(count):
            replica.event((await client.receive(timeout=0.1))["payload"])


async def test_a_client_that_is_cut_again_and_again_misses_nothing(beating_site):
    """In one of some thousand rounds no ring told of the last changes: heartbeats do."""
    site = beating_site
    chance = random.Random(7)  # noqa: S311
    rounds = 500 if LONG else 50
    await seed(50)
    replica, recovered = Replica(), 0
    async with SocketClient(site.urls[0]) as client:
        await keep(client, "live", replica)
    for number in range(rounds):
        writing = asyncio.gather(
            *(call(url, "churn", {"count": 20, "seed": f"{number} {url}"}) for url in site.urls)
        )
        async with SocketClient(chance.choice(site.urls)) as client:
            recovered += await go_on(client, "live", replica)
            await take_some(client, replica, chance.randrange(30))
            if number % 5 == 4:
                await writing
                await follow(client, replica, await questions())
            client.socket.transport.abort()
        await writing
    async with SocketClient(site.urls[1]) as client:
        await go_on(client, "live", replica)
        await follow(client, replica, await questions())
    # Nothing was lost, so that it could always go on.
    assert (recovered, replica.reasons) == (rounds, ["first"])


async def test_idle_sockets_stay_open_and_hear(sites, site, transactional_db):
    """For longer than redis-py lets a connection be silent, by its defaults; with either layer."""
    other = sites.get(PUBSUB, HEARTBEAT=HEARTBEAT)
    await asyncio.gather(hear_after_silence(site, "core"), hear_after_silence(other, "pubsub"))


async def hear_after_silence(site: Site, label: str) -> None:
    async with contextlib.AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(SocketClient(site.urls[number % 2]))
            for number in range(40)
        ]
        replicas = [await keep(client, "live") for client in clients[:20]]
        for client in clients[20:]:
            await subscribe(client, "live")
        await asyncio.sleep(SILENCE * 1.3)
        await write_by_command(site, {"label": label, "count": 1})
        rows = await questions(question_text=f"{label} 0")
        for client, replica in zip(clients, replicas, strict=False):
            await follow(client, replica, rows)
        for client in clients[20:]:
            data = None
            while data not in rows.values():
                data = (await client.receive(timeout=SOON))["payload"]["data"]


@pytest.mark.parametrize("number", [0, 1] if LONG else [0])
async def test_a_node_that_is_stopped_loses_nobody_anything(site, number):
    await seed(10)
    stopped, other = site.nodes[number], site.nodes[1 - number]
    async with contextlib.AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(SocketClient(stopped.url + "ws/")) for _ in range(50)
        ]
        replicas = [await keep(client, "live") for client in clients]
        writing = asyncio.ensure_future(call(other.url + "ws/", "churn", {"count": 200, "seed": 1}))
        closing = asyncio.to_thread(stopped.stop)

        async def read_to_the_end(client: SocketClient, replica: Replica) -> None:
            frames, _ = await client.until_closed(timeout=SOON)
            for frame in frames:
                replica.event(frame["payload"])

        await asyncio.gather(closing, *map(read_to_the_end, clients, replicas))
    async with contextlib.AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(SocketClient(other.url + "ws/")) for _ in range(50)
        ]
        for client, replica in zip(clients, replicas, strict=True):
            await go_on(client, "live", replica)
        await writing
        rows = await questions()
        for client, replica in zip(clients, replicas, strict=True):
            await follow(client, replica, rows)
    assert [replica.reasons for replica in replicas] == [["first"]] * 50
