"""Whether the rows of a binding may be shared between those who subscribe to it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

from .permissions import decides_per_object, is_built_in, is_open
from .requests import Handshake

if TYPE_CHECKING:
    from .bindings import ResourceBindingBase

# Filter backends that look at the query and never at the user.
IMPERSONAL_BACKENDS = ("rest_framework.filters", "django_filters.rest_framework")


class WatchedContext(dict[str, Any]):
    """A serializer context that notes whether anything was asked of it."""

    asked = False


def _watched(name: str) -> Callable[..., Any]:
    method = getattr(dict, name)

    def watched(self: WatchedContext, *args: Any, **kwargs: Any) -> Any:
        self.asked = True
        return method(self, *args, **kwargs)

    return watched


# Also what copies it: a nested serializer is often given `{**self.context, ...}`. Python copies a
# dict without asking it for its keys, unless it has an `__iter__` of its own.
for _name in (
    *("__getitem__", "get", "__contains__", "__iter__", "keys", "values", "items"),
    *("copy", "pop", "popitem", "setdefault", "__or__", "__ror__", "__reversed__", "__eq__"),
):
    setattr(WatchedContext, _name, _watched(_name))


def personal_key(handshake: Handshake) -> Hashable:
    """The audience of one user whose sockets were opened alike; of one socket if anonymous."""
    user = handshake.user
    if not user.is_authenticated or user.pk is None:
        return handshake
    session = handshake.scope.get("session")
    return (
        # Not its type: a user whom channels' middleware has found is wrapped until it is reloaded.
        user.__class__,
        user.pk,
        session.session_key if session is not None else None,
        handshake.traits,
    )


def depends_on_user(binding: ResourceBindingBase) -> bool:
    """Whether rows, or what is shown of them, may differ between users of the binding.

    Everybody only where all of it is known: a wrong yes costs a query, a wrong no shows rows to
    those who may not see them. What the serializer does with its context is seen when it runs;
    see WatchedContext.
    """
    return _hides_rows(binding) or binding.overrides(
        *("serialize_data", "get_serializer", "get_serializer_class", "get_serializer_context")
    )


def sees_every_row(binding: ResourceBindingBase, queryset: Any) -> bool:
    """Whether no row of the model can be hidden from anybody who may subscribe."""
    query = queryset.query
    narrowed = (
        query.where
        or query.distinct
        or query.extra_tables
        # A join can hide rows too; those that select_related makes come later.
        or len(query.alias_map) > 1
    )
    return not (narrowed or _hides_rows(binding))


def _hides_rows(binding: ResourceBindingBase) -> bool:
    """Whether a row may be shown to one user and hidden from another."""
    return (
        binding.overrides("get_queryset", "get_object", "get_object_or_404")
        or binding.overrides("check_permissions", "has_permission", "check_access", "initial")
        or binding.overrides("check_policies", "__init__", "setup", "perform_authentication")
        or _is_computed(binding.policy_class)
        or _filters_unknown(binding)
        or decides_about_rows(binding)
        or not all(map(is_built_in, binding.all_permissions()))
    )


@functools.lru_cache(maxsize=1024)
def _is_computed(policy_class: type) -> bool:
    """Whether an attribute that decides about rows is a property, or something else that runs."""
    return any(
        hasattr(type(inspect.getattr_static(policy_class, name, None)), "__get__")
        for name in ("queryset", "serializer_class", "permission_classes", "filter_backends")
    )


def _filters_unknown(binding: ResourceBindingBase) -> bool:
    return binding.overrides("filter_queryset") or any(
        # A filterset of the project's own may look at `self.request.user`.
        not backend.__module__.startswith(IMPERSONAL_BACKENDS) or _has_filterset(binding)
        for backend in binding.get_filter_backends()
    )


def _has_filterset(binding: ResourceBindingBase) -> bool:
    view = getattr(binding, "view", binding)
    return getattr(view, "filterset_class", None) is not None


def asks_nobody(binding: ResourceBindingBase) -> bool:
    """Whether everybody may use the binding, whoever it is."""
    return all(map(is_open, binding.all_permissions()))


def decides_about_rows(binding: ResourceBindingBase) -> bool:
    """Whether its permissions may show one row and hide another."""
    return binding.overrides("check_object_permissions", "get_permissions") or any(
        map(decides_per_object, binding.get_permissions())
    )
