"""A binding made from a DRF viewset: its own methods answer, for the socket's frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, ClassVar

from django.utils.functional import cached_property
from rest_framework.exceptions import NotFound
from rest_framework.generics import GenericAPIView
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.response import Response
from rest_framework.views import APIView

from .bindings import ResourceBindingBase
from .built_fields import copy_fields
from .decorators import Action, is_async_callable
from .exceptions import InvalidAction
from .mixins import SubscribeModelMixin
from .pagination import BarePagination
from .policies import OWN, all_need_users
from .requests import READING_METHODS

# Actions on the wire: the viewset's method, whether it is for one row, its HTTP method.
STANDARD_ACTIONS = {
    "create": ("create", False, "POST"),
    "retrieve": ("retrieve", True, "GET"),
    "list": ("list", False, "GET"),
    "update": ("update", True, "PUT"),
    "patch": ("partial_update", True, "PATCH"),
    "delete": ("destroy", True, "DELETE"),
}


class ViewSetBinding(SubscribeModelMixin, ResourceBindingBase):
    """Runs the actions of `viewset_class`; use `binding_from_viewset` to make one."""

    viewset_class: ClassVar[Any] = None
    # Those that are the viewset's own, by their names on the wire.
    viewset_actions: ClassVar[frozenset[str]] = frozenset()

    def _prepare(self, action: Action) -> None:
        # The keyword arguments are the viewset's, which may have its own `scope`, for one.
        self.action = self._view_action(action)
        # A subscription to all rows is one to a list.
        self.detail = action.detail and self.action != "list"
        if not self._is_viewset_action:
            self.uses_data = False

    def _view_action(self, action: Action) -> str:
        return action.handler if self._is_viewset_action else super()._view_action(action)

    @cached_property
    def view(self) -> Any:
        """The viewset, as it is inside a request."""
        view = self.viewset_class(**self._initkwargs())
        view.action, view.detail = self.action, self.detail
        view.action_map = {str(self.request.method).lower(): view.action}
        view.format_kwarg, view.headers = None, {}
        # A frame is JSON, whatever the handshake accepts and the viewset renders for HTTP.
        view.perform_content_negotiation = _negotiated
        if hasattr(view, "paginate_queryset"):
            view.paginate_queryset = partial(_page, view, view.paginate_queryset)
        if hasattr(view, "get_serializer"):
            view.get_serializer = partial(_serializer, view.get_serializer)
        view.setup(self.request, **self.kwargs)
        return view

    def check_policies(self) -> None:
        if self.available_action is None:
            raise InvalidAction
        self.view.initial(self.request, **self.kwargs)

    def recheck(self) -> None:
        self.view.get_throttles = list
        super().recheck()

    def check_subscribable(self) -> None:
        if not hasattr(self.viewset_class, str(self.action)):
            raise InvalidAction  # neither can it be read
        self._check_reading(self.viewset_class, ListModelMixin.list, RetrieveModelMixin.retrieve)

    def canonical_pk(self, value: Any) -> Any:
        if self._declared_model() is None and type(value) not in (str, int):
            raise NotFound  # a URL could not hold it
        return super().canonical_pk(value)

    def initial(self) -> None:
        super().initial()
        if self._is_viewset_action and self.detail and self.pk is None:
            raise NotFound  # a row's URL has a key

    def get_queryset(self) -> Any:
        return self.view.get_queryset()

    def filter_queryset(self, queryset: Any) -> Any:
        return self.view.filter_queryset(queryset)

    def get_object(self, pk: Any = OWN) -> Any:
        if pk is not OWN:
            self.pk = self.canonical_pk(pk)
        self.view.kwargs = self.kwargs
        return self.view.get_object()

    def get_serializer(self, *args: Any, **kwargs: Any) -> Any:
        kwargs.setdefault("context", self.get_serializer_context())
        return self.view.get_serializer(*args, **kwargs)

    def get_serializer_class(self) -> Any:
        return self.view.get_serializer_class()

    def get_serializer_context(self) -> dict[str, Any]:
        context: dict[str, Any] = self.view.get_serializer_context()
        return context

    def get_permissions(self) -> list[Any]:
        permissions: list[Any] = self.view.get_permissions()
        return permissions

    def get_filter_backends(self) -> Any:
        return self.view.filter_backends

    def check_object_permissions(self, request: Any, obj: Any) -> None:
        self.view.check_object_permissions(request, obj)

    def overrides(self, *names: str) -> bool:
        return any(
            getattr(self.viewset_class, name, None) is not getattr(GenericAPIView, name, None)
            for name in names
            if hasattr(self.viewset_class, name)
        )

    def get_exception_handler(self) -> Any:
        return self.view.get_exception_handler()

    @property
    def policy_class(self) -> type:
        policy_class: type = self.viewset_class
        return policy_class

    @classmethod
    def needs_user(cls) -> bool:
        return all_need_users(cls.viewset_class, APIView)

    def all_permissions(self) -> list[Any]:
        return self.get_permissions()

    def _call(self, action: Action) -> Any:
        if not self._is_viewset_action:
            return super()._call(action)
        return getattr(self.view, action.handler)(self.request, **self.kwargs)

    def read_result(self, result: Any) -> tuple[int, Any, list[Any]]:
        if isinstance(result, Response) and result.status_code == 204 and result.data is None:
            return (200 if self.action == "destroy" else 204), {}, []
        return super().read_result(result)

    def _initkwargs(self) -> Mapping[str, Any]:
        action = self.available_action
        return action.overrides if action is not None and self._is_viewset_action else {}

    @property
    def _is_viewset_action(self) -> bool:
        return self.frame.action in self.viewset_actions


def binding_from_viewset(viewset_class: Any) -> type[ViewSetBinding]:
    """A binding whose actions are those that a router would give the viewset, and subscribe."""
    own = {action.name or "": action for action in _viewset_actions(viewset_class)}
    binding_class: Any = type(
        f"{viewset_class.__name__}Binding",
        (ViewSetBinding,),
        {
            "viewset_class": viewset_class,
            "viewset_actions": frozenset(own),
            "queryset": getattr(viewset_class, "queryset", None),
            "serializer_class": getattr(viewset_class, "serializer_class", None),
            "lookup_field": getattr(viewset_class, "lookup_field", "pk"),
            "lookup_url_kwarg": getattr(viewset_class, "lookup_url_kwarg", None),
            "__doc__": viewset_class.__doc__,
            "__module__": viewset_class.__module__,
        },
    )
    # No more than HTTP shows: neither without the method, nor where it is not allowed.
    reads = "list" in own or "retrieve" in own
    offered = binding_class.available_actions if issubclass(viewset_class, GenericAPIView) else {}
    binding_class.available_actions = {**(offered if reads else {}), **own}
    made: type[ViewSetBinding] = binding_class
    return made


def _negotiated(request: Any, **_: Any) -> tuple[Any, str]:
    return request.accepted_renderer, request.accepted_media_type


def _serializer(get_serializer: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return copy_fields(get_serializer(*args, **kwargs))


def _page(view: Any, paginate: Callable[[Any], Any], queryset: Any) -> Any:
    page = paginate(queryset)
    if page is None:
        # Over HTTP that means all rows. Here no list is without a limit.
        view._paginator = BarePagination()  # noqa: SLF001
        page = view.paginator.paginate_queryset(queryset, view.request, view=view)
    return page


def _viewset_actions(viewset_class: Any) -> Iterator[Action]:
    allowed = {method.upper() for method in viewset_class.http_method_names}
    for name, (handler, detail, method) in STANDARD_ACTIONS.items():
        if method in allowed and hasattr(viewset_class, handler):
            yield Action(name, detail, method, handler=handler)
    for extra in viewset_class.get_extra_actions():
        if getattr(extra, "http_only", False):
            continue
        handlers: dict[str, list[str]] = {}
        for method, handler in extra.mapping.items():
            if method.upper() in allowed:
                handlers.setdefault(handler, []).append(method.upper())
        for handler, methods in handlers.items():
            # A frame has no method of its own: of several it is the one with the least rights.
            method = next((each for each in methods if each not in READING_METHODS), methods[0])
            yield Action(
                handler,
                extra.detail,
                method,
                overrides=extra.kwargs,
                handler=handler,
                is_async=is_async_callable(getattr(viewset_class, handler)),
            )
