"""What a viewset of tasks has: methods that hooks answer, their routes, perhaps a serializer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rest_framework.generics import GenericAPIView

# The viewset's method: the verb and kind in the name of its hook, and in which route it stands.
METHODS = {
    "list": "get_list",
    "create": "post_list",
    "put_list": "put_list",
    "patch_list": "patch_list",
    "delete_list": "delete_list",
    "retrieve": "get_detail",
    "post_detail": "post_detail",
    "update": "put_detail",
    "partial_update": "patch_detail",
    "destroy": "delete_detail",
}
# What no DRF router routes, by whether the route is one for rows.
EXTRA_ROUTES = {
    False: {"put": "put_list", "patch": "patch_list", "delete": "delete_list"},
    True: {"post": "post_detail"},
}


def add_methods(cls: Any, answer: Callable[..., Any]) -> None:
    """Give a class what its hooks answer, and what nobody has written.

    A method that was written by hand stays where no hook comes before it: in the same class, or in
    one further up.
    """
    for name, hook in METHODS.items():
        written = _written(cls, name, f"async_{hook}")
        if written is None:
            setattr(cls, name, _method(name, hook, answer))
        elif hasattr(getattr(cls, name), "is_made"):
            setattr(cls, name, written)  # one that was made for a class in front hides it


def add_routes(actions: Mapping[str, str], initkwargs: Mapping[str, Any]) -> dict[str, str]:
    """The actions of a router's route, by verb, with those that routers leave out.

    A route that a project wrote by hand, and an action's own, are left as they are.
    """
    standard = set(METHODS) & set(actions.values())
    if not standard or "detail" not in initkwargs:
        return dict(actions)
    return {**EXTRA_ROUTES[initkwargs["detail"]], **actions}


def has_serializer(view: Any) -> bool:
    """Whether a viewset names a serializer class, or has a way of its own to find one."""
    own = getattr(type(view), "get_serializer_class", None)
    if own in (None, GenericAPIView.get_serializer_class):
        return getattr(view, "serializer_class", None) is not None
    return True


def has_row(view: Any) -> bool:
    """Whether `get_object()` can be asked in a request."""
    own = getattr(type(view), "get_queryset", None)
    if own is None or (own is GenericAPIView.get_queryset and view.queryset is None):
        return False
    return (view.lookup_url_kwarg or view.lookup_field) in view.kwargs


def _written(cls: type, name: str, hook: str) -> Any:
    for each in cls.__mro__:
        if name in vars(each) and not hasattr(vars(each)[name], "is_made"):
            return vars(each)[name]
        if hook in vars(each):
            return None
    return None


def _method(name: str, hook: str, answer: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Any, request: Any, **kwargs: Any) -> Any:
        return answer(self, hook, request, kwargs)

    method.__name__, method.__qualname__ = name, name
    method.__doc__ = f"Answered by `async_{hook}`."
    method.is_made = True  # type: ignore[attr-defined]
    return method
