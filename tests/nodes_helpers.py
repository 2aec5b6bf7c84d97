"""Several servers on one database and one Redis, those who write, and those who follow."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
import redis
from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model

from tests.app.models import Question
from tests.client import SocketClient, login_headers
from tests.conftest import database_names
from tests.live_helpers import questions, until
from tests.plugin import require_program
from tests.replica import Replica
from tests.servers import ROOT, AppServer, CeleryWorker, RedisServer, Server, close_all

#: Seconds until everybody has to know everything, whatever went wrong before.
HEALED = 20
#: What a user would write, of either layer: with nothing but a host and a port.
CORE, PUBSUB = "redis-readme", "redis-pubsub-readme"


class PersistentRedis(RedisServer):
    """Redis as it is installed: killed, it comes back with what it saved some time ago."""

    def command(self) -> list[str]:
        command = super().command()
        at = command.index("--save")
        return command[:at] + command[at + 2 :]


@dataclass
class Site:
    """Two servers, one of each kind; `worker` with a broker of its own, where there is one."""

    env: dict[str, str]
    redis: RedisServer
    nodes: list[AppServer]
    broker: RedisServer | None = None
    worker: CeleryWorker | None = None

    @property
    def stores(self) -> list[RedisServer]:
        return [self.redis] if self.broker is None else [self.redis, self.broker]

    @property
    def processes(self) -> list[Server]:
        """What needs the stores."""
        return [*self.nodes] if self.worker is None else [*self.nodes, self.worker]

    @property
    def urls(self) -> list[str]:
        return [node.url + "ws/" for node in self.nodes]

    def admin(self) -> redis.Redis:
        return redis.Redis(port=self.redis.port)

    def start(self) -> None:
        """Start what is not running: all of it, or what a test has ended."""
        for store in self.stores:
            _start(store)
        with ThreadPoolExecutor() as pool:
            list(pool.map(_start, self.processes))


def _start(server: Server) -> None:
    if not server.running:
        server.start()


class Sites:
    """Makes sites, and keeps one of each kind."""

    def __init__(self) -> None:
        self._made: dict[tuple, Site] = {}

    def get(
        self,
        *layers: str,
        worker: bool = False,
        redis_class: type[RedisServer] = RedisServer,
        **channels_api: Any,
    ) -> Site:
        """A site whose servers run; `layers` are those of each server, or of both of them."""
        key = (layers, worker, redis_class, *sorted(channels_api.items()))
        if key not in self._made:
            self._made[key] = make_site(layers, worker, redis_class(), channels_api)
        self._made[key].start()
        return self._made[key]

    def close(self) -> None:
        sites = list(self._made.values())
        close_all(process for site in sites for process in site.processes)
        close_all(store for site in sites for store in site.stores)


def keeps_sites() -> Any:
    """A fixture: `Sites` that all tests of a module share."""

    @pytest.fixture(scope="module")
    def sites(django_db_setup):
        made = Sites()
        yield made
        made.close()

    return sites


def make_site(layers: tuple, worker: bool, redis_server: RedisServer, channels_api: dict) -> Site:
    require_program("redis-server")
    redis_server.start()  # now: it may come to another port
    env = {
        **database_names(),
        "TEST_REDIS_URL": redis_server.url,
        "TEST_CHANNELS_API": json.dumps({"LOG": redis_server.url, **channels_api}),
        "TEST_LAYER": layers[0],
    }
    site = Site(env, redis_server, [])
    if worker:
        site.broker = RedisServer()
        site.broker.start()
        env["TEST_BROKER"] = site.broker.url
        site.worker = CeleryWorker(env=env)
    kinds = {"daphne": layers[0], "uvicorn": layers[-1]}
    site.nodes = [AppServer(kind, env={**env, "TEST_LAYER": kinds[kind]}) for kind in kinds]
    return site


# those who follow


class Follower:
    """A client with one subscription, which reads all the time.

    With `data` it keeps a replica of what `rows` selects; without, it notes the last event that
    it has heard of each row.
    """

    def __init__(
        self, url: str, stream: str, data: dict | None = None, headers=None, **rows: Any
    ) -> None:
        self.heard: dict[int, dict] = {}
        self.replica = Replica() if data else None
        self.stream, self.rows = stream, rows
        self._data, self._client = data or {}, SocketClient(url, headers=headers)

    async def __aenter__(self) -> "Follower":
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(self._client)
            data = {"action": "*", **self._data}
            payload = await self._client.request(self.stream, "subscribe", data=data, timeout=20)
            assert payload["response_status"] == 200, (self.name, payload)
            if self.replica:
                self.replica.reply(payload)
            self._reading = asyncio.ensure_future(self._read())
            stack.pop_all()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._reading.cancel()
        await asyncio.wait([self._reading])
        await self._client.__aexit__()

    @property
    def name(self) -> str:
        return f"{self._client.socket.remote_address[1]} {self.stream} {self._data} {self.rows}"

    def check(self) -> None:
        """Its socket is open, and it has heard nothing that was wrong."""
        if self._reading.done():
            self._reading.result()

    async def _read(self) -> None:
        while True:
            payload = (await self._client.receive(timeout=None))["payload"]
            if self.replica:
                self.replica.event(payload)
            else:
                assert payload.keys() == {"action", "pk", "data", "model"}, payload
                self.heard[payload["pk"]] = payload


@dataclass
class Audience:
    """Followers of every kind on every node, and the users whose rows some of them follow."""

    owners: list[int]
    followers: list[Follower]

    @property
    def classic(self) -> list[Follower]:
        return [each for each in self.followers if not each.replica]

    async def equal(self, seconds: float = HEALED) -> None:
        """Back when every replica is equal to its table; no socket may have been closed."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while wrong := await self._wrong():
            assert loop.time() < deadline, f"after {seconds} s:\n" + "\n".join(wrong)
            await asyncio.sleep(0.05)

    async def heard(self, rows: dict[int, dict | None], seconds: float = HEALED) -> None:
        """Back when those without state have heard how each of these rows is, None: deleted."""

        async def all_heard() -> bool:
            return all(
                each.heard.get(pk, {}).get("data", "nothing") == row
                for each in self.classic
                for pk, row in rows.items()
            )

        await until(all_heard, seconds)

    async def _wrong(self) -> list[str]:
        found = []
        for each in self.followers:
            each.check()
            if each.replica:
                assert not each.replica.ended
                rows, wanted = each.replica.rows, await questions(**each.rows)
                if rows != wanted:
                    pks = sorted(pk for pk in {*rows, *wanted} if rows.get(pk) != wanted.get(pk))
                    found.append(f"{each.name} is wrong about {pks}")
        return found


@contextlib.asynccontextmanager
async def audience(site: Site) -> AsyncIterator[Audience]:
    """Subscribers of each kind on each node: without state, and with each kind of it."""
    users = [
        await get_user_model().objects.acreate(username=name, password="x")
        for name in ("ann", "bob")
    ]
    headers = [await sync_to_async(login_headers)(user) for user in users]
    snapshot = {"snapshot": True}
    followers = []
    for url in site.urls:
        followers += [
            Follower(url, "live"),
            Follower(url, "live", snapshot),
            Follower(url, "live-published", snapshot, published=True),
            Follower(url, "state-filters", {"filter": {"votes__gte": 3}}, votes__gte=3),
            Follower(url, "live-owned", snapshot, headers[0], owner=users[0]),
            Follower(url, "live-permitted", snapshot, headers[1], owner=users[1]),
        ]
    async with contextlib.AsyncExitStack() as stack:
        for each in followers:
            await stack.enter_async_context(each)
        yield Audience([user.pk for user in users], followers)


# those who write


async def write_by_socket(site: Site, number: int, plan: dict) -> None:
    """In the process of a node."""
    await call(site.urls[number], "write", plan)


async def write_by_worker(site: Site, plan: dict) -> None:
    """In a Celery worker."""
    await call(site.urls[0], "write_in_worker", plan)
    rows = Question.objects.filter(question_text__startswith=plan["label"], published=True)
    gone = Question.objects.filter(pk__in=plan.get("remove", ()))

    async def written() -> bool:
        return await rows.acount() == plan["count"] and not await gone.aexists()

    await until(written)


async def write_by_command(site: Site, plan: dict) -> None:
    """In a process that ends as soon as it has written."""
    code = "import django; django.setup(); from tests.app.nodes_tasks import write"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", f"{code}; write(**{plan!r})"),
        cwd=ROOT,
        env={**os.environ, **site.env, "DJANGO_SETTINGS_MODULE": "tests.settings"},
    )
    assert await process.wait() == 0


async def call(url: str, action: str, data: Any = None) -> Any:
    """Run an action of a writer, on a socket of its own."""
    async with SocketClient(url) as client:
        reply = await client.request("nodes", action, data=data, timeout=40)
        assert reply["response_status"] == 200, reply
        return reply["data"]


async def seed(count: int) -> list[int]:
    """Rows that were there before anybody came; their pks."""
    rows = [Question(question_text=f"seed {number}", votes=number % 7) for number in range(count)]
    return [row.pk for row in await Question.objects.abulk_create(rows)]
