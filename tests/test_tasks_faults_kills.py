"""Processes that are killed: of the pool, of a worker, of the server."""

import pytest

from tests.client import SocketClient
from tests.faults_helpers import LONG, begin, kill, next_news
from tests.tasks_helpers import follow, frame, started, succeeded

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]

KINDS = ["daphne", "uvicorn"] if LONG else ["uvicorn"]


async def test_a_worker_that_is_killed_is_told_as_silence_and_the_next_one_ends_its_task(stacks):
    stack = stacks.get("rabbit-prefork")
    gate = stack.gate()
    async with SocketClient(stack.url) as client:
        task = await begin(client, "survive", str(gate), stream="faults")
        begun = started("faults", "start", "request-1", task)
        assert await next_news(client) == begun
        kill(stack.worker)
        silent = await client.receive()
        assert silent["payload"]["data"].pop("since")
        assert silent == begun
        gate.touch()
        stack.worker.start()
        # Silence is told once. That it is begun again is no news.
        assert await follow(client) == [succeeded("faults", "start", "request-1", task, "survived")]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_client_of_a_server_that_was_killed_comes_back_to_its_task(stacks, kind):
    stack = stacks.get("apart-prefork", kind=kind)
    gates = [stack.gate() for _ in range(2)]
    async with SocketClient(stack.url) as client:
        task = await begin(client, "report", [str(gate) for gate in gates])
        assert await next_news(client) == started("work", "start", "request-1", task)
        kill(stack.server)
        await client.until_closed()
    stack.server.start()
    async with SocketClient(stack.url) as client:
        reply = await client.request("tasks", "subscribe", pk=task)
        now = frame("tasks", "subscribe", "request-1", 202, {"id": task, "state": "STARTED"})
        assert reply == now["payload"]
        for gate in gates:
            gate.touch()
        *_, last = await follow(client)
        assert last == succeeded("tasks", "subscribe", "request-1", task, {"steps": 2})
