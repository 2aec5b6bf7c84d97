"""A client that comes back and can't go on from where it was: it is told why, and all rows."""

import pytest

from tests.client import SocketClient
from tests.live_helpers import (
    SMALL,
    do,
    go_on,
    hear,
    keep,
    left_with,
    question,
    questions,
)

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@pytest.fixture
def url(lone_server) -> str:
    return lone_server().url + "ws/"


@pytest.fixture
def small_url(lone_server) -> str:
    """A server with small limits."""
    return lone_server(**SMALL).url + "ws/"


async def test_a_position_that_is_none(url):
    async with SocketClient(url) as writer, SocketClient(url) as client:
        pk = await do(writer, "create", {"question_text": "a"})
        position = dict((await left_with(url, "live")).position)
        top = position["seq"]
        wrong = [
            ({**position, "epoch": "another"}, "epoch"),
            ({**position, "epoch": ""}, "epoch"),
            ({**position, "epoch": "\x00ä" * 1000}, "epoch"),
            ({"epoch": "another", "seq": -(2**63)}, "epoch"),
            ({**position, "seq": top + 1}, "ahead"),
            ({**position, "seq": 2**63 - 1}, "ahead"),
            ({**position, "seq": -1}, "trimmed"),
            ({**position, "seq": -(2**63)}, "trimmed"),
        ]
        for number, (since, reason) in enumerate(wrong, 1):
            data = {"action": "*", "since": since, "have": [pk, 777], "snapshot": False}
            reply = await client.request("live", "subscribe", data=data, request_id=1)
            assert reply["data"] == {
                "action": "*",
                "subscription": f"s{number}",
                **position,
                "recovered": False,
                "reason": reason,
                "snapshot": [question(pk)],
            }


async def test_a_log_that_was_trimmed(small_url):
    """As far as the log reaches the client goes on; one change more, and it begins anew."""
    async with SocketClient(small_url) as writer, SocketClient(small_url) as client:
        await do(writer, "create", {"question_text": "a"})
        within = await left_with(small_url, "live")
        beyond = await left_with(small_url, "live")
        for number in range(5):
            await do(writer, "create", {"question_text": str(number)})
        assert await go_on(client, "live", within)
        await hear(client, within, 5)
        await do(writer, "create", {"question_text": "b"})
        await hear(client, within)
        assert within.rows == await questions()
        assert not await go_on(client, "live", beyond)
        assert beyond.reasons == ["first", "trimmed"]
        assert beyond.rows == await questions()


async def test_a_log_that_was_trimmed_and_too_many_rows_now(small_url):
    async with SocketClient(small_url) as writer, SocketClient(small_url) as client:
        replica = await left_with(small_url, "live")
        await do(writer, "create", {"count": 9}, stream="state-write")
        data = replica.resume_data()
        refused = await client.request("live", "subscribe", data=data)
        assert refused["response_status"] == 413
        await do(writer, "remove", min(await questions()))
        assert not await go_on(client, "live", replica)
        assert replica.rows == await questions()


async def test_too_many_were_missed(lone_server):
    """However many the log keeps, and however few rows it was."""
    url = lone_server(HISTORY_SIZE=3000).url + "ws/"
    async with SocketClient(url) as writer, SocketClient(url) as client:
        pk = await do(writer, "create", {"question_text": "a"})
        beyond = await left_with(url, "live")
        await do(writer, "change", {"pk": pk, "votes": -1})
        within = await left_with(url, "live")
        often = {"pks": [pk], "times": 1000}
        reply = await writer.request("state-write", "save_each", data=often, timeout=30)
        assert reply["response_status"] == 200
        assert await go_on(client, "live", within)
        await hear(client, within)
        assert not await go_on(client, "live", beyond)
        assert beyond.reasons == ["first", "too_many"]
        assert within.rows == beyond.rows == {pk: question(pk, votes=999)}
        assert within.position == beyond.position


async def test_too_many_rows_to_name(url):
    async with SocketClient(url) as client:
        for count, recovered in [(1000, True), (1001, False)]:
            replica = await left_with(url, "live")
            have = list(range(-count, 0))
            await keep(client, "live", replica, since=replica.position, have=have)
            assert replica.recovered == recovered
        assert replica.reasons == ["first", "too_many"]
