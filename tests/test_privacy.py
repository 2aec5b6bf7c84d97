"""Events show a subscriber what list and retrieve show, however a project hides rows."""

import contextlib
from dataclasses import dataclass
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.contrib.auth.models import Group, User
from rest_framework.exceptions import NotFound

from channels_api.protocol import RequestFrame
from channels_api.readers import BindingReader
from channels_api.requests import Handshake
from tests.app.models import Question
from tests.app.streams.privacy import MEMBERS, HidesInGetObject
from tests.client import SocketClient, login_headers
from tests.live_helpers import until

WRITE = "privacy-write"


@dataclass
class World:
    """Two people, a row of each, and the writer who changes them."""

    url: str
    ann: User
    bob: User
    rows: dict[str, Question]
    cookies: dict[str, dict[str, str]]
    group: Group

    @contextlib.asynccontextmanager
    async def sockets(self):
        """Bob's socket, and the writer's."""
        async with (
            SocketClient(self.url, headers=self.cookies["bob"]) as bob,
            SocketClient(self.url) as writer,
        ):
            yield bob, writer


@pytest.fixture
def world(app_server, transactional_db) -> World:
    people = {name: User.objects.create_user(name) for name in ("ann", "bob")}
    rows = {
        name: Question.objects.create(question_text=name, owner=user)
        for name, user in people.items()
    }
    group = Group.objects.create(name=MEMBERS)
    group.user_set.add(people["bob"])
    cookies = {name: login_headers(user) for name, user in people.items()}
    return World(app_server().url + "ws/", people["ann"], people["bob"], rows, cookies, group)


async def change(writer: SocketClient, row: Question, **values: Any) -> None:
    reply = await writer.request(WRITE, "patch", pk=row.pk, data=values)
    assert reply["response_status"] == 200, reply


async def subscribe(client: SocketClient, stream: str, pk: Any = None) -> dict:
    return await client.request(stream, "subscribe", pk=pk, data={"action": "*"})


def told(event: dict) -> tuple[str, int, Any]:
    payload = event["payload"]
    data = payload["data"]
    return payload["action"], payload["pk"], data and data["question_text"]


async def test_all_rows_are_those_of_list(world):
    """And one row is that of retrieve, though the viewset shows it nowhere else."""
    stream = "privacy-lists-its-own"
    async with world.sockets() as (bob, writer):
        assert (await subscribe(bob, stream))["response_status"] == 200
        await change(writer, world.rows["ann"], question_text="of ann")
        await change(writer, world.rows["bob"], question_text="of bob")
        # In the log's order: ann's would have come first.
        assert told(await bob.receive()) == ("update", world.rows["bob"].pk, "of bob")
        assert (await subscribe(bob, stream, world.rows["ann"].pk))["response_status"] == 200
        await change(writer, world.rows["ann"], question_text="of ann again")
        assert told(await bob.receive()) == ("update", world.rows["ann"].pk, "of ann again")


@pytest.mark.parametrize("action", ["list", "retrieve"])
async def test_what_a_method_hides_is_not_guessed(world, action):
    async with world.sockets() as (bob, _):
        pk = world.rows["bob"].pk if action == "retrieve" else None
        reply = await subscribe(bob, "privacy-hides-in-list", pk)
    assert reply["response_status"] == 400
    assert reply["errors"] == [f"This can't be subscribed to: its {action}() is its own."]


async def test_a_row_is_found_as_retrieve_finds_it(world):
    """Also later: it is told as deleted when it can't be found any more."""
    stream, row = "privacy-hides-in-get-object", world.rows["bob"]
    async with world.sockets() as (bob, writer):
        hidden = await subscribe(bob, stream, world.rows["ann"].pk)
        assert (hidden["response_status"], hidden["errors"]) == (404, ["Not found."])
        assert (await subscribe(bob, stream, row.pk))["response_status"] == 200
        await change(writer, row, question_text="still mine")
        assert told(await bob.receive()) == ("update", row.pk, "still mine")
        await change(writer, row, owner=world.ann.pk)
        assert told(await bob.receive()) == ("delete", row.pk, None)


@pytest.mark.parametrize("stream", ["privacy-members", "privacy-nested"])
async def test_a_permission_that_is_taken_away(world, stream):
    """A class-level permission, or a refusal in the queryset: no row is shown from then on."""
    async with world.sockets() as (bob, writer):
        assert (await subscribe(bob, stream))["response_status"] == 200
        await change(writer, world.rows["ann"], question_text="seen")
        assert told(await bob.receive()) == ("update", world.rows["ann"].pk, "seen")
        await database_sync_to_async(world.group.user_set.remove)(world.bob)
        await change(writer, world.rows["ann"], question_text="not for bob")
        # All that he has seen, not only what was changed.
        frames = [await bob.receive()]
        reply = await bob.request(stream, "retrieve", pk=world.rows["ann"].pk, events=frames)
        assert reply["response_status"] in (403, 404)
        gone = [told(frame) for frame in frames]
        assert {action for action, _, _ in gone} == {"delete"}
        assert ("delete", world.rows["ann"].pk, None) in gone


async def test_what_is_allowed_of_one_row_is_not_of_another(world):
    """A permission by key, and two rows of one subscriber."""
    stream, row = "privacy-by-key", world.rows["bob"]
    other = await Question.objects.acreate(question_text="second", owner=world.bob)
    async with world.sockets() as (bob, writer):
        for each in (row, other):
            assert (await subscribe(bob, stream, each.pk))["response_status"] == 200
        await change(writer, other, owner=world.ann.pk, question_text="ann's now")
        assert told(await bob.receive()) == ("delete", other.pk, None)
        await change(writer, row, question_text="still bob's")
        assert told(await bob.receive()) == ("update", row.pk, "still bob's")


@pytest.mark.parametrize(
    "stream", ["privacy-by-property", "privacy-initial", "privacy-setup", "privacy-init"]
)
async def test_two_users_in_one_process(world, stream):
    """What a property, or state of `initial()`, makes of the user is that user's alone."""
    async with (
        SocketClient(world.url, headers=world.cookies["ann"]) as ann,
        world.sockets() as (bob, writer),
    ):
        for client in (ann, bob):
            assert (await subscribe(client, stream))["response_status"] == 200
        for name in ("ann", "bob"):
            await change(writer, world.rows[name], question_text=f"of {name}")
        assert told(await ann.receive()) == ("update", world.rows["ann"].pk, "of ann")
        assert told(await bob.receive()) == ("update", world.rows["bob"].pk, "of bob")
        # Nothing more for ann: her next frame is that of her next change.
        await change(writer, world.rows["ann"], question_text="again")
        assert told(await ann.receive()) == ("update", world.rows["ann"].pk, "again")


async def test_one_user_at_two_tenants(world):
    """The sockets of a user share what they see only where their handshakes are alike."""
    stream, bob = "privacy-header", world.cookies["bob"]
    async with (
        SocketClient(world.url, headers={**bob, "X-Tenant": "one"}) as one,
        SocketClient(world.url, headers={**bob, "X-Tenant": "two"}) as two,
        SocketClient(world.url) as writer,
    ):
        for client in (one, two):
            assert (await subscribe(client, stream))["response_status"] == 200
        for text in ("one", "two"):
            await writer.request(WRITE, "create", data={"question_text": text})
        assert told(await one.receive())[2] == "one"
        assert told(await two.receive())[2] == "two"


@pytest.mark.parametrize(
    ("stream", "row", "sentence"),
    [
        ("privacy-own-list", False, "its list() is its own."),
        ("privacy-own-list", True, "its retrieve() is its own."),
        ("privacy-own-pages", False, "its pages are its own."),
        ("privacy-own-lists", False, "its lists are serialized otherwise."),
    ],
)
async def test_what_a_binding_hides_in_list_is_not_guessed(world, stream, row, sentence):
    async with world.sockets() as (bob, _):
        reply = await subscribe(bob, stream, world.rows["bob"].pk if row else None)
    assert reply["response_status"] == 400
    assert reply["errors"] == [f"This can't be subscribed to: {sentence}"]


async def test_a_named_audience_does_not_mix_list_and_retrieve(world):
    """Whoever comes first: a row that list hides is for those who subscribed to it."""
    stream, row = "privacy-shared-by-name", world.rows["ann"]
    await Question.objects.filter(pk=row.pk).aupdate(published=False)
    async with SocketClient(world.url) as first, world.sockets() as (bob, writer):
        assert (await subscribe(first, stream, row.pk))["response_status"] == 200
        assert (await subscribe(bob, stream))["response_status"] == 200
        await change(writer, row, question_text="a draft")
        await change(writer, world.rows["bob"], question_text="published")
        assert told(await first.receive()) == ("update", row.pk, "a draft")
        assert told(await bob.receive()) == ("update", world.rows["bob"].pk, "published")


@pytest.mark.parametrize("kind", ["daphne", "uvicorn"])
async def test_a_row_that_no_frame_can_hold(app_server, transactional_db, kind):
    """It is logged and not told; daphne would end the socket, and its client wait for ever."""
    server = app_server(kind, channels_api={"MAX_REPLY_BYTES": 1500})
    url = server.url + "ws/"
    async with SocketClient(url) as client, SocketClient(url) as writer:
        assert (await subscribe(client, "documents"))["response_status"] == 200
        large = await writer.request("documents", "create", data={"title": "\u20ac" * 200})
        pk = large["data"]["id"]

        async def logged() -> bool:
            return "can't be made into an event" in server.log

        await until(logged)
        small = await writer.request("documents", "patch", pk=pk, data={"title": "s"})
        assert (await client.receive())["payload"]["data"] == small["data"]


async def test_a_row_that_fails_to_be_shown_is_not_deleted(world):
    stream, row = "privacy-failing", world.rows["ann"]
    async with world.sockets() as (bob, writer):
        assert (await subscribe(bob, stream))["response_status"] == 200
        await change(writer, row, question_text="broken")
        await change(writer, world.rows["bob"], question_text="fine")
        assert told(await bob.receive()) == ("update", world.rows["bob"].pk, "fine")
        await change(writer, row, question_text="mended")
        assert told(await bob.receive()) == ("update", row.pk, "mended")


async def test_a_subscribe_that_fails_leaves_nothing(app_server, world):
    """It does not even count towards the limit."""
    url = app_server(channels_api={"MAX_SUBSCRIPTIONS": 1}).url + "ws/"
    stream = "privacy-fails-afterwards"
    async with SocketClient(url) as client:
        data = {"action": "update", "fail": True}
        assert (await client.request(stream, "subscribe", data=data))["response_status"] == 403
        data = {"action": "*", "fail": False}
        assert (await client.request(stream, "subscribe", data=data))["response_status"] == 200
        # A second try of one that is there fails, and the first goes on.
        data = {"action": "*", "fail": True}
        assert (await client.request(stream, "subscribe", data=data))["response_status"] == 403
        row = world.rows["ann"]
        events: list = []
        await client.request(WRITE, "patch", pk=row.pk, data={"votes": 1}, events=events)
        event = events[0] if events else await client.receive()
        assert told(event) == ("update", row.pk, "ann")


@pytest.mark.parametrize("stream", ["privacy-values", "privacy-union"])
async def test_rows_without_keys_can_be_listed_and_not_subscribed_to(world, stream):
    async with world.sockets() as (bob, _):
        assert (await bob.request(stream, "list"))["response_status"] == 200
        reply = await subscribe(bob, stream)
    assert reply["response_status"] == 400
    assert reply["errors"] == ["This stream can't be subscribed to."]


async def test_a_viewset_may_have_a_subscribe_of_its_own(world):
    async with world.sockets() as (bob, _):
        reply = await bob.request("privacy-own-subscribe", "subscribe", data={"mail": "a@b.c"})
    assert reply["data"] == {"newsletter": "a@b.c"}


@pytest.mark.django_db
def test_what_is_visible_is_looked_for_in_so_many_rows_only():
    """A table of millions is not walked through for one subscriber who may see few of them."""
    asked = []

    class Picky(HidesInGetObject):
        def check_object_permissions(self, request, obj):
            asked.append(obj.pk)
            raise NotFound

    Question.objects.bulk_create(Question(question_text=str(each)) for each in range(10))
    frame = RequestFrame("s", "subscribe", data={"action": "*"})
    binding = Picky(Handshake({"type": "websocket", "path": "/", "headers": []}), frame)
    visible = BindingReader(binding).visible(3)
    assert (visible.pks, visible.complete) == (set(), False)
    assert len(asked) == 3
