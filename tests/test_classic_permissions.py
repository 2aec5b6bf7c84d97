"""Who may do what: 0.4.1's permission classes, DRF's, and the project's defaults."""

import pytest
from django.contrib.auth.models import AnonymousUser

from channels_api.permissions import AllowAny, BasePermission, IsAuthenticated
from tests.app.models import Question
from tests.classic_client import (
    DENIED,
    INVALID_ACTION,
    NOT_FOUND,
    ask,
    failure,
    logged_in,
    question_row,
    success,
)
from tests.client import SocketClient

NO_CREDENTIALS = "Authentication credentials were not provided."
NOT_ALLOWED = "You do not have permission to perform this action."


@pytest.mark.parametrize("action", ["list", "retrieve", "create", "subscribe", "no_such_action"])
async def test_has_permission_is_asked_before_anything_else(server, action):
    """Who is refused learns neither which actions there are nor which rows."""
    async with SocketClient(server.url + "ws/") as client:
        for pk in [None, -1, "x", 1.5]:
            reply = await ask(client, "classic-denied", action, pk=pk)
            assert reply == failure(action, 401, DENIED)


@pytest.mark.parametrize(
    ("stream", "answer"),
    [("classic-authenticated", DENIED), ("classic-drf-authenticated", NO_CREDENTIALS)],
    ids=["classic", "drf"],
)
async def test_is_authenticated(server, stream, answer):
    async with SocketClient(server.url + "ws/") as client:
        reply = await ask(client, stream, "plain_list")
        assert reply == failure("plain_list", 401, answer)
        reply = await ask(client, stream, "subscribe", data={"action": "*"})
        assert reply == failure("subscribe", 401, answer)
    async with SocketClient(server.url + "ws/", headers=await logged_in()) as client:
        reply = await ask(client, stream, "plain_list")
        assert reply == success("plain_list", "some data")
        reply = await ask(client, stream, "no_such_action")
        assert reply == failure("no_such_action", 400, INVALID_ACTION)


async def test_an_inactive_user_is_nobody(server):
    headers = await logged_in(is_active=False)
    async with SocketClient(server.url + "ws/", headers=headers) as client:
        reply = await ask(client, "classic-authenticated", "plain_list")

    assert reply == failure("plain_list", 401, DENIED)


async def test_an_own_class_sees_user_action_and_pk(server):
    question = await Question.objects.acreate(question_text="What?")
    stream = "classic-own-permission"
    async with SocketClient(server.url + "ws/", headers=await logged_in("alice")) as client:
        for pk in [question.pk, str(question.pk)]:
            reply = await ask(client, stream, "retrieve", pk=pk)
            assert reply == success("retrieve", question_row(question))
        assert await ask(client, stream, "retrieve") == failure("retrieve", 401, DENIED)
        reply = await ask(client, stream, "delete", pk=question.pk)
        assert reply == failure("delete", 401, DENIED)
        # The name on the wire, not the method's.
        reply = await ask(client, stream, "named_detail", pk=question.pk)
        assert reply == failure("named_detail", 401, DENIED)
    async with SocketClient(server.url + "ws/", headers=await logged_in("bob")) as client:
        reply = await ask(client, stream, "retrieve", pk=question.pk)
        assert reply == failure("retrieve", 401, DENIED)


async def test_a_class_that_answers_none_has_not_said_yes(server):
    async with SocketClient(server.url + "ws/") as client:
        reply = await ask(client, "classic-undecided", "list")

    assert reply == failure("list", 401, DENIED)


async def test_both_families_in_one_binding(server):
    async with SocketClient(server.url + "ws/") as client:
        assert await ask(client, "classic-mixed", "list") == failure("list", 401, DENIED)
    async with SocketClient(server.url + "ws/", headers=await logged_in("bob")) as client:
        assert await ask(client, "classic-mixed", "list") == failure("list", 403, NOT_ALLOWED)
        # DRF's classes are about the action, so they are asked after it is looked up.
        reply = await ask(client, "classic-mixed", "no_such_action")
        assert reply == failure("no_such_action", 400, INVALID_ACTION)
    headers = await logged_in("root", is_staff=True)
    async with SocketClient(server.url + "ws/", headers=headers) as client:
        assert await ask(client, "classic-mixed", "list") == success("list", [])


@pytest.mark.parametrize(
    ("logs_in", "answer"),
    [(False, (401, NO_CREDENTIALS)), (True, (403, "This row is not yours."))],
)
async def test_object_permissions(server, logs_in, answer):
    question = await Question.objects.acreate(question_text="What?")
    headers = await logged_in() if logs_in else None
    async with SocketClient(server.url + "ws/", headers=headers) as client:
        for action in ["retrieve", "update", "patch", "delete", "plain_detail", "async_detail"]:
            reply = await ask(client, "classic-no-object", action, pk=question.pk, data={})
            assert reply == failure(action, *answer)
        data = {"action": "*"}
        reply = await ask(client, "classic-no-object", "subscribe", pk=question.pk, data=data)
        assert reply == failure("subscribe", *answer)
        reply = await ask(client, "classic-no-object", "retrieve", pk=-1)
        assert reply == failure("retrieve", 404, NOT_FOUND)

    assert await Question.objects.aexists()


# The classes, as plain objects.


class User:
    def __init__(self, pk, *, is_authenticated):
        self.pk = pk
        self.is_authenticated = is_authenticated


@pytest.mark.parametrize(
    ("user", "may"),
    [
        (AnonymousUser(), False),
        (None, False),
        (User(1, is_authenticated=True), True),
        (User(None, is_authenticated=True), False),
        (User(1, is_authenticated=False), False),
    ],
)
def test_the_class_is_authenticated(user, may):
    assert IsAuthenticated().has_permission(user, "list", None) is may
    assert AllowAny().has_permission(user, "list", None) is True


def test_the_base_class_decides_nothing():
    with pytest.raises(NotImplementedError):
        BasePermission().has_permission(AnonymousUser(), "list", None)
