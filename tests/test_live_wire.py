"""Subscriptions through real servers: who is told what, in which frames, and what is left after."""

import contextlib
import json

import pytest

from channels_api.protocol import Event
from tests.client import SocketClient, login_headers
from tests.live_helpers import do, event, question, subscribe, subscriber, until

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@pytest.fixture
def url(server) -> str:
    return server.url + "ws/"


@pytest.fixture
def users(server, django_user_model) -> dict:
    """Ann and Bob: their pks and the headers with which they connect."""
    made = [django_user_model.objects.create_user(name) for name in ("ann", "bob")]
    return {user.username: (user.pk, login_headers(user)) for user in made}


# frames


async def test_events_are_four_keys_and_the_row(url):
    async with subscriber(url, "live") as client, SocketClient(url) as writer:
        pk = await do(writer, "create", {"question_text": "a"})
        assert await client.receive() == event("live", "create", pk, question(pk))
        await do(writer, "change", {"pk": pk, "votes": 3})
        assert await client.receive() == event("live", "update", pk, question(pk, votes=3))
        await do(writer, "remove", pk)
        assert await client.receive() == event("live", "delete", pk, None)
        assert await client.barrier("live") == []


async def test_the_actions_of_a_binding_tell_subscribers(url):
    async with subscriber(url, "live") as client, SocketClient(url) as writer:
        reply = await writer.request("live", "create", data={"question_text": "a"})
        row = reply["data"]
        assert await client.receive() == event("live", "create", row["id"], row)
        reply = await writer.request("live", "patch", pk=row["id"], data={"votes": 1})
        assert await client.receive() == event("live", "update", row["id"], reply["data"])
        await writer.request("live", "delete", pk=row["id"])
        assert await client.receive() == event("live", "delete", row["id"])


@pytest.mark.parametrize(
    ("action", "told"),
    [("create", ["create"]), ("update", ["update"]), ("delete", ["delete"])],
)
async def test_a_subscription_to_one_action_is_told_no_other(url, action, told):
    async with subscriber(url, "live", action=action) as client, SocketClient(url) as writer:
        async with subscriber(url, "live") as everything:
            pk = await do(writer, "create", {"question_text": "a"})
            assert (await everything.receive())["payload"]["action"] == "create"
            await do(writer, "change", {"pk": pk, "votes": 3})
            assert (await everything.receive())["payload"]["action"] == "update"
            await do(writer, "remove", pk)
            assert (await everything.receive())["payload"]["action"] == "delete"
        frames = [*(await client.barrier("live"))]
        assert [frame["payload"]["action"] for frame in frames] == told


async def test_a_row_is_subscribed_alone(url):
    async with SocketClient(url) as writer:
        first, second = [await do(writer, "create", {"question_text": "a"}) for _ in range(2)]
        async with subscriber(url, "live", pk=first) as client:
            await do(writer, "change", {"pk": second, "votes": 1})
            await do(writer, "change", {"pk": first, "votes": 2})
            assert await client.receive() == event(
                "live", "update", first, question(first, votes=2)
            )
            await do(writer, "remove", second)
            await do(writer, "remove", first)
            assert await client.receive() == event("live", "delete", first)


@pytest.mark.parametrize("pk", [0, "", False, 12345, "x"])
async def test_a_row_that_is_none_can_not_be_subscribed(url, pk):
    async with SocketClient(url) as client, SocketClient(url) as writer:
        reply = await client.request("live", "subscribe", pk=pk, data={"action": "*"})
        assert (reply["response_status"], reply["errors"]) == (404, ["Not found."])
        # Above all it is no subscription to everything.
        await do(writer, "create", {"question_text": "a"})
        assert await client.barrier("live") == []


async def test_the_reply_comes_before_events(url):
    """However busy the table is while somebody subscribes."""
    # The writer's replies are not read: without a limit on them it closes at once all the same.
    async with SocketClient(url, max_queue=None) as writer, SocketClient(url) as client:
        for number in range(20):
            await writer.send("live-write", "create", data={"question_text": str(number)})
        await client.send("live", "subscribe", data={"action": "*"}, request_id="s")
        for number in range(20, 25):
            await writer.send("live-write", "create", data={"question_text": str(number)})
        first = await client.receive()
        assert first["payload"]["request_id"] == "s"
        frame = await client.receive()
        while frame["payload"]["data"]["question_text"] != "24":
            frame = await client.receive()
        assert frame["payload"].keys() == {"action", "pk", "data", "model"}


async def test_after_unsubscribe_nothing_is_told(url):
    async with subscriber(url, "live") as client, SocketClient(url) as writer:
        await subscribe(client, "live-published")
        for _ in range(2):
            reply = await client.request("live", "unsubscribe", data={"action": "*"})
            assert (reply["response_status"], reply["data"]) == (200, {})
        pk = await do(writer, "create", {"question_text": "a"})
        assert await client.receive() == event("live-published", "create", pk, question(pk))
        assert await client.barrier("live") == []


async def test_a_subscriber_in_a_slow_action_is_told(url):
    async with subscriber(url, "live") as client, SocketClient(url) as writer:
        await client.send("live-doors", "wait", data="slow", request_id="slow")
        pk = await do(writer, "create", {"question_text": "a"})
        assert await client.receive() == event("live", "create", pk, question(pk))
        await do(writer, "release", "slow", stream="live-doors")
        assert (await client.receive())["payload"]["data"] is True


# what is no change


@pytest.mark.parametrize("action", ["roll_back", "create_elsewhere"])
async def test_what_is_not_committed_here_is_not_told(url, action):
    async with subscriber(url, "live") as client, SocketClient(url) as writer:
        await do(writer, action, "lost")
        pk = await do(writer, "create", {"question_text": "a"})
        assert await client.receive() == event("live", "create", pk, question(pk))


async def test_a_savepoint_that_is_rolled_back_is_not_told(url):
    async with subscriber(url, "live") as client, SocketClient(url) as writer:
        pk = await do(writer, "roll_back_savepoint", "lost")
        assert await client.receive() == event("live", "create", pk, question(pk, "kept"))


async def test_another_database_has_subscribers_of_its_own(url):
    async with subscriber(url, "live-other") as client, SocketClient(url) as writer:
        await do(writer, "create", {"question_text": "here"})
        pk = await do(writer, "create_elsewhere", "there")
        assert await client.receive() == event("live-other", "create", pk, question(pk, "there"))


async def test_proxies_and_children_are_told_as_rows_of_their_model(url):
    async with (
        subscriber(url, "live") as client,
        subscriber(url, "live-proxy") as proxy,
        subscriber(url, "live-surveys") as surveys,
        SocketClient(url) as writer,
    ):
        pk = await do(writer, "create_survey", {"question_text": "a", "audience": "all"})
        assert await client.receive() == event("live", "create", pk, question(pk))
        assert await proxy.receive() == event("live-proxy", "create", pk, question(pk))
        row = {"question_text": "a", "audience": "all"}
        assert await surveys.receive() == event("live-surveys", "create", pk, row, "app.survey")


# who may see what

BY_OWNER = [
    "live-owned",
    "live-owned-viewset",
    "live-permitted",
    "live-filtered",
    "live-filterset",
    "live-filterset-viewset",
]


@pytest.mark.parametrize("stream", BY_OWNER)
async def test_each_user_is_told_of_their_rows_only(url, users, stream):
    """Rows that change hands are deleted for one and created for the other; nothing else leaks.

    What is to arrive next proves that what came before it was not told.
    """
    (ann, ann_headers), (bob, bob_headers) = users["ann"], users["bob"]
    async with (
        subscriber(url, stream, ann_headers) as anns,
        subscriber(url, stream, bob_headers) as bobs,
        SocketClient(url) as writer,
    ):
        bobs_row = await do(writer, "create", {"question_text": "b", "owner_id": bob})
        assert await bobs.receive() == event(
            stream, "create", bobs_row, question(bobs_row, "b", owner=bob)
        )
        await do(writer, "change", {"pk": bobs_row, "votes": 1})
        assert await bobs.receive() == event(
            stream, "update", bobs_row, question(bobs_row, "b", votes=1, owner=bob)
        )
        nobodys = await do(writer, "create", {"question_text": "n"})
        await do(writer, "remove", nobodys)
        lost = await do(writer, "create", {"question_text": "c", "owner_id": bob})
        assert (await bobs.receive())["payload"]["pk"] == lost
        await do(writer, "remove", lost)
        assert await bobs.receive() == event(stream, "delete", lost)
        # Until here Ann has not been told a thing.
        await do(writer, "change", {"pk": bobs_row, "owner_id": ann})
        assert await anns.receive() == event(
            stream, "create", bobs_row, question(bobs_row, "b", votes=1, owner=ann)
        )
        assert await bobs.receive() == event(stream, "delete", bobs_row)
        await do(writer, "remove", bobs_row)
        assert await anns.receive() == event(stream, "delete", bobs_row)
        own = await do(writer, "create", {"question_text": "o", "owner_id": bob})
        # And Bob nothing of the end of a row that had been his.
        assert await bobs.receive() == event(stream, "create", own, question(own, "o", owner=bob))
        assert await anns.barrier(stream) == []


@pytest.mark.parametrize("stream", BY_OWNER)
async def test_a_row_that_is_hidden_can_not_be_subscribed(url, users, stream):
    (ann, ann_headers), (bob, _) = users["ann"], users["bob"]
    async with SocketClient(url, headers=ann_headers) as client, SocketClient(url) as writer:
        bobs = await do(writer, "create", {"question_text": "b", "owner_id": bob})
        reply = await client.request(stream, "subscribe", pk=bobs, data={"action": "*"})
        # A permission class that lets the row be found says so itself, as over HTTP.
        expected = 403 if stream == "live-permitted" else 404
        assert reply["response_status"] == expected
        anns = await do(writer, "create", {"question_text": "a", "owner_id": ann})
        await do(writer, "change", {"pk": bobs, "votes": 1})
        await subscribe(client, stream, pk=anns)
        await do(writer, "change", {"pk": bobs, "votes": 2})
        await do(writer, "change", {"pk": anns, "votes": 3})
        assert await client.receive() == event(
            stream, "update", anns, question(anns, votes=3, owner=ann)
        )


async def test_rows_enter_and_leave_a_view_that_is_the_same_for_all(url):
    async with subscriber(url, "live-published") as client, SocketClient(url) as writer:
        hidden = await do(writer, "create", {"question_text": "h", "published": False})
        await do(writer, "change", {"pk": hidden, "votes": 1})
        await do(writer, "change", {"pk": hidden, "published": True})
        row = question(hidden, "h", votes=1)
        assert await client.receive() == event("live-published", "create", hidden, row)
        await do(writer, "change", {"pk": hidden, "published": False})
        told = await client.receive()
        while told == event("live-published", "update", hidden, row):
            # Of a change that the read for an earlier one had already seen.
            told = await client.receive()
        assert told == event("live-published", "delete", hidden)
        await do(writer, "remove", hidden)
        pk = await do(writer, "create", {"question_text": "a"})
        assert await client.receive() == event("live-published", "create", pk, question(pk))


async def test_anonymous_subscribers_are_told_nothing_of_what_belongs_to_somebody(url, users):
    ann, ann_headers = users["ann"]
    async with (
        subscriber(url, "live-owned") as nobody,
        subscriber(url, "live-owned", ann_headers) as anns,
        SocketClient(url) as writer,
    ):
        pk = await do(writer, "create", {"question_text": "a", "owner_id": ann})
        assert (await anns.receive())["payload"]["pk"] == pk
        await do(writer, "remove", pk)
        assert (await anns.receive())["payload"]["action"] == "delete"
        assert await nobody.barrier("live-owned") == []


@pytest.mark.parametrize("stream", ["live-shown", "live-shown-deep"])
async def test_each_user_is_shown_a_row_as_the_serializer_shows_it_to_them(url, users, stream):
    async with contextlib.AsyncExitStack() as stack:
        clients: dict[str, list[SocketClient]] = {name: [] for name in users}
        for name, (_, headers) in [*users.items()] * 2:
            client = await stack.enter_async_context(subscriber(url, stream, headers))
            clients[name].append(client)
        writer = await stack.enter_async_context(SocketClient(url))
        for number in range(3):
            pk = await do(writer, "create", {"question_text": str(number)})
            for name, both in clients.items():
                seen = {"id": pk, "viewer": name}
                row = seen if stream == "live-shown" else {"id": pk, "inner": seen}
                for client in both:
                    assert await client.receive() == event(stream, "create", pk, row)


async def test_a_binding_under_two_names_is_personal_under_both(
    app_server, transactional_db, users
):
    """What the first name finds out holds for subscribers of the second that were there before."""
    server = app_server("daphne", env={"TEST_PROCESS": "two names"})
    url = server.url + "ws/"
    async with contextlib.AsyncExitStack() as stack:
        clients = {
            (name, stream): await stack.enter_async_context(subscriber(url, stream, headers))
            for stream in ("live-shown-a", "live-shown-b")
            for name, (_, headers) in users.items()
        }
        writer = await stack.enter_async_context(SocketClient(url))
        for _ in range(2):
            pk = await do(writer, "create", {"question_text": "a"})
            for (name, stream), client in clients.items():
                row = {"id": pk, "viewer": name}
                assert await client.receive() == event(stream, "create", pk, row)


# limits, sharing, and what is left


async def test_equal_subscribers_cost_one_query_and_one_serialization(url, users):
    _, ann = users["ann"]
    async with contextlib.AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(subscriber(url, "live-counted", headers))
            for headers in [None, ann] * 5
        ]
        writer = await stack.enter_async_context(SocketClient(url))
        before = await do(writer, "counts", stream="live-state")
        pk = await do(writer, "create", {"question_text": "a"})
        for client in clients:
            assert await client.receive() == event("live-counted", "create", pk, question(pk))
        after = await do(writer, "counts", stream="live-state")
    assert {name: after[name] - before.get(name, 0) for name in after} == {
        "queries": 1,
        "serializations": 1,
    }


async def test_a_socket_has_a_hundred_subscriptions(url):
    async with SocketClient(url) as client:
        pks = [await do(client, "create", {"question_text": "a"}) for _ in range(25)]
        actions = ("create", "update", "delete", "*")
        wanted = [(pk, action) for pk in pks for action in actions]
        for pk, action in wanted:
            await subscribe(client, "live", action, pk=pk)
        refused = await client.request("live", "subscribe", data={"action": "*"})
        assert refused["response_status"] == 429
        assert refused["data"] is None
        assert "100" in refused["errors"][0]
        # The same again is the same one; and one that ends makes room.
        await subscribe(client, "live", "*", pk=pks[0])
        await client.request("live", "unsubscribe", pk=pks[0], data={"action": "*"})
        await subscribe(client, "live", "*")


async def test_an_equal_subscription_is_told_once(url):
    async with subscriber(url, "live") as client, SocketClient(url) as writer:
        await subscribe(client, "live")
        pk = await do(writer, "create", {"question_text": "a"})
        assert await client.receive() == event("live", "create", pk, question(pk))
        assert await client.barrier("live") == []


@pytest.mark.parametrize("ending", ["close", "abort"])
async def test_a_client_that_leaves_leaves_nothing(url, users, ending):
    _, ann = users["ann"]
    async with SocketClient(url) as probe:
        pk = await do(probe, "create", {"question_text": "a"})

        async def look() -> dict:
            return await do(probe, "look", stream="live-state")

        # Others may still be leaving.
        async def alone() -> bool:
            return (await look())["topics"] == 0

        await until(alone)
        before = await look()
        for headers in (None, ann):
            async with SocketClient(url, headers=headers) as client:
                for stream in ("live", "live-published", "live-owned", "live-shown"):
                    await subscribe(client, stream)
                await subscribe(client, "live", pk=pk)
                await client.send("live-doors", "wait", data="never", request_id="w")
                during = await look()
                # The users are one of them; their sessions, where anybody is logged in.
                assert during["topics"] == (2 if headers is None else 3)
                assert during["audiences"] == 4
                if ending == "abort":
                    client.socket.transport.abort()

        async def nothing() -> bool:
            return await look() == before

        try:
            await until(nothing)
        except AssertionError:
            assert await look() == before  # names what is left
        await do(probe, "release", "never", stream="live-doors")


# a layer in trouble


@pytest.mark.parametrize("mode", ["fails", "hangs"])
async def test_a_server_whose_layer_is_in_trouble_serves_its_own_sockets(
    app_server, transactional_db, mode
):
    server = app_server("uvicorn", env={"TEST_LAYER": mode})
    url = server.url + "ws/"
    async with subscriber(url, "live") as client, SocketClient(url) as writer:
        for _ in range(3):
            pk = await do(writer, "create", {"question_text": "a"})
            assert await client.receive() == event("live", "create", pk, question(pk))
    complaints = server.log.count("The channel layer does not take memberships")
    assert complaints == 1


def test_frames_are_compact_json():
    """An event is encoded by hand around the row; it has to stay what the encoder would write."""
    frame = event('st"ä', "update", 'k"ä', {"a": [1, None]})
    text = Event('st"ä', "update", 'k"ä', "app.question", '{"a":[1,null]}').text
    assert text == json.dumps(frame, ensure_ascii=False, separators=(",", ":"))
