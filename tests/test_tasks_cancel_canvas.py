"""Cancelling what consists of several tasks: all of it ends, and nothing else."""

import pytest

from tests.cancel_helpers import (
    Files,
    cancel,
    compose,
    has_begun,
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


@pytest.fixture(params=[("redis-prefork", 60), ("redis-threads", 2), ("embedded", 2)])
def stack(request, stacks):
    name, heartbeat = request.param
    return stacks.get(name, heartbeat=heartbeat)


@pytest.fixture
def prefork(stacks):
    return stacks.get("redis-prefork", heartbeat=60)


@pytest.fixture
def new_file(tmp_path):
    """Makes names of files; what still waits for one when the test is over goes on."""
    files = Files(tmp_path)
    yield files
    files.touch_all()


async def is_over(stack, client, task, new_file, *, action="compose"):
    """All tasks of it have ended, and none comes after them."""
    await told_revoked(client, task, action)
    await pool_is_free(stack, new_file)
    await worker_is_through(client, new_file())
    assert await stored(stack, task) == "REVOKED"
    await refuse_to_cancel(stack, task)


async def test_a_chain_ends_with_the_step_that_runs(stack, new_file):
    first, second, third, gate = (new_file() for _ in range(4))
    async with SocketClient(stack.url) as client:
        task = await compose(client, "in_a_chain", [first, second, third], gate)
        await has_begun(first)
        await cancel(stack, task)
        await is_over(stack, client, task, new_file)
        assert (ran(done(first)), ran(second), ran(third)) == ([], [], [])


async def test_a_chain_ends_while_its_last_step_runs(stack, new_file):
    first, last, gate = (new_file() for _ in range(3))
    async with SocketClient(stack.url) as client:
        task = await compose(client, "in_a_chain", [first, last], None, gate)
        await has_begun(last)
        await cancel(stack, task)
        await is_over(stack, client, task, new_file)
        assert ran(done(last)) == []


@pytest.mark.parametrize("door", ["tasks", "http"])
async def test_all_members_of_a_group_end(stack, new_file, door):
    members, gate = [new_file() for _ in range(3)], new_file()
    async with SocketClient(stack.url) as client:
        task = await compose(client, "in_a_group", members, gate)
        await until(lambda: sum(map(len, map(ran, members))) == 2)
        await cancel(stack, task, door)
        await is_over(stack, client, task, new_file)
        # The pool had no room for the third.
        assert sum(map(len, map(ran, members))) == 2
        assert [ran(done(member)) for member in members] == [[], [], []]


async def test_the_header_of_a_chord_ends_and_its_body_never_runs(stack, new_file):
    header, body, gate = [new_file(), new_file()], new_file(), new_file()
    async with SocketClient(stack.url) as client:
        task = await compose(client, "in_a_chord", [*header, body], gate)
        for member in header:
            await has_begun(member)
        await cancel(stack, task)
        await is_over(stack, client, task, new_file)
        assert [ran(done(member)) for member in header] == [[], []]
        assert ran(body) == []


async def test_the_body_of_a_chord_ends(stack, new_file):
    header, body, gate = [new_file(), new_file()], new_file(), new_file()
    async with SocketClient(stack.url) as client:
        task = await compose(client, "in_a_chord", [*header, body], None, gate)
        await has_begun(body)
        await cancel(stack, task)
        await is_over(stack, client, task, new_file)
        assert ran(done(body)) == []


async def test_the_children_of_a_task_end_with_it(stack, new_file):
    path, gate, child = (new_file() for _ in range(3))
    async with SocketClient(stack.url) as client:
        task = await start(client, "spawn", path, gate, child)
        await has_begun(child)
        await cancel(stack, task)
        await is_over(stack, client, task, new_file, action="start")
        # The child that was to begin later would have, before this one.
        later = await start(client, "touch", new_file(), countdown=0.6)
        last = (await follow(client))[-1]
        request_id = last["payload"]["request_id"]
        assert last == succeeded("cancel", "start", request_id, later, "done")
        assert ran(done(path)) == ran(done(child)) == []
        assert not child.with_name(f"{child.name}.later").exists()


async def test_a_task_that_was_published_beside_it_goes_on(stack, new_file):
    path, other, gate = (new_file() for _ in range(3))
    async with SocketClient(stack.url) as client:
        task = await compose(client, "with_another", path, other, gate)
        await has_begun(path)
        await has_begun(other)
        await cancel(stack, task)
        await told_revoked(client, task, "compose")
        # It has a place of its own to run in, and there it is still when the other one is free.
        await worker_is_through(client, new_file())
        gate.touch()
        await has_begun(done(other))
        assert ran(done(other)) == ran(other)
        assert ran(done(path)) == []


async def test_nothing_that_was_cancelled_without_a_worker_runs_when_there_is_one(
    prefork, new_file
):
    prefork.worker.stop()
    paths = [new_file() for _ in range(9)]
    async with SocketClient(prefork.url) as client:
        tasks = [
            await start(client, "touch", paths[0]),
            await start(client, "touch", paths[1], countdown=0.2),
            await compose(client, "in_a_chain", paths[2:4]),
            await compose(client, "in_a_group", paths[4:6]),
        ]
    async with SocketClient(prefork.url) as client:
        tasks.append(await compose(client, "in_a_chord", paths[6:9]))
    for task in tasks:
        async with SocketClient(prefork.url) as watcher:
            await watcher.request("tasks", "subscribe", pk=task)
            await cancel(prefork, task)
            last = (await follow(watcher))[-1]
            assert last == revoked("tasks", "subscribe", "request-1", task)
    prefork.worker.start()
    async with SocketClient(prefork.url) as client:
        later = await start(client, "touch", new_file(), countdown=0.3)
        last = (await follow(client))[-1]
        assert last == succeeded("cancel", "start", "request-1", later, "done")
    assert [ran(path) for path in paths] == [[]] * 9
    assert [await stored(prefork, task) for task in tasks] == ["REVOKED"] * 5


def done(path):
    """What a task writes down when it comes to its end."""
    return path.with_name(f"{path.name}.done")
