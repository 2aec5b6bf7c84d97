"""`TaskBinding`: to come back to a task, on whichever socket."""

import httpx
import pytest
from django.core.signing import Signer

from channels_api.background.references import SALT, TaskReference, read_reference
from tests.client import PATIENCE, SocketClient
from tests.tasks_helpers import follow, frame
from tests.wire_helpers import begin, subscribe

pytestmark = pytest.mark.django_db(transaction=True)

ACTIONS = ["retrieve", "subscribe", "unsubscribe", "delete"]
#: `CHANNELS_API["MAX_SUBSCRIPTIONS"]`.
MOST = 100


@pytest.fixture
def stack(stacks):
    return stacks.get("redis-prefork", heartbeat=60)


@pytest.fixture
async def client(stack):
    async with SocketClient(stack.url) as client:
        yield client


async def do(client, action, pk):
    """The payload of the reply."""
    return await client.request("tasks", action, pk=pk, request_id="any")


def told(action, status, data, errors=None):
    return frame("tasks", action, "any", status, data, errors)["payload"]


async def test_what_a_task_is_at(stack, client):
    gate = stack.gate()
    task = await begin(client, task="show", args=["halfway", str(gate)])
    while (await client.receive())["payload"]["data"]["state"] != "SHOWING":
        pass
    shown = {"id": task.task, "state": "SHOWING", "meta": "halfway"}
    assert await do(client, "retrieve", task.task) == told("retrieve", 202, shown)
    gate.touch()
    await task.ends(200, "SUCCESS", result=None)
    shown = {"id": task.task, "state": "SUCCESS", "result": None}
    assert await do(client, "retrieve", task.task) == told("retrieve", 200, shown)
    refusal = told("delete", 400, None, ["The task has finished."])
    assert await do(client, "delete", task.task) == refusal


async def test_cancelling(stack, client):
    task = await begin(client, task="double", args=[1, str(stack.gate())])
    await task.tells("STARTED")
    # The task's own frames may come before the reply.
    frames = []
    reply = await client.request("tasks", "delete", pk=task.task, request_id="any", events=frames)
    gone = {"id": task.task, "state": "REVOKED"}
    assert reply == told("delete", 410, gone)
    if not frames:
        frames = [await client.receive()]
    assert frames == [task.frame(410, "REVOKED")]
    assert await do(client, "retrieve", task.task) == told("retrieve", 410, gone)


async def test_another_socket_is_told_the_state_of_now_and_each_change(stack, client):
    gates = [stack.gate() for _ in range(3)]
    steps = [(str(gate), f"STEP-{number}") for number, gate in enumerate(gates)]
    task = await begin(client, task="walk", args=[steps])
    await task.tells("STARTED")
    gates[0].touch()
    await task.tells("STEP-0")
    async with SocketClient(stack.url) as other:
        again, reply = await subscribe(other, task.task)
        assert reply == again.frame(202, "STEP-0")["payload"]
        gates[1].touch()
        for each in (task, again):
            await each.tells("STEP-1")
        gates[2].touch()
        for each in (task, again):
            assert await each.ends(200, "SUCCESS", result=None) in ([], ["STEP-2"])


async def test_after_a_reconnect(stack):
    gate = stack.gate()
    async with SocketClient(stack.url) as client:
        task = await begin(client, task="double", args=[4, str(gate)])
        await task.tells("STARTED")
    async with SocketClient(stack.url) as client:
        again, reply = await subscribe(client, task.task)
        assert reply == again.frame(202, "STARTED")["payload"]
        gate.touch()
        assert await again.ends(200, "SUCCESS", result=8) == []


async def test_a_task_that_has_finished_is_told_once(client):
    task = await begin(client, task="double", args=[4])
    await task.ends(200, "SUCCESS", result=8)
    again, reply = await subscribe(client, task.task)
    assert reply == again.frame(200, "SUCCESS", result=8)["payload"]
    assert await client.barrier("wire-state", "look") == []
    assert await do(client, "unsubscribe", task.task) == told("unsubscribe", 200, {})


async def test_unsubscribing(stack, client):
    gate = stack.gate()
    task = await begin(client, task="double", args=[4, str(gate)])
    await task.tells("STARTED")
    async with SocketClient(stack.url) as other:
        await subscribe(other, task.task)
        for _ in range(2):  # also where there is nothing to end
            assert await do(other, "unsubscribe", task.task) == told("unsubscribe", 200, {})
        # Who began it is told by the frame that began it, whatever is subscribed to.
        assert await do(client, "unsubscribe", task.task) == told("unsubscribe", 200, {})
        gate.touch()
        assert await task.ends(200, "SUCCESS", result=8) == []
        assert await other.barrier("wire-state", "look") == []


async def test_of_two_frames_that_subscribe_the_later_one_is_told(stack, client):
    gate = stack.gate()
    task = await begin(client, task="double", args=[4, str(gate)])
    await task.tells("STARTED")
    async with SocketClient(stack.url) as other:
        for number in ("first", "second"):
            again, reply = await subscribe(other, task.task, request_id=number)
            assert reply == again.frame(202, "STARTED")["payload"]
        gate.touch()
        assert await again.ends(200, "SUCCESS", result=8) == []
        assert await other.barrier("wire-state", "look") == []


async def test_streams_are_told_apart(stack, client):
    """The frame that began the task, and one of each stream: three frames of one socket."""
    gate = stack.gate()
    task = await begin(client, task="double", args=[4, str(gate)])
    await task.tells("STARTED")
    both = [
        (await subscribe(client, task.task, stream=name))[0] for name in ("tasks", "wire-tasks")
    ]
    assert await do(client, "unsubscribe", task.task) == told("unsubscribe", 200, {})
    gate.touch()
    frames = [await client.receive() for _ in range(2)]
    expected = [each.frame(200, "SUCCESS", result=8) for each in (task, both[1])]
    assert sorted(frames, key=str) == sorted(expected, key=str)
    assert await client.barrier("wire-state", "look") == []


def bad_ids():
    good = TaskReference("some-id", "some-job").sign()
    content = good.rpartition(":")[0]
    yield from (None, 1, 1.5, True, [], {}, "", "some id", ":", content, good[:-1], good + "A")
    yield "x" + good
    yield f"{content}:{'A' * 43}"
    yield Signer(salt="another").sign_object(("some-id", "some-job", "", "", "", [], 1))
    yield Signer(salt=SALT).sign_object(["some id"])
    yield Signer(salt=SALT).sign_object({"task_id": "some id"})


@pytest.mark.parametrize("action", ACTIONS)
async def test_ids_that_were_made_up(client, action):
    for pk in bad_ids():
        assert await do(client, action, pk) == told(action, 404, None, ["Not found."]), pk


async def test_tasks_of_somebody_else(stack, people):
    gate = stack.gate()
    headers = [people[name].headers for name in ("plain", "editor", "anonymous")]
    async with SocketClient(stack.url, headers=headers[0]) as client:
        task = await begin(client, task="double", args=[4, str(gate)])
        await task.tells("STARTED")
        for stranger in headers[1:]:
            async with SocketClient(stack.url, headers=stranger) as other:
                for action in ACTIONS:
                    refusal = told(action, 404, None, ["Not found."])
                    assert await do(other, action, task.task) == refusal
        async with SocketClient(stack.url, headers=headers[0]) as other:
            again, reply = await subscribe(other, task.task)
            assert reply == again.frame(202, "STARTED")["payload"]
            gate.touch()
            for each in (task, again):
                assert await each.ends(200, "SUCCESS", result=8) == []


@pytest.mark.parametrize("action", ["list", "create", "update", "patch", "start"])
async def test_there_are_no_other_actions(client, action):
    expected = told(action, 400, None, ["Invalid Action"])
    assert await do(client, action, "any") == expected


async def test_a_task_that_was_begun_over_http(stack, client):
    gate = stack.gate()
    data = {"task": "double", "args": [4, str(gate)]}
    async with httpx.AsyncClient(
        base_url=stack.server.http_url, timeout=PATIENCE, trust_env=False
    ) as http:
        begun = await http.post("jobs/double/", json=data)
    assert begun.status_code == 202
    again, reply = await subscribe(client, begun.json()["id"])
    assert reply["data"]["state"] in ("PENDING", "STARTED")
    gate.touch()
    assert (await follow(client))[-1] == again.frame(200, "SUCCESS", result=8)


async def test_a_socket_has_so_many_subscriptions(stack, client):
    ids = [TaskReference(f"none-{number}", f"job-{number}").sign() for number in range(MOST + 1)]
    for each in ids[:-1]:
        again, reply = await subscribe(client, each)
        assert reply == again.frame(202, "PENDING")["payload"]
    refusal = told(
        "subscribe",
        429,
        None,
        [f"A socket may have {MOST} subscriptions to tasks. Unsubscribe from one first."],
    )
    assert await do(client, "subscribe", ids[-1]) == refusal
    # One of those that are there already is no further one.
    again, reply = await subscribe(client, ids[0])
    assert reply == again.frame(202, "PENDING")["payload"]
    # Tasks that it begins itself don't count.
    task = await begin(client, task="double", args=[4])
    await task.ends(200, "SUCCESS", result=8)
    assert await do(client, "unsubscribe", ids[0]) == told("unsubscribe", 200, {})
    again, reply = await subscribe(client, ids[-1])
    assert reply == again.frame(202, "PENDING")["payload"]


async def test_an_id_names_its_task_only_to_the_server(client):
    """What is in it can be read, but not changed to mean another task."""
    task = await begin(client, task="double", args=[4])
    await task.ends(200, "SUCCESS", result=8)
    reference = read_reference(task.task, "")
    other = TaskReference("another", reference.job, created=reference.created).sign()
    mixed = other.rpartition(":")[0] + ":" + task.task.rpartition(":")[2]
    assert await do(client, "retrieve", mixed) == told("retrieve", 404, None, ["Not found."])
    shown = {"id": task.task, "state": "SUCCESS", "result": 8}
    assert await do(client, "retrieve", task.task) == told("retrieve", 200, shown)
