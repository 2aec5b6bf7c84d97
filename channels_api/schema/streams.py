"""What can be known of a stream from its binding, without a socket."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from django.contrib.auth.models import AnonymousUser
from rest_framework import serializers

from ..bindings import ResourceBindingBase
from ..decorators import Action
from ..exceptions import InvalidAction, NotSubscribable
from ..protocol import RequestFrame
from ..requests import READING_METHODS, Handshake
from ..sockets import PARAMETER, Socket
from ..tasks import TaskBinding
from ..viewsets import ViewSetBinding
from . import shapes
from .draft7 import Schema, any_of
from .fields import Use, Warn
from .filters import filter_properties, page_properties, page_schema
from .keys import lookup_schema
from .serializers import Components, key_field

READS = ("list", "retrieve")
SUBSCRIBING = ("subscribe", "unsubscribe")
# In the order in which they are shown; custom actions follow by name.
STANDARD = ("list", "retrieve", "create", "update", "patch", "delete", *SUBSCRIBING)
# Of the stream of tasks.
TASK_RESULTS = {
    **dict.fromkeys(("retrieve", "delete", "subscribe"), shapes.TASK),
    "unsubscribe": shapes.NOTHING,
}
SERIALIZED = ("create", "retrieve", "update", "patch")


@dataclass(frozen=True)
class ActionSchema:
    """An action: `data` is what it takes, None for nothing; `result` what it answers."""

    name: str
    detail: bool
    method: str
    description: str
    data: Schema | None
    result: Schema

    @property
    def is_standard(self) -> bool:
        return self.name in STANDARD


@dataclass(frozen=True)
class StreamSchema:
    """A stream; `pk` names a row in requests, `key` is the field of a row that holds its pk.

    `event_pk` and `told` are what events have.
    """

    name: str
    description: str
    model: str | None
    key: str | None
    pk: Schema
    event_pk: Schema
    row: Schema | None
    told: Schema
    subscribable: bool
    tasks: bool
    actions: tuple[ActionSchema, ...]


class StreamInspector:
    """Describes one stream of a socket, with bindings made for frames that nobody has sent."""

    def __init__(
        self,
        stream: str,
        binding_class: type[ResourceBindingBase],
        *,
        socket: Socket,
        components: Components,
        warn: Warn,
    ) -> None:
        self._stream = stream
        self._class = binding_class
        self._components = components
        self._warn = warn
        self._handshake = Handshake(_scope(socket))
        self._tasks = issubclass(binding_class, TaskBinding)

    def describe(self) -> StreamSchema:
        """All that is known of the stream."""
        model = self._model
        return StreamSchema(
            name=self._stream,
            description=inspect.cleandoc(self._class.__doc__ or ""),
            model=None if model is None else model._meta.label_lower,
            key=self._key(),
            pk=self._pk,
            event_pk=lookup_schema(model),
            row=self._row,
            told=self._told,
            subscribable=self._subscribable and not self._tasks,
            tasks=self._tasks,
            actions=tuple(self._action(each) for each in self._offered()),
        )

    def _offered(self) -> list[Action]:
        known = self._class.available_actions.values()
        offered = [each for each in known if self._subscribable or each.name not in SUBSCRIBING]
        return sorted(offered, key=lambda each: _place(each.name))

    def _action(self, action: Action) -> ActionSchema:
        data, result = self._shapes(action)
        return ActionSchema(
            name=str(action.name),
            # A subscription may be to one row, and need not.
            detail=action.detail and (self._tasks or action.name not in SUBSCRIBING),
            method=action.method,
            description=self._doc(action),
            data=data,
            result=result,
        )

    def _shapes(self, action: Action) -> tuple[Schema | None, Schema]:
        if self._tasks:
            return self._custom_data(action), TASK_RESULTS.get(str(action.name), {})
        if action.name == "list":
            return self._list_data(), self._page()
        if action.name == "subscribe":
            data = shapes.subscribe_data(self._filters, lookup_schema(self._model))
            return data, shapes.subscribed(self._told)
        if action.name == "unsubscribe":
            return shapes.UNSUBSCRIBE_DATA, shapes.NOTHING
        if action.name == "delete":
            return None, shapes.NOTHING
        if action.name in SERIALIZED:
            return self._input(action), self._output(action)
        return self._custom_data(action), {}

    def _input(self, action: Action) -> Schema | None:
        if action.name == "retrieve":
            return None
        return self._serialized(str(action.name), _use(action)) or {}

    def _output(self, action: Action) -> Schema:
        return self._serialized(str(action.name), Use.ROW) or {}

    def _custom_data(self, action: Action) -> Schema | None:
        if not action.overrides.get("uses_data", self._class.uses_data):
            return None
        # What a reading action has of that name is for its answer.
        if "serializer_class" not in action.overrides or action.method in READING_METHODS:
            return {}
        return self._serialized(str(action.name), _use(action)) or {}

    def _serialized(self, action: str, use: Use) -> Schema | None:
        serializer = self._serializer(action, use)
        return None if serializer is None else self._components.describe(serializer, use)

    def _serializer(self, action: str, use: Use) -> Any:
        """The serializer of an action; None where there is none, or where it can't be made."""
        try:
            binding, view = self._opened(action)
            overridden = binding.overrides("get_serializer_class", "get_serializer")
            if getattr(view, "serializer_class", None) is None and not overridden:
                return None
            return binding.get_serializer(**({"partial": True} if use is Use.PATCH else {}))
        except Exception as exc:
            self._warn(f"{self._class.__name__}.{action}: no serializer without a socket: {exc!r}")
            return None

    @cached_property
    def _shown(self) -> Any:
        """The serializer of rows, by list where it can."""
        for action in (*READS, *SERIALIZED):
            if action in self._class.available_actions and not self._tasks:
                serializer = self._serializer(action, Use.ROW)
                if isinstance(serializer, serializers.BaseSerializer):
                    return serializer
        return None

    @cached_property
    def _row(self) -> Schema | None:
        return (
            None if self._shown is None else self._components.describe(self._shown, Use.ROW) or None
        )

    @property
    def _told(self) -> Schema:
        """A row in events: as list shows it, or of a subscription to one row, as retrieve does."""
        reads = [each for each in READS if each in self._class.available_actions]
        return any_of(*(self._serialized(each, Use.ROW) or {} for each in reads)) if reads else {}

    def _key(self) -> str | None:
        # What can't be described has no reference.
        if self._row is None or not isinstance(self._shown, serializers.Serializer):
            return None
        return key_field(self._shown, self._model)

    @cached_property
    def _model(self) -> Any:
        return None if self._tasks else self._guess("its model", self._find_model)

    def _find_model(self) -> Any:
        binding, _ = self._opened("list")
        declared = self._class._declared_model()  # noqa: SLF001 - a class asked as itself
        if declared is None and (binding.queryset is not None or binding.overrides("get_queryset")):
            declared = binding.get_queryset().model
        return declared

    @cached_property
    def _pk(self) -> Schema:
        if self._tasks:
            return {"type": "string"}
        return lookup_schema(self._model, self._class.lookup_field)

    @cached_property
    def _filters(self) -> dict[str, Schema]:
        if "list" not in self._class.available_actions:
            return {}
        look = partial(filter_properties, model=self._model, warn=self._warn)
        return self._guess("its filters", lambda: look(self._list_view)) or {}

    @property
    def _list_view(self) -> Any:
        return self._opened("list")[1]

    def _list_data(self) -> Schema:
        pages = self._guess("its pages", lambda: page_properties(self._list_view)) or {}
        return {"type": "object", "properties": {**pages, **self._filters}}

    def _page(self) -> Schema:
        row = self._serialized("list", Use.ROW) or {}
        return self._guess("its pages", lambda: page_schema(self._list_view, row, self._warn)) or {}

    @cached_property
    def _subscribable(self) -> bool:
        if "subscribe" not in self._class.available_actions or self._tasks:
            return self._tasks
        return any(self._can_subscribe(pk) for pk in (None, "1"))

    def _can_subscribe(self, pk: str | None) -> bool:
        try:
            self._binding("subscribe", pk=pk).check_subscribable()
        except (NotSubscribable, InvalidAction):
            return False
        except Exception:
            return True
        return True

    def _binding(self, action: str, pk: str | None = None) -> Any:
        return self._class(self._handshake, RequestFrame(self._stream, action, pk))

    def _opened(self, action: str) -> tuple[Any, Any]:
        """A binding for an action, and what serializers and filters know as their view."""
        binding = self._binding(action)
        view = binding.view if isinstance(binding, ViewSetBinding) else binding
        # By this name projects know that nobody has asked; other tools use it too.
        view.swagger_fake_view = True
        return binding, view

    def _doc(self, action: Action) -> str:
        owner: Any = self._class
        if issubclass(owner, ViewSetBinding) and action.name in owner.viewset_actions:
            owner = owner.viewset_class
        return inspect.getdoc(getattr(owner, action.handler)) or ""

    def _guess(self, what: str, look: Callable[[], Any]) -> Any:
        try:
            return look()
        except Exception as exc:
            self._warn(f"{self._class.__name__}: {what} can't be known without a socket: {exc!r}")
            return None


def _use(action: Action) -> Use:
    return Use.PATCH if action.method == "PATCH" else Use.INPUT


def _place(name: str | None) -> tuple[int, str]:
    return (STANDARD.index(name), "") if name in STANDARD else (len(STANDARD), str(name))


def _scope(socket: Socket) -> dict[str, Any]:
    values: Mapping[str, str] = dict.fromkeys(socket.parameters, "1")
    return {
        "type": "websocket",
        "path": PARAMETER.sub("1", socket.address),
        "headers": [],
        "query_string": b"",
        "user": AnonymousUser(),
        "url_route": {"args": (), "kwargs": dict(values)},
    }
