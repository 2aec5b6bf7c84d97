"""Many changes at once, readers that are busy or slow, and what can't be told one by one."""

import asyncio

import pytest

from tests.client import SocketClient
from tests.live_helpers import (
    SMALL,
    do,
    event,
    follow,
    follow_all,
    hang_up,
    hear,
    keep,
    nobody_is_subscribed,
    question,
    questions,
    subscribe,
    subscriber,
)
from tests.load_doors import Door
from tests.replica import Replica

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

# Seconds for what is much, on a machine that is busy.
LONG = 30


@pytest.fixture
def url(lone_server) -> str:
    return lone_server().url + "ws/"


async def write(client: SocketClient, action: str, data) -> None:
    reply = await client.request("state-write", action, data=data, timeout=LONG)
    assert reply["response_status"] == 200, reply


async def test_nothing_is_lost_while_the_subscriber_is_in_a_slow_action(url):
    """It is told of all 300 rows before the action of its own has ended."""
    async with SocketClient(url) as client, SocketClient(url) as writer:
        replica = await keep(client, "live")
        start = replica.position["seq"]
        await client.send("live-doors", "wait", data="slow", request_id="slow")
        await write(writer, "create", {"count": 300})
        payloads = await hear(client, replica, 300)
        assert {each["action"] for each in payloads} == {"create"}
        assert replica.rows == await questions()
        assert len(replica.rows) == 300
        assert replica.position["seq"] == start + 300
        await do(writer, "release", "slow", stream="live-doors")
        reply = await client.receive()
        assert (reply["payload"]["request_id"], reply["payload"]["data"]) == ("slow", True)


@pytest.mark.parametrize("data", [{"snapshot": True}, {"filter": {"votes__gte": 1}}])
async def test_subscribing_while_rows_are_written(url, tmp_path, data):
    """Whenever it was: what the snapshot and the events make is what the table holds."""
    door = Door(tmp_path)
    door.open("begin")
    # Without a limit on what is not read it closes at once: changes may be told again and again.
    async with SocketClient(url, max_queue=None) as client, SocketClient(url) as writer:
        writing = asyncio.create_task(write(writer, "come_and_go", str(tmp_path)))
        await door.reached_by("begin")
        replicas: list[Replica] = []
        for _ in range(10):
            events: list = []
            payload = await client.request(
                "state-filters", "subscribe", data={"action": "*", **data}, events=events
            )
            for frame in events:
                take(replicas, frame)
            replicas.append(Replica())
            replicas[-1].reply(payload)
        positions = [replica.position["seq"] for replica in replicas]
        door.open("end")
        await writing
        rows = await questions(**data.get("filter", {}))
        await follow_all(client, *((replica, rows) for replica in replicas))
        assert all(
            began < replica.position["seq"]
            for began, replica in zip(positions, replicas, strict=True)
        )


def take(replicas: list[Replica], frame: dict) -> None:
    (replica,) = [each for each in replicas if each.has(frame["payload"])]
    replica.event(frame["payload"])


async def test_two_thousand_rows_in_one_transaction(url):
    """The position is behind them with the last one, and with no other."""
    async with (
        SocketClient(url) as client,
        subscriber(url, "live") as classic,
        SocketClient(url) as writer,
    ):
        replica = await keep(client, "live")
        start = replica.position["seq"]
        await write(writer, "create_together", {"count": 2000})
        payloads = await hear(client, replica, 2000)
        assert {each["action"] for each in payloads} == {"create"}
        assert [each["seq"] for each in payloads] == [start] * 1999 + [start + 2000]
        assert replica.rows == await questions()
        told = [(await classic.receive())["payload"] for _ in range(2000)]
        assert {each["pk"]: each["data"] for each in told} == replica.rows
        assert await client.barrier("live") == await classic.barrier("live") == []


async def test_a_slow_reader(lone_server, url):
    """Its rows change faster than it reads: it is told what they have become, not each change."""
    async with SocketClient(url, compression=None) as client, SocketClient(url) as writer:
        pks = (await writer.request("state-write", "create", data={"count": 40}))["data"]
        replica = await keep(client, "state-padded")
        client.socket.transport.pause_reading()
        await write(writer, "save_each", {"pks": pks, "times": 25})
        client.socket.transport.resume_reading()
        count = 0
        while [row["votes"] for row in replica.rows.values()] != [24] * 40:
            await hear(client, replica)
            count += 1
        # Daphne takes everything at once; who reads is not known there without pings.
        assert lone_server().kind == "daphne" or count < 1000
        last = {pk: (row["question_text"], row["votes"]) for pk, row in replica.rows.items()}
        assert last == dict.fromkeys(pks, ("many", 24))
        await hear_the_rest(client, replica)
        assert [row["votes"] for row in replica.rows.values()] == [24] * 40
        assert replica.reasons in (["first"], ["first", "too_many"])


async def hear_the_rest(client: SocketClient, replica: Replica) -> None:
    for frame in await client.barrier("live"):
        replica.event(frame["payload"])


# what is announced


async def test_rows_that_are_announced(url):
    """They were written without signals; what is found then is told, through each filter."""
    async with (
        SocketClient(url) as client,
        SocketClient(url) as filtering,
        subscriber(url, "live") as classic,
        SocketClient(url) as writer,
    ):
        first, second, third = (await writer.request("state-write", "create", data={"count": 3}))[
            "data"
        ]
        assert len([await classic.receive() for _ in range(3)]) == 3
        replica = await keep(client, "live")
        filtered = await keep(filtering, "state-filters", filter={"votes": 5})
        await write(
            writer, "update_silently", {"update": [first, second], "pks": [first, 777], "votes": 5}
        )
        payloads = await hear(client, replica, 2)
        assert {each["pk"]: (each["action"], each["data"]) for each in payloads} == {
            first: ("update", question(first, "many", votes=5)),
            777: ("delete", None),
        }
        (payload,) = await hear(filtering, filtered)
        assert (payload["action"], payload["pk"]) == ("create", first)
        frames = [await classic.receive() for _ in range(2)]
        assert event("live", "update", first, question(first, "many", votes=5)) in frames
        # Of the second one nobody was told.
        assert replica.rows[second]["votes"] == 0
        assert filtered.rows == await questions(pk=first)
        await write(writer, "update_silently", {"update": [], "pks": [second], "votes": 0})
        await follow(client, replica, await questions())
        await follow(filtering, filtered, await questions(votes=5))
        assert third in replica.rows


async def test_a_table_that_is_announced(url):
    """A reset: the rows as they are, in place of all that was told."""
    async with (
        SocketClient(url) as client,
        subscriber(url, "live") as classic,
        SocketClient(url) as writer,
    ):
        pks = (await writer.request("state-write", "create", data={"count": 3}))["data"]
        assert len([await classic.receive() for _ in range(3)]) == 3
        reply = await client.request(
            "live", "subscribe", data={"action": "*", "snapshot": True}, request_id="r"
        )
        replica = Replica()
        replica.reply(reply)
        since = dict(replica.position)
        await write(writer, "update_silently", {"update": pks[:2], "votes": 5})
        frame = await client.receive()
        assert frame == {
            "stream": "live",
            "payload": {
                "action": "reset",
                "reason": "gap",
                "subscription": "s1",
                "request_id": "r",
                "epoch": since["epoch"],
                "seq": since["seq"] + 1,
                "n": 1,
                "snapshot": [*(await questions()).values()],
            },
        }
        replica.event(frame["payload"])
        # It goes on, in the same subscription.
        await do(writer, "remove", pks[0])
        await hear(client, replica)
        assert replica.rows == await questions()
        # Without state there is nothing that could be put in its place.
        assert await classic.receive() == event("live", "delete", pks[0])


async def test_one_row_of_a_table_that_is_announced(url):
    async with SocketClient(url) as client, SocketClient(url) as writer:
        first, second = [await do(writer, "create", {"question_text": x}) for x in "ab"]
        replica = await keep(client, "live", pk=first)
        await write(writer, "update_silently", {"update": [first, second], "votes": 5})
        (payload,) = await hear(client, replica)
        assert (payload["action"], payload["reason"]) == ("reset", "gap")
        assert payload["snapshot"] == [question(first, votes=5)]
        await do(writer, "remove", first)
        await follow(client, replica, {})


async def test_a_client_comes_back_to_a_table_that_was_announced(url):
    async with SocketClient(url) as writer, SocketClient(url) as client:
        async with SocketClient(url) as before:
            replica = await keep(before, "live")
            await hang_up(before)
        pks = (await writer.request("state-write", "create", data={"count": 2}))["data"]
        await write(writer, "update_silently", {"update": pks, "votes": 5})
        await keep(client, "live", replica, **replica.resume_data())
        assert replica.reasons == ["first", "trimmed"]
        assert replica.rows == await questions(votes=5)
        assert len(replica.rows) == 2


async def test_a_reset_that_is_too_large_ends_the_subscription(lone_server):
    """The client has to ask for less; the server holds nothing for it any more."""
    url = lone_server(**SMALL).url + "ws/"
    await nobody_is_subscribed(url)
    async with SocketClient(url) as client, SocketClient(url) as writer:
        await do(writer, "create", {"count": 8}, stream="state-write")
        replica = await keep(client, "live")
        await do(writer, "create", {"question_text": "one too many"})
        await hear(client, replica)
        assert replica.rows == await questions()
        await write(writer, "update_silently", {"update": [], "votes": 0})
        frame = await client.receive()
        payload = frame["payload"]
        assert payload == {
            "action": "reset",
            "reason": "too_many",
            "subscription": "s1",
            "request_id": payload["request_id"],
            **replica.position,
            "seq": replica.position["seq"] + 1,
            "n": 2,
            "snapshot": None,
        }
        replica.event(payload)
        assert replica.ended
        await nobody_is_subscribed(url)
        await do(writer, "create", {"question_text": "b"})
        assert await client.barrier("live") == []
        # The same socket may have others.
        await subscribe(client, "live")
