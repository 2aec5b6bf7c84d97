"""What a subscribe with state is refused for, in which words, and that nothing of it is left."""

import pytest

from tests.client import ABSENT, SocketClient
from tests.live_helpers import SMALL, do, hear, keep, nobody_is_subscribed, question, questions

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@pytest.fixture
def url(lone_server) -> str:
    return lone_server().url + "ws/"


@pytest.fixture
def small_url(lone_server) -> str:
    """A server with small limits."""
    return lone_server(**SMALL).url + "ws/"


def refusal(status: int, *errors, action: str = "subscribe") -> dict:
    """The whole payload of a reply to the request `r`."""
    return {
        "action": action,
        "errors": [*errors],
        "data": None,
        "response_status": status,
        "request_id": "r",
    }


ONLY_ALL = (
    'With snapshot, filter or since the action must be "*": a part of the changes is no state.'
)
SINCE = {"since": ["It needs an epoch, a string, and a seq, an integer."]}
HAVE = {"have": ["Its items must be strings and integers."]}
GOOD = {"epoch": "e", "seq": 1}

WRONG = [
    *[
        ({"action": action, "snapshot": True}, ONLY_ALL)
        for action in ("create", "update", "delete")
    ],
    ({"action": "create", "filter": {}}, ONLY_ALL),
    ({"action": "delete", "since": GOOD}, ONLY_ALL),
    *[(data, "action required") for data in (None, [], "x", 5, {}, {"snapshot": True})],
    ({"action": "all", "snapshot": True}, "action must be one of create, update, delete, *"),
    ({"action": None, "snapshot": True}, "action must be one of create, update, delete, *"),
    *[
        ({"snapshot": value, "action": "*"}, {"snapshot": ["It must be true or false."]})
        for value in (1, 0, "true", [], {})
    ],
    *[
        ({"filter": value, "action": "*"}, {"filter": ["It must be an object."]})
        for value in (1, False, "votes=1", [], [["votes", 1]])
    ],
    *[
        (
            {"since": value, "action": "*"},
            {"since": ["It must be an object with epoch and seq."]},
        )
        for value in (1, False, "e", [], ["e", 1])
    ],
    *[
        ({"since": value, "action": "*"}, SINCE)
        for value in (
            {},
            {"epoch": "e"},
            {"seq": 1},
            {"epoch": 1, "seq": 1},
            {"epoch": None, "seq": 1},
            {"epoch": "e", "seq": "1"},
            {"epoch": "e", "seq": 1.0},
            {"epoch": "e", "seq": True},
            {"epoch": ["e"], "seq": [1]},
        )
    ],
    *[
        ({"have": value, "since": GOOD, "action": "*"}, {"have": ["It must be a list of pks."]})
        for value in (1, False, "1,2", {"1": 1})
    ],
    *[
        ({"have": [1, value], "since": GOOD, "action": "*"}, HAVE)
        for value in (None, True, 1.5, [1], {})
    ],
]


async def test_of_wrong_types(url):
    """Each in the words that name it; the socket goes on, and nobody is subscribed."""
    await nobody_is_subscribed(url)
    async with SocketClient(url) as client, SocketClient(url) as writer:
        for data, error in WRONG:
            reply = await client.request("live", "subscribe", data=data, request_id="r")
            assert reply == refusal(400, error), data
        looked = await do(writer, "look", stream="live-state")
        assert (looked["topics"], looked["audiences"]) == (0, 0)
        await do(writer, "create", {"question_text": "a"})
        assert await client.barrier("live") == []


async def test_of_a_name_that_is_none(url):
    async with SocketClient(url) as client, SocketClient(url) as writer:
        replica = await keep(client, "live")
        for name in (1, None, True, ["s1"], {"name": "s1"}):
            data = {"subscription": name}
            reply = await client.request("live", "unsubscribe", data=data, request_id="r")
            wrong = {"subscription": ["It must be a string."]}
            assert reply == refusal(400, wrong, action="unsubscribe")
        pk = await do(writer, "create", {"question_text": "a"})
        await hear(client, replica)
        assert replica.rows == {pk: question(pk)}


async def test_of_a_row_that_is_none(url):
    await nobody_is_subscribed(url)
    async with SocketClient(url) as client:
        data = {"action": "*", "snapshot": True}
        for stream in ("live", "vs-questions", "live-published"):
            for pk in (0, "", False, 12345, "x", 1.5):
                reply = await client.request(stream, "subscribe", pk=pk, data=data, request_id="r")
                assert reply == refusal(404, "Not found."), pk
        await nobody_is_subscribed(url)


async def test_of_a_row_that_is_hidden(url):
    async with SocketClient(url) as client, SocketClient(url) as writer:
        pk = await do(writer, "create", {"question_text": "a", "published": False})
        data = {"action": "*", "snapshot": True}
        reply = await client.request(
            "live-published", "subscribe", pk=pk, data=data, request_id="r"
        )
        assert reply == refusal(404, "Not found.")


async def test_of_who_may_not_read(url):
    words = {
        "policy-is-authenticated": "Authentication credentials were not provided.",
        "classic-denied": "Permission Denied",
    }
    async with SocketClient(url) as client:
        for stream, error in words.items():
            data = {"action": "*", "snapshot": True}
            reply = await client.request(stream, "subscribe", data=data, request_id="r")
            assert reply == refusal(401, error)


TOO_MUCH = refusal(413, "There is too much to be sent at once: narrow the filter.")


@pytest.mark.parametrize(
    ("rows", "more"),
    [
        ({"count": 8, "question_text": "a"}, {"question_text": "one too many"}),
        # As many bytes as there may be, in few rows.
        ({"count": 6, "question_text": "ä" * 200}, {"question_text": "ä" * 200}),
    ],
    ids=["rows", "bytes"],
)
async def test_of_too_much(small_url, rows, more):
    """A filter, or one row less, makes it small enough. What was refused is not there."""
    await nobody_is_subscribed(small_url)
    async with SocketClient(small_url) as client, SocketClient(small_url) as writer:
        await do(writer, "create", rows, stream="state-write")
        replica = await keep(client, "state-filters")
        assert replica.rows == await questions()
        name = {"subscription": replica.subscription}
        await client.request("state-filters", "unsubscribe", data=name)
        await do(writer, "create", {**more, "votes": 1})
        for pk_and_data in ({}, {"filter": {}}, {"since": GOOD}):
            data = {"action": "*", "snapshot": True, **pk_and_data}
            reply = await client.request("state-filters", "subscribe", data=data, request_id="r")
            assert reply == TOO_MUCH
        await nobody_is_subscribed(small_url)
        await do(writer, "create", {"question_text": "b"})
        assert await client.barrier("live") == []
        replica = await keep(client, "state-filters", filter={"votes": 1})
        assert replica.rows == await questions(votes=1)


async def test_of_a_row_that_no_frame_can_hold(small_url):
    """It may not just be missing: the client would take its replica for complete."""
    await nobody_is_subscribed(small_url)
    async with SocketClient(small_url) as client:
        pk, _ = await do(client, "create", {"count": 2}, stream="state-write")
        data = {"action": "*", "snapshot": True}
        for which in (ABSENT, pk):
            reply = await client.request(
                "state-padded", "subscribe", pk=which, data=data, request_id="r"
            )
            assert reply == TOO_MUCH
        await nobody_is_subscribed(small_url)
