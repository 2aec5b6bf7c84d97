"""Tasks and the life of a socket: several at once, a client that sleeps, the end."""

import asyncio

import pytest
from redis import Redis

from channels_api.background.bell import group_of
from channels_api.background.references import read_reference
from tests.client import PATIENCE, SocketClient
from tests.live_helpers import until
from tests.tasks_helpers import frame
from tests.wire_helpers import Begun, begin, subscribe

pytestmark = pytest.mark.django_db(transaction=True)

NOTHING = {"tasks": 0, "jobs": 0, "groups": 0, "running": []}


@pytest.fixture
def stack(stacks):
    return stacks.get("redis-prefork", heartbeat=60)


@pytest.fixture
async def client(stack):
    async with SocketClient(stack.url) as client:
        yield client


async def look(client):
    return (await client.request("wire-state", "look"))["data"]


async def holds_nothing(client):
    """What the last one holds may take a moment to be given back."""

    async def check():
        return await look(client) == NOTHING

    await until(check)


async def test_two_frames_at_once(stack, client):
    """Each is answered with its own task, and with its own states."""
    gates = {name: stack.gate() for name in ("one", "two")}
    for number, (name, gate) in enumerate(gates.items()):
        data = {"task": "double", "args": [number, str(gate)]}
        await client.send("wire", "start", data=data, request_id=name)
    tasks: dict = {}
    states: dict = {name: [] for name in gates}
    while ["PENDING", "STARTED"] not in states.values() or len(tasks) < 2:
        told = await client.receive()
        name, data = told["payload"]["request_id"], told["payload"]["data"]
        task = tasks.setdefault(name, Begun(client, "start", data["id"], name))
        assert told == task.frame(202, data["state"])
        states[name].append(data["state"])
    while states["one"] != states["two"]:
        told = await client.receive()
        name = told["payload"]["request_id"]
        assert told == tasks[name].frame(202, "STARTED")
        states[name].append("STARTED")
    assert tasks["one"].task != tasks["two"].task
    gates["two"].touch()
    assert await tasks["two"].ends(200, "SUCCESS", result=2) == []
    gates["one"].touch()
    assert await tasks["one"].ends(200, "SUCCESS", result=0) == []


async def test_a_slow_client_gets_the_newest_state_and_the_last(stack):
    gate = stack.gate()
    many, size = 40, 500_000
    async with (
        # Compressed, the states of the test are nothing.
        SocketClient(stack.url, compression=None) as sleeper,
        SocketClient(stack.url) as other,
    ):
        task = await begin(sleeper, task="flood", args=[many, size, str(gate)])
        sleeper.socket.transport.pause_reading()
        again, reply = await subscribe(other, task.task)
        while reply["data"]["state"] != f"STEP-{many - 1}":
            reply = (await other.receive(timeout=PATIENCE))["payload"]
        sleeper.socket.transport.resume_reading()
        seen = []
        while not seen or seen[-1] < many - 1:
            told = await sleeper.receive(timeout=PATIENCE)
            data = told["payload"]["data"]
            if data["state"] == "STARTED":
                continue
            meta = {"number": data["meta"]["number"], "fill": "x" * size}
            assert told == task.frame(202, f"STEP-{meta['number']}", meta=meta)
            seen.append(meta["number"])
        assert seen == sorted(set(seen))
        assert len(seen) < many / 2
        gate.touch()
        for each in (task, again):
            assert await each.ends(200, "SUCCESS", result="the end") == []


async def test_a_task_that_has_ended_is_held_no_more(stack, client):
    await holds_nothing(client)
    gate = stack.gate()
    task = await begin(client, task="double", args=[4, str(gate)])
    await task.tells("STARTED")

    async def is_held() -> bool:
        return await look(client) == {
            "tasks": 1,
            "jobs": 1,
            "groups": 1,
            "running": ["Listener._listen", "Listener._look_after", "TaskHub._beat"],
        }

    await until(is_held)  # what is read at the moment is read in a task too
    gate.touch()
    await task.ends(200, "SUCCESS", result=8)
    await holds_nothing(client)


async def test_the_end_of_a_socket_leaves_nothing_behind(stack, client):
    gate = stack.gate()
    redis = Redis.from_url(stack.redis.url)
    async with SocketClient(stack.url) as gone:
        single = await begin(gone, task="double", args=[4, str(gate)])
        await single.tells("STARTED")
        group = await begin(gone, "compose", kind="chains_in_a_group", args=[str(gate)] * 2)
        await group.tells_completed(0, 2)
        await subscribe(gone, single.task)
        assert (await look(client))["tasks"] == 2
        jobs = [read_reference(each.task, "").job for each in (single, group)]
        groups = [f"asgi:group:{group_of(job)}" for job in jobs]
        assert [redis.zcard(each) for each in groups] == [1, 1]
    await holds_nothing(client)
    assert [redis.zcard(each) for each in groups] == [0, 0]
    redis.close()
    gate.touch()
    # And nobody has lost anything.
    again, reply = await subscribe(client, single.task)
    if reply != again.frame(200, "SUCCESS", result=8)["payload"]:
        await again.ends(200, "SUCCESS", result=8)


@pytest.mark.parametrize("kind", ["daphne", "uvicorn"])
async def test_a_socket_that_ends_while_its_tasks_begin(stacks, kind):
    stack = stacks.get("embedded", kind=kind)
    gate = stack.gate()
    async with SocketClient(stack.url) as client:
        for _ in range(3):
            async with SocketClient(stack.url) as gone:
                for _ in range(6):
                    data = {"number": 4, "wait": str(gate)}
                    await gone.send("wire", "sync_to_async_aside", data=data)
                    data = {"task": "double", "args": [4, str(gate)]}
                    await gone.send("work", "start", data=data)
                # Some have begun, others are about to.
                await gone.receive()
                gone.socket.transport.abort()
        await holds_nothing(client)
    gate.touch()


async def http(client, action, request_id="r", stream="work-http", **data):
    return await client.request(stream, action, request_id=request_id, **data)


async def test_a_viewset_with_hooks_on_a_socket(stack, client):
    gate = stack.gate()
    data = {"task": "double", "args": [4, str(gate)]}
    reply = await http(client, "create", data=data)
    task = Begun(client, "create", reply["data"]["id"], "r", "work-http")
    assert reply == task.frame(202, "PENDING")["payload"]
    await task.tells("STARTED")
    gate.touch()
    assert await task.ends(200, "SUCCESS", result=8) == []
    reply = await http(client, "list", data={"number": 4})
    task = Begun(client, "list", reply["data"]["id"], "r", "work-http")
    assert reply == task.frame(202, "PENDING")["payload"]
    await task.ends(200, "SUCCESS", result=8)
    reply = await http(client, "retrieve", pk=4, stream="wire-http")
    task = Begun(client, "retrieve", reply["data"]["id"], "r", "wire-http")
    assert reply == task.frame(202, "PENDING")["payload"]
    await task.ends(200, "SUCCESS", result=8)


def refusal(action, status, errors, stream="work-http"):
    return frame(stream, action, "r", status, None, errors)["payload"]


async def test_a_hook_that_gives_no_task_on_a_socket(client):
    reply = await http(client, "create", data={"task": "none"})
    assert reply == refusal("create", 400, ["This can't be done."])
    reply = await http(client, "retrieve", pk=4)
    assert reply == frame("work-http", "retrieve", "r", 200, {"pk": "4"})["payload"]
    assert await client.barrier("wire-state", "look") == []


async def test_a_viewset_without_a_hook_on_a_socket(client):
    reply = await http(client, "list", stream="wire-http")
    assert reply == refusal("list", 501, ["Not implemented."], "wire-http")


@pytest.mark.parametrize("action", ["async_state", "async_result", "state", "put_list"])
async def test_what_is_for_http_only_is_no_action(client, action):
    reply = await http(client, action, pk="any")
    assert reply == refusal(action, 400, ["Invalid Action"])


async def test_looks_at_the_same_time(stack, client):
    """Many that subscribe to one task, and some that leave, one after another and at once."""
    gate = stack.gate()
    task = await begin(client, task="double", args=[4, str(gate)])
    await task.tells("STARTED")
    others = [SocketClient(stack.url) for _ in range(10)]
    for each in others:
        await each.__aenter__()
    told = await asyncio.gather(*(subscribe(each, task.task) for each in others))
    for again, reply in told:
        assert reply == again.frame(202, "STARTED")["payload"]
    assert (await look(client))["tasks"] == 1
    for each in others[:5]:
        await each.__aexit__()
    gate.touch()
    for again, _ in told[5:]:
        assert await again.ends(200, "SUCCESS", result=8) == []
        await again.client.__aexit__()
    assert await task.ends(200, "SUCCESS", result=8) == []
    await holds_nothing(client)
