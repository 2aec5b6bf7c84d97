"""The two decorators that make a method of a binding an action."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from asgiref.sync import iscoroutinefunction
from django.core.exceptions import ImproperlyConfigured

Handler = TypeVar("Handler", bound=Callable[..., Any])

METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})


class Action(NamedTuple):
    """What is known of an action: how clients call it and how it is run.

    `name` is what frames say, `handler` the method's name. `method` is the HTTP method that
    `request.method` shows to permissions and throttles. `overrides` replace attributes of the
    binding for this action only, as the keyword arguments of DRF's `@action` do.
    """

    name: str | None
    detail: bool
    method: str = "POST"
    concurrent: bool = False
    overrides: Mapping[str, Any] = MappingProxyType({})
    handler: str = ""
    is_async: bool = False


def detail_action(
    name: str | None = None, *, method: str = "POST", concurrent: bool = False, **overrides: Any
) -> Callable[[Handler], Handler]:
    """Mark a method as an action on one row; it is called as `method(pk, data=data)`.

    `name` is the action's name on the wire, the method's own by default. `concurrent=True` lets an
    `async def` action run beside the other frames of its stream instead of in their order. Further
    keyword arguments replace attributes of the binding, such as `permission_classes` or
    `serializer_class`, while the action runs.
    """
    return _action(True, name, method, concurrent, overrides)


def list_action(
    name: str | None = None, *, method: str = "POST", concurrent: bool = False, **overrides: Any
) -> Callable[[Handler], Handler]:
    """Mark a method as an action on the whole stream; it is called as `method(data=data)`.

    The arguments are those of `detail_action`.
    """
    return _action(False, name, method, concurrent, overrides)


def _action(
    detail: bool, name: str | None, method: str, concurrent: bool, overrides: Mapping[str, Any]
) -> Callable[[Handler], Handler]:
    if callable(name):
        raise ImproperlyConfigured(
            f"{name.__name__}: write @{'detail' if detail else 'list'}_action(), with parentheses."
        )
    if method.upper() not in METHODS:
        raise ImproperlyConfigured(f"{method!r} is not one of {', '.join(sorted(METHODS))}.")

    def decorator(function: Handler) -> Handler:
        if concurrent and not is_async_callable(function):
            raise ImproperlyConfigured(
                f"{function!r}: only an async def action can be concurrent=True."
            )
        function.action = Action(name, detail, method.upper(), concurrent, overrides)  # type: ignore[attr-defined]
        return function

    return decorator


def is_async_callable(function: Any) -> bool:
    """Whether calling `function` gives a coroutine, seen through partials and `__call__`."""
    while isinstance(function, functools.partial):
        function = function.func
    # asgiref's: before Python 3.12 inspect knows nothing of functions that are only marked.
    return iscoroutinefunction(function) or (
        callable(function) and iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004
    )


def actions_of(cls: type) -> dict[str, Action]:
    """The actions of a class by their name on the wire.

    A method that overrides an action, of whichever base, is still that action without the
    decorator; one that is set to None is no action any more. Of two actions with one name, that of
    the class nearer to `cls` counts.
    """
    marks: dict[str, Action] = {}
    for base in reversed(cls.__mro__):
        for handler, member in vars(base).items():
            action = getattr(member, "action", None)
            if member is None or isinstance(action, Action):
                marks.pop(handler, None)
            if isinstance(action, Action):
                marks[handler] = action
    actions = {}
    for handler, action in marks.items():
        method = getattr(cls, handler)
        if callable(method):
            name = action.name or handler
            is_async = is_async_callable(method)
            actions[name] = action._replace(
                name=name,
                handler=handler,
                is_async=is_async,
                # An override that is sync runs in the order of its stream.
                concurrent=action.concurrent and is_async,
            )
    return actions
