"""Listener and sender through a real Redis, with redis-py's own defaults: each way to be cut off.

With both layers of channels_redis. What is told to a group is heard again, however it went away.
"""

import asyncio
import os
import signal
from collections.abc import Iterator
from functools import partial

import pytest
import redis
from channels.layers import get_channel_layer

from channels_api.layers import listener as listener_module
from channels_api.layers import sender
from channels_api.layers.listener import Listener
from tests.faults_helpers import LONG_RUN, kill
from tests.live_helpers import until
from tests.plugin import require_program
from tests.servers import RedisServer

HEARTBEAT = 0.5
PROBE_TIMEOUT = 0.5
TIMEOUT = 0.5
#: Seconds in which everything is heard again: a heartbeat, a lost probe, and the layer's own
#: pauses between its attempts to connect.
SOON = 10

LAYERS = {
    "core": "channels_redis.core.RedisChannelLayer",
    "pubsub": "channels_redis.pubsub.RedisPubSubChannelLayer",
}


class PersistentRedis(RedisServer):
    """Redis that remembers, however it ends."""

    def command(self) -> list[str]:
        return [*super().command(), "--appendonly", "yes", "--appendfsync", "always"]


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, RedisServer]]:
    require_program("redis-server")
    with RedisServer() as forgetful, PersistentRedis() as persistent:
        yield {"forgetful": forgetful, "persistent": persistent}


@pytest.fixture
def server(request, servers) -> RedisServer:
    """A Redis that runs and is empty and alone; the forgetful one unless a test says which."""
    server = servers[getattr(request, "param", "forgetful")]
    if not server.running:
        server.start()
    ask(server, "FLUSHALL")
    # The threads of earlier tests' senders keep their connections.
    ask(server, "CLIENT", "KILL", "TYPE", "normal")
    return server


@pytest.fixture(params=["core", "pubsub"])
def kind(request, settings, monkeypatch, server) -> str:
    """Which of the two layers of channels_redis the project's is."""
    settings.CHANNELS_API = {"HEARTBEAT": HEARTBEAT}
    use(settings, request.param, server.url)
    monkeypatch.setattr(listener_module, "PROBE_TIMEOUT", PROBE_TIMEOUT)
    monkeypatch.setattr(listener_module, "TIMEOUT", TIMEOUT)
    # A sender of its own: the one of the process may wait for a Redis of another test.
    monkeypatch.setattr(sender, "_current", None)
    return request.param


def use(settings, kind: str, *hosts) -> None:
    backend = {"BACKEND": LAYERS[kind], "CONFIG": {"hosts": list(hosts)}}
    settings.CHANNEL_LAYERS = {"default": backend}


def ask(server: RedisServer, *command: str):
    with redis.Redis.from_url(server.url) as client:
        return client.execute_command(*command)


def now() -> float:
    return asyncio.get_running_loop().time()


class Ear(Listener):
    """A listener, and what it has heard."""

    def __init__(self) -> None:
        self.heard: list[dict] = []
        self.number = 0
        self.looked = asyncio.Event()
        super().__init__(self.heard.append, self.looked.set)

    async def hears(self, *groups: str, within: float = SOON) -> None:
        """Ring until each group is heard; after that, not a single ring is missed."""
        deadline = now() + within
        for group in groups:
            while not await self.rings(group, 0.1):
                assert now() < deadline, f"{group} is not heard"
        for group in groups:
            assert await self.rings(group, 5), f"{group} is heard now and then"

    async def rings(self, group: str, seconds: float) -> bool:
        """Whether a ring is heard within some seconds."""
        self.number += 1
        body = {"type": "test.ring", "number": self.number}
        sender.send([sender.Message(group, body)])
        deadline = now() + seconds
        while body not in self.heard:
            if now() > deadline:
                return False
            await asyncio.sleep(0.005)
        return True

    async def ends(self, server: RedisServer, may_stay: frozenset[str] = frozenset()) -> None:
        """Leave; nothing is left: no task, no membership, nobody who waits for a message."""
        await asyncio.gather(*(self.leave(group) for group in [*self._wanted]))
        await until(partial(is_over, server, may_stay))
        assert all("test.ring" in body.values() for body in self.heard)


async def is_over(server: RedisServer, may_stay: frozenset[str] = frozenset()) -> bool:
    clients = ask(server, "CLIENT", "LIST").decode().splitlines()
    left = {
        "groups": ask(server, "KEYS", "asgi:group:*"),
        "channels": await members("pubsub", server) - may_stay,
        "waiting": [each for each in clients if "flags=b" in each],
        "tasks": [each for each in asyncio.all_tasks() if "Listener." in repr(each)],
    }
    return not any(left.values())


async def test_a_redis_that_was_flushed_is_joined_again(kind, server):
    ear = Ear()
    await ear.join("a")
    await ear.join("b")
    await ear.hears("a", "b")
    ask(server, "FLUSHALL")
    await ear.hears("b", "a", within=HEARTBEAT + PROBE_TIMEOUT + 5)
    await ear.ends(server)


async def test_connections_that_are_cut(kind, server):
    ear = Ear()
    await ear.join("a")
    await ear.hears("a")
    ask(server, "CLIENT", "KILL", "TYPE", "normal")
    ask(server, "CLIENT", "KILL", "TYPE", "pubsub")
    await ear.hears("a")
    await ear.ends(server)


@pytest.mark.parametrize(
    "server", ["forgetful", pytest.param("persistent", marks=LONG_RUN)], indirect=True
)
async def test_a_redis_that_was_killed_and_comes_back(kind, server):
    ear = Ear()
    for group in "abc":
        await ear.join(group)
    await ear.hears(*"abc")
    kill(server)
    # Not taken by the layer, neither of them.
    await asyncio.gather(ear.leave("b"), ear.join("d"))
    server.start()
    await ear.hears("d", "a", "c")

    # redis-py's pub/sub client that comes back in the middle of an unsubscribe subscribes again to
    # what it leaves; nobody takes those messages.
    may_stay = frozenset("b" if kind == "pubsub" else "")

    async def is_left() -> bool:
        return await members(kind, server) - may_stay == {"a", "c", "d"}

    await until(is_left)
    await ear.ends(server, may_stay)


async def members(kind: str, server: RedisServer) -> set[str]:
    """The groups that Redis knows to have members."""
    if kind == "core":
        return {key.decode().removeprefix("asgi:group:") for key in ask(server, "KEYS", "asgi:g*")}
    channels = ask(server, "PUBSUB", "CHANNELS", "asgi__group__*")
    return {each.decode().removeprefix("asgi__group__") for each in channels}


@pytest.mark.parametrize("server", ["persistent"], indirect=True)
async def test_the_last_leave_during_an_outage_leaves_nothing_behind(kind, server):
    ear = Ear()
    await ear.join("a")
    await ear.hears("a")
    kill(server)
    began = now()
    await ear.leave("a")
    assert now() - began < TIMEOUT + 2
    server.start()
    await ear.ends(server)


@pytest.mark.parametrize("kind", ["core", pytest.param("pubsub", marks=LONG_RUN)], indirect=True)
async def test_a_redis_that_hangs_for_a_while(kind, server):
    ear = Ear()
    await ear.join("a")
    await ear.hears("a")
    os.kill(server.pid, signal.SIGSTOP)
    try:
        began = now()
        await ear.join("b")
        assert now() - began < TIMEOUT + 2
        await asyncio.sleep(began + 3 - now())
    finally:
        os.kill(server.pid, signal.SIGCONT)
    await ear.hears("a", "b")
    await ear.ends(server)


async def test_a_redis_that_is_started_later(kind, server, monkeypatch):
    kill(server)
    layer, calls = get_channel_layer(), []
    for name in ("new_channel", "group_add", "receive"):
        monkeypatch.setattr(layer, name, counted(getattr(layer, name), calls), raising=False)
    ear = Ear()
    began = now()
    await asyncio.gather(ear.join("a"), ear.join("b"))
    assert now() - began < TIMEOUT + 2
    await asyncio.sleep(began + 1 - now())
    # Pauses of up to 0.1, 0.2, 0.4 seconds, and so on.
    assert 2 <= len(calls) <= 20
    server.start()
    await ear.hears("a", "b")
    await ear.ends(server)


def counted(call, calls: list):
    def count(*args):
        calls.append(args)
        return call(*args)

    return count


@pytest.mark.parametrize("kind", ["pubsub"], indirect=True)
async def test_a_layer_that_the_project_flushes(kind, server):
    """It has then forgotten the listener's channel as well."""
    ear = Ear()
    await ear.join("a")
    await ear.hears("a")
    await get_channel_layer().flush()
    await ear.hears("a")
    await ear.ends(server)


async def test_consumers_of_the_project_and_listeners_keep_nobody_waiting(kind, server):
    """channels_redis.core has one reader at a time for all channels of a process."""
    layer, ear = get_channel_layer(), Ear()
    channel = await layer.new_channel()
    reading = asyncio.ensure_future(layer.receive(channel))
    await asyncio.sleep(0.1)  # it is the one that reads
    await ear.join("a")
    await ear.hears("a", within=3)
    await layer.send(channel, {"type": "chat.message"})
    assert await asyncio.wait_for(reading, 3) == {"type": "chat.message"}
    reading = asyncio.ensure_future(layer.receive(channel))
    await asyncio.sleep(0.1)
    # As a consumer that has come to its end; the layer that publishes unsubscribes its channel.
    reading.cancel()
    await asyncio.wait([reading])
    await ear.ends(server)


@pytest.mark.parametrize("kind", ["core"], indirect=True)
async def test_what_is_lost_with_the_end_of_a_listener_is_looked_for(kind, server, monkeypatch):
    """channels_redis.core reads for all of a process by one, and loses what that one has got."""
    connection, reads, taken = get_channel_layer().connection(0), asyncio.Event(), asyncio.Event()
    read = connection.bzpopmin

    async def take(*args, **kwargs):
        reads.set()
        if found := await read(*args, **kwargs):
            taken.set()
            await asyncio.sleep(60)
        return found

    reader, ear = Ear(), Ear()
    # At once: later, a probe that is lost as well would be looked for.
    monkeypatch.setattr(listener_module, "LOOK_AFTER", 0)
    monkeypatch.setattr(connection, "bzpopmin", take)
    await reader.join("a")
    await asyncio.wait_for(reads.wait(), SOON)
    monkeypatch.setattr(connection, "bzpopmin", read)
    await ear.join("b")
    sender.send([sender.Message("b", {"type": "test.ring"})])
    await asyncio.wait_for(taken.wait(), SOON)
    looked_before = ear.looked.is_set()
    await reader.leave("a")
    looked, heard = ear.looked.is_set(), list(ear.heard)
    # Before anything is asserted: what goes on reading would keep the test from its end.
    await ear.hears("b")
    await ear.ends(server)
    assert (looked_before, looked, heard) == (False, True, [])


async def test_many_groups_need_few_connections(kind, server, settings):
    """Both hubs join all at once; a pool that is capped raises where one too many is asked for."""
    use(settings, kind, {"address": server.url, "max_connections": 6})
    ears = [Ear(), Ear()]
    groups = [f"group.{number}" for number in range(150)]
    await asyncio.gather(*(ear.join(group) for ear in ears for group in groups))
    for ear in ears:
        await ear.hears(*groups[::10])
    # This one's, and those of the sender's loop.
    assert len(ask(server, "CLIENT", "LIST").splitlines()) <= 6 + 3
    for ear in ears[::-1]:
        await asyncio.gather(*(ear.leave(group) for group in groups))
    await ears[0].ends(server)


async def test_coming_and_going_needs_no_more_connections(kind, server):
    ear, counts = Ear(), []
    for _ in range(6):
        await ear.join("a")
        await ear.hears("a")
        await ear.ends(server)
        counts.append(len(ask(server, "CLIENT", "LIST").splitlines()))
    assert max(counts) <= 6


@LONG_RUN
async def test_idle_for_longer_than_redis_py_waits_for_an_answer(kind, server, settings):
    """Five seconds, by default; no heartbeat helps here."""
    settings.CHANNELS_API = {"HEARTBEAT": 600}
    ear = Ear()
    await ear.join("a")
    await ear.hears("a")
    for _ in range(3):
        await asyncio.sleep(7)
        assert await ear.rings("a", 1)
    await ear.ends(server)
