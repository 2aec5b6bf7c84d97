"""The part of a binding that DRF's policy classes see as their view."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.asgi import get_script_prefix
from django.db import models
from django.urls import set_script_prefix
from django.utils.functional import cached_property
from rest_framework.exceptions import NotFound
from rest_framework.generics import GenericAPIView, get_object_or_404
from rest_framework.pagination import BasePagination
from rest_framework.settings import api_settings as rest_framework_settings
from rest_framework.views import APIView

from .built_fields import copy_fields
from .decorators import Action
from .exceptions import ActionDenied, InvalidAction
from .lookups import canonical_pk
from .pagination import BarePagination
from .permissions import drf_permission, is_classic, needs_user
from .protocol import RequestFrame
from .requests import READING_METHODS, FrameRequest, Handshake, Scope
from .settings import default_permission_classes
from .threads import run_in_thread

# The pk of the frame; None is a pk that a handler has looked for in vain.
OWN: Any = object()


class Policies:
    """Querysets, serializers, permissions, throttles, filters and pagination of a binding."""

    model: ClassVar[type[models.Model] | None] = None
    stream: str | None = None
    queryset: models.QuerySet[Any] | None = None
    serializer_class: Any = None
    lookup_field = "pk"
    lookup_url_kwarg: str | None = None
    permission_classes: Sequence[Any] | None = None
    throttle_classes: Sequence[Any] | None = None
    filter_backends: Sequence[Any] | None = None
    pagination_class: type[BasePagination] | None = BarePagination
    # Whether the frame's data is the request's; an action may say that it is not.
    uses_data = True

    handshake: Handshake
    frame: RequestFrame
    scope: Scope
    available_action: Action | None
    detail: bool | None
    format_kwarg: None
    pk: Any

    @cached_property
    def user(self) -> Any:
        """The user of the socket; AnonymousUser for nobody."""
        # Not taken in the event loop: a middleware of the project's may load it at first use.
        return self.handshake.user

    # What DRF's classes ask of a view.

    @cached_property
    def request(self) -> FrameRequest:
        """The frame as a DRF request: `user`, `data`, `query_params`, `META`, `session`."""
        # For links: `reverse()` knows of a mount point only what it is told, as Django's handler
        # does at the beginning of a request.
        set_script_prefix(get_script_prefix(self.scope))
        method = self.available_action.method if self.available_action else "POST"
        return FrameRequest(self.handshake, method, self._request_data(method))

    def _request_data(self, method: str) -> Any:
        data = self.frame.data if self.uses_data else None
        if self.detail and method in READING_METHODS and isinstance(data, dict):
            return {key: value for key, value in data.items() if key != "pk"}  # it is no filter
        return data

    @property
    def kwargs(self) -> dict[str, Any]:
        """The URL route's keyword arguments, and the pk as the URL of a row would have it."""
        kwargs = dict(self.scope.get("url_route", {}).get("kwargs", {}))
        if self.detail and self.pk is not None:
            kwargs[self.lookup_url_kwarg or self.lookup_field] = str(self.pk)
        return kwargs

    # Borrowed and not inherited: APIView's HTTP verbs would collide with the actions.
    check_permissions: Any = APIView.check_permissions
    check_object_permissions: Any = APIView.check_object_permissions
    permission_denied: Any = APIView.permission_denied
    check_throttles: Any = APIView.check_throttles
    throttled: Any = APIView.throttled
    get_paginated_response: Any = GenericAPIView.get_paginated_response

    def get_permissions(self) -> list[Any]:
        """Instances of the DRF permission classes among `permission_classes`."""
        return [drf_permission(item) for item in self._permission_classes if not is_classic(item)]

    def all_permissions(self) -> list[Any]:
        """What decides about access: 0.4.1-style classes and instances of DRF's."""
        return [*filter(is_classic, self._permission_classes), *self.get_permissions()]

    @property
    def policy_class(self) -> type:
        """The class whose attributes say what the binding may do."""
        return type(self)

    def get_throttles(self) -> list[Any]:
        """Instances of `throttle_classes`."""
        classes: Any = self.throttle_classes
        if classes is None:
            classes = rest_framework_settings.DEFAULT_THROTTLE_CLASSES
        return [throttle() for throttle in classes]

    def get_filter_backends(self) -> Sequence[Any]:
        """The classes of `filter_backends`."""
        return self.filter_backends or ()

    @cached_property
    def paginator(self) -> Any:
        """An instance of `pagination_class`; never None, since no list is without a limit."""
        return (self.pagination_class or BarePagination)()

    def paginate_queryset(self, queryset: Any) -> Any:
        """A page of rows, by the paginator."""
        page = self.paginator.paginate_queryset(queryset, self.request, view=self)
        if page is None:
            # A DRF paginator without a page size: over HTTP that means all rows.
            self.paginator = BarePagination()
            page = self.paginator.paginate_queryset(queryset, self.request, view=self)
        return page

    # What 0.4.1 had, to be called and overridden.

    def has_permission(self, user: Any, action: str, pk: Any) -> bool:
        """Whether the 0.4.1-style permission classes allow an action; asked before all else."""
        return all(
            item().has_permission(user, action, pk)
            for item in self._permission_classes
            if is_classic(item)
        )

    def get_queryset(self) -> Any:
        """The rows that the binding is about; `queryset` by default."""
        if self.queryset is None:
            raise ImproperlyConfigured(
                f"{type(self).__name__} needs a queryset attribute or a get_queryset() method."
            )
        return self.queryset.all()

    def filter_queryset(self, queryset: Any) -> Any:
        """`queryset` after all filter backends."""
        for backend in self.get_filter_backends():
            queryset = backend().filter_queryset(self.request, queryset, self)
        return queryset

    def get_object(self, pk: Any = OWN) -> Any:
        """The row of a pk (the frame's by default); NotFound, or what object permissions raise."""
        value = self.pk if pk is OWN else self.canonical_pk(pk)
        if value is None:
            raise NotFound
        queryset = self.filter_queryset(self.get_queryset())
        if self._declared_model() is None:
            value = canonical_pk(queryset.model, self.lookup_field, value)
        instance = get_object_or_404(queryset, **{self.lookup_field: value})
        self.check_object_permissions(self.request, instance)
        return instance

    def get_object_or_404(self, pk: Any = OWN) -> Any:
        """The same as `get_object`."""
        return self.get_object(pk)

    async def aget_object(self, pk: Any = OWN) -> Any:
        """`get_object` for async actions."""
        return await run_in_thread(self.get_object, pk, owner=self.handshake)

    async def aget_object_or_404(self, pk: Any = OWN) -> Any:
        """The same as `aget_object`."""
        return await self.aget_object(pk)

    def get_serializer(self, *args: Any, **kwargs: Any) -> Any:
        """A serializer with the binding's context."""
        kwargs.setdefault("context", self.get_serializer_context())
        return copy_fields(self.get_serializer_class()(*args, **kwargs))

    def get_serializer_class(self) -> Any:
        """The serializer class; `serializer_class` by default."""
        if self.serializer_class is None:
            raise ImproperlyConfigured(
                f"{type(self).__name__} needs a serializer_class attribute or a "
                "get_serializer_class() method."
            )
        return self.serializer_class

    def get_serializer_context(self) -> dict[str, Any]:
        """What serializers know of the frame, as in DRF."""
        return {"request": self.request, "format": self.format_kwarg, "view": self}

    def serialize_data(self, instance: Any) -> Any:
        """A row as clients see it."""
        return self.get_serializer(instance).data

    async def aserialize_data(self, instance: Any) -> Any:
        """`serialize_data` for async actions."""
        return await run_in_thread(self.serialize_data, instance, owner=self.handshake)

    def canonical_pk(self, value: Any) -> Any:
        """`value` as the one form of the model's lookup field, or NotFound.

        A binding that declares no model may take anything for a pk.
        """
        model = self._declared_model()
        return value if model is None else canonical_pk(model, self.lookup_field, value)

    def check_access(self) -> None:
        """Raise what a user is answered who may not run the frame's action."""
        if not self.has_permission(self.user, self.frame.action, self.pk):
            raise ActionDenied
        if self.available_action is None:
            raise InvalidAction
        self.check_permissions(self.request)

    def check_policies(self) -> None:
        """Raise for a frame that permissions or throttles refuse."""
        self.check_access()
        self.check_throttles(self.request)

    def get_exception_handler(self) -> Any:
        """The project's function for exceptions that are not DRF's; see REST_FRAMEWORK."""
        return rest_framework_settings.EXCEPTION_HANDLER

    @classmethod
    def needs_user(cls) -> bool:
        """Whether it is certain that nobody is answered who is not logged in."""
        return all_need_users(cls, Policies)

    @classmethod
    def _declared_model(cls) -> type[models.Model] | None:
        # Not by get_queryset(): this is asked before permissions are, and it may need a user.
        declared = cls.model or getattr(cls.queryset, "model", None)
        return declared or getattr(getattr(cls.serializer_class, "Meta", None), "model", None)

    @property
    def _permission_classes(self) -> Sequence[Any]:
        if self.permission_classes is None:
            return default_permission_classes()
        return self.permission_classes


def all_need_users(policy_class: Any, base: Any) -> bool:
    """The same of a binding or a viewset, whose methods are by default those of `base`."""
    for name in ("get_permissions", "has_permission"):
        if getattr(policy_class, name, None) is not getattr(base, name, None):
            return False  # it decides for itself
    classes = policy_class.permission_classes
    if classes is None:
        classes = default_permission_classes()
    # A property is not known without a user.
    return isinstance(classes, (list, tuple)) and any(map(needs_user, classes))
