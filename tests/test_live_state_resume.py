"""A client that comes back goes on from where it was: it is told what it missed, or begins anew."""

import pytest
from asgiref.sync import sync_to_async

from tests.client import SocketClient, login_headers
from tests.live_helpers import (
    do,
    follow,
    go_on,
    hang_up,
    hear,
    keep,
    left_with,
    question,
    questions,
)
from tests.load_doors import Door
from tests.replica import Replica

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@pytest.fixture
def url(lone_server) -> str:
    return lone_server().url + "ws/"


@pytest.mark.parametrize(
    ("stream", "ending"),
    # Nothing can be hidden in the first; in the others rows come and go without being written.
    [("live", "close"), ("live", "abort"), ("live-published", "abort"), ("state-filters", "close")],
)
async def test_exactly_what_was_missed_is_told(url, stream, ending):
    asked = {"filter": {"votes__gte": 0}} if stream == "state-filters" else {"snapshot": True}
    async with SocketClient(url) as writer, SocketClient(url) as client:
        stays, changes, goes = [await do(writer, "create", {"question_text": x}) for x in "abc"]
        replica = await left_with(url, stream, ending, **asked)
        since, have = dict(replica.position), [stays, changes, goes]
        await do(writer, "change", {"pk": changes, "votes": 1})
        await do(writer, "remove", goes)
        comes = await do(writer, "create", {"question_text": "d"})
        for text in "ef":
            await do(writer, "remove", await do(writer, "create", {"question_text": text}))
        await do(writer, "change", {"pk": changes, "votes": 2})
        data = {"action": "*", "since": since, "have": have, **asked}
        reply = await client.request(stream, "subscribe", data=data, request_id="r")
        told = {"action": "*", "subscription": "s1", "recovered": True, **since}
        assert reply == {
            "action": "subscribe",
            "errors": [],
            "data": told,
            "response_status": 200,
            "request_id": "r",
        }
        replica.reply(reply)
        payloads = await hear(client, replica, 3)
        assert {each["pk"]: (each["action"], each["data"]) for each in payloads} == {
            changes: ("update", question(changes, "b", votes=2)),
            goes: ("delete", None),
            comes: ("create", question(comes, "d")),
        }
        # All nine changes are behind it with the last frame, and none before.
        assert [each["seq"] for each in payloads] == [since["seq"]] * 2 + [since["seq"] + 8]
        assert {each["epoch"] for each in payloads} == {since["epoch"]}
        assert replica.rows == await questions()
        assert await client.barrier(stream) == []
        # And it goes on as any other.
        await do(writer, "remove", stays)
        (payload,) = await hear(client, replica)
        assert (payload["action"], payload["seq"]) == ("delete", since["seq"] + 9)


async def test_without_have_where_nothing_can_be_hidden(url):
    """It is not known what the client holds, so each row that was touched is told."""
    async with SocketClient(url) as writer, SocketClient(url) as client:
        changes, goes = [await do(writer, "create", {"question_text": x}) for x in "ab"]
        replica = await left_with(url, "live")
        since = dict(replica.position)
        await do(writer, "change", {"pk": changes, "votes": 1})
        await do(writer, "remove", goes)
        comes = await do(writer, "create", {"question_text": "d"})
        replica = await keep(client, "live", replica, since=since)
        assert replica.recovered
        assert replica.position == since
        payloads = await hear(client, replica, 3)
        assert [(each["action"], each["pk"]) for each in payloads] == [
            ("update", changes),
            ("delete", goes),
            ("create", comes),
        ]
        assert replica.position["seq"] == since["seq"] + 3
        assert replica.rows == await questions()
        assert await client.barrier("live") == []


async def test_without_have_where_rows_can_be_hidden(url):
    async with SocketClient(url) as writer, SocketClient(url) as client:
        await do(writer, "create", {"question_text": "a"})
        for stream, asked in (
            ("live-published", {"snapshot": True}),
            ("state-filters", {"filter": {"published": True}}),
        ):
            replica = await left_with(url, stream, **asked)
            await keep(client, stream, replica, since=replica.position, **asked)
            assert (replica.recovered, replica.reasons) == (False, ["first", "first"])
            assert replica.rows == await questions()


async def test_nothing_was_missed(url):
    async with SocketClient(url) as writer:
        await do(writer, "create", {"question_text": "a"})
        replica = await left_with(url, "live")
        for data in (replica.resume_data(), {"since": replica.position}):
            since = dict(replica.position)
            async with SocketClient(url) as client:
                await keep(client, "live", replica, **{**data, "since": since})
                assert (replica.recovered, replica.position) == (True, since)
                assert await client.barrier("live") == []
                pk = await do(writer, "create", {"question_text": "b"})
                (payload,) = await hear(client, replica)
                assert (payload["pk"], payload["n"], payload["seq"]) == (pk, 1, since["seq"] + 1)


async def test_nothing_of_interest_was_missed(url):
    """Changes of rows that the filter hides are passed over: the position is behind them."""
    async with SocketClient(url) as writer, SocketClient(url) as client:
        replica = await left_with(url, "state-filters", filter={"votes": 5})
        since = dict(replica.position)
        await do(writer, "create", {"question_text": "a"})
        assert await go_on(client, "state-filters", replica, filter={"votes": 5})
        assert replica.position == {**since, "seq": since["seq"] + 1}
        assert await client.barrier("state-filters") == []


async def test_rows_that_entered_and_left_the_filter_meanwhile(url):
    async with SocketClient(url) as writer, SocketClient(url) as client:
        leaves, enters, both = [
            await do(writer, "create", {"question_text": "a", "votes": votes})
            for votes in (5, 4, 4)
        ]
        replica = await left_with(url, "state-filters", filter={"votes": 5})
        await do(writer, "change", {"pk": leaves, "votes": 4})
        await do(writer, "change", {"pk": enters, "votes": 5})
        await do(writer, "change", {"pk": both, "votes": 5})
        await do(writer, "change", {"pk": both, "votes": 4})
        assert await go_on(client, "state-filters", replica, filter={"votes": 5})
        payloads = await hear(client, replica, 2)
        assert {each["pk"]: each["action"] for each in payloads} == {
            leaves: "delete",
            enters: "create",
        }
        assert replica.rows == await questions(votes=5)
        assert await client.barrier("state-filters") == []


async def test_a_filter_that_is_another_one_now(url):
    """What the client holds is compared with what the new filter shows."""
    async with SocketClient(url) as writer, SocketClient(url) as client:
        for votes in (3, 5, 7):
            await do(writer, "create", {"question_text": "a", "votes": votes})
        replica = await left_with(url, "state-filters", filter={"votes__gte": 5})
        asked = {"votes": 3}
        await keep(client, "state-filters", replica, **replica.resume_data(), filter=asked)
        assert replica.recovered
        await follow(client, replica, await questions(votes=3))


async def test_one_row(url):
    async with SocketClient(url) as writer, SocketClient(url) as client:
        pk, other = [await do(writer, "create", {"question_text": x}) for x in "ab"]
        data = {"action": "*", "snapshot": True}
        replica = Replica()
        async with SocketClient(url) as before:
            replica.reply(await before.request("live", "subscribe", pk=pk, data=data))
        since = dict(replica.position)
        await do(writer, "change", {"pk": other, "votes": 1})
        replica.reply(await client.request("live", "subscribe", pk=pk, data=replica.resume_data()))
        assert replica.recovered
        assert await client.barrier("live") == []
        await do(writer, "change", {"pk": pk, "votes": 2})
        await do(writer, "change", {"pk": other, "votes": 3})
        again = Replica()
        again.position, again.rows = since, dict(replica.rows)
        async with SocketClient(url) as second:
            payload = await second.request("live", "subscribe", pk=pk, data=again.resume_data())
            again.reply(payload)
            assert again.recovered
            (told,) = await hear(second, again)
            assert told["data"] == question(pk, votes=2)
            assert again.rows == await questions(pk=pk)


async def test_a_user_is_told_of_no_row_that_became_another_users(url, django_user_model):
    """Nor of one that was never theirs."""
    ann = await django_user_model.objects.acreate(username="ann")
    bob = await django_user_model.objects.acreate(username="bob")
    headers = await sync_to_async(login_headers)(ann)
    async with SocketClient(url) as writer, SocketClient(url, headers=headers) as client:
        mine, lost = [
            await do(writer, "create", {"question_text": x, "owner_id": ann.pk}) for x in "ab"
        ]
        async with SocketClient(url, headers=headers) as before:
            replica = await keep(before, "live-owned")
            assert replica.rows.keys() == {mine, lost}
        bobs = await do(writer, "create", {"question_text": "c", "owner_id": bob.pk})
        await do(writer, "change", {"pk": lost, "owner_id": bob.pk, "votes": 1})
        await do(writer, "remove", bobs)
        assert await go_on(client, "live-owned", replica)
        (payload,) = await hear(client, replica)
        assert (payload["action"], payload["pk"], payload["data"]) == ("delete", lost, None)
        assert replica.rows == await questions(owner=ann)
        assert await client.barrier("live-owned") == []


@pytest.mark.parametrize("stream", ["live", "live-published"])
async def test_any_have_ends_well(url, stream):
    """Rows that are none are deleted, or not told of; what is there is told in full.

    Also to others who see the same: what can't be a key must not spoil what is read for all.
    """
    async with (
        SocketClient(url) as writer,
        SocketClient(url) as client,
        SocketClient(url) as other,
    ):
        bystander = await keep(other, stream)
        for have in ([], ["x", "y\x00", "ä" * 500, ""], [2**63 - 1, -(2**63)]):
            replica = await left_with(url, stream)
            pk = await do(writer, "create", {"question_text": "a"})
            asked = {"since": replica.position, "have": [*replica.rows, *have]}
            await keep(client, stream, replica, **asked)
            assert replica.recovered
            payloads = await follow(client, replica, await questions())
            told = [each for each in payloads if each["action"] != "delete"]
            assert [(each["action"], each["pk"]) for each in told] == [("create", pk)]
            assert {each["pk"] for each in payloads} <= {pk, *have}
            name = {"subscription": replica.subscription}
            await client.request(stream, "unsubscribe", data=name)
        await follow(other, bystander, await questions())


@pytest.mark.parametrize("stream", ["live", "live-published"])
async def test_keys_in_have_may_be_text(url, stream):
    """As the keys of an object in JavaScript are, and in JSON."""
    async with SocketClient(url) as writer, SocketClient(url) as client:
        pks = [await do(writer, "create", {"question_text": x}) for x in "abc"]
        replica = await left_with(url, stream)
        await do(writer, "remove", pks[0])
        await do(writer, "change", {"pk": pks[1], "votes": 1})
        have = [str(pk) for pk in pks]
        await keep(client, stream, replica, since=replica.position, have=have)
        payloads = await hear(client, replica, 2)
        assert [(each["action"], each["pk"]) for each in payloads] == [
            ("delete", pks[0]),
            ("update", pks[1]),
        ]
        assert await client.barrier(stream) == []


async def test_what_came_while_the_snapshot_was_read(url, tmp_path):
    """The position is that from before the read: what it can't have seen is told later."""
    door = Door(tmp_path)
    async with SocketClient(url) as writer, SocketClient(url) as client:
        await do(writer, "create", {"question_text": str(tmp_path)})
        async with SocketClient(url) as before:
            data = {"action": "*", "snapshot": True}
            await before.send("state-doors", "subscribe", data=data, request_id="r")
            await door.reached_by("row")
            pk = await do(writer, "create", {"question_text": "a"})
            door.open()
            replica = Replica()
            replica.reply((await before.receive())["payload"])
            assert pk not in replica.rows
            await hang_up(before, "abort")
        assert await go_on(client, "state-doors", replica)
        await follow(client, replica, await questions())


@pytest.mark.parametrize("frames", [0, 250, 599])
async def test_a_client_that_is_cut_off_amid_a_burst(url, frames):
    """The position is not past what has not been told: it goes on with what is left."""
    async with SocketClient(url) as writer, SocketClient(url) as client:
        async with SocketClient(url) as before:
            replica = await keep(before, "live")
            since = dict(replica.position)
            await do(writer, "create_together", {"count": 600}, stream="state-write")
            await hear(before, replica, frames)
            assert replica.position == since
            await hang_up(before, "abort")
        assert await go_on(client, "live", replica)
        assert replica.position == since
        payloads = await follow(client, replica, await questions())
        assert replica.position["seq"] == since["seq"] + 600
        counts = {"create": 0, "update": 0}
        for payload in payloads:
            counts[payload["action"]] += 1
        assert counts == {"create": 600 - frames, "update": frames}
