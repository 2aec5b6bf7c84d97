"""What may be a handler, what it may return, and what a client can't reach."""

import inspect
import json

import pytest

from channels_api.bindings import ResourceBinding, ResourceBindingBase
from channels_api.decorators import detail_action, list_action
from channels_api.mixins import CreateModelMixin, ListModelMixin
from tests.app.models import Question
from tests.app.streams.classic import RETURNED, ClassicBinding
from tests.classic_client import (
    INVALID_ACTION,
    NOT_FOUND,
    REQUEST_ID,
    ask,
    failure,
    logged_in,
    question_row,
    success,
)
from tests.client import SocketClient

STANDARD = {
    "create",
    "retrieve",
    "list",
    "update",
    "patch",
    "delete",
    "subscribe",
    "unsubscribe",
}

REPLIES = {
    "data and status": (202, {"a": 1}, []),
    "data and HTTPStatus": (201, {"a": 1}, []),
    "bare dict": (200, {"a": 1}, []),
    "bare list": (200, [1, 2, 3], []),
    "bare pair": (200, ["a", "b"], []),
    "bare pair with true": (200, ["a", True], []),
    "nothing": (200, None, []),
    "response": (201, {"a": 1}, []),
    "empty response": (204, None, []),
    "response with errors": (400, None, [{"question_text": ["Too short."]}]),
    "response with a list of errors": (422, None, ["one", "two"]),
    "response with a detail": (409, None, ["Taken."]),
    "response with a text": (410, None, ["Gone."]),
    "uuid": (200, "00000000-0000-0000-0000-000000000001", []),
    "decimal": (200, 1.5, []),
    "datetime": (200, "2020-01-02T03:04:05Z", []),
    "lazy text": (200, "Yes", []),
    "set": (200, [1], []),
    "generator": (200, [0, 1, 2], []),
    "snowman": (200, "\N{SNOWMAN} \U0001f600 \u2028", []),
}


@pytest.mark.parametrize("action", ["returns", "async_returns"])
async def test_what_a_handler_may_return(server, action):
    async with SocketClient(server.url + "ws/") as client:
        replies = {name: await ask(client, "classic", action, data=name) for name in REPLIES}

    assert replies == {
        name: {
            "action": action,
            "errors": errors,
            "data": data,
            "response_status": status,
            "request_id": REQUEST_ID,
        }
        for name, (status, data, errors) in REPLIES.items()
    }


async def test_async_handlers(server):
    question = await Question.objects.acreate(question_text="What?")
    async with SocketClient(server.url + "ws/") as client:
        reply = await ask(client, "classic", "async_list", data={"a": 1})
        assert reply == success("async_list", {"a": 1}, 202)
        for action in ["async_detail", "async_detail_or_404"]:
            reply = await ask(client, "classic", action, pk=question.pk)
            assert reply == success(action, question_row(question))
            reply = await ask(client, "classic", action, pk=-1)
            assert reply == failure(action, 404, NOT_FOUND)


async def test_handlers_get_data_and_the_canonical_pk(server):
    """An int is an int, however it was written: nothing else reaches permissions and handlers."""
    async with SocketClient(server.url + "ws/") as client:
        for pk in [7, "7"]:
            reply = await ask(client, "classic", "echo_pk", pk=pk, data={"a": [1, {"b": None}]})
            assert reply == success("echo_pk", {"pk": 7, "data": {"a": [1, {"b": None}]}})
        reply = await ask(client, "classic", "echo_pk")
        assert reply == success("echo_pk", {"pk": None, "data": None})


async def test_data_reaches_the_handler_as_it_was_sent(server):
    async with SocketClient(server.url + "ws/") as client:
        for data in [None, {}, [], "", 0, False, 1.5, {"pk": 3, "data": {"x": []}}]:
            reply = await ask(client, "classic", "echo", data=data)
            assert reply == success("echo", data)
            assert type(reply["data"]) is type(data)


async def test_user_and_request_id(server):
    headers = await logged_in("alice")
    async with SocketClient(server.url + "ws/", headers=headers) as client:
        reply = await ask(client, "classic", "who")
        assert reply == success("who", {"user": "alice", "request_id": REQUEST_ID})
    async with SocketClient(server.url + "ws/") as client:
        reply = await client.request("classic", "who", request_id=7)
        assert reply == success("who", {"user": "", "request_id": 7}, request_id=7)


async def test_a_named_action_has_no_other_name(server):
    async with SocketClient(server.url + "ws/") as client:
        for method in ["some_other_list", "some_other_detail"]:
            reply = await ask(client, "classic", method, pk=1, data={})
            assert reply == failure(method, 400, INVALID_ACTION)


async def test_overridden_actions(server):
    """With the decorator or without, an action stays one; set to None, it is gone."""
    question = await Question.objects.acreate(question_text="What?")
    stream = "classic-overriding"
    async with SocketClient(server.url + "ws/") as client:
        reply = await ask(client, stream, "create", data={"question_text": "Why?"})
        assert reply == success("create", {"created": "Why?"}, 201)
        reply = await ask(client, stream, "retrieve", pk=question.pk)
        assert reply == success("retrieve", {"retrieved": "What?"})
        reply = await ask(client, stream, "named_list")
        assert reply == success("named_list", "overridden")
        reply = await ask(client, stream, "list")
        assert reply == success("list", ["its own"])
        reply = await ask(client, stream, "delete", pk=question.pk)
        assert reply == failure("delete", 400, INVALID_ACTION)

    assert await Question.objects.filter(pk=question.pk).aexists()


async def test_a_binding_of_single_mixins(server):
    async with SocketClient(server.url + "ws/") as client:
        reply = await ask(client, "classic-mixins", "create", data={"question_text": "Why?"})
        assert reply == success("create", "Why?", 201)
        reply = await ask(client, "classic-mixins", "list")
        assert [row["question_text"] for row in reply["data"]] == ["Why?"]
        reply = await ask(client, "classic-mixins", "retrieve", pk=reply["data"][0]["id"])
        assert reply == failure("retrieve", 400, INVALID_ACTION)


def names_that_are_no_actions() -> list[str]:
    of_instances = {"user", "frame", "handshake", "scope", "subscriptions", "format_kwarg"}
    misspelled = {"", "CREATE", "create ", "create.__call__"}
    names = {*dir(ClassicBinding), *of_instances, *misspelled}
    return sorted(names - ClassicBinding.available_actions.keys())


async def test_only_actions_can_be_called(server):
    """Every attribute of a binding, asked for by its name."""
    names = names_that_are_no_actions()
    assert {"helper", "dispatch", "get_queryset", "_call", "__init__", "user"} <= set(names)
    replies = {}
    # Below the burst that one socket may send.
    for start in range(0, len(names), 100):
        async with SocketClient(server.url + "ws/") as client:
            for name in names[start : start + 100]:
                replies[name] = await ask(client, "classic", name, pk=1, data={})

    assert replies == {name: failure(name, 400, INVALID_ACTION) for name in names}


def parameter_names() -> list[str]:
    """The parameters of each method of a binding, but for what a payload may say."""
    methods = [
        method
        for name, method in inspect.getmembers(ClassicBinding, inspect.isfunction)
        if not name.startswith("__") or name == "__init__"
    ]
    names = {name for method in methods for name in inspect.signature(method).parameters}
    names |= {"self", "cls", "scope", "kwargs", "args", "__class__", "message", "channel_name"}
    return sorted(names - {"action", "pk", "data", "request_id"})


@pytest.mark.parametrize("action", ["retrieve", "plain_detail", "async_detail"])
async def test_keys_of_a_frame_are_no_arguments(server, action):
    """A frame with the name of each parameter as a key, in the payload and in the data."""
    question = await Question.objects.acreate(question_text="What?")
    names = parameter_names()
    assert {"self", "queryset", "serializer", "user", "frame", "scope"} <= set(names)
    junk = {name: {"x": 1} for name in names}
    async with SocketClient(server.url + "ws/") as client:
        expected = await ask(client, "classic", action, pk=question.pk)
        payload = {**junk, "action": action, "pk": question.pk, "request_id": REQUEST_ID}
        await client.send_raw(json.dumps({**junk, "stream": "classic", "payload": payload}))
        assert await client.receive() == {"stream": "classic", "payload": expected}
        if action != "retrieve":  # its data is a query string
            assert await ask(client, "classic", action, pk=question.pk, data=junk) == expected

    assert expected["response_status"] == 200


async def test_keys_of_the_data_are_no_arguments(server):
    junk = dict.fromkeys(parameter_names(), "x")
    async with SocketClient(server.url + "ws/") as client:
        reply = await ask(client, "classic", "create", data={**junk, "question_text": "What?"})
        question = await Question.objects.aget()
        assert reply == success("create", question_row(question, question_text="What?"), 201)
        reply = await ask(client, "classic", "list", data=junk)
        assert reply == success("list", [question_row(question)])
        reply = await ask(client, "classic", "unsubscribe", data={**junk, "action": "*"})
        assert reply == success("unsubscribe", {})


# The registry, as a plain object.


class Reports(ResourceBindingBase):
    @list_action()
    def report(self, data=None):
        raise NotImplementedError

    @detail_action(name="short")
    def report_in_short(self, pk, data=None):
        raise NotImplementedError


def actions(binding: type[ResourceBindingBase]) -> set[str]:
    return set(binding.available_actions)


def test_the_standard_actions():
    assert actions(ResourceBinding) == STANDARD
    assert actions(ResourceBindingBase) == set()


def test_an_override_without_the_decorator_is_found_in_every_base():
    class Both(Reports, ResourceBinding):
        def create(self, data=None, **kwargs):
            raise NotImplementedError

        def report_in_short(self, pk, data=None):
            raise NotImplementedError

    assert actions(Both) == {*STANDARD, "report", "short"}
    assert Both.available_actions["short"].detail


def test_an_override_in_the_class_that_brings_the_mixin():
    class Some(CreateModelMixin, ListModelMixin, ResourceBindingBase):
        def create(self, data=None, **kwargs):
            raise NotImplementedError

    assert actions(Some) == {"create", "list"}


def test_a_removed_action_stays_removed():
    class Removed(Reports):
        report = None

    class Below(Removed):
        def report(self, data=None):
            """Not an action: nobody below the removal says that it is one."""

    class Again(Removed):
        @list_action()
        def report(self, data=None):
            raise NotImplementedError

    assert actions(Removed) == {"short"}
    assert actions(Below) == {"short"}
    assert actions(Again) == {"report", "short"}


def test_an_override_may_be_async_where_the_action_was_not():
    class Async(Reports):
        async def report(self, data=None):
            raise NotImplementedError

    assert Async.available_actions["report"].is_async
    assert not Reports.available_actions["report"].is_async


def test_a_subclass_that_gives_a_name_to_another_method_means_it():
    class Renamed(Reports):
        @list_action(name="report")
        def a_report_of_its_own(self, data=None):
            raise NotImplementedError

    class Earlier(Reports):
        @list_action(name="report")
        def zz_report(self, data=None):
            raise NotImplementedError

    assert Renamed.available_actions["report"].handler == "a_report_of_its_own"
    assert Earlier.available_actions["report"].handler == "zz_report"


def test_every_return_value_of_the_test_project_has_a_test():
    unserializable = {name for name in RETURNED if name not in REPLIES}
    assert "object" in unserializable
    assert REPLIES.keys() <= RETURNED.keys()
