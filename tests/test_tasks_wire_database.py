"""A database as the result backend: what is read there is told as from any other."""

import pytest

from tests.client import SocketClient
from tests.tasks_helpers import follow, succeeded

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def stack(stacks, tmp_path_factory):
    results = tmp_path_factory.getbasetemp() / "results.sqlite3"
    return stacks.get("redis-threads", env={"TEST_RESULTS": f"db+sqlite:///{results}"})


async def test_states_are_read_from_a_database(stack):
    gate = stack.gate()
    async with SocketClient(stack.url) as client:
        reply = await client.request("work", "start", data={"task": "double", "args": [4]})
        task = reply["data"]["id"]
        assert (await follow(client))[-1] == succeeded("work", "start", "request-1", task, 8)
        later = {"task": "double", "args": [4, str(gate)], "options": {"countdown": 60}}
        waiting = (await client.request("work", "start", data=later))["data"]["id"]
        # Nothing is stored of it yet, and that is not long enough ago to be forgotten.
        shown = await client.request("tasks", "retrieve", pk=waiting)
        assert shown["data"] == {"id": waiting, "state": "PENDING"}
        gone = await client.request("tasks", "delete", pk=waiting, request_id="d", events=[])
        assert gone["response_status"] == 410


async def test_a_group_is_found_again_in_a_database(stack):
    async with SocketClient(stack.url) as client:
        data = {"kind": "in_a_group", "args": [[1, 2, 3]]}
        task = (await client.request("work", "compose", data=data))["data"]["id"]
        await follow(client)
    async with SocketClient(stack.url) as client:
        shown = await client.request("tasks", "retrieve", pk=task)
        assert shown["data"] == {"id": task, "state": "SUCCESS", "result": [2, 4, 6]}
