"""Bindings in projects: mounts, routers, settings of CHANNELS_API, of REST_FRAMEWORK, of Django."""

import asyncio
import re

import pytest
import websockets
from django.core.exceptions import ImproperlyConfigured
from rest_framework import permissions as drf_permissions
from rest_framework.views import APIView
from rest_framework.viewsets import ModelViewSet

from channels_api.bindings import ResourceBinding
from channels_api.demultiplexer import WebsocketDemultiplexer
from channels_api.live.rows import watched
from channels_api.permissions import AllowAny, IsAuthenticated
from channels_api.settings import default_permission_classes
from tests.app.models import Document, Question, Tag
from tests.app.serializers import QuestionSerializer
from tests.app.streams.basic import QuestionBinding, QuestionViewSet
from tests.app.streams.classic import SECRET
from tests.classic_client import (
    DENIED,
    INVALID_ACTION,
    ask,
    ask_and_hear,
    failure,
    logged_in,
    question_row,
    success,
)
from tests.client import SocketClient

NO_CREDENTIALS = "Authentication credentials were not provided."


@pytest.fixture(params=["daphne", "uvicorn"])
def locked(request, app_server, transactional_db):
    """A server of `classic_asgi` with `classic_settings`."""
    env = {"DJANGO_SETTINGS_MODULE": "tests.classic_settings"}
    return app_server(request.param, "tests.classic_asgi:application", env=env)


@pytest.fixture(params=["daphne", "uvicorn"])
def configured(request, app_server, transactional_db):
    """A server with DEBUG, and with 0.4.1's two settings."""
    classes = ["channels_api.permissions.IsAuthenticated"]
    return app_server(
        request.param,
        env={"TEST_DEBUG": "1"},
        channels_api={"DEFAULT_PAGE_SIZE": 3, "DEFAULT_PERMISSION_CLASSES": classes},
    )


# CHANNELS_API


async def test_default_page_size(configured):
    questions = [await Question.objects.acreate(question_text=f"{n}") for n in range(4)]
    rows = [question_row(question) for question in questions]
    async with SocketClient(configured.url + "ws/") as client:
        assert await ask(client, "classic", "list") == success("list", rows[:3])
        reply = await ask(client, "classic", "list", data={"page": 2})
        assert reply == success("list", rows[3:])


async def test_default_permission_classes(configured):
    """Of a binding that names none; where one names its own, they hold alone."""
    async with SocketClient(configured.url + "ws/") as client:
        for action in ["list", "no_such_action"]:
            reply = await ask(client, "classic-default-permissions", action)
            assert reply == failure(action, 401, DENIED)
        assert await ask(client, "classic", "list") == success("list", [])
    async with SocketClient(configured.url + "ws/", headers=await logged_in()) as client:
        reply = await ask(client, "classic-default-permissions", "list")
        assert reply == success("list", [])


async def test_debug_shows_the_text_of_an_exception(configured):
    async with SocketClient(configured.url + "ws/") as client:
        reply = await ask(client, "classic-failing", "fail", data="ValueError")

    [_, reference] = reply["errors"]
    assert reply == failure("fail", 500, "Internal server error", reference)
    error_id = reference.pop("error_id")
    assert reference == {"exception": f"ValueError: {SECRET}"}
    assert error_id in configured.log


# REST_FRAMEWORK


async def test_a_locked_rest_api_stays_locked(locked):
    async with SocketClient(locked.url + "ws/") as client:
        for action in ["list", "create", "retrieve", "subscribe"]:
            reply = await ask(client, "classic-default-permissions", action, pk=1)
            assert reply == failure(action, 401, NO_CREDENTIALS)
        assert await ask(client, "classic", "list") == success("list", [])
    async with SocketClient(locked.url + "ws/", headers=await logged_in()) as client:
        reply = await ask(client, "classic-default-permissions", "list")
        assert reply == success("list", [])


async def test_pages_of_the_rest_api_are_not_those_of_a_binding(locked):
    rows = [question_row(await Question.objects.acreate(question_text=text)) for text in ["a", "b"]]
    async with SocketClient(locked.url + "ws/") as client:
        assert await ask(client, "classic", "list") == success("list", rows)


@pytest.mark.parametrize(
    ("channels_api", "rest_framework", "expected"),
    [
        ({}, {}, [drf_permissions.AllowAny]),
        (None, {}, [drf_permissions.AllowAny]),
        (
            {},
            {"DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAdminUser"]},
            [drf_permissions.IsAdminUser],
        ),
        (
            {"DEFAULT_PERMISSION_CLASSES": ("channels_api.permissions.IsAuthenticated",)},
            {"DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAdminUser"]},
            [IsAuthenticated],
        ),
        (
            {"DEFAULT_PERMISSION_CLASSES": [AllowAny, "rest_framework.permissions.IsAdminUser"]},
            {},
            [AllowAny, drf_permissions.IsAdminUser],
        ),
        # Said to be none, which is not the same as not said.
        (
            {"DEFAULT_PERMISSION_CLASSES": []},
            {"DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAdminUser"]},
            [],
        ),
    ],
)
def test_where_default_permission_classes_come_from(
    settings, channels_api, rest_framework, expected
):
    settings.CHANNELS_API = channels_api
    settings.REST_FRAMEWORK = rest_framework
    assert list(default_permission_classes()) == expected


# ATOMIC_REQUESTS


async def test_without_atomic_requests_an_action_is_no_transaction(server):
    async with SocketClient(server.url + "ws/") as client:
        assert await ask(client, "classic", "in_transaction") == success("in_transaction", False)
        reply = await ask(client, "classic", "save_and_fail")
        assert reply == failure("save_and_fail", 400, "no")

    assert await Question.objects.acount() == 1


async def test_with_atomic_requests_a_failed_action_leaves_nothing(locked):
    async with SocketClient(locked.url + "ws/") as client:
        assert await ask(client, "classic", "in_transaction") == success("in_transaction", True)
        await ask(client, "classic", "subscribe", data={"action": "*"})
        reply = await ask(client, "classic", "save_and_fail")
        assert reply == failure("save_and_fail", 400, "no")
        assert not await Question.objects.aexists()
        # Neither a row nor an event: the first one is of what was committed.
        data = {"question_text": "What?"}
        reply, [event] = await ask_and_hear(client, "classic", "create", data=data)
        assert reply["response_status"] == 201
        assert event["payload"] == {
            "action": "create",
            "pk": reply["data"]["id"],
            "data": reply["data"],
            "model": "app.question",
        }

    question = await Question.objects.aget()
    assert question.question_text == "What?"


# Routers


async def test_without_auth_middleware_no_socket_is_served_that_needs_a_user(locked):
    """E3: and the log says what is missing."""
    with pytest.raises(websockets.InvalidHandshake):
        async with SocketClient(locked.url + "bare/", headers=await logged_in()):
            pass
    assert "Put AuthMiddlewareStack around the router" in locked.log


async def test_a_list_of_bindings_that_name_their_streams(locked):
    document = await Document.objects.acreate(title="one")
    async with SocketClient(locked.url + "listed/") as client:
        assert await ask(client, "classic", "list") == success("list", [])
        reply = await ask(client, "listed-documents", "list")
        assert reply == failure("list", 401, NO_CREDENTIALS)
        reply = await ask(client, "classic-documents", "retrieve", pk=str(document.pk))
        message = "There is no stream 'classic-documents'."
        assert reply == failure("retrieve", 404, message)


async def test_a_demultiplexer_without_streams(locked):
    async with SocketClient(locked.url + "empty/") as client:
        reply = await ask(client, "classic", "list")
        assert reply == failure("list", 404, "There is no stream 'classic'.")


async def test_connect_may_refuse(locked):
    before = len(locked.log)
    with pytest.raises(websockets.InvalidStatus) as refusal:
        async with SocketClient(locked.url + "guarded/"):
            pass
    assert refusal.value.response.status_code == 403
    async with SocketClient(locked.url + "empty/") as client:
        await client.barrier("classic")
    assert "Traceback" not in locked.log[before:]


async def test_connect_may_accept(locked):
    """And two demultiplexers in one process have their own streams."""
    async with SocketClient(locked.url + "guarded/", headers=await logged_in()) as client:
        assert await ask(client, "classic", "list") == success("list", [])
        reply = await ask(client, "classic", "plain_list")
        assert reply == failure("plain_list", 400, INVALID_ACTION)
        reply = await ask(client, "questions", "list")
        assert reply == failure("list", 404, "There is no stream 'questions'.")


async def test_disconnect_is_told_the_close_code(locked):
    async with SocketClient(locked.url + "guarded/", headers=await logged_in()) as client:
        before = len(locked.log)
        await client.socket.close(4321)

    for _ in range(1000):
        if codes := re.findall(r"disconnected: (\d+)", locked.log[before:]):
            break
        await asyncio.sleep(0.01)
    assert codes == ["4321"]


# The demultiplexer, as a plain object.


def demultiplexer(consumers) -> type[WebsocketDemultiplexer]:
    return type("Demultiplexer", (WebsocketDemultiplexer,), {"consumers": consumers})


class NamelessBinding(ResourceBinding):
    queryset = Question.objects.all()
    serializer_class = QuestionSerializer


@pytest.mark.parametrize(
    "consumer",
    [
        None,
        "questions",
        object(),
        Question,
        QuestionSerializer,
        APIView,
        QuestionViewSet(),
        lambda scope, receive, send: None,
        WebsocketDemultiplexer,
        WebsocketDemultiplexer.as_asgi(),
        [QuestionBinding],
    ],
)
def test_what_can_not_be_a_stream_is_refused_at_the_start(consumer):
    with pytest.raises(ImproperlyConfigured, match="Demultiplexer") as refusal:
        demultiplexer({"questions": consumer}).as_asgi()
    assert "'questions'" in str(refusal.value)
    assert "neither a binding class nor a DRF viewset class" in str(refusal.value)


@pytest.mark.parametrize(
    "consumers",
    [
        [NamelessBinding],
        [QuestionBinding, None],
        ["questions"],
        {"": QuestionBinding},
        {None: QuestionBinding},
        {1: QuestionBinding},
    ],
)
def test_a_stream_needs_a_name(consumers):
    with pytest.raises(ImproperlyConfigured, match="needs a stream"):
        demultiplexer(consumers).as_asgi()


@pytest.mark.parametrize(
    ("consumers", "streams"),
    [
        ({"a": QuestionBinding.consumer, "b": QuestionBinding}, {"a", "b"}),
        ([QuestionBinding], {"questions"}),
        ((QuestionBinding.consumer,), {"questions"}),
        ({"a": QuestionViewSet}, {"a"}),
        ({}, set()),
        ([], set()),
    ],
)
def test_what_can_be_a_stream(consumers, streams):
    made = demultiplexer(consumers)
    made.as_asgi()
    assert made.streams.keys() == streams


async def test_it_serves_nothing_but_websockets():
    application = demultiplexer([QuestionBinding]).as_asgi()
    with pytest.raises(ImproperlyConfigured, match="ProtocolTypeRouter"):
        await application({"type": "http"}, None, None)


async def test_the_class_in_a_route_is_told_from_the_application():
    with pytest.raises(ImproperlyConfigured, match="as_asgi\\(\\) into the route"):
        demultiplexer({"a": QuestionBinding})({"type": "websocket"}, None, None)


def test_a_demultiplexer_without_consumers_is_complained_of(caplog):
    """A misspelt name would otherwise show as a 404 for each frame."""
    demultiplexer({}).as_asgi()
    assert "has no consumers" in caplog.text


def test_the_models_of_viewsets_are_watched_where_the_class_is_imported():
    """For processes that serve no sockets: workers, shells."""

    class TagViewSet(ModelViewSet):
        queryset = Tag.objects.all()

    watched.discard(Tag)
    demultiplexer({"tags": TagViewSet})
    assert Tag in watched
