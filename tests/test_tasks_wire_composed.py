"""Chains, groups and chords. The heartbeat is too slow to be of help: whatever comes was rung."""

import pytest

from tests.client import SocketClient
from tests.wire_helpers import begin, subscribe

pytestmark = pytest.mark.django_db(transaction=True)

#: How many are counted, how many of them are done after the first gate, and the result.
COUNTED = {
    "groups_in_a_group": (3, 2, [2, 4, 6]),
    "chains_in_a_group": (2, 1, [4, 8]),
    "chain_to_a_group": (2, 1, [4, 4]),
    "chain_to_a_chord": (2, 1, 8),
    "chain_from_a_group": (2, 1, 12),
    "chord_of_chains": (2, 1, 12),
    "chord_to_a_group": (2, 0, [6, 6]),
}
FAILING = [
    "failing_chain",
    "failing_group",
    "failing_chord",
    "failing_body",
    "failing_chain_in_a_group",
    "failing_chain_in_a_chord",
    "failing_before_a_group",
    "failing_before_a_chord",
    "failing_after_a_chord",
    "failing_chord_with_a_step",
]
#: All that may come between the last count and the end.
LATE = {"PROGRESS", "STARTED"}


@pytest.fixture(params=["redis-prefork", "embedded"])
def stack(request, stacks):
    return stacks.get(request.param, heartbeat=60)


@pytest.fixture
async def client(stack):
    async with SocketClient(stack.url) as client:
        yield client


@pytest.mark.parametrize("kind", COUNTED)
async def test_members_are_counted(stack, client, kind):
    total, after_first, result = COUNTED[kind]
    first, second = stack.gate(), stack.gate()
    task = await begin(client, "compose", kind=kind, args=[str(first), str(second)])
    await task.tells("PENDING", meta={"completed": 0, "total": total})
    first.touch()
    if after_first:
        await task.tells_completed(after_first, total)
    second.touch()
    assert set(await task.ends(200, "SUCCESS", result=result)) <= LATE


async def test_a_group_of_nothing(client):
    task = await begin(client, "compose", kind="nothing_in_a_group")
    assert await task.ends(200, "SUCCESS", result=[]) == []


async def test_a_chain_is_what_its_last_step_is(stack, client):
    first, second = stack.gate(), stack.gate()
    reply = await client.request(
        "work", "compose", data={"kind": "in_a_chain", "args": [4, [str(first), str(second)]]}
    )
    task = reply["data"]["id"]
    assert (reply["response_status"], reply["data"]) == (202, {"id": task, "state": "PENDING"})
    first.touch()
    told = (await client.receive())["payload"]
    assert (told["response_status"], told["data"]) == (202, {"id": task, "state": "STARTED"})
    second.touch()
    told = (await client.receive())["payload"]
    end = {"id": task, "state": "SUCCESS", "result": 16}
    assert (told["response_status"], told["data"]) == (200, end)


@pytest.mark.parametrize("kind", FAILING)
async def test_a_failure_is_told_wherever_it_happens(stack, client, kind):
    gate = stack.gate()
    task = await begin(client, "compose", kind=kind, args=[str(gate)])
    if kind != "failing_chain":
        await task.tells("PENDING", meta={"completed": 0, "total": 2})
    gate.touch()
    error_id = await task.fails()
    assert error_id in (stack.worker or stack.server).log


@pytest.mark.parametrize("kind", ["refused_chain", "refused_group"])
async def test_an_error_that_is_meant_for_clients_is_shown(client, kind):
    task = await begin(client, "compose", kind=kind)
    await task.ends(500, "FAILURE", [{"year": ["No such year."]}])


@pytest.mark.parametrize("kind", ["chains_in_a_group", "chord_of_chains"])
async def test_another_socket_comes_to_the_same_count(stack, client, kind):
    total, _, result = COUNTED[kind]
    first, second = stack.gate(), stack.gate()
    task = await begin(client, "compose", kind=kind, args=[str(first), str(second)])
    await task.tells_completed(0, total)
    first.touch()
    await task.tells_completed(1, total)
    async with SocketClient(stack.url) as other:
        again, reply = await subscribe(other, task.task)
        assert reply == again.frame(202, "PROGRESS", meta={"completed": 1, "total": 2})["payload"]
        second.touch()
        for each in (task, again):
            assert set(await each.ends(200, "SUCCESS", result=result)) <= LATE


async def test_a_refusal_in_a_chord_is_told_as_what_it_is(client):
    """Celery itself keeps no more than a text of it for the body."""
    task = await begin(client, "compose", kind="refused_chord")
    await task.ends(500, "FAILURE", [{"year": ["No such year."]}])
