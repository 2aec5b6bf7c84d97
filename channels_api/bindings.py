"""Bindings: what a viewset is to HTTP, on a socket. A new one is made for each frame."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, ClassVar

from django.core.exceptions import ImproperlyConfigured
from django.utils.functional import classproperty
from rest_framework.exceptions import NotFound
from rest_framework.settings import api_settings as rest_framework_settings

from .decorators import Action, actions_of
from .dispatch import Dispatch
from .exceptions import NotSubscribable
from .live.changes import watch
from .lookups import canonical_pk
from .mixins import (
    CreateModelMixin,
    DeleteModelMixin,
    ListModelMixin,
    PatchModelMixin,
    RetrieveModelMixin,
    SubscribeModelMixin,
    UpdateModelMixin,
)
from .protocol import RequestFrame
from .requests import Handshake
from .sharing import depends_on_user, personal_key

# What viewsets call the same.
VIEW_ACTIONS = {"patch": "partial_update", "delete": "destroy"}
SUBSCRIBING = ("subscribe", "unsubscribe")
# What an action's keyword arguments can't replace: the frame's own.
RESERVED = frozenset(
    (
        *("handshake", "frame", "scope", "stream", "request_id", "request", "user"),
        *("action", "detail", "pk", "args", "kwargs", "available_actions", "subscriptions"),
        *("watches", "submission", "reply_status"),
    )
)


class ResourceBindingBase(Dispatch):
    """A stream without actions; mixins and decorated methods bring them.

    A subclass sets `queryset` and `serializer_class`, or overrides `get_queryset()` and
    `get_serializer_class()`. DRF's permission, throttle, filter and pagination classes are used as
    they are, with the binding as their view: `request`, `action` (DRF's names: "partial_update",
    "destroy", a custom action's method name), `kwargs`, `detail`. None stands for the project's
    defaults.
    """

    # Filled from the decorators: what clients call is looked up here and nowhere else.
    available_actions: ClassVar[dict[str, Action]] = {}
    # True while a schema is made, without a socket and a user.
    swagger_fake_view = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.available_actions = actions_of(cls)
        for action in cls.available_actions.values():
            if not RESERVED.isdisjoint(action.overrides):
                taken = ", ".join(sorted(RESERVED & action.overrides.keys()))
                raise ImproperlyConfigured(
                    f"{cls.__name__}.{action.handler}: an action can't replace {taken}."
                )
        model = cls._declared_model()
        if model is not None and "subscribe" in cls.available_actions:
            watch(model)

    @classproperty
    def consumer(cls) -> Any:  # noqa: N805
        """What stands in `WebsocketDemultiplexer.consumers`; the class itself does as well."""
        return cls

    def __init__(
        self,
        handshake: Handshake,
        frame: RequestFrame,
        subscriptions: Any = None,
        watches: Any = None,
    ) -> None:
        super().__init__()
        self.handshake = handshake
        self.frame = frame
        self.subscriptions = subscriptions
        self.watches = watches
        self.scope = handshake.scope
        self.stream = frame.stream
        self.request_id = frame.request_id
        self.args: tuple[Any, ...] = ()
        self.format_kwarg = None
        self.available_action = self.available_actions.get(frame.action)
        self.action: str | None = None
        self.detail: bool | None = None
        self.pk: Any = None
        if self.available_action is not None:
            self._prepare(self.available_action)
        if self.filter_backends is None:
            # The attribute, and not only what is made of it: DRF's cursor pagination reads it.
            self.filter_backends = rest_framework_settings.DEFAULT_FILTER_BACKENDS

    def _prepare(self, action: Action) -> None:
        self.action = self._view_action(action)
        # A subscription to all rows is one to a list.
        self.detail = action.detail and self.action != "list"
        for name, value in action.overrides.items():
            setattr(self, name, value)

    def _view_action(self, action: Action) -> str:
        """The action as a viewset would name it, which is what DRF's classes know."""
        if action.handler in SUBSCRIBING:
            # What a subscriber may see is what a reader may.
            return "list" if self.frame.pk is None else "retrieve"
        return VIEW_ACTIONS.get(action.handler, action.handler)

    def overrides(self, *names: str) -> bool:
        """Whether a subclass has a method of its own for one of these names."""
        return any(
            getattr(type(self), name, None) is not getattr(ResourceBindingBase, name, None)
            for name in names
        )

    def audience(self) -> Hashable:
        """For whom a row looks the same; None is everybody.

        Rows are read and encoded once for all subscribers of an equal audience. The default is
        everybody where nothing in the binding depends on the user, else the user. A subclass that
        overrides it promises that equal audiences see equal rows with equal content.
        """
        return personal_key(self.handshake) if depends_on_user(self) else None

    @classmethod
    def audience_is_default(cls) -> bool:
        """Whether the promise is the library's own, to be kept by watching."""
        return cls.audience is ResourceBindingBase.audience

    def initial(self) -> None:
        """Everything that comes before the action, in one thread hop; raises for a refusal."""
        fault = None
        try:
            if self.frame.pk is not None:
                self.pk = self.canonical_pk(self.frame.pk)
        except NotFound as exc:
            # Not raised yet: who may not know of rows is told that first.
            fault = exc
        self.check_policies()
        if self.detail and fault is not None:
            raise fault
        if self.detail and self.pk is not None and self._declared_model() is None:
            self._canonicalize_late()

    def recheck(self) -> None:
        """`initial()` for rows that are read for events: it is no request to be counted."""
        self.get_throttles = list  # type: ignore[method-assign]
        self.initial()

    def check_subscribable(self) -> None:
        """Raise NotSubscribable where list or retrieve hide rows in a way that can't be known.

        Events are made of the queryset, the permissions and the serializer. A binding that
        overrides `audience()` has promised that this is right.
        """
        if self.audience_is_default():
            self._check_reading(type(self), ListModelMixin.list, RetrieveModelMixin.retrieve)

    def _check_reading(self, cls: Any, own_list: Any, own_retrieve: Any) -> None:
        name = str(self.action)
        known = own_list if name == "list" else own_retrieve
        if getattr(cls, name, known) is not known:
            raise NotSubscribable(f"This can't be subscribed to: its {name}() is its own.")
        meta = getattr(self.get_serializer_class(), "Meta", None)
        if name == "list" and hasattr(meta, "list_serializer_class"):
            raise NotSubscribable(
                "This can't be subscribed to: its lists are serialized otherwise."
            )
        if name == "list" and self.overrides("paginate_queryset"):
            raise NotSubscribable("This can't be subscribed to: its pages are its own.")

    def _canonicalize_late(self) -> None:
        # Only the queryset knows the model, and it may need a user who has passed the permissions.
        if self.overrides("get_queryset") or self.queryset is not None:
            self.pk = canonical_pk(self.get_queryset().model, self.lookup_field, self.pk)


class ResourceBinding(
    CreateModelMixin,
    RetrieveModelMixin,
    ListModelMixin,
    UpdateModelMixin,
    PatchModelMixin,
    DeleteModelMixin,
    SubscribeModelMixin,
    ResourceBindingBase,
):
    """All actions: create, retrieve, list, update, patch, delete, subscribe, unsubscribe."""


class ReadOnlyResourceBinding(
    RetrieveModelMixin, ListModelMixin, SubscribeModelMixin, ResourceBindingBase
):
    """The actions that change nothing: retrieve, list, subscribe, unsubscribe."""
