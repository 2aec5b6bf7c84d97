"""A binding as live reads it: again for each change, with the subscriber's own permissions."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, connections, router
from django.db.models import Model
from django.http import Http404
from rest_framework.exceptions import APIException, NotFound
from rest_framework.serializers import Serializer

from .exceptions import LoginUnknown, NotSubscribable, ReplyTooLarge
from .live.changes import topic_of, watch
from .live.log import Topic
from .live.reader import CHUNK, Rows, Visible
from .live.users import user_pk_of, users_topic
from .logs import log_error
from .lookups import canonical_pk, wire_pk
from .pagination import ordered
from .protocol import byte_length, encode
from .settings import settings
from .sharing import (
    WatchedContext,
    asks_nobody,
    decides_about_rows,
    personal_key,
    sees_every_row,
)

if TYPE_CHECKING:
    from .bindings import ResourceBindingBase

# What is around the row in an event.
FRAME_BYTES = 1024
REFUSALS = (APIException, PermissionDenied, Http404)

# Bindings whose serializer was seen asking for the request while it served a shared audience.
_personal: WeakSet[type[ResourceBindingBase]] = WeakSet()


class BindingReader:
    """Reads rows as the binding that a subscribe was sent to would.

    Made in a thread, from the binding of the subscribe; each read has a new binding, as each frame
    has. A subscription to all rows is shown what list shows, one to a row what retrieve shows.
    """

    def __init__(
        self, binding: ResourceBindingBase, filters: Mapping[str, Any] | None = None
    ) -> None:
        self._binding_class = type(binding)
        self._handshake, self._lookup = binding.handshake, binding.pk
        # The same keys that list takes, where list has them.
        self._frame = binding.frame._replace(data=filters)
        self.owner = binding.handshake
        binding.check_subscribable()
        self._audience = binding.audience()
        self._by_default = binding.audience_is_default()
        self._personal_key = personal_key(self._handshake)
        self._filters = encode(sorted(filters.items())) if filters else ""
        model, alias = self._examine(binding)
        self._model = model
        self.stream = binding.stream or ""
        self.topic: Topic = topic_of(model, alias)
        self.user_topic, self.user_pk = self._user(binding)
        if self.user_pk is not None and not self._by_default:
            # That of the user as of now: the handshake may be long ago.
            self._handshake.reload_user()
            self._audience = self._bare_binding().audience()
        watch(model)

    def _examine(self, binding: ResourceBindingBase) -> tuple[type[Model], str]:
        if self._filters:
            filtering = self._bare_binding()
            filtering.recheck()
            queryset = self._queryset(filtering)
        else:
            queryset = self._queryset(binding)
        check_rows_have_keys(queryset)
        self.restricted = bool(self._filters) or not sees_every_row(binding, queryset)
        return queryset.model, queryset._db or router.db_for_write(queryset.model)  # noqa: SLF001

    def _user(self, binding: ResourceBindingBase) -> tuple[Topic | None, int | str | None]:
        """The topic of the users, and who of them this is, where any of it may matter."""
        if self._by_default and self._audience is None and asks_nobody(binding):
            return None, None
        return users_topic(), user_pk_of(self._handshake.user)

    @property
    def is_over(self) -> bool:
        """Whether its user is not logged in any more: what it reads is what nobody may see."""
        login = self._handshake.login
        return login is not None and login.has_ended

    @property
    def is_shared(self) -> bool:
        """Whether others may be shown what is read here."""
        return not self._is_personal

    @property
    def key(self) -> Hashable:
        key = self._binding_class, self.stream, self._filters
        if not self._is_personal:
            # Of a named audience some may be shown what list shows, and some what retrieve shows.
            way = None if self._by_default else self._lookup is None
            return (*key, self._audience, way)
        # Permissions may look at the row's key, so what is true of one row need not be of another.
        return (*key, self._audience or self._personal_key, self._lookup)

    def read(self, pks: Collection[int | str]) -> Rows:
        binding = self._new_binding()
        personal = self._is_personal
        try:
            if personal:
                binding.recheck()
            return self._texts(binding, self._rows(binding, pks, personal))
        except REFUSALS:
            return Rows({})

    def _texts(
        self, binding: ResourceBindingBase, found: Iterable[Any], most: float = math.inf
    ) -> Rows:
        """The rows as text; none where they turn out to depend on the user of a shared audience.

        Of more than `most` bytes in all only a part is made.
        """
        personal = self._is_personal
        context = WatchedContext(binding.get_serializer_context())
        rows = Rows({})
        binding.get_serializer_context = lambda: context  # type: ignore[method-assign]
        try:
            represent = _representation(binding)
            for row in found:
                most -= self._add_text(rows, represent, row)
                if most < 0:
                    rows.complete = False
                    break
        except REFUSALS:
            rows.texts.clear()
        if self._by_default and not personal and context.asked:
            _personal.add(self._binding_class)
            return Rows({}, personal=True)
        return rows

    def snapshot(self, limit: int) -> Rows:
        binding = self._new_binding()
        try:
            if self._is_personal:
                binding.recheck()
            # The order that list gives to rows that have none of their own.
            queryset = ordered(self._queryset(binding))
        except REFUSALS:
            return Rows({})
        # One more than is wanted tells that there are more, whether it may be seen or not.
        rows = list(queryset[: limit + 1])
        if len(rows) > limit:
            return Rows({}, complete=False)
        return self._texts(binding, self._allowed(binding, rows), most=settings.MAX_REPLY_BYTES)

    def visible(self, limit: int) -> Visible:
        binding = self._new_binding()
        binding.recheck()
        # The newest: they are the likeliest to be told of.
        newest = self._queryset(binding).order_by("-pk")[: limit + 1]
        if decides_about_rows(binding):
            examined = list(newest)
            pks = {wire_pk(row.pk) for row in self._allowed(binding, examined[:limit])}
        else:
            examined = list(newest.values_list("pk", flat=True))
            pks = set(map(wire_pk, examined[:limit]))
        return Visible(pks, complete=len(examined) <= limit)

    def visible_among(self, pks: Collection[int | str]) -> set[int | str]:
        binding = self._new_binding()
        binding.recheck()
        try:
            return {wire_pk(row.pk) for row in self._rows(binding, pks, self._is_personal)}
        except REFUSALS:  # of the only row that there would be
            return set()

    def find(self, pk: object) -> int | str:
        binding = self._new_binding()
        binding.recheck()
        return wire_pk(binding.get_object_or_404(pk).pk)

    def as_told(self, pks: Iterable[int | str] | None) -> frozenset[int | str] | None:
        """Keys as a client wrote them, the way events name rows; what is none stays as it is."""
        if pks is None:
            return None
        keys = ((pk, self._key(pk)) for pk in pks)
        return frozenset(pk if key is None else wire_pk(key) for pk, key in keys)

    def renew(self) -> bool:
        try:
            self.authorize()
        except NotFound:
            return True  # of a row, which is another matter
        except LoginUnknown:
            raise  # as for a database: nothing is known
        except REFUSALS:
            return False
        except DatabaseError:
            raise  # nothing is known of anybody
        except Exception:
            # Of what can't be judged nothing is shown, and the others are judged all the same.
            log_error("Whether a user may still read %r can't be told", self.stream)
            return False
        return True

    def authorize(self) -> None:
        self._handshake.reload_user()
        binding = self._new_binding()
        binding.recheck()
        self._queryset(binding)
        if binding.audience() != self._audience:
            raise PermissionDenied  # another one now: of this one they are no part any more

    @property
    def _is_personal(self) -> bool:
        # Of an audience that the binding itself names, any reader may speak for the others.
        return self._by_default and (self._audience is not None or self._binding_class in _personal)

    def _bare_binding(self) -> ResourceBindingBase:
        binding = self._binding_class(self._handshake, self._frame)
        binding.pk = self._lookup
        binding.uses_data = True  # it is the filter now
        return binding

    def _new_binding(self) -> ResourceBindingBase:
        binding = self._bare_binding()
        target: Any = getattr(binding, "view", binding)
        # The primary, whatever replica the router would read from: it has what was committed.
        get_queryset = target.get_queryset
        target.get_queryset = lambda: get_queryset().using(self.topic.alias)
        # Made once, when they are first asked for, and not for each row.
        target.get_permissions = functools.cache(target.get_permissions)
        return binding

    def _rows(
        self, binding: ResourceBindingBase, pks: Collection[int | str], personal: bool
    ) -> Iterator[Any]:
        if personal and self._lookup is not None:
            # The one row, and by the way that retrieve takes, which may be the project's own.
            row = binding.get_object_or_404(self._lookup)
            if wire_pk(row.pk) in pks:
                yield row
            return
        # A single one that can't be a key would have the database refuse them all.
        wanted = [pk for pk in pks if self._key(pk) is not None]
        queryset = self._queryset(binding)
        for start in range(0, len(wanted), CHUNK):
            chunk = queryset.filter(pk__in=wanted[start : start + CHUNK])
            yield from self._allowed(binding, chunk)

    def _key(self, pk: int | str) -> Any:
        """A key as the model's field has it; None for what can't be one."""
        try:
            return canonical_pk(self._model, "pk", pk)
        except NotFound:
            return None

    def _queryset(self, binding: ResourceBindingBase) -> Any:
        return binding.filter_queryset(binding.get_queryset())

    def _allowed(self, binding: ResourceBindingBase, rows: Iterable[Any]) -> Iterator[Any]:
        for row in rows:
            try:
                binding.check_object_permissions(binding.request, row)
            except REFUSALS:
                continue
            except Exception as exc:
                if self._is_outage(exc):
                    raise
                log_error("Whether a row of %r may be seen can't be told", self.stream)
                continue
            yield row

    def _is_outage(self, exc: Exception) -> bool:
        """Whether the database failed, and not what was asked of it for this row."""
        if not isinstance(exc, DatabaseError):
            return False
        connection = connections[self.topic.alias]
        return connection.connection is None or not connection.is_usable()

    def _fitting(self, text: str) -> str:
        # More would end the socket: servers have limits of their own.
        if byte_length(text) + FRAME_BYTES > settings.MAX_REPLY_BYTES:
            raise ReplyTooLarge
        return text

    def _add_text(self, rows: Rows, represent: Callable[[Any], Any], row: Any) -> int:
        """Add a row's text; the bytes that it has."""
        pk = wire_pk(row.pk)
        try:
            rows.texts[pk] = self._fitting(encode(represent(row)))
            return byte_length(rows.texts[pk])
        except Exception as exc:
            if self._is_outage(exc):
                raise  # the read is tried again
            # One row that can't be serialized must not keep the others from being told.
            log_error("A row of stream %r can't be made into an event", self.stream)
            rows.failed.add(pk)
            if isinstance(exc, ReplyTooLarge):
                rows.large.add(pk)
            return 0


def _representation(binding: ResourceBindingBase) -> Callable[[Any], Any]:
    """How a row is shown: by one serializer for all rows, as in a list, where that is the same."""
    serializer = binding.get_serializer()
    plain = getattr(type(serializer), "data", None) is Serializer.data
    if plain and not binding.overrides("serialize_data"):
        represent: Callable[[Any], Any] = serializer.to_representation
        return represent
    return binding.serialize_data


def check_rows_have_keys(queryset: Any) -> None:
    """Raise NotSubscribable where rows can't be read again by their keys."""
    query = queryset.query
    if query.is_sliced or query.combinator or queryset._fields is not None:
        raise NotSubscribable
