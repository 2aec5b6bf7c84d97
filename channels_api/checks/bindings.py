"""What a binding, or a viewset on a socket, says of itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.core.checks import CheckMessage, Error
from rest_framework.generics import GenericAPIView

from ..bindings import ResourceBindingBase
from ..viewsets import ViewSetBinding

# Where the actions are that need them; a project's own may do without.
MIXINS = ("channels_api.mixins", "rest_framework.mixins")
NEED_ROWS = frozenset(
    ("retrieve", "list", "update", "patch", "partial_update", "delete", "destroy", "subscribe")
)
NEED_SERIALIZER = NEED_ROWS - {"delete", "destroy"} | {"create"}

# Each attribute, who needs it, and the methods that do without when they are overridden.
NEEDS = (
    ("queryset", NEED_ROWS, ("get_queryset", "get_object", "get_object_or_404")),
    (
        "serializer_class",
        NEED_SERIALIZER,
        ("get_serializer_class", "get_serializer", "serialize_data"),
    ),
)


def find_binding_faults(stream: str, binding: type[ResourceBindingBase]) -> Iterator[CheckMessage]:
    """E007: an action needs a queryset or a serializer, and there is none."""
    owner, base = _owner(binding)
    actions = _borrowed_actions(binding, owner)
    for attribute, needed_by, methods in NEEDS:
        lacks = getattr(owner, attribute, None) is None and not _has_own(owner, base, methods)
        if lacks and actions & needed_by:
            yield Error(
                f"{owner.__name__} (stream {stream!r}) has no {attribute}, which its actions need: "
                f"{', '.join(sorted(actions & needed_by))}.",
                hint=f"Set {attribute}, or override {methods[0]}().",
                id="channels_api.E007",
            )


def _owner(binding: type[ResourceBindingBase]) -> tuple[Any, Any]:
    """The class that the project has written, and the one that has the defaults."""
    if issubclass(binding, ViewSetBinding):
        return binding.viewset_class, GenericAPIView
    return binding, ResourceBindingBase


def _has_own(owner: Any, base: Any, methods: Iterable[str]) -> bool:
    return any(getattr(owner, name, None) is not getattr(base, name, None) for name in methods)


def _borrowed_actions(binding: type[ResourceBindingBase], owner: Any) -> set[str]:
    methods = {action.handler for action in binding.available_actions.values()}
    return {
        name
        for name in methods
        if getattr(getattr(owner, name, None), "__module__", None) in MIXINS
    }
