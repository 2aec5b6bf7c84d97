"""Actions that hand their work to Celery, on real servers, brokers and workers."""

import pytest

from tests.client import SocketClient
from tests.tasks_helpers import failed, follow, progress, started, succeeded

pytestmark = pytest.mark.django_db(transaction=True)

STACKS = [
    ("embedded", "daphne"),
    ("embedded", "uvicorn"),
    ("redis-prefork", "daphne"),
    ("redis-prefork", "uvicorn"),
    ("redis-threads", "uvicorn"),
    ("redis-solo", "uvicorn"),
    ("rabbit-prefork", "uvicorn"),
]


@pytest.fixture(params=STACKS, ids="-".join)
def stack(request, stacks):
    name, kind = request.param
    return stacks.get(name, kind=kind)


async def test_each_state_comes_in_its_order(stack):
    gates = [stack.gate() for _ in range(3)]
    async with SocketClient(stack.url) as client:
        reply = await client.request(
            "work", "start", data={"task": "report", "args": [[str(gate) for gate in gates]]}
        )
        task = reply["data"]["id"]
        assert reply == {
            "action": "start",
            "errors": [],
            "data": {"id": task, "state": "PENDING"},
            "response_status": 202,
            "request_id": "request-1",
        }
        assert await client.receive() == started("work", "start", "request-1", task)
        for number, gate in enumerate(gates, 1):
            gate.touch()
            meta = {"current": number, "total": 3}
            if number < 3:
                expected = progress("work", "start", "request-1", task, meta)
                assert await client.receive() == expected
        # The last progress may come as one with the end.
        frames = await follow(client)
        assert frames[-1] == succeeded("work", "start", "request-1", task, {"steps": 3})
        assert len(frames) <= 2


async def test_a_failure_tells_nothing_of_its_reason(stack):
    async with SocketClient(stack.url) as client:
        reply = await client.request("work", "start", data={"task": "fail"})
        last = (await follow(client))[-1]
        errors = last["payload"]["errors"]
        assert last == failed("work", "start", "request-1", reply["data"]["id"], errors)
        assert errors[0] == "Task failed"
        # The demo's kind of process has DEBUG on, where the text is shown.
        assert errors[1].keys() == {"error_id"} | ({"exception"} if stack.worker is None else set())
        log = stack.server if stack.worker is None else stack.worker
        assert errors[1]["error_id"] in log.log
