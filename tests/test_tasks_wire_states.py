"""Every state that a task can be in, as a reply.

The heartbeat is too slow to be of help: whatever comes was rung.
"""

import asyncio

import pytest
from celery import Celery

from channels_api.background.references import TaskReference, read_reference
from tests.client import PATIENCE, SocketClient
from tests.live_helpers import until
from tests.wire_helpers import begin

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def stack(stacks):
    return stacks.get("redis-prefork", heartbeat=60)


@pytest.fixture
async def client(stack):
    async with SocketClient(stack.url) as client:
        yield client


@pytest.fixture
def outside(stack):
    """Another part of the project, that knows nothing of sockets."""
    app = Celery(set_as_current=False, broker=stack.env["TEST_BROKER"])
    app.conf.result_backend = stack.env["TEST_RESULTS"]
    yield app
    app.backend.client.connection_pool.disconnect()
    app.close()


async def test_states_of_the_tasks_own(stack, client):
    gates = [stack.gate() for _ in range(3)]
    states = ["LOADING", "SAVING", "CLEANING"]
    steps = [(str(gate), state) for gate, state in zip(gates, states, strict=True)]
    task = await begin(client, task="walk", args=[steps])
    await task.tells("STARTED")
    for gate, state in zip(gates[:2], states, strict=False):
        gate.touch()
        await task.tells(state)
    gates[2].touch()
    assert await task.ends(200, "SUCCESS", result=None) in ([], ["CLEANING"])


async def test_a_retry_says_which_one_it_is(stack, client):
    gates = [stack.gate(), stack.gate()]
    task = await begin(client, task="again", args=[[str(gate) for gate in gates], 1])
    await task.tells("STARTED")
    gates[0].touch()
    await task.tells("RETRY", meta={"retries": 1})
    await task.tells("STARTED")
    gates[1].touch()
    assert await task.ends(200, "SUCCESS", result=1) == []


async def test_a_task_that_has_no_more_retries_fails(stack, client):
    task = await begin(client, task="give_up_again")
    assert await task.fails() in stack.worker.log


@pytest.mark.parametrize("name", ["double", "unheard"])
async def test_a_task_that_expired_is_revoked(client, name):
    task = await begin(client, task=name, args=["1"], options={"expires": 0})
    assert await task.ends(410, "REVOKED") == []


@pytest.mark.parametrize("kind", ["expired_chain", "expired_before_a_group"])
async def test_the_rest_of_a_chain_is_revoked_with_a_step_that_expired(client, kind):
    task = await begin(client, "compose", kind=kind)
    assert set(await task.ends(410, "REVOKED")) <= {"PENDING", "PROGRESS"}


async def test_a_queued_task_that_somebody_else_revokes(stack, client, outside):
    gate = stack.gate()
    async with SocketClient(stack.url) as other:
        # Both processes of the pool are taken.
        for _ in range(2):
            before = await begin(other, task="double", args=[0, str(gate)])
            await before.tells("STARTED")
        task = await begin(client, task="double", args=[1])
        revoke(outside, task)
        gate.touch()
        assert await task.ends(410, "REVOKED") == []


async def test_a_running_task_that_somebody_else_terminates(stack, client, outside):
    task = await begin(client, task="double", args=[1, str(stack.gate())])
    await task.tells("STARTED")
    revoke(outside, task, terminate=True)
    assert await task.ends(410, "REVOKED") == []


def revoke(app, task, **options):
    """Revoke, and wait until the worker has heard of it."""
    task_id = read_reference(task.task, "").task_id
    assert app.control.revoke(task_id, reply=True, limit=1, timeout=PATIENCE, **options)


async def test_a_task_that_was_published_elsewhere(stack, client, outside):
    result = outside.send_task("tests.app.tasks.double", [4])
    await until(lambda: asyncio.to_thread(result.ready))
    task = await begin(client, "known", id=result.id)
    assert await task.ends(200, "SUCCESS", result=8) == []


async def test_a_task_that_was_published_elsewhere_and_ends_later(stacks):
    """Nobody rings for it: here it is the heartbeat that tells."""
    stack = stacks.get("redis-prefork")
    gate = stack.gate()
    app = Celery(set_as_current=False, broker=stack.env["TEST_BROKER"])
    result = app.send_task("tests.app.tasks.double", [4, str(gate)])
    app.close()
    async with SocketClient(stack.url) as client:
        task = await begin(client, "known", id=result.id)
        gate.touch()
        await task.ends(200, "SUCCESS", result=8)


async def test_a_task_whose_result_is_ignored_has_an_end_without_result(stack, client):
    gate = stack.gate()
    task = await begin(client, task="unheard", args=[str(gate)])
    await task.tells("STARTED")
    gate.touch()
    assert await task.ends(200, "SUCCESS", result=None) == []
    failing = await begin(client, task="unheard", args=[str(gate), "odd"])
    assert await failing.fails() in stack.worker.log


async def test_a_task_that_raises_ignore_is_gone(stack, client):
    gate = stack.gate()
    task = await begin(client, task="ignored", args=[str(gate)])
    await task.tells("STARTED")
    gate.touch()
    assert await task.ends(410, "IGNORED") == []
    chain = await begin(client, "compose", kind="ignored_chain", args=[str(gate)])
    assert await chain.ends(410, "IGNORED") == []


@pytest.mark.parametrize(
    ("kind", "result"), [("task", 42), ("chain", 20), ("group", [2, 4]), ("failure", None)]
)
async def test_a_task_that_is_replaced_ends_with_the_other_one(stack, client, kind, result):
    gate = stack.gate()
    task = await begin(client, task="replaced", args=[kind, str(gate)])
    await task.tells("STARTED")
    task_id = read_reference(task.task, "").task_id
    await until(lambda: asyncio.to_thread(lambda: f"[{task_id}] ignored" in stack.worker.log))
    gate.touch()
    if kind == "failure":
        assert await task.fails() in stack.worker.log
        return
    assert await task.ends(200, "SUCCESS", result=result) == []
    reply = await client.request("tasks", "retrieve", pk=task.task)
    assert reply["data"] == {"id": task.task, "state": "SUCCESS", "result": result}


async def test_states_of_a_child_are_its_own(stack, client):
    gate = stack.gate()
    task = await begin(client, task="parent", args=[str(gate)])
    told = await client.receive()
    if told == task.frame(202, "STARTED"):
        told = await client.receive()
    child = told["payload"]["data"]["meta"]
    assert told == task.frame(202, "WAITING", meta=child)
    reference = TaskReference(child, read_reference(task.task, "").job).sign()

    async def child_shows():
        async with SocketClient(stack.url) as other:
            reply = await other.request("tasks", "retrieve", pk=reference)
            return reply["data"]["state"] == "SHOWING"

    await until(child_shows)
    gate.touch()
    assert await task.ends(200, "SUCCESS", result="parent") == []


async def test_a_task_that_runs_in_another_one_is_no_end(stack, client):
    gate = stack.gate()
    task = await begin(client, task="in_line", args=[str(gate)])
    told = await client.receive()
    if told == task.frame(202, "STARTED"):
        told = await client.receive()
    assert told == task.frame(202, "WAITING", meta=10)
    gate.touch()
    assert await task.ends(200, "SUCCESS", result=10) == []
