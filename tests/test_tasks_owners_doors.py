"""A task is there for who began it, through both doors; for anybody else it never was."""

from dataclasses import dataclass

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.test import Client

from tests.owners_helpers import (
    OTHER,
    SOCKET_VERBS,
    Visitor,
    assert_hidden_on_socket,
    assert_hidden_over_http,
    begin,
    begin_over_http,
    fetch,
    forgeries,
    forgotten,
    logged_in,
    made_up,
    not_found,
    opened,
    visitor,
    with_session,
    with_token,
)
from tests.tasks_helpers import follow, revoked, succeeded

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(
    params=[("redis-prefork", "uvicorn"), ("embedded", "daphne")], ids=["redis", "embedded"]
)
def stack(request, stacks):
    name, kind = request.param
    return stacks.get(name, kind=kind)


@dataclass
class World:
    """Ann, in whatever way she comes, and those who are not Ann."""

    user: User
    ann: Visitor
    ann_elsewhere: Visitor
    anns_token: Visitor
    session: Visitor
    strangers: dict[str, Visitor]


@pytest.fixture
def world(transactional_db) -> World:
    ann, bob = (User.objects.create_user(name) for name in ("ann", "bob"))
    browser = Client()
    browser.force_login(ann)
    logged_out = visitor(browser)
    browser.logout()
    strangers = {
        "another user": logged_in(bob),
        "another user's token": with_token(bob),
        "anonymous": Visitor(),
        "another session": with_session(),
        "a session that never was": Visitor({"sessionid": "0" * 32}),
        "a logged-out browser": logged_out,
    }
    return World(ann, logged_in(ann), logged_in(ann), with_token(ann), with_session(), strangers)


async def start(stack, owner: Visitor, door: str, gate) -> str:
    if door == "http":
        return await begin_over_http(stack, owner, "double", 21, str(gate))
    async with owner.socket(stack) as client:
        return await begin(client, "double", 21, str(gate))


@pytest.mark.parametrize("door", ["socket", "http"])
@pytest.mark.parametrize("kind", ["user", "session"])
async def test_nobody_else_finds_a_task(stack, world, kind, door):
    """Neither while it runs nor when it is over; and nothing that they tried did anything."""
    owner = world.ann if kind == "user" else world.session
    gate = stack.gate()
    signed = await start(stack, owner, door, gate)
    async with owner.socket(stack) as client:
        reply = await client.request("tasks", "subscribe", pk=signed, request_id="s")
        assert (reply["response_status"], reply["data"]["id"]) == (202, signed)
        for _ in range(2):
            for stranger in world.strangers.values():
                async with stranger.socket(stack) as other:
                    await assert_hidden_on_socket(other, signed)
                await assert_hidden_over_http(stack, stranger, signed)
            if not gate.exists():
                gate.touch()
                last = (await follow(client))[-1]
                assert last == succeeded("tasks", "subscribe", "s", signed, 42)


async def test_what_is_no_id_finds_nothing_even_for_the_owner(stack, world):
    owner = world.ann
    gate = stack.gate()
    async with owner.socket(stack) as client:
        signed = await begin(client, "double", 21, str(gate))
        bad = [made_up(signed), *forgeries(signed)]
    async with owner.socket(stack) as other:
        await assert_hidden_on_socket(other, *bad)
    # What can stand in the path at all: the rest is no address of a task's.
    await assert_hidden_over_http(stack, owner, *(each for each in bad if "." not in each))
    async with owner.socket(stack) as client:
        gate.touch()
        reply = await client.request("tasks", "subscribe", pk=signed, request_id="s")
        assert reply["data"]["id"] == signed
        if reply["response_status"] == 202:
            last = (await follow(client))[-1]
            assert last == succeeded("tasks", "subscribe", "s", signed, 42)


ODD = [None, True, 0, -1, 2**63 - 1, 1.5, "", " ", ":", "\x00", "é:ü", "😀", "x" * 60_000]
ODD += [[], {}, [":"], {":": 1}, ["a"], {"a": 1}, [[[]]], {"pk": "a"}]


async def test_values_that_are_no_text_are_no_ids(stack, world):
    async with world.ann.socket(stack) as client:
        signed = await begin(client, "double", 1)
        await follow(client)
        await assert_hidden_on_socket(client, *ODD, [signed], {"id": signed}, signed.split(":"))
    async with Visitor().socket(stack) as client:
        for action in SOCKET_VERBS:
            await client.send("tasks", action, request_id="r")
            assert await client.socket.recv() == not_found(action)
            await client.send("tasks", action, data={"pk": 7}, request_id="r")
            assert await client.socket.recv() == not_found(action)


async def test_odd_texts_in_an_address_are_no_ids(stack, world):
    texts = [each for each in ODD if isinstance(each, str) and each not in ("", "\x00")]
    texts = ["x" * 8_000 if len(each) > 8_000 else each for each in texts]
    await assert_hidden_over_http(stack, world.ann, *texts, "\x00", "\n", "%", "%zz")


async def test_what_the_backend_has_forgotten_was_never_there(stack, world):
    owner, ids = world.ann, [*forgotten(f"user:{world.user.pk}")]
    async with owner.socket(stack) as client:
        await assert_hidden_on_socket(client, *ids, verbs=("retrieve", "subscribe", "delete"))
        # There is no watch, as for a task that is known.
        for each in ids:
            reply = await client.request("tasks", "unsubscribe", pk=each)
            assert (reply["response_status"], reply["data"]) == (200, {})
    await assert_hidden_over_http(stack, owner, *ids)


async def test_a_task_of_one_view_is_none_of_another(stack, world):
    """But it is one for the socket, and one of the socket's is one for each view."""
    ann, gate = world.ann, stack.gate()
    signed = await begin_over_http(stack, ann, "double", 21, str(gate))
    await assert_hidden_over_http(stack, ann, signed, view=OTHER)
    gate.touch()
    async with ann.socket(stack) as client:
        mine = await begin(client, "double", 4)
        assert (await follow(client))[-1] == succeeded("work", "start", "request-1", mine, 8)
        reply = await client.request("tasks", "subscribe", pk=signed)
        if reply["response_status"] == 202:
            await follow(client)
    for view in ("owners/open/", OTHER):
        answer = await fetch(stack, ann, "GET", f"{view}result/{mine}/")
        assert (answer.status, answer.data) == (200, {"result": 8})
    assert opened(signed).view
    assert "owners_api" not in opened(signed).view  # it says nothing of the project's modules
    assert opened(mine).view == ""


# Who the owner is


async def test_a_token_over_http_and_a_session_on_the_socket_are_one_user(stack, world):
    gate = stack.gate()
    signed = await begin_over_http(stack, world.anns_token, "double", 21, str(gate))
    async with world.ann.socket(stack) as client:
        reply = await client.request("tasks", "subscribe", pk=signed, request_id="s")
        assert reply["response_status"] == 202
        gate.touch()
        assert (await follow(client))[-1] == succeeded("tasks", "subscribe", "s", signed, 42)
    for who in (world.anns_token, world.ann):
        answer = await fetch(stack, who, "GET", f"owners/open/result/{signed}/")
        assert (answer.status, answer.data) == (200, {"result": 42})


async def test_without_a_cookie_whoever_holds_the_id_may_see_the_task(stack, world):
    gate = stack.gate()
    async with Visitor().socket(stack) as client:
        signed = await begin(client, "double", 21, str(gate))
        for who in (Visitor(), world.session, world.ann):
            async with who.socket(stack) as other:
                reply = await other.request("tasks", "retrieve", pk=signed)
                assert reply["data"]["id"] == signed
            answer = await fetch(stack, who, "GET", f"owners/open/state/{signed}/")
            assert (answer.status, answer.data["id"]) == (200, signed)
        async with Visitor().socket(stack) as other:
            await assert_hidden_on_socket(other, made_up(signed), *forgeries(signed))
        gate.touch()
        assert (await follow(client))[-1] == succeeded("work", "start", "request-1", signed, 42)


async def test_who_logs_in_is_somebody_else(stack, world):
    """The session's key changes then, as Django has it; the open socket still hears the end."""
    browser, before = Client(), world.session
    browser.cookies["sessionid"] = before.cookies["sessionid"]
    gate = stack.gate()
    async with before.socket(stack) as client:
        signed = await begin(client, "double", 21, str(gate))
        await sync_to_async(browser.force_login)(world.user)
        after = visitor(browser)
        assert after.cookies["sessionid"] != before.cookies["sessionid"]
        for who in (before, after):
            async with who.socket(stack) as other:
                await assert_hidden_on_socket(other, signed)
            await assert_hidden_over_http(stack, who, signed)
        gate.touch()
        assert (await follow(client))[-1] == succeeded("work", "start", "request-1", signed, 42)


async def test_an_owner_may_end_a_task_from_another_browser(stack, world):
    async with world.ann.socket(stack) as client, world.ann_elsewhere.socket(stack) as other:
        signed = await begin(client, "tick", str(stack.gate()))
        reply = await other.request("tasks", "delete", pk=signed)
        assert reply == revoked("tasks", "delete", "request-1", signed)["payload"]
        assert (await follow(client))[-1] == revoked("work", "start", "request-1", signed)
        assert (await other.request("tasks", "retrieve", pk=signed))["response_status"] == 410
