"""A broker, a store of results or a channel layer that goes away, hangs or forgets."""

import itertools
from contextlib import AsyncExitStack

import pytest
import redis

from tests.client import SocketClient
from tests.faults_helpers import LONG, away, begin, hanging, news, next_news, work
from tests.live_helpers import event, question, subscribe
from tests.tasks_helpers import follow, frame, started, succeeded

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]

KINDS = ["daphne", "uvicorn"] if LONG else ["uvicorn"]
#: Refused connections as well, where it takes long.
HANGING = [away, hanging] if LONG else [hanging]
BOTH = pytest.mark.parametrize("trouble", [away, hanging])


@pytest.fixture(params=KINDS)
def stack(request, stacks):
    return stacks.get("apart-prefork", kind=request.param)


@pytest.mark.parametrize("what", ["layer and results", "everything"])
async def test_a_redis_that_is_restarted_costs_a_running_task_nothing(stack, what):
    parts = [stack.redis, stack.results] + [stack.broker] * (what == "everything")
    gates = [stack.gate() for _ in range(2)]
    async with SocketClient(stack.url) as client, SocketClient(stack.url) as other:
        task = await begin(client, "report", [str(gate) for gate in gates])
        assert await next_news(client) == started("work", "start", "request-1", task)
        with away(*parts):
            pass
        # There is no trace of it in there, but the server knows better.
        reply = await other.request("tasks", "subscribe", pk=task)
        assert reply["data"] == {"id": task, "state": "STARTED"}
        with away(*parts):
            gates[0].touch()  # its progress is to be stored while there is nothing to store it in
        gates[1].touch()
        *before, last = news(await follow(client))
        assert last == succeeded("work", "start", "request-1", task, {"steps": 2})
        assert {each["payload"]["data"]["state"] for each in before} <= {"PROGRESS"}


async def test_a_layer_that_has_forgotten_its_groups(stack):
    gate = stack.gate()
    async with SocketClient(stack.url) as client:
        task = await begin(client, "double", 4, str(gate))
        assert await next_news(client) == started("work", "start", "request-1", task)
        with redis.Redis.from_url(stack.redis.url) as layer:
            layer.flushdb()
        gate.touch()
        frames = await follow(client)
        assert news(frames) == [succeeded("work", "start", "request-1", task, 8)]


@BOTH
async def test_tasks_go_on_without_a_layer(stack, trouble):
    gate = stack.gate()
    with trouble(stack.redis):
        async with SocketClient(stack.url) as client:
            task = await begin(client, "double", 4, str(gate))
            assert await next_news(client) == started("work", "start", "request-1", task)
            gate.touch()
            frames = await follow(client)
            assert news(frames) == [succeeded("work", "start", "request-1", task, 8)]


@BOTH
async def test_a_broker_that_takes_no_task_is_told_and_the_next_one_is_taken(stack, trouble):
    refused, taken = stack.gate(), stack.gate()
    async with SocketClient(stack.url) as client:
        with trouble(stack.broker):
            # 2 s, and what a busy machine needs; without a limit it would wait for ever.
            reply = await client.request(
                "faults", "start", data=work("touch", str(refused)), timeout=10
            )
            assert reply == {
                "action": "start",
                "errors": ["Tasks can't be started at the moment. Try again later."],
                "data": None,
                "response_status": 503,
                "request_id": "request-1",
            }
        task = await begin(client, "touch", str(taken), stream="faults")
        assert (await follow(client))[-1] == succeeded("faults", "start", "request-2", task, None)
        assert taken.exists()


@pytest.mark.parametrize("trouble", HANGING)
async def test_results_that_can_not_be_read_hold_up_nothing_else(stack, trouble):
    gate = stack.gate()
    async with SocketClient(stack.url) as client, SocketClient(stack.url) as other:
        task = await begin(client, "double", 4, str(gate))
        assert await next_news(client) == started("work", "start", "request-1", task)
        await subscribe(other, "live")
        with trouble(stack.results):
            # Told from the time before, at a heartbeat: by now the states have been asked for.
            silent = (await client.receive())["payload"]["data"]
            assert silent == {"id": task, "state": "STARTED", "since": silent["since"]}
            # New tasks are begun, and the loop does not stand still.
            later = await begin(client, "double", 5)
            late = await other.request("faults", "breathe", data={"times": 20})
            assert late["data"] < 1
            pk = (await client.request("questions", "create", data={"question_text": "a"}))["data"][
                "id"
            ]
            assert await other.receive() == event("live", "create", pk, question(pk))
            gate.touch()
        ends = [succeeded("work", "start", "request-1", task, 8)]
        ends += [succeeded("work", "start", "request-2", later, 10)]
        frames = []
        while len([each for each in frames if each in ends]) < 2:
            frames.append(await client.receive(timeout=20))
        assert [each for each in news(frames) if each not in ends] in (
            [],
            [started("work", "start", "request-2", later)],
        )


async def test_tasks_are_begun_while_there_are_no_results(stack):
    async with SocketClient(stack.url) as client:
        with away(stack.results):
            task = await begin(client, "double", 4)
        *_, last = await follow(client)
        assert last == succeeded("work", "start", "request-1", task, 8)


@BOTH
async def test_who_asks_for_states_that_can_not_be_read_is_told_and_keeps_nobody_waiting(
    stack, trouble
):
    gate = stack.gate()
    async with AsyncExitStack() as sockets:
        # More than there are threads.
        clients = [await sockets.enter_async_context(SocketClient(stack.url)) for _ in range(24)]
        task = await begin(clients[0], "double", 4, str(gate))
        asking = list(zip(clients[1:-1], itertools.cycle(["retrieve", "subscribe"])))
        with trouble(stack.results):
            for client, action in asking:
                await client.send("tasks", action, pk=task, request_id="asked")
            assert (await clients[-1].request("questions", "list"))["data"] == []
            for client, action in asking:
                errors = ["The states of tasks can't be read at the moment. Try again later."]
                expected = frame("tasks", action, "asked", 503, None, errors)
                assert await client.receive() == expected
        gate.touch()


async def test_results_that_hang_take_no_thread_from_the_actions_when_tasks_are_cancelled(stack):
    gate = stack.gate()
    async with AsyncExitStack() as sockets:
        clients = [await sockets.enter_async_context(SocketClient(stack.url)) for _ in range(12)]
        task = await begin(clients[0], "tick", str(gate))
        with hanging(stack.results):
            for client in clients[1:-1]:
                await client.send("tasks", "delete", pk=task, request_id="cancel")
            assert (await clients[-1].request("questions", "list"))["data"] == []
        # By the first of them; the others find it so.
        answers = [await client.receive(timeout=20) for client in clients[1:-1]]
        assert {each["payload"]["response_status"] for each in answers} == {410, 400}
