"""Cancelling without the broker; and the project's own tasks, of which no handler knows."""

import asyncio
import signal
from collections import Counter

import pytest
import redis
from celery import Celery

from tests.cancel_helpers import (
    Files,
    cancel,
    has_begun,
    is_gone,
    ran,
    start,
    stored,
    told_revoked,
    until,
)
from tests.client import PATIENCE, SocketClient
from tests.tasks_helpers import follow, revoked

# A client of Redis that introduces itself, as that of this test does; and a transaction's frame.
INTRODUCTION = {"PING", "HELLO", "CLIENT", "SELECT", "MULTI", "EXEC"}

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def new_file(tmp_path):
    """Makes names of files; what still waits for one when the test is over goes on."""
    files = Files(tmp_path)
    yield files
    files.touch_all()


@pytest.fixture
def outside(stacks):
    """A stack, and the tasks of its project as somebody publishes them who knows nothing of us."""
    stack = stacks.get("redis-prefork")
    broker, results = stack.env["TEST_BROKER"], stack.env["TEST_RESULTS"]
    with Celery("outside", set_as_current=False, broker=broker, backend=results) as app:
        yield stack, app


async def test_a_cancel_holds_while_the_broker_hangs(stacks, new_file):
    """It is answered in time, and a task that runs, or that is still to come, looks for itself."""
    stack = stacks.get("apart-threads")
    path, gate = new_file(), new_file()
    async with SocketClient(stack.url) as client, SocketClient(stack.url) as other:
        task = await start(client, "tick", path, gate)
        waiting = await start(other, "touch", new_file(), countdown=3600)
        await has_begun(path)
        stack.broker.process.send_signal(signal.SIGSTOP)
        try:
            await asyncio.gather(cancel(stack, task), cancel(stack, waiting))
            await told_revoked(client, task)
            await told_revoked(other, waiting)
        finally:
            stack.broker.process.send_signal(signal.SIGCONT)
        assert await stored(stack, task) == "REVOKED"
        assert await stored(stack, waiting) == "REVOKED"


async def test_a_task_that_no_handler_published_goes_on_beside_one_that_is_cancelled(
    outside, new_file
):
    stack, app = outside
    path, gate, mine = (new_file() for _ in range(3))
    result = app.send_task("tests.app.cancel_tasks.tick", (str(path), str(gate)))
    await has_begun(path)
    async with SocketClient(stack.url) as client:
        task = await start(client, "tick", mine, gate)
        await has_begun(mine)
        await cancel(stack, task)
        await told_revoked(client, task)
    gate.touch()
    assert await asyncio.to_thread(result.get, timeout=PATIENCE) == "done"


async def test_a_task_that_no_handler_published_costs_what_it_costs_without_us(outside, new_file):
    stack, app = outside
    with redis.Redis(port=stack.redis.port) as store, store.monitor() as monitor:
        result = app.send_task("tests.app.cancel_tasks.touch", (str(new_file()),))
        assert await asyncio.to_thread(result.get, timeout=PATIENCE) == "done"
        store.echo("over")
        layer, results = Counter(), Counter()
        for command in monitor.listen():
            name, *arguments = command["command"].split(" ")
            if name == "ECHO":
                break
            if command["db"] == 0:
                layer[name] += 1
            elif command["db"] == 2 and name not in INTRODUCTION:
                assert arguments[0] == f"celery-task-meta-{result.id}"
                results[name] += 1
    assert layer.keys() <= INTRODUCTION
    # One state is stored, and told to whoever asks for the result, as we did here.
    assert {name: results[name] for name in ("SETEX", "SET", "DEL", "PUBLISH")} == {
        "SETEX": 1,
        "SET": 0,
        "DEL": 0,
        "PUBLISH": 1,
    }
    # Celery's worker reads what it is about to write; and we asked once for the result.
    assert results["GET"] == 2


async def test_a_task_that_was_published_elsewhere_is_revoked_as_celery_does_it(outside, new_file):
    stack, app = outside
    path, gate = new_file(), new_file()
    result = app.send_task("tests.app.cancel_tasks.touch", (str(path), str(gate)))
    await has_begun(path)
    async with SocketClient(stack.url) as client:
        reply = await client.request("work", "known", data={"id": result.id})
        task = reply["data"]["id"]
        await cancel(stack, task)
        assert (await follow(client))[-1] == revoked("work", "known", "request-1", task)
    [pid] = ran(path)
    await until(lambda: is_gone(pid))
    assert await stored(stack, task) == "REVOKED"
