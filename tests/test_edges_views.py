"""What handlers, viewsets and permission classes are given, where two worlds meet."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from channels_api.bindings import ReadOnlyResourceBinding, ResourceBindingBase
from channels_api.decorators import detail_action, list_action
from channels_api.demultiplexer import WebsocketDemultiplexer
from tests.app.models import Question
from tests.app.streams.basic import QuestionBinding
from tests.classic_client import NOT_FOUND, ask, failure, question_row, success
from tests.client import SocketClient
from tests.live_helpers import event


@pytest.fixture
async def row(server):
    return await Question.objects.acreate(question_text="What?")


@pytest.fixture
async def client(server):
    async with SocketClient(server.url + "ws/") as client:
        yield client


class TestOverrides:
    """The keyword arguments of an action."""

    @pytest.mark.parametrize("decorator", [list_action, detail_action])
    @pytest.mark.parametrize(
        "name",
        [
            *("scope", "user", "request", "frame", "handshake", "stream", "request_id", "pk"),
            *("action", "detail", "args", "kwargs", "subscriptions", "available_actions"),
        ],
    )
    def test_can_not_replace_what_is_the_frames_own(self, decorator, name):
        with pytest.raises(ImproperlyConfigured, match=rf"Bad\.act: .* can't replace {name}\."):

            class Bad(ResourceBindingBase):
                @decorator(**{name: "x"})
                def act(self, **kwargs):
                    """Never called."""

    def test_may_replace_what_the_project_adds(self):
        class Fine(ResourceBindingBase):
            @list_action(scopes=["read"])
            def act(self, **kwargs):
                """Never called."""

        assert Fine.available_actions["act"].overrides == {"scopes": ["read"]}

    async def test_of_a_viewset_are_its_own(self, client):
        """`scope` is a word that viewsets use too. It holds for the one action only."""
        seen = ["tenant of POST", "narrow", False]
        reply = await ask(client, "edges-scoped", "narrow")
        assert reply == success("narrow", ["narrow", *seen])
        reply = await ask(client, "edges-scoped", "async_list")
        assert reply["data"][0] == "whole"


class TestViewset:
    """Its `setup()` has run, and it knows its action; async actions too."""

    async def test_async_action(self, client):
        reply = await ask(client, "edges-scoped", "async_list")
        seen = ["whole", "tenant of PUT", "async_list", False]
        assert reply == success("async_list", seen)

    async def test_async_action_of_a_row(self, client):
        reply = await ask(client, "edges-scoped", "async_row", pk="a")
        seen = ["a", "whole", "tenant of POST", "async_row", True]
        assert reply == success("async_row", seen)

    async def test_async_action_of_a_row_needs_one(self, client):
        reply = await ask(client, "edges-scoped", "async_row")
        assert reply == failure("async_row", 404, NOT_FOUND)


def test_a_stream_has_one_binding():
    class Demultiplexer(WebsocketDemultiplexer):
        consumers = (QuestionBinding, QuestionBinding.consumer)

    with pytest.raises(
        ImproperlyConfigured, match="Demultiplexer has two bindings for 'questions'"
    ):
        Demultiplexer.as_asgi()


def test_a_read_only_binding_offers_four_actions():
    assert ReadOnlyResourceBinding.available_actions.keys() == {
        *("retrieve", "list", "subscribe", "unsubscribe")
    }


class TestHandlers:
    @pytest.mark.parametrize("prefix", ["", "async_"])
    async def test_the_row_of_the_frame(self, client, row, prefix):
        reply = await ask(client, "edges-handlers", f"{prefix}own_row", pk=row.pk)
        assert reply == success(f"{prefix}own_row", "What?")

    @pytest.mark.parametrize("prefix", ["", "async_"])
    async def test_none_is_no_row(self, client, row, prefix):
        """Not the frame's: what a handler looked for elsewhere was not there."""
        reply = await ask(client, "edges-handlers", f"{prefix}no_row", pk=row.pk)
        assert reply == failure(f"{prefix}no_row", 404, NOT_FOUND)

    @pytest.mark.parametrize(
        ("action", "data", "status"), [("pair", [3, 4], 200), ("pair_with_status", [3, 4], 202)]
    )
    async def test_a_pair_is_a_status_only_where_it_can_be_one(self, client, action, data, status):
        assert await ask(client, "edges-handlers", action) == success(action, data, status)

    async def test_an_error_may_be_without_words(self, client):
        reply = await ask(client, "edges-handlers", "empty_error")
        assert reply == failure("empty_error", 404)


class TestPkInsideData:
    """0.4.1's README wrote it there."""

    STREAMS = ("questions", "questions-viewset")

    @pytest.mark.parametrize("stream", STREAMS)
    @pytest.mark.parametrize("pk", [{"a": 1}, [1], True, 1.5])
    async def test_that_is_no_pk_is_not_found(self, client, row, stream, pk):
        reply = await ask(client, stream, "retrieve", data={"pk": pk})
        assert reply == failure("retrieve", 404, NOT_FOUND)

    @pytest.mark.parametrize("stream", STREAMS)
    async def test_is_no_filter_of_retrieve(self, client, row, stream):
        reply = await ask(client, stream, "retrieve", data={"pk": row.pk})
        assert reply == success("retrieve", question_row(row))

    @pytest.mark.parametrize("stream", STREAMS)
    async def test_does_not_matter_to_list(self, client, row, stream):
        reply = await ask(client, stream, "list", data={"pk": row.pk + 1})
        assert reply == success("list", [question_row(row)])


class TestSubscribing:
    """Is reading, to DRF's classes and to serializers; 0.4.1's are told the action's name."""

    @pytest.mark.parametrize("stream", ["edges-seen", "edges-seen-viewset"])
    async def test_what_a_permission_of_drf_sees(self, client, row, stream):
        for frame, seen in [({}, "list"), ({"pk": row.pk}, "retrieve")]:
            for action in ["subscribe", seen]:
                reply = await ask(client, stream, action, data={"action": "*"}, **frame)
                assert reply == failure(action, 400, f"{seen} by GET")

    async def test_what_a_permission_of_0_4_1_is_asked(self, client, row):
        for action in ["subscribe", "unsubscribe", "list", "patch"]:
            reply = await ask(client, "edges-seen-classic", action, pk=row.pk, data={"action": "*"})
            assert reply == failure(action, 400, f"{action} of {row.pk}")

    @pytest.mark.parametrize("stream", ["edges-by-action", "edges-by-action-viewset"])
    async def test_a_serializer_by_action(self, client, row, stream):
        """Events to all rows look like those of list, events to one row as retrieve shows it."""
        long, short = {"id": row.pk, "question_text": "What?"}, {"id": row.pk}
        assert (await ask(client, stream, "list"))["data"] == [short]
        assert (await ask(client, stream, "retrieve", pk=row.pk))["data"] == long
        for frame, shown in [({}, short), ({"pk": row.pk}, long)]:
            reply = await ask(client, stream, "subscribe", data={"action": "*"}, **frame)
            assert reply == success("subscribe", {"action": "*"})
            events: list = []
            await client.request("questions", "patch", pk=row.pk, data={"votes": 1}, events=events)
            told = events[0] if events else await client.receive()
            assert told == event(stream, "update", row.pk, shown)
            reply = await ask(client, stream, "unsubscribe", data={"action": "*"}, **frame)
            assert reply == success("unsubscribe", {})
