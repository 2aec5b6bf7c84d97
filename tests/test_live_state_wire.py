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
    question,
    questions,
)
from tests.replica import Replica

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@pytest.fixture
def url(lone_server) -> str:
    return lone_server().url + "ws/"


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


@pytest.mark.parametrize("request_id", [7, "x", ABSENT])
async def test_a_snapshot_is_all_rows(url, request_id):
    async with SocketClient(url) as client, SocketClient(url) as writer:
        await do(writer, "create", {"count": 2}, stream="state-write")
        data = {"action": "*", "snapshot": True}
        await client.send("live", "subscribe", data=data, request_id=request_id)
        frame = await client.receive()
        expected = None if request_id is ABSENT else request_id
        rows = [*(await questions()).values()]
        payload = frame["payload"]
        assert frame == {"stream": "live", "payload": first_reply(expected, payload["data"], rows)}
        assert isinstance(payload["data"]["epoch"], str)
        assert type(payload["data"]["seq"]) is int
        pk = await do(writer, "create", {"question_text": "a"})
        told = await client.receive()
        assert told["payload"]["request_id"] == expected
        assert told["payload"]["pk"] == pk


async def test_a_snapshot_has_the_order_of_a_list(url):
    async with SocketClient(url) as client:
        for text in "cabdefgh":
            await do(client, "create", {"question_text": text})
            await client.request("documents", "create", data={"title": text})
            await client.request("tags", "create", data={"name": text})
        # Where a table has no order of its own, this row may have moved to its end.
        (first, *_) = await questions()
        await do(client, "change", {"pk": first, "votes": 1})
        streams = ["live", "state-filters", "documents", "tags", "vs-documents", "vs-tags"]
        for stream in streams:
            listed = (await client.request(stream, "list"))["data"]
            assert len(listed) == 8
            data = {"action": "*", "snapshot": True}
            reply = await client.request(stream, "subscribe", data=data)
            assert reply["data"]["snapshot"] == listed, stream


async def test_a_filter_asks_for_state_as_well(url):
    async with SocketClient(url) as client:
        await do(client, "create", {"question_text": "a"})
        rows = [*(await questions()).values()]
        for number, asked in enumerate([{"filter": {}}, {"filter": {}, "snapshot": False}], 1):
            data = {"action": "*", **asked}
            reply = await client.request("live", "subscribe", data=data, request_id=1)
            assert reply == first_reply(1, reply["data"], rows, f"s{number}")


async def test_what_asks_for_nothing_is_a_classic_subscribe(url):
    async with SocketClient(url) as client, SocketClient(url) as writer:
        nothing = [{"snapshot": False}, {"snapshot": None}, {"filter": None, "since": None}]
        for asked in (*nothing, {"have": []}):
            data = {"action": "*", **asked}
            reply = await client.request("live", "subscribe", data=data)
            assert reply["data"] == {"action": "*"}
        pk = await do(writer, "create", {"question_text": "a"})
        assert await client.receive() == event("live", "create", pk, question(pk))
        assert await client.barrier("live") == []


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


async def test_what_is_not_committed_here_is_not_told(url):
    async with SocketClient(url) as client, SocketClient(url) as writer:
        replica = await keep(client, "live")
        await do(writer, "roll_back", "lost")
        await do(writer, "create_elsewhere", "lost")
        await do(writer, "roll_back_savepoint", "lost")
        failed = await writer.request("state-write", "create_and_fail", data={"count": 3})
        assert failed["response_status"] == 400
        await do(writer, "create", {"question_text": "a"})
        position = replica.position["seq"]
        first, second = await hear(client, replica, 2)
        assert replica.rows == await questions()
        assert (first["seq"], second["seq"]) == (position + 1, position + 2)


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
