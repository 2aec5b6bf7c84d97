"""Cancelling a single task, wherever it is, through both doors and on all pools."""

from contextlib import AsyncExitStack

import pytest

from tests.cancel_helpers import (
    Files,
    cancel,
    has_begun,
    is_gone,
    pool_is_free,
    ran,
    refuse_to_cancel,
    start,
    stored,
    told_revoked,
    until,
    worker_is_through,
)
from tests.client import SocketClient
from tests.tasks_helpers import follow, revoked, succeeded

pytestmark = pytest.mark.django_db(transaction=True)

POOLS = ["redis-prefork", "redis-threads", "redis-solo", "embedded"]


@pytest.fixture(params=POOLS)
def stack(request, stacks):
    return stacks.get(request.param)


@pytest.fixture
def new_file(tmp_path):
    """Makes names of files; what still waits for one when the test is over goes on."""
    files = Files(tmp_path)
    yield files
    files.touch_all()


@pytest.fixture
def prefork(stacks):
    # No heartbeat comes for as long as a test lasts: it is a ring that tells.
    return stacks.get("redis-prefork", heartbeat=60)


@pytest.fixture
def threads(stacks):
    return stacks.get("redis-threads")


@pytest.mark.parametrize("door", ["tasks", "http"])
async def test_a_task_that_runs_ends_at_its_next_update(stack, door, new_file):
    path, gate = new_file(), new_file()
    async with SocketClient(stack.url) as client:
        task = await start(client, "tick", path, gate)
        await has_begun(path)
        await cancel(stack, task, door)
        await told_revoked(client, task)
        assert await stored(stack, task) == "REVOKED"
        # It is the task that is over, and not only the news of it.
        await pool_is_free(stack, new_file)
        assert not gate.with_name(f"{path.name}.done").exists()
        await refuse_to_cancel(stack, task, door)


async def test_a_task_that_waits_behind_others_never_runs(stack, new_file):
    path, gate = new_file(), new_file()
    async with AsyncExitStack() as sockets:
        ahead, behind, client = [
            await sockets.enter_async_context(SocketClient(stack.url)) for _ in range(3)
        ]
        first, second = new_file(), new_file()
        first_task = await start(ahead, "touch", first, gate)
        await has_begun(first)
        # The pool of one has no room for it either.
        second_task = await start(behind, "touch", second, gate)
        if stack.worker is None or stack.worker.pool != "solo":
            await has_begun(second)
        task = await start(client, "touch", path)
        await cancel(stack, task)
        await told_revoked(client, task)
        gate.touch()
        last = (await follow(ahead))[-1]
        assert last == succeeded("cancel", "start", "request-1", first_task, "done")
        last = (await follow(behind))[-1]
        assert last == succeeded("cancel", "start", "request-1", second_task, "done")
        await worker_is_through(client, new_file())
        assert ran(path) == []
        assert await stored(stack, task) == "REVOKED"


async def test_a_task_with_a_countdown_never_runs(stack, new_file):
    path = new_file()
    async with SocketClient(stack.url) as client:
        task = await start(client, "touch", path, countdown=0.5)
        await cancel(stack, task)
        await told_revoked(client, task)
        # One that is due later comes later.
        later = await start(client, "touch", new_file(), countdown=0.6)
        last = (await follow(client))[-1]
        assert last == succeeded("cancel", "start", "request-3", later, "done")
        assert ran(path) == []
        assert await stored(stack, task) == "REVOKED"


async def test_a_task_between_two_attempts_is_not_tried_again(stack, new_file):
    path = new_file()
    async with SocketClient(stack.url) as client:
        task = await start(client, "again", path, 0.5)
        frame = await client.receive()
        while frame["payload"]["data"]["state"] != "RETRY":
            frame = await client.receive()
        await cancel(stack, task)
        await told_revoked(client, task)
        later = await start(client, "touch", new_file(), countdown=0.6)
        last = (await follow(client))[-1]
        assert last == succeeded("cancel", "start", "request-3", later, "done")
        assert len(ran(path)) == 1
        assert await stored(stack, task) == "REVOKED"


@pytest.mark.parametrize("door", ["tasks", "http"])
async def test_a_task_that_has_ended_is_not_cancelled(prefork, door, new_file):
    async with SocketClient(prefork.url) as client:
        task = await start(client, "touch", new_file())
        assert (await follow(client))[-1]["payload"]["response_status"] == 200
        await refuse_to_cancel(prefork, task, door)
        assert await stored(prefork, task) == "SUCCESS"


@pytest.mark.parametrize("name", ["redis-prefork", "rabbit-prefork"])
async def test_the_process_of_a_task_that_never_updates_its_state_ends(stacks, name, new_file):
    stack = stacks.get(name)
    path, other_path, gate = new_file(), new_file(), new_file()
    async with SocketClient(stack.url) as client, SocketClient(stack.url) as other:
        task = await start(client, "touch", path, gate)
        other_task = await start(other, "touch", other_path, gate)
        await has_begun(path)
        await has_begun(other_path)
        await cancel(stack, task)
        await told_revoked(client, task)
        [pid] = ran(path)
        await until(lambda: is_gone(pid))
        # The pool's other process went on.
        gate.touch()
        assert (await follow(other))[-1] == succeeded(
            "cancel", "start", "request-1", other_task, "done"
        )
        assert ran(other_path) != [pid]
        await worker_is_through(client, new_file())
        assert await stored(stack, task) == "REVOKED"


async def test_without_terminate_a_task_ends_by_itself(prefork, new_file):
    path, quiet, gate, other_gate = (new_file() for _ in range(4))
    async with SocketClient(prefork.url) as client, SocketClient(prefork.url) as other:
        task = await start(client, "tick", path, gate)
        quiet_task = await start(other, "touch", quiet, other_gate)
        await has_begun(path)
        await has_begun(quiet)
        await cancel(prefork, task, "tasks-gentle")
        await told_revoked(client, task)
        await cancel(prefork, quiet_task, "tasks-gentle")
        other_gate.touch()
        last = (await follow(other))[-1]
        assert last == succeeded("cancel", "start", "request-1", quiet_task, "done")
        assert not is_gone(ran(path)[0])
        assert not is_gone(ran(quiet)[0])


@pytest.mark.parametrize("name", ["redis-threads", "redis-solo", "embedded"])
async def test_what_can_neither_be_ended_nor_asked_runs_to_its_true_end(stacks, name, new_file):
    stack = stacks.get(name)
    path, gate = new_file(), new_file()
    async with SocketClient(stack.url) as client:
        task = await start(client, "touch", path, gate)
        await has_begun(path)
        await cancel(stack, task)
        gate.touch()
        last = (await follow(client))[-1]
        assert last == succeeded("cancel", "start", "request-1", task, "done")
        assert await stored(stack, task) == "SUCCESS"


async def test_a_task_whose_outcome_is_ignored_is_revoked_all_the_same(prefork, new_file):
    path, gate = new_file(), new_file()
    async with SocketClient(prefork.url) as client:
        task = await start(client, "touch_unheard", path, gate)
        await has_begun(path)
        await cancel(prefork, task)
        await told_revoked(client, task)
        assert await stored(prefork, task) == "REVOKED"


async def test_what_a_task_does_after_it_was_told_to_end_does_not_count(threads, new_file):
    path, done = new_file(), new_file()
    async with SocketClient(threads.url) as client:
        task = await start(client, "stubborn", path, done)
        await has_begun(path)
        await cancel(threads, task)
        await told_revoked(client, task)
        await has_begun(done)
        await worker_is_through(client, new_file())
        assert await stored(threads, task) == "REVOKED"
        await refuse_to_cancel(threads, task)


async def test_a_second_cancel_is_refused_and_a_watcher_hears_of_the_first(threads, new_file):
    path, gate = new_file(), new_file()
    async with SocketClient(threads.url) as client, SocketClient(threads.url) as watcher:
        task = await start(client, "touch", path, gate, countdown=30)
        reply = await watcher.request("tasks", "subscribe", pk=task)
        assert reply["data"] == {"id": task, "state": "PENDING"}
        await cancel(threads, task)
        await told_revoked(client, task)
        assert await follow(watcher) == [revoked("tasks", "subscribe", "request-1", task)]
        await refuse_to_cancel(threads, task)
        await refuse_to_cancel(threads, task, "http")
        assert await client.barrier("tasks", "nothing") == []
        assert await watcher.barrier("tasks", "nothing") == []
