"""Several subscriptions with state on one socket, their names, and what is left of them."""

import pytest

from tests.client import SocketClient
from tests.live_helpers import (
    do,
    event,
    hear,
    keep,
    nobody_is_subscribed,
    question,
    subscribe,
    until,
)
from tests.load_doors import Door

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@pytest.fixture
def url(lone_server) -> str:
    return lone_server().url + "ws/"


async def test_equal_subscriptions_have_names_and_events_of_their_own(url):
    async with SocketClient(url) as client, SocketClient(url) as writer:
        replicas = [await keep(client, "live") for _ in range(2)]
        assert [each.subscription for each in replicas] == ["s1", "s2"]
        pk = await do(writer, "create", {"question_text": "a"})
        frames = [await client.receive() for _ in range(2)]
        for replica, frame in zip(replicas, frames, strict=True):
            replica.event(frame["payload"])
            assert replica.rows == {pk: question(pk)}
        assert await client.barrier("live") == []


async def test_classic_and_stateful_on_one_socket(url):
    async with SocketClient(url) as client, SocketClient(url) as writer:
        await subscribe(client, "live")
        replica = await keep(client, "live")
        pk = await do(writer, "create", {"question_text": "a"})
        frames = [await client.receive() for _ in range(2)]
        assert event("live", "create", pk, question(pk)) in frames
        (own,) = [frame["payload"] for frame in frames if "n" in frame["payload"]]
        replica.event(own)
        # Each ends by its own unsubscribe.
        reply = await client.request("live", "unsubscribe", data={"action": "*"})
        assert (reply["response_status"], reply["data"]) == (200, {})
        await do(writer, "change", {"pk": pk, "votes": 1})
        (told,) = await hear(client, replica)
        assert told["data"] == question(pk, votes=1)
        await subscribe(client, "live")
        name = {"subscription": replica.subscription}
        reply = await client.request("live", "unsubscribe", data=name)
        assert (reply["response_status"], reply["data"]) == (200, {})
        await do(writer, "remove", pk)
        assert await client.receive() == event("live", "delete", pk)
        assert await client.barrier("live") == []


async def test_unsubscribe_by_name(url):
    async with SocketClient(url) as client, SocketClient(url) as writer:
        first, second = [await keep(client, "live") for _ in range(2)]
        for _ in range(2):
            payload = await client.request(
                "live", "unsubscribe", data={"subscription": first.subscription}, request_id=1
            )
            assert payload == {
                "action": "unsubscribe",
                "errors": [],
                "data": {},
                "response_status": 200,
                "request_id": 1,
            }
        pk = await do(writer, "create", {"question_text": "a"})
        await hear(client, second)
        assert second.rows == {pk: question(pk)}
        assert await client.barrier("live") == []
        # A name is not given again.
        third = await keep(client, "live")
        assert third.subscription not in (first.subscription, second.subscription)


@pytest.mark.parametrize("stream", ["live-published", "live"])
async def test_a_name_means_nothing_elsewhere(url, stream):
    """On another stream, or on another socket of the same stream."""
    async with SocketClient(url) as client, SocketClient(url) as writer:
        replica = await keep(client, "live")
        asks = client if stream != "live" else writer
        name = {"subscription": replica.subscription}
        for data in (name, {"subscription": "s99"}, {"subscription": ""}):
            payload = await asks.request(stream, "unsubscribe", data=data)
            assert (payload["response_status"], payload["data"]) == (200, {})
        pk = await do(writer, "create", {"question_text": "a"})
        await hear(client, replica)
        assert replica.rows == {pk: question(pk)}


async def test_a_socket_has_a_hundred_of_them(url):
    """Classic ones count as well."""
    async with SocketClient(url) as client:
        pk = await do(client, "create", {"question_text": "a"})
        await subscribe(client, "live")
        for _ in range(99):
            replica = await keep(client, "live", pk=pk)
        data = {"action": "*", "snapshot": True}
        refused = await client.request("live", "subscribe", data=data, request_id=1)
        assert refused == {
            "action": "subscribe",
            "errors": ["A socket may have 100 subscriptions. Unsubscribe from one first."],
            "data": None,
            "response_status": 429,
            "request_id": 1,
        }
        name = {"subscription": replica.subscription}
        assert (await client.request("live", "unsubscribe", data=name))["response_status"] == 200
        await keep(client, "live", pk=pk)


# what is left


@pytest.mark.parametrize("ending", ["close", "abort"])
async def test_a_socket_that_goes_while_its_snapshot_is_read_leaves_nothing(url, tmp_path, ending):
    await nobody_is_subscribed(url)
    door = Door(tmp_path)
    async with SocketClient(url) as probe:
        await do(probe, "create", {"question_text": str(tmp_path)})
        async with SocketClient(url) as client:
            data = {"action": "*", "snapshot": True}
            await client.send("state-doors", "subscribe", data=data, request_id=1)
            await door.reached_by("row")
            found = await do(probe, "look", stream="live-state")
            assert (found["topics"], found["audiences"]) == (1, 1)
            if ending == "abort":
                client.socket.transport.abort()
        door.open()
        await nobody_is_subscribed(url)

        async def no_tasks_of_live() -> bool:
            tasks = (await do(probe, "look", stream="live-state"))["tasks"]
            return not [task for task in tasks if task.startswith(("Audience", "Flusher", "Hub"))]

        await until(no_tasks_of_live)
