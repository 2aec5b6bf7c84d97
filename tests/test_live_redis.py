"""Through Redis: changes of other processes, a Redis that goes away, and idle connections."""

import asyncio
from collections.abc import Iterator

import pytest
import redis
from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer

import tests.app.streams  # noqa: F401 - the bindings, so that this process tells of its changes
from channels_api.layers import sender
from channels_api.live.changes import topic_of
from tests.app.models import Question
from tests.live_helpers import event, question, subscriber, until
from tests.plugin import require_program
from tests.servers import RedisServer

pytestmark = pytest.mark.django_db(transaction=True)

GROUP = f"asgi:group:{topic_of(Question, 'default').group}"


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    require_program("redis-server")
    with RedisServer() as server:
        yield server


@pytest.fixture
def this_process_rings(settings, monkeypatch, redis_server) -> None:
    host = {"address": redis_server.url, "socket_timeout": None}
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.core.RedisChannelLayer",
            "CONFIG": {"hosts": [host]},
        }
    }
    assert get_channel_layer().__class__.__name__ == "RedisChannelLayer"
    monkeypatch.setattr(sender, "_current", None)


@pytest.fixture(params=["daphne", "uvicorn"])
def start(request, app_server, transactional_db, redis_server):
    """A function that starts a server on this Redis."""

    def start(layer: str = "redis"):
        return app_server(
            request.param, env={"TEST_LAYER": layer, "TEST_REDIS_URL": redis_server.url}
        )

    return start


async def members(redis_server) -> int:
    def count() -> int:
        with redis.Redis.from_url(redis_server.url) as client:
            return client.zcard(GROUP)

    return await sync_to_async(count)()


async def create(text: str) -> int:
    return (await Question.objects.acreate(question_text=text)).pk


async def change_until_told(client, pk: int) -> dict:
    """Save a row of this process again and again until the subscriber hears of it."""
    told = asyncio.ensure_future(client.receive(timeout=30))
    while not told.done():
        await Question.objects.filter(pk=pk).aupdate(votes=0)
        row = await Question.objects.aget(pk=pk)
        await row.asave()
        await asyncio.wait([told], timeout=0.2)
    return told.result()


@pytest.mark.usefixtures("this_process_rings")
async def test_a_save_of_another_process_is_told_and_nobody_stays_in_the_group(start, redis_server):
    server = start()
    url = server.url + "ws/"
    async with subscriber(url, "live") as client, subscriber(url, "live-published") as other:
        assert await members(redis_server) == 1
        pk = await create("a")
        assert await client.receive(timeout=20) == event("live", "create", pk, question(pk))
        assert await other.receive() == event("live-published", "create", pk, question(pk))
        row = await Question.objects.aget(pk=pk)
        row.published = False
        await row.asave()
        assert await other.receive(timeout=20) == event("live-published", "delete", pk)
        assert (await client.receive())["payload"]["data"]["published"] is False
        await row.adelete()
        assert await client.receive(timeout=20) == event("live", "delete", pk)

    async def empty() -> bool:
        return await members(redis_server) == 0

    await until(empty)


@pytest.mark.usefixtures("this_process_rings")
async def test_sockets_survive_a_redis_that_goes_and_comes_back(start, redis_server):
    server = start()
    async with subscriber(server.url + "ws/", "live") as client:
        pk = await create("a")
        assert await client.receive(timeout=20) == event("live", "create", pk, question(pk))
        await sync_to_async(redis_server.process.kill)()
        await sync_to_async(redis_server.process.wait)()
        # Saved, although nobody can be rung.
        await create("b")
        await sync_to_async(redis_server.start)()
        assert await change_until_told(client, pk) == event("live", "update", pk, question(pk))
        # Those of its own process never needed it.
        reply = await client.request("live-write", "change", data={"pk": pk, "votes": 7}, events=[])
        assert reply["response_status"] == 200


async def readers(redis_server) -> set[str]:
    """The connections that wait for a message."""

    def clients() -> set[str]:
        with redis.Redis.from_url(redis_server.url) as connection:
            return {each["id"] for each in connection.client_list() if each["cmd"] == "bzpopmin"}

    return await sync_to_async(clients)()


@pytest.mark.usefixtures("this_process_rings")
@pytest.mark.parametrize("start", ["uvicorn"], indirect=True)
async def test_an_idle_socket_hears_although_redis_py_gives_up_reading(start, redis_server):
    """redis-py ends a read that has waited for five seconds, the layer's too."""
    server = start("redis-py-defaults")
    async with subscriber(server.url + "ws/", "live") as client:
        first = await readers(redis_server)

        async def reads_anew() -> bool:
            return bool(await readers(redis_server) - first)

        await until(reads_anew)
        pk = await create("a")
        assert await client.receive(timeout=20) == event("live", "create", pk, question(pk))
        assert await members(redis_server) == 1
        assert "can't be heard" not in server.log  # nothing was wrong
