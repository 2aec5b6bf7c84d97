"""Many tasks at once, and rings that get lost or that take another way."""

import time

import pytest
import redis
from asgiref.sync import sync_to_async

from tests.client import SocketClient
from tests.faults_helpers import LONG, LONG_RUN, NO_LIMITS, begin, run_many, start_worker
from tests.live_helpers import until
from tests.tasks_helpers import failed, started, succeeded

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]

#: Seconds: what is told within a test was rung for.
NO_HEARTBEAT = 600


async def test_of_many_tasks_at_once_none_is_missed_or_told_twice(stacks):
    await run_many(stacks.get("redis-prefork").url, 300)


@LONG_RUN
@pytest.mark.parametrize("kind", ["daphne", "uvicorn"])
@pytest.mark.parametrize("name", ["redis-prefork", "redis-threads", "rabbit-prefork"])
async def test_a_thousand_tasks_at_once(stacks, name, kind):
    stack = stacks.get(name, kind=kind, channels_api=NO_LIMITS)
    await run_many(stack.url, 1000, window=1000)


async def test_every_second_ring_may_get_lost(stacks):
    stack = stacks.get("redis-prefork")
    start_worker(stacks, stack, "lossy", TEST_LAYER="redis-drops")
    await run_many(stack.url, 1000 if LONG else 40, queue="lossy")


@pytest.fixture
def url(stacks, app_server) -> str:
    """The socket of a server that learns of states by rings only, with redis-py's own timeouts."""
    env = {**stacks.get("redis-prefork").env, "TEST_LAYER": "redis-py-defaults"}
    server = app_server("daphne", env=env, channels_api={"HEARTBEAT": NO_HEARTBEAT})
    return server.url + "ws/"


async def test_an_idle_socket_hears_although_redis_py_gives_up_reading(stacks, url):
    """It ends a read that has waited for five seconds; here it does so twice."""
    stack = stacks.get("redis-prefork")

    def readers() -> set[str]:
        with redis.Redis.from_url(stack.redis.url) as connection:
            clients = connection.client_list()
        return {each["id"] for each in clients if each["cmd"] == "bzpopmin"}

    async def reads_anew() -> bool:
        return bool(await sync_to_async(readers)() - before)

    gate = stack.gate()
    async with SocketClient(url) as client:
        task = await begin(client, "double", 4, str(gate))
        assert await client.receive() == started("work", "start", "request-1", task)
        before: set[str] = set()
        await until(reads_anew)
        began = time.monotonic()
        for _ in range(2):
            before = await sync_to_async(readers)()
            await until(reads_anew)
        # The first of the two reads was under way already.
        assert time.monotonic() - began > 5
        gate.touch()
        assert await client.receive() == succeeded("work", "start", "request-1", task, 8)


async def test_a_killed_process_and_those_forked_after_it_are_rung_for(stacks, url):
    """The process that forks them has rung before, for the one that was killed.

    Each of them ends after its task, before the layer has taken its rings.
    """
    stack = stacks.get("redis-prefork")
    start_worker(stacks, stack, "once", "--max-tasks-per-child=1", TEST_LAYER="redis-slow")
    gate = stack.gate()
    async with SocketClient(url) as client:
        task = await begin(client, "die", str(gate), queue="once")
        assert await client.receive() == started("work", "start", "request-1", task)
        gate.touch()
        last = await client.receive(timeout=30)
        errors = ["Task failed", {"error_id": last["payload"]["errors"][1]["error_id"]}]
        assert last == failed("work", "start", "request-1", task, errors)
    await run_many(url, 4, queue="once")


@LONG_RUN
@pytest.mark.parametrize("kind", ["daphne", "uvicorn"])
async def test_rings_through_the_layer_that_publishes(stacks, kind):
    env = {"TEST_LAYER": "redis-pubsub"}
    stack = stacks.get("redis-prefork", kind=kind, heartbeat=NO_HEARTBEAT, env=env)
    await run_many(stack.url, 100)


async def test_a_handler_may_still_wait_for_a_result_itself(stacks):
    async with SocketClient(stacks.get("redis-prefork").url) as client:
        reply = await client.request("faults", "wait", data={"number": 4})
        assert reply["data"] == 8
