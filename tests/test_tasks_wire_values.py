"""What tasks give, show and raise, and what handlers return."""

import pytest

from tests.client import SocketClient
from tests.tasks_helpers import frame
from tests.wire_helpers import REQUEST, begin

pytestmark = pytest.mark.django_db(transaction=True)

TYPES = {
    "at": "2026-01-02T03:04:05Z",
    "day": "2026-01-02",
    "price": 1.5,
    "id": "00000000-0000-0000-0000-000000000001",
}
SHOWN = {
    "types": TYPES,
    "nan": {"unserializable": "dict"},
    "bytes": {"unserializable": "bytes"},
    "surrogate": {"unserializable": "list"},
    # The quotes as well.
    "large": {"truncated": 2_000_002},
}


@pytest.fixture
def stack(stacks):
    return stacks.get("redis-prefork", heartbeat=60)


@pytest.fixture
async def client(stack):
    async with SocketClient(stack.url) as client:
        yield client


@pytest.mark.parametrize("kind", SHOWN)
async def test_results(client, kind):
    task = await begin(client, task="give", args=[kind])
    assert set(await task.ends(200, "SUCCESS", result=SHOWN[kind])) <= {"STARTED"}


@pytest.mark.parametrize("kind", SHOWN)
async def test_metas(stack, client, kind):
    gate = stack.gate()
    task = await begin(client, task="show", args=[kind, str(gate)])
    told = await client.receive()
    if told == task.frame(202, "STARTED"):
        told = await client.receive()
    assert told == task.frame(202, "SHOWING", meta=SHOWN[kind])
    gate.touch()
    assert await task.ends(200, "SUCCESS", result=None) == []


async def test_a_result_that_celery_can_not_store(stack, client):
    task = await begin(client, task="give", args=["object"])
    assert await task.fails() in stack.worker.log


async def test_an_error_that_is_meant_for_clients_is_shown(client):
    task = await begin(client, task="give_up", args=["detail"])
    await task.ends(500, "FAILURE", [{"year": ["No such year."]}])


@pytest.mark.parametrize("kind", ["large", "odd"])
async def test_any_other_error_is_an_id_that_the_log_has(stack, client, kind):
    task = await begin(client, task="give_up", args=[kind])
    assert await task.fails() in stack.worker.log


async def test_a_failure_that_the_task_has_stored_itself(stack, client):
    task = await begin(client, task="failed_by_hand")
    assert await task.fails() in stack.worker.log
    reply = await client.request("tasks", "retrieve", pk=task.task)
    assert (reply["response_status"], reply["data"]["state"]) == (500, "FAILURE")


@pytest.mark.parametrize("kind", ["daphne", "uvicorn"])
async def test_errors_that_no_frame_can_hold(stacks, kind):
    """Daphne would not send it. The embedded worker has DEBUG: the text would be shown."""
    async with SocketClient(stacks.get("embedded", kind=kind).url) as client:
        for what in ("large detail", "large"):
            task = await begin(client, task="give_up", args=[what])
            size = len("x") * 2_000_000
            last = await client.receive()
            while last["payload"]["response_status"] == 202:
                last = await client.receive()
            [text, cut] = last["payload"]["errors"]
            assert last == task.frame(500, "FAILURE", [text, cut])
            assert text == "Task failed"
            assert size < cut["truncated"] < size + 1000


async def test_debug_shows_the_text(stacks):
    async with SocketClient(stacks.get("embedded").url) as client:
        task = await begin(client, task="fail", args=["secret"])
        last = await client.receive()
        while last["payload"]["response_status"] == 202:
            last = await client.receive()
        shown = last["payload"]["errors"][1]
        assert shown == {"error_id": shown["error_id"], "exception": "RuntimeError: secret"}
        assert last == task.frame(500, "FAILURE", ["Task failed", shown])


async def in_one_reply(client, action, status, state, errors=None, *, data, **rest):
    reply = await client.request("wire", action, request_id=REQUEST, data=data)
    content = {"id": reply["data"]["id"], "state": state, **rest}
    assert reply == frame("wire", action, REQUEST, status, content, errors)["payload"]
    # Nothing comes after it.
    assert await client.barrier("wire-state", "look") == []


async def test_a_task_that_was_run_in_place_is_answered_at_once(stack, client):
    data = {"task": "double", "args": [4]}
    await in_one_reply(client, "in_place", 200, "SUCCESS", data=data, result=8)
    data = {"task": "ignored", "args": ["/"]}
    await in_one_reply(client, "in_place", 410, "REVOKED", data=data)
    reply = await client.request("wire", "in_place", data={"task": "fail", "args": ["secret"]})
    [text, error] = reply["errors"]
    assert (reply["response_status"], text) == (500, "Task failed")
    assert error.keys() == {"error_id"}
    assert error["error_id"] in stack.server.log


@pytest.mark.parametrize(("kind", "result"), [("task", 8), ("group", [2, 4]), ("chord", 6)])
async def test_eager_mode(client, kind, result):
    await in_one_reply(client, "eager", 200, "SUCCESS", data={"kind": kind}, result=result)


async def test_a_group_that_fails_in_eager_mode(client):
    reply = await client.request("wire", "eager", data={"kind": "failing group"})
    assert (reply["response_status"], reply["errors"][0]) == (500, "Task failed")
    assert reply["data"] == {"id": reply["data"]["id"], "state": "FAILURE"}


async def test_a_result_with_a_status(client):
    task = await begin(client, "with_status", number=4)
    await task.ends(200, "SUCCESS", result=8)


@pytest.mark.parametrize("action", ["sync_to_async", "sync_to_async_aside", "to_thread"])
async def test_a_handler_that_publishes_in_another_thread(stack, client, action):
    """Which task is the handler's is known there as well: it rings."""
    gate = stack.gate()
    task = await begin(client, action, number=4, wait=str(gate))
    await task.tells("STARTED")
    gate.touch()
    assert await task.ends(200, "SUCCESS", result=8) == []
