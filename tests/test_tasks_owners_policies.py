"""What a project says of its stream of tasks holds before any id is looked at."""

import uuid

import pytest
from django.contrib.auth.models import User

from tests.client import SocketClient
from tests.owners_helpers import Visitor, begin, logged_in, made_up
from tests.tasks_helpers import follow, succeeded

pytestmark = pytest.mark.django_db(transaction=True)

NO_CREDENTIALS = ["Authentication credentials were not provided."]
LOOKING_ONLY = ["Looking is all you may do."]
VERBS = ("retrieve", "subscribe", "unsubscribe", "delete")


@pytest.fixture
def stack(stacks):
    return stacks.get("redis-prefork", kind="uvicorn")


@pytest.fixture
def ann(transactional_db) -> Visitor:
    return logged_in(User.objects.create_user("ann"))


async def finished(client) -> str:
    signed = await begin(client, "double", 21)
    assert (await follow(client))[-1] == succeeded("work", "start", "request-1", signed, 42)
    return signed


async def replies(client, stream: str, pk) -> dict:
    """Status and errors for each action."""
    found = {}
    for action in VERBS:
        reply = await client.request(stream, action, pk=pk)
        found[action] = (reply["response_status"], reply["errors"])
    return found


FINISHED = {
    "retrieve": (200, []),
    "subscribe": (200, []),
    "unsubscribe": (200, []),
    "delete": (400, ["The task has finished."]),
}


async def test_permission_classes_hold_for_each_action(stack, ann):
    """For known and unknown ids alike: the refusal tells nothing of either."""
    async with Visitor().socket(stack) as client:
        signed = await finished(client)
        for pk in (signed, made_up(signed), None):
            found = await replies(client, "owners-closed", pk)
            assert found == dict.fromkeys(VERBS, (401, NO_CREDENTIALS))
    async with ann.socket(stack) as client:
        assert await replies(client, "owners-closed", await finished(client)) == FINISHED


async def test_permission_classes_see_the_action_as_a_viewset_names_it(stack, ann):
    async with ann.socket(stack) as client:
        found = await replies(client, "owners-reads", await finished(client))
    assert found == {**FINISHED, "delete": (403, LOOKING_ONLY)}


async def test_classic_permission_classes_are_asked_with_the_id(stack):
    async with Visitor().socket(stack) as client:
        signed = await finished(client)
        denied = (401, ["Permission Denied"])
        assert await replies(client, "owners-classic", signed) == {**FINISHED, "delete": denied}
        assert await replies(client, "owners-classic", 7) == dict.fromkeys(VERBS, denied)


async def test_throttles_count_ids_that_are_none_as_well(stack):
    """Who guesses is slowed down. Each run has its own count: the server's cache lives on."""
    headers = {"X-Test": uuid.uuid4().hex}
    async with Visitor().socket(stack) as client:
        signed = await finished(client)
    async with SocketClient(stack.url, headers=headers) as client:
        for pk, status in [(made_up(signed), 404), (7, 404), (signed, 200)]:
            reply = await client.request("owners-throttled", "retrieve", pk=pk)
            assert reply["response_status"] == status
        for pk in (signed, made_up(signed)):
            reply = await client.request("owners-throttled", "delete", pk=pk)
            assert reply["response_status"] == 429
            assert reply["errors"][0].startswith("Request was throttled. Expected available in ")
        # The other streams have no such limit.
        reply = await client.request("tasks", "retrieve", pk=signed)
        assert (reply["response_status"], reply["data"]["result"]) == (200, 42)


async def test_a_stream_of_tasks_offers_nothing_else(stack):
    async with Visitor().socket(stack) as client:
        signed = await finished(client)
        for action in ("list", "create", "update", "patch", "_reference", "dispatch", "owner"):
            reply = await client.request("tasks", action, pk=signed, data={"action": "*"})
            assert (reply["response_status"], reply["errors"]) == (400, ["Invalid Action"])
            assert reply["data"] is None
