"""The filter of a subscription takes what list takes, and rows enter and leave what it shows."""

import pytest

from tests.client import SocketClient
from tests.live_helpers import do, event, follow, follow_all, hear, keep, question, questions
from tests.replica import Replica

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

BOTH = ["state-filters", "state-filters-viewset"]


@pytest.fixture
def url(lone_server) -> str:
    return lone_server().url + "ws/"


async def make_rows(client: SocketClient) -> list[int]:
    """Rows that the filters below tell apart."""
    rows = [
        {"question_text": "apple", "votes": 0},
        {"question_text": "banana", "votes": 5},
        {"question_text": "apple pie", "votes": 9, "published": False},
        {"question_text": "cherry", "votes": 5},
    ]
    return [await do(client, "create", row) for row in rows]


async def ask_both(client: SocketClient, stream: str, keys: dict) -> tuple[dict, dict]:
    """What list answers to these keys, and subscribe to them as a filter."""
    listed = await client.request(stream, "list", data=keys)
    data = {"action": "*", "filter": keys}
    return listed, await client.request(stream, "subscribe", data=data)


@pytest.mark.parametrize("stream", BOTH)
async def test_a_filter_is_what_list_takes(url, stream):
    """For all of these the rows, or the errors, are the same."""
    async with SocketClient(url) as client:
        pks = await make_rows(client)
        rows_by_keys = [
            ({}, [0, 1, 2, 3]),
            ({"search": "apple"}, [0, 2]),
            ({"search": "apple pie"}, [2]),
            ({"ordering": "-votes,id"}, [2, 1, 3, 0]),
            ({"ordering": "nothing"}, [0, 1, 2, 3]),
            ({"votes": 5}, [1, 3]),
            ({"votes": "5"}, [1, 3]),
            ({"votes__gte": 5}, [1, 2, 3]),
            ({"votes__gte": 5, "published": True, "ordering": "-id"}, [3, 1]),
            ({"votes__in": "0,9"}, [0, 2]),
            ({"published": False}, [2]),
            ({"votes": None}, [0, 1, 2, 3]),
            ({"votes": [0, 9]}, [2]),  # of a key that stands twice in a URL the last one counts
            ({"votes__lte": 1}, [0, 1, 2, 3]),  # no filter that there is
            ({"action": "create", "snapshot": False, "x" * 1000: 1}, [0, 1, 2, 3]),
        ]
        for keys, expected in rows_by_keys:
            listed, subscribed = await ask_both(client, stream, keys)
            assert [row["id"] for row in listed["data"]] == [pks[index] for index in expected]
            assert subscribed["data"]["snapshot"] == listed["data"], keys


REFUSED = [
    {"votes": "many"},
    {"votes__gte": {"a": 1}},
    {"votes": [[1]]},
    {"votes__in": "1,x"},
    {"votes": "9" * 400},
    {"search": "a\x00b"},
    {"search": {}},
]
TAKEN = [
    {"votes": 2**63 - 1},
    {"search": "x" * 20_000},
    {"published": "a\x00b"},
    {"ordering": "\x00"},
    {"\x00": "\x00"},
]


@pytest.mark.parametrize("stream", BOTH)
async def test_a_filter_is_refused_as_list_refuses_it(url, stream):
    async with SocketClient(url) as client:
        await make_rows(client)
        for keys in REFUSED:
            listed, subscribed = await ask_both(client, stream, keys)
            assert (listed["response_status"], listed["data"]) == (400, None), keys
            assert (subscribed["response_status"], subscribed["data"]) == (400, None), keys
            assert subscribed["errors"] == listed["errors"]
        for keys in TAKEN:
            listed, subscribed = await ask_both(client, stream, keys)
            assert (subscribed["response_status"], subscribed["errors"]) == (200, []), keys
            assert subscribed["data"]["snapshot"] == listed["data"]
        # Whatever it was, the socket is as it was.
        replica = await keep(client, stream, filter={"votes": 5})
        assert [row["question_text"] for row in replica.rows.values()] == ["banana", "cherry"]


async def test_the_words_of_a_refusal(url):
    async with SocketClient(url) as client:
        data = {"action": "*", "filter": {"votes": "many"}}
        refused = await client.request("state-filters", "subscribe", data=data, request_id=1)
        assert refused == {
            "action": "subscribe",
            "errors": [{"votes": ["Enter a number."]}],
            "data": None,
            "response_status": 400,
            "request_id": 1,
        }


@pytest.mark.parametrize("stream", ["state-keys", "state-keys-viewset"])
async def test_a_filter_by_pk(url, stream):
    """In a filter it is a key as any other: not the row that is subscribed to."""
    async with SocketClient(url) as client:
        pks = await make_rows(client)
        replica = await keep(client, stream, filter={"pk": pks[1]})
        assert replica.rows == await questions(pk=pks[1])


@pytest.mark.parametrize("stream", BOTH)
async def test_rows_enter_and_leave(url, stream):
    """A filter over what rows are found by: text, a number, a flag."""
    async with SocketClient(url) as client, SocketClient(url) as writer:
        await make_rows(writer)
        filters = {"search": "apple", "votes__gte": 1, "published": True, "ordering": "-votes"}
        replica = await keep(client, stream, filter=filters)
        assert replica.rows == {}

        async def told(pk: int, **change) -> list[str]:
            await do(writer, "change", {"pk": pk, **change})
            expected = await questions(
                question_text__contains="apple", votes__gte=1, published=True
            )
            payloads = await follow(client, replica, expected)
            assert {payload["pk"] for payload in payloads} == {pk}
            # It may have been told of as it is now for an earlier change.
            return [each["action"] for each in payloads if each["action"] != "update"]

        pk = await do(writer, "create", {"question_text": "apple", "votes": 0})
        # What is told next proves that nothing was told of the row before.
        assert await told(pk, votes=1) == ["create"]
        assert await told(pk, votes=2) == []
        assert await told(pk, question_text="pear") == ["delete"]
        await do(writer, "change", {"pk": pk, "votes": 7})
        assert await told(pk, question_text="apples") == ["create"]
        assert await told(pk, published=False) == ["delete"]
        await do(writer, "remove", pk)
        second = await do(writer, "create", {"question_text": "an apple", "votes": 3})
        (payload,) = await hear(client, replica)
        assert (payload["action"], payload["pk"]) == ("create", second)
        await do(writer, "remove", second)
        (payload,) = await hear(client, replica)
        assert (payload["action"], payload["pk"], payload["data"]) == ("delete", second, None)
        assert await client.barrier(stream) == []


async def test_filters_do_not_mix(url):
    """Each subscription has its own, on one socket or on two; equal ones written otherwise too."""
    async with SocketClient(url) as client, SocketClient(url) as writer:
        few = await keep(client, "state-filters", filter={"votes": 1, "published": True})
        same = await keep(client, "state-filters", filter={"published": True, "votes": 1})
        many = await keep(client, "state-filters", filter={"votes": "1"})
        all_rows = await keep(client, "state-filters")
        others = await keep(client, "state-filters", filter={"votes": 2})
        pk = await do(writer, "create", {"question_text": "a", "votes": 1})
        rows = {pk: question(pk, votes=1)}
        found = [(each, rows) for each in (few, same, many, all_rows)]
        await follow_all(client, *found, (others, {}))
        await do(writer, "change", {"pk": pk, "votes": 2})
        rows = {pk: question(pk, votes=2)}
        lost = [(each, {}) for each in (few, same, many)]
        await follow_all(client, *lost, (all_rows, rows), (others, rows))


@pytest.mark.parametrize("stream", BOTH)
async def test_a_row_and_a_filter(url, stream):
    """A row that the filter hides can't be subscribed to, as it can't be retrieved."""
    async with SocketClient(url) as client, SocketClient(url) as writer:
        pks = await make_rows(writer)
        data = {"action": "*", "filter": {"votes": 5}}
        refused = await client.request(stream, "subscribe", pk=pks[0], data=data)
        assert (refused["response_status"], refused["errors"]) == (404, ["Not found."])
        assert (await client.request(stream, "retrieve", pk=pks[0], data={"votes": 5}))[
            "response_status"
        ] == 404
        replica = Replica()
        replica.reply(await client.request(stream, "subscribe", pk=pks[1], data=data))
        assert replica.rows == await questions(pk=pks[1])
        await do(writer, "change", {"pk": pks[0], "votes": 5})
        await do(writer, "change", {"pk": pks[1], "votes": 6})
        (payload,) = await hear(client, replica)
        assert (payload["action"], payload["pk"]) == ("delete", pks[1])
        await do(writer, "change", {"pk": pks[1], "votes": 5})
        (payload,) = await hear(client, replica)
        assert (payload["action"], payload["data"]) == (
            "create",
            question(pks[1], "banana", votes=5),
        )


async def test_a_filter_where_there_are_none(url):
    """A stream without filter backends takes any key, and none means anything."""
    async with SocketClient(url) as client, SocketClient(url) as writer:
        replica = await keep(client, "live", filter={"votes": 5, "search": "x"})
        await make_rows(writer)
        await follow(client, replica, await questions())


async def test_a_classic_subscription_has_no_filter(url):
    """Beside one that has: it hears of all rows."""
    async with SocketClient(url) as client, SocketClient(url) as writer:
        await keep(client, "state-filters", filter={"votes": 5})
        reply = await client.request("state-filters", "subscribe", data={"action": "*"})
        assert reply["data"] == {"action": "*"}
        pk = await do(writer, "create", {"question_text": "a"})
        assert await client.receive() == event("state-filters", "create", pk, question(pk))
