"""Errors at the edges: of a domain, of a trick, of a constructor, of a lack of threads."""

import re
import threading

import pytest
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import User

from channels_api import threads
from channels_api.demultiplexer import WebsocketDemultiplexer
from tests.app.models import Question
from tests.app.streams.edges import SECRET, ThreadsBinding
from tests.classic_client import INVALID_ACTION, NOT_FOUND, ask, failure, success
from tests.client import PATIENCE, SocketClient

ERROR = "Internal server error"
SETTINGS = {"DJANGO_SETTINGS_MODULE": "tests.edges_settings"}


@pytest.fixture
def project(app_server, server):
    """A server whose project has an EXCEPTION_HANDLER."""
    return app_server(server.kind, env=SETTINGS)


def error_id_of(reply, action) -> str:
    """The id in a reply that is a 500 and tells nothing else."""
    [_, reference] = reply["errors"]
    assert reply == failure(action, 500, ERROR, reference)
    assert reference.keys() == {"error_id"}
    return reference["error_id"]


def logged(server, error_id: str) -> str:
    """What the server's log says from an error id on: one record."""
    [_, record] = server.log.split(error_id)
    return re.split(r"\n(?:ERROR|INFO|WARNING):", record)[0]


# Where actions fail: the stream, the action, the view that the handler is shown.
PLACES = [
    ("edges-failing", "fail", "FailingBinding"),
    ("edges-failing", "async_fail", "FailingBinding"),
    ("edges-failing-viewset", "fail", "FailingViewSet"),
]


async def fail(client, stream, action, name):
    data = {"name": name} if stream.endswith("viewset") else name
    return await ask(client, stream, action, data=data)


async def still_answers(client) -> None:
    assert await ask(client, "edges-failing", "echo", data=1) == success("echo", 1)


@pytest.mark.parametrize(("stream", "action", "view"), PLACES)
async def test_a_domain_error_is_what_the_project_makes_of_it(project, stream, action, view):
    """The handler is shown what DRF would show it: the view, or the viewset, and the request."""
    async with SocketClient(project.url + "ws/") as client:
        reply = await fail(client, stream, action, "OutOfStock")
        assert reply == failure(action, 409, "Out of flour.", view, "POST")
        await still_answers(client)


@pytest.mark.parametrize(("stream", "action", "_"), PLACES)
async def test_what_has_an_answer_is_not_asked_for(project, stream, action, _):
    """The handler of this project would turn each of them into a 418."""
    denied = "You do not have permission to perform this action."
    async with SocketClient(project.url + "ws/") as client:
        reply = await fail(client, stream, action, "ValidationError")
        assert reply == failure(action, 400, {"field": ["Wrong."]})
        reply = await fail(client, stream, action, "PermissionDenied")
        assert reply == failure(action, 403, denied)
        assert await fail(client, stream, action, "Http404") == failure(action, 404, NOT_FOUND)


@pytest.mark.parametrize(("stream", "action", "_"), PLACES)
async def test_a_handler_that_has_no_answer_leaves_a_500(project, stream, action, _):
    async with SocketClient(project.url + "ws/") as client:
        reply = await fail(client, stream, action, "Unhandled")
        record = logged(project, error_id_of(reply, action))
        assert f"UnhandledError: {SECRET}" in record
        await still_answers(client)


@pytest.mark.parametrize(("stream", "action", "_"), PLACES)
async def test_a_handler_that_fails_is_a_500(project, stream, action, _):
    """Both failures are in the log: the handler's, and what it was asked for."""
    async with SocketClient(project.url + "ws/") as client:
        reply = await fail(client, stream, action, "BreaksHandler")
        record = logged(project, error_id_of(reply, action))
        assert "KeyError: 'no such key'" in record
        assert f"BreaksHandlerError: {SECRET}" in record
        await still_answers(client)


async def test_a_viewset_is_not_needed_to_say_that_there_is_no_such_action(server):
    async with SocketClient(server.url + "ws/") as client:
        reply = await ask(client, "edges-failing-setup", "nothing")
        assert reply == failure("nothing", 400, INVALID_ACTION)
        # Where it is needed, its failure is the frame's.
        reply = await ask(client, "edges-failing-setup", "fail", data={"name": "Http404"})
        assert "OutOfStockError: sugar" in logged(server, error_id_of(reply, "fail"))


@pytest.mark.parametrize("name", ["SuspiciousOperation", "BadRequest"])
@pytest.mark.parametrize(("stream", "action", "_"), PLACES)
async def test_what_is_suspicious_is_a_400_without_details(server, stream, action, _, name):
    """As Django answers it over HTTP; the text is in the log only."""
    async with SocketClient(server.url + "ws/") as client:
        before = server.log.count(SECRET)
        assert await fail(client, stream, action, name) == failure(action, 400, "Bad Request")
        assert server.log.count(SECRET) == before + 1
        await still_answers(client)


async def test_a_constructor_that_fails_ends_its_frame_only(server):
    async with SocketClient(server.url + "ws/") as client:
        reply = await ask(client, "edges-constructor", "echo")
        assert f"RuntimeError: {SECRET}" in logged(server, error_id_of(reply, "echo"))
        # The next frame of the same stream gets its answer too, and so do other streams.
        error_id_of(await ask(client, "edges-constructor", "echo"), "echo")
        await still_answers(client)


@pytest.mark.parametrize("action", ["who", "async_who"])
async def test_a_user_that_is_loaded_at_first_use(app_server, server, action):
    """By a query, which Django forbids in the event loop."""
    await User.objects.acreate(username="lazy")
    url = app_server(server.kind, "tests.edges_asgi:application").url + "ws/"
    async with SocketClient(url) as client:
        assert await ask(client, "edges-who", action) == success(action, ["lazy", "lazy"])


async def test_a_lazy_user_may_subscribe(app_server, server):
    """And is found by permissions and by rows that are somebody's own."""
    user = await User.objects.acreate(username="lazy")
    own = await Question.objects.acreate(question_text="own", owner=user)
    await Question.objects.acreate(question_text="of nobody")
    url = app_server(server.kind, "tests.edges_asgi:application").url + "ws/"
    async with SocketClient(url) as client:
        rows = (await ask(client, "live-owned", "list"))["data"]
        assert [row["id"] for row in rows] == [own.pk]
        reply = await ask(client, "live-owned", "subscribe", data={"action": "*"})
        assert reply == success("subscribe", {"action": "*"})


class ThreadsDemultiplexer(WebsocketDemultiplexer):
    consumers = {"threads": ThreadsBinding}


async def test_no_more_threads(settings, monkeypatch):
    """Where the system gives none: 503, until it gives some again."""
    settings.CHANNELS_API = {"THREADS": 2}
    monkeypatch.setattr(threads, "_pool", None)

    def no_thread(self):
        raise RuntimeError("can't start new thread")

    client = WebsocketCommunicator(ThreadsDemultiplexer.as_asgi(), "/")
    await client.connect(timeout=PATIENCE)

    async def reply():
        await client.send_json_to({"stream": "threads", "payload": {"action": "thread"}})
        return (await client.receive_json_from(timeout=PATIENCE))["payload"]

    overloaded = failure(
        "thread", 503, "The server is overloaded. Try again later.", request_id=None
    )
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_thread)
        assert await reply() == overloaded
        assert await reply() == overloaded
    assert await reply() == success("thread", data=True, request_id=None)
    # The thread that there is serves, though the second can't be had.
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_thread)
        assert await reply() == success("thread", data=True, request_id=None)
    await client.disconnect(timeout=PATIENCE)
    threads._pool.close()  # noqa: SLF001
