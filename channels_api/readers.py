"""A binding as live reads it: again for each change, with the subscriber's own permissions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from django.core.exceptions import PermissionDenied
from django.db import router
from django.http import Http404
from rest_framework.exceptions import APIException

from .live.changes import topic_of, watch
from .live.log import Topic
from .live.reader import Rows, Visible
from .logs import logger
from .lookups import wire_pk
from .permissions import decides_per_object
from .protocol import encode
from .requests import Handshake

if TYPE_CHECKING:
    from .bindings import ResourceBindingBase

# Rows per query.
CHUNK = 500
REFUSALS = (APIException, PermissionDenied, Http404)
# Filter backends that look at the query and never at the user.
IMPERSONAL_BACKENDS = ("rest_framework.filters", "django_filters.rest_framework")

# Bindings whose serializer was seen asking for the request while it served a shared audience.
_personal: WeakSet[type[ResourceBindingBase]] = WeakSet()


class BindingReader:
    """Reads rows as the binding that a subscribe was sent to would.

    Made in a thread, from the binding of the subscribe; each read has a new binding, as each frame
    has.
    """

    def __init__(self, binding: ResourceBindingBase) -> None:
        self._binding_class = type(binding)
        self._handshake, self._frame, self._pk = binding.handshake, binding.frame, binding.pk
        self._audience = binding.audience()
        self._by_default = binding.audience_is_default()
        queryset = binding.filter_queryset(binding.get_queryset())
        model = queryset.model
        # The primary, whatever replica the router would read from: it has what was committed.
        alias = queryset._db or router.db_for_write(model)  # noqa: SLF001
        self.stream = binding.stream or ""
        self.topic: Topic = topic_of(model, alias)
        self.restricted = not sees_every_row(binding, queryset)
        queryset.filter(pk__in=[])  # raises here, not at each event, where it can't be narrowed
        watch(model)

    @property
    def key(self) -> Hashable:
        audience = self._audience
        if audience is None and self._is_personal:
            audience = personal_key(self._handshake)
        return (self._binding_class, self.stream, audience)

    def read(self, pks: Collection[int | str]) -> Rows:
        binding = self._new_binding()
        personal = self._is_personal
        if personal and not self._may_read(binding):
            return Rows({})
        context = WatchedContext(binding.get_serializer_context())
        binding.get_serializer_context = lambda: context  # type: ignore[method-assign]
        texts: dict[int | str, str] = {}
        wanted = list(pks)
        for start in range(0, len(wanted), CHUNK):
            queryset = self._queryset(binding).filter(pk__in=wanted[start : start + CHUNK])
            for row in self._allowed(binding, queryset):
                text = self._text(binding, row)
                if text is not None:
                    texts[wire_pk(row.pk)] = text
        if self._by_default and not personal and context.asked:
            _personal.add(self._binding_class)
            return Rows({}, personal=True)
        return Rows(texts)

    def visible(self, limit: int) -> Visible:
        binding = self._new_binding()
        if not self._may_read(binding):
            return Visible(set(), complete=True)
        # The newest: they are the likeliest to be told of.
        queryset = self._queryset(binding).order_by("-pk")
        pks: Iterator[Any]
        if any(map(decides_per_object, binding.get_permissions())):
            pks = (row.pk for row in self._allowed(binding, queryset.iterator(CHUNK)))
        else:
            pks = iter(queryset.values_list("pk", flat=True)[: limit + 1])
        found = [wire_pk(pk) for pk in islice(pks, limit + 1)]
        return Visible(set(found[:limit]), complete=len(found) <= limit)

    def find(self, pk: object) -> int | str:
        return wire_pk(self._new_binding().get_object(pk).pk)

    @property
    def _is_personal(self) -> bool:
        # Of an audience that the binding itself names, any reader may speak for the others.
        return self._by_default and (self._audience is not None or self._binding_class in _personal)

    def _new_binding(self) -> ResourceBindingBase:
        binding = self._binding_class(self._handshake, self._frame)
        binding.pk, binding.delivers = self._pk, True
        return binding

    def _queryset(self, binding: ResourceBindingBase) -> Any:
        queryset = binding.filter_queryset(binding.get_queryset())
        return queryset.using(self.topic.alias)

    def _may_read(self, binding: ResourceBindingBase) -> bool:
        try:
            binding.check_access()
        except REFUSALS:
            return False
        return True

    def _allowed(self, binding: ResourceBindingBase, rows: Any) -> Iterator[Any]:
        for row in rows:
            try:
                binding.check_object_permissions(binding.request, row)
            except REFUSALS:
                continue
            yield row

    def _text(self, binding: ResourceBindingBase, row: Any) -> str | None:
        try:
            return encode(binding.serialize_data(row))
        except Exception:
            # One row that can't be serialized must not keep the others from being told.
            logger.exception("A row of stream %r can't be serialized for an event", self.stream)
            return None


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
    """The audience of one user, at one address and with one session; of one socket if anonymous."""
    user, scope = handshake.user, handshake.scope
    if not user.is_authenticated:
        return handshake
    headers = dict(scope.get("headers", ()))
    session = scope.get("session")
    return (
        user.pk,
        headers.get(b"host"),
        scope.get("path"),
        scope.get("query_string"),
        session.session_key if session is not None else None,
    )


def depends_on_user(binding: ResourceBindingBase) -> bool:
    """Whether rows, or what is shown of them, may differ between users of the binding.

    What the serializer does with its context shows only when it runs; see WatchedContext.
    """
    return (
        binding.overrides("get_queryset", "serialize_data", "get_serializer")
        or binding.overrides("get_serializer_class", "get_serializer_context")
        or _filters_unknown(binding)
        or _decides_per_object(binding)
    )


def sees_every_row(binding: ResourceBindingBase, queryset: Any) -> bool:
    """Whether no row of the model can be hidden from anybody who may subscribe."""
    query = queryset.query
    narrowed = (
        query.where
        or query.is_sliced
        or query.distinct
        or query.combinator
        or query.extra_tables
        # A join can hide rows too; those that select_related makes come later.
        or len(query.alias_map) > 1
    )
    return not (
        narrowed
        or binding.overrides("get_queryset")
        or _filters_unknown(binding)
        or _decides_per_object(binding)
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


def _decides_per_object(binding: ResourceBindingBase) -> bool:
    return binding.overrides("check_object_permissions", "get_permissions") or any(
        map(decides_per_object, binding.get_permissions())
    )
