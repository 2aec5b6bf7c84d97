"""Subscriptions with state through real servers: what is asked, answered and told."""

import pytest
from asgiref.sync import sync_to_async

from tests.client import ABSENT, SocketClient, login_headers
from tests.live_helpers import (
    do,
    event,
    follow,
    hear,
    keep,
    nobody_is_subscribed,
    question,
    questions,
    subscribe,
    until,
)
from tests.load_doors import Door
from tests.replica import Replica

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@pytest.fixture
def url(server) -> str:
    return server.url + "ws/"


def first_reply(request_id, data: dict, snapshot: list, name: str = "s1") -> dict:
    """The whole payload that answers a first subscribe; where the log stands is not known."""
    return {
        "action": "subscribe",
        "errors": [],
        "response_status": 200,
        "request_id": request_id,
        "data": {
            "action": "*",
            "subscription": name,
            "epoch": data["epoch"],
            "seq": data["seq"],
            "recovered": False,
            "reason": "first",
            "snapshot": snapshot,
        },
    }


# the reply


@pytest.mark.parametrize("request_id", [7, "x", None, ABSENT])
async def test_a_snapshot_is_all_rows(url, request_id):
    async with SocketClient(url) as client:
        await do(client, "create", {"count": 2}, stream="state-write")
        data = {"action": "*", "snapshot": True}
        await client.send("live", "subscribe", data=data, request_id=request_id)
        frame = await client.receive()
        expected = None if request_id is ABSENT else request_id
        rows = [*(await questions()).values()]
        payload = frame["payload"]
        assert frame == {"stream": "live", "payload": first_reply(expected, payload["data"], rows)}
        assert isinstance(payload["data"]["epoch"], str)
        assert type(payload["data"]["seq"]) is int
        async with SocketClient(url) as writer:
            pk = await do(writer, "create", {"question_text": "a"})
        told = await client.receive()
        assert told["payload"]["request_id"] == expected
        assert told["payload"]["pk"] == pk


@pytest.mark.parametrize(
    ("stream", "rows"),
    [
        ("live", [{"question_text": text} for text in "cab"]),
        ("state-filters", [{"question_text": text} for text in "cab"]),
        ("documents", [{"title": text} for text in "cabdefgh"]),
        ("tags", [{"name": text} for text in "cab"]),
        ("vs-documents", [{"title": text} for text in "cabdefgh"]),
        ("vs-tags", [{"name": text} for text in "cab"]),
    ],
)
async def test_a_snapshot_has_the_order_of_a_list(url, stream, rows):
    async with SocketClient(url) as client:
        for row in rows:
            await client.request(stream, "create", data=row)
        if stream == "live":
            # Where a table has no order of its own, this row may have moved to its end.
            (first, *_) = await questions()
            await do(client, "change", {"pk": first, "votes": 1})
        listed = (await client.request(stream, "list"))["data"]
        assert len(listed) == len(rows)
        reply = await client.request(stream, "subscribe", data={"action": "*", "snapshot": True})
        assert reply["data"]["snapshot"] == listed


@pytest.mark.parametrize("asked", [{"filter": {}}, {"filter": {}, "snapshot": False}])
async def test_a_filter_asks_for_state_as_well(url, asked):
    async with SocketClient(url) as client:
        await do(client, "create", {"question_text": "a"})
        data = {"action": "*", **asked}
        reply = await client.request("live", "subscribe", data=data, request_id=1)
        rows = [*(await questions()).values()]
        assert reply == first_reply(1, reply["data"], rows)


@pytest.mark.parametrize(
    "asked",
    [{"snapshot": False}, {"snapshot": None}, {"filter": None, "since": None}, {"have": []}],
)
async def test_what_asks_for_nothing_is_a_classic_subscribe(url, asked):
    async with SocketClient(url) as client, SocketClient(url) as writer:
        data = {"action": "*", **asked}
        reply = await client.request("live", "subscribe", data=data)
        assert reply["data"] == {"action": "*"}
        pk = await do(writer, "create", {"question_text": "a"})
        assert await client.receive() == event("live", "create", pk, question(pk))


@pytest.mark.parametrize("stream", ["live", "vs-questions"])
async def test_the_snapshot_of_one_row(url, stream):
    async with SocketClient(url) as client, SocketClient(url) as writer:
        pk, other = await do(writer, "create", {"count": 2}, stream="state-write")
        asked = {"action": "*", "snapshot": True}
        reply = await client.request(stream, "subscribe", pk=pk, data=asked, request_id=1)
        assert reply == first_reply(1, reply["data"], [question(pk, "many")])
        replica = Replica()
        replica.reply(reply)
        await do(writer, "change", {"pk": other, "votes": 1})
        await do(writer, "change", {"pk": pk, "votes": 2})
        (told,) = await hear(client, replica)
        assert (told["action"], told["data"]) == ("update", question(pk, "many", votes=2))
        await do(writer, "remove", other)
        await do(writer, "remove", pk)
        (told,) = await hear(client, replica)
        assert (told["action"], told["pk"]) == ("delete", pk)
        assert await client.barrier("live") == []


# events


@pytest.mark.parametrize("stream", ["live", "live-published"])
async def test_events_carry_the_state_of_the_subscription(url, stream):
    async with SocketClient(url) as client, SocketClient(url) as writer:
        reply = await client.request(
            stream, "subscribe", data={"action": "*", "snapshot": True}, request_id="q"
        )
        assert reply == first_reply("q", reply["data"], [])
        epoch, seq = reply["data"]["epoch"], reply["data"]["seq"]

        def told(n: int, action: str, row: dict | None) -> dict:
            frame = event(stream, action, pk, row)
            state = {
                "subscription": "s1",
                "request_id": "q",
                "epoch": epoch,
                "seq": seq + n,
                "n": n,
            }
            frame["payload"].update(state)
            return frame

        pk = await do(writer, "create", {"question_text": "a"})
        assert await client.receive() == told(1, "create", question(pk))
        await do(writer, "change", {"pk": pk, "votes": 3})
        assert await client.receive() == told(2, "update", question(pk, votes=3))
        await do(writer, "remove", pk)
        assert await client.receive() == told(3, "delete", None)
        assert await client.barrier("live") == []


async def test_events_of_what_a_socket_does_itself(url):
    async with SocketClient(url) as client:
        replica = await keep(client, "live")
        steps = [("create", {"question_text": "a"}), ("patch", {"votes": 1}), ("delete", None)]
        pk = ABSENT
        for action, data in steps:
            events: list = []
            reply = await client.request("live", action, pk=pk, data=data, events=events)
            assert reply["response_status"] in (200, 201)
            pk = reply["data"].get("id")
            (told,) = [frame["payload"] for frame in events] or [
                (await client.receive())["payload"]
            ]
            replica.event(told)
            assert told["action"] == {"patch": "update"}.get(action, action)
            assert told["data"] == (reply["data"] or None)
        assert replica.rows == {}


@pytest.mark.parametrize(
    ("stream", "action", "data"),
    [
        ("live-write", "roll_back", "lost"),
        ("live-write", "create_elsewhere", "lost"),
        ("state-write", "create_and_fail", {"count": 3}),
    ],
)
async def test_what_is_not_committed_here_is_not_told(url, stream, action, data):
    async with SocketClient(url) as client, SocketClient(url) as writer:
        replica = await keep(client, "live")
        await writer.request(stream, action, data=data)
        pk = await do(writer, "create", {"question_text": "a"})
        position = replica.position["seq"]
        (told,) = await hear(client, replica)
        assert (told["pk"], told["seq"]) == (pk, position + 1)


async def test_each_user_keeps_their_own_rows(url, django_user_model):
    ann = await django_user_model.objects.acreate(username="ann")
    bob = await django_user_model.objects.acreate(username="bob")
    headers = [await sync_to_async(login_headers)(each) for each in (ann, bob)]
    async with (
        SocketClient(url) as writer,
        SocketClient(url, headers=headers[0]) as anns,
        SocketClient(url, headers=headers[1]) as bobs,
    ):
        first = await do(writer, "create", {"question_text": "a", "owner_id": ann.pk})
        ann_keeps = await keep(anns, "live-owned")
        bob_keeps = await keep(bobs, "live-owned")
        assert ann_keeps.rows == await questions(owner=ann)
        assert bob_keeps.rows == {}
        await do(writer, "create", {"question_text": "b", "owner_id": bob.pk})
        await follow(bobs, bob_keeps, await questions(owner=bob))
        # Her row is now his: she is told no more of it than that it is gone.
        await do(writer, "change", {"pk": first, "owner_id": bob.pk})
        (told,) = await hear(anns, ann_keeps)
        assert (told["action"], told["pk"], told["data"]) == ("delete", first, None)
        (told,) = await hear(bobs, bob_keeps)
        assert (told["action"], told["pk"]) == ("create", first)
        assert bob_keeps.rows == await questions(owner=bob)
        assert await anns.barrier("live") == []


# several on one socket


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
