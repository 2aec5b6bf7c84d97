"""`detail_action` and `list_action`, and what a class's actions are."""

import functools

import pytest
from asgiref.sync import markcoroutinefunction
from django.core.exceptions import ImproperlyConfigured

from channels_api.bindings import ReadOnlyResourceBinding, ResourceBinding, ResourceBindingBase
from channels_api.decorators import Action, detail_action, is_async_callable, list_action

decorators = pytest.mark.parametrize("decorator", [detail_action, list_action])


def sync_function():
    pass


async def async_function():
    pass


def returns_coroutine():
    return async_function()


class SyncCallable:
    def __call__(self):
        pass


class AsyncCallable:
    async def __call__(self):
        pass


class TestIsAsyncCallable:
    @pytest.mark.parametrize(
        "function",
        [
            async_function,
            functools.partial(async_function),
            functools.partial(functools.partial(async_function)),
            AsyncCallable(),
            functools.partial(AsyncCallable()),
            AsyncCallable().__call__,
            markcoroutinefunction(returns_coroutine),
        ],
    )
    def test_async(self, function):
        assert is_async_callable(function)

    @pytest.mark.parametrize(
        "function",
        [
            sync_function,
            functools.partial(sync_function),
            SyncCallable(),
            functools.partial(SyncCallable()),
            None,
            "text",
        ],
    )
    def test_not_async(self, function):
        assert not is_async_callable(function)


@decorators
class TestArguments:
    @pytest.mark.parametrize("method", ["FETCH", "", "GET "])
    def test_a_method_that_http_does_not_have(self, decorator, method):
        with pytest.raises(ImproperlyConfigured, match=f"'{method}' is not one of DELETE, GET"):
            decorator(method=method)

    def test_a_method_in_small_letters(self, decorator):
        assert decorator(method="get")(sync_function).action.method == "GET"

    @pytest.mark.parametrize("function", [sync_function, SyncCallable()])
    def test_a_sync_action_can_not_be_concurrent(self, decorator, function):
        with pytest.raises(ImproperlyConfigured, match="only an async def action"):
            decorator(concurrent=True)(function)

    def test_an_async_action_can(self, decorator):
        assert decorator(concurrent=True)(async_function).action.concurrent

    def test_the_function_itself_comes_back(self, decorator):
        def handler():
            pass

        assert decorator()(handler) is handler

    def test_anything_else_overrides_attributes(self, decorator):
        action = decorator(permission_classes=[], max_rows=3)(async_function).action
        assert action.overrides == {"permission_classes": [], "max_rows": 3}


class Binding(ResourceBindingBase):
    @detail_action()
    def publish(self, pk, data=None, **kwargs):
        pass

    @list_action(name="report", method="GET", throttle_classes=[])
    def build_report(self, data=None, **kwargs):
        pass

    @list_action("wait", concurrent=True)
    async def wait_for_it(self, data=None, **kwargs):
        pass

    def helper(self):
        pass


class TestActions:
    def test_what_a_class_has(self):
        assert Binding.available_actions == {
            "publish": Action("publish", detail=True, handler="publish"),
            "report": Action(
                "report",
                detail=False,
                method="GET",
                overrides={"throttle_classes": []},
                handler="build_report",
            ),
            "wait": Action(
                "wait", detail=False, concurrent=True, handler="wait_for_it", is_async=True
            ),
        }

    def test_an_override_without_decorator_is_still_the_action(self):
        class Child(Binding):
            async def publish(self, pk, data=None, **kwargs):
                pass

        action = Child.available_actions["publish"]
        assert action == Action("publish", detail=True, handler="publish", is_async=True)
        assert not Binding.available_actions["publish"].is_async

    def test_an_override_with_decorator_is_the_new_action(self):
        class Child(Binding):
            @list_action(name="annual_report")
            def build_report(self, data=None, **kwargs):
                pass

        assert Child.available_actions.keys() == {"publish", "annual_report", "wait"}

    def test_a_sync_override_of_a_concurrent_action_is_not_concurrent(self):
        class Child(Binding):
            def wait_for_it(self, data=None, **kwargs):
                pass

        action = Child.available_actions["wait"]
        assert action == Action("wait", detail=False, handler="wait_for_it")

    def test_none_takes_an_action_away(self):
        class Child(Binding):
            publish = None

        assert Child.available_actions.keys() == {"report", "wait"}

    def test_the_standard_actions(self):
        reading = {"retrieve", "list", "subscribe", "unsubscribe"}
        assert ReadOnlyResourceBinding.available_actions.keys() == reading
        writing = {"create", "update", "patch", "delete"}
        assert ResourceBinding.available_actions.keys() == reading | writing
        assert {
            name: action.method for name, action in ResourceBinding.available_actions.items()
        } == {
            "create": "POST",
            "retrieve": "GET",
            "list": "GET",
            "update": "PUT",
            "patch": "PATCH",
            "delete": "DELETE",
            "subscribe": "GET",
            "unsubscribe": "GET",
        }


@decorators
def test_parentheses_that_were_forgotten_are_asked_for(decorator):
    """Without this the method would be no action, and nobody would say why."""
    with pytest.raises(ImproperlyConfigured, match=r"publish: write @.*_action\(\), with"):

        @decorator
        def publish(self, **kwargs):
            pass
