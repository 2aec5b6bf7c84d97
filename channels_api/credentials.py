"""Who it is that opens a socket: what they come with, and whose that is by now. Sync code."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from django.conf import settings as django_settings
from django.contrib.auth import (
    BACKEND_SESSION_KEY,
    HASH_SESSION_KEY,
    SESSION_KEY,
    load_backend,
)
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends import cached_db, db
from django.core.exceptions import PermissionDenied
from django.db import router
from django.db.models import Model
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from rest_framework import exceptions as drf

from .logs import log_sometimes
from .requests import FrameRequest, Handshake, Scope

REFUSALS = (drf.AuthenticationFailed, drf.NotAuthenticated, drf.PermissionDenied, PermissionDenied)
FAILURE = "It can't be found out who is still logged in; trying again"
# What a token is never sent under.
NO_TOKEN_SCHEMES = ("Basic", "Digest")

SessionData = Mapping[str, Any]


class Found(NamedTuple):
    """Whose credentials are by now: `user` is None where they are nobody's any more.

    `auth` is DRF's `request.auth`, `session` what the session holds that was looked at.
    """

    user: Any
    auth: Any = None
    session: SessionData | None = None


NOBODY = Found(None)


class ScopeUser(NamedTuple):
    """A user whom a middleware has found: by a session, or in a way of its own (None)."""

    model: type[Model]
    pk: Any
    store: Any
    session_key: str | None

    def __repr__(self) -> str:
        # With the key of the session anybody could be the user, and a traceback may show it.
        return f"<ScopeUser {self.model._meta.label} {self.pk!r}>"


class ClassUser(NamedTuple):
    """A user whom authentication classes have found, in a handshake that all of this is of."""

    classes: tuple[type[Any], ...]
    scope_user: ScopeUser | None
    user_pk: Hashable
    address: Hashable
    traits: Hashable

    def __repr__(self) -> str:
        return "<ClassUser>"  # as above


Credentials = ScopeUser | ClassUser


def scope_user(scope: Scope) -> ScopeUser | None:
    """The credentials of the scope's user; None for nobody, and for who is in no database."""
    user = scope.get("user")
    # `_state` is documented.
    if not isinstance(user, Model) or user.pk is None or user._state.adding:  # noqa: SLF001
        return None
    session: Any = scope.get("session")
    # One that nobody has read has named nobody. It is not read here: the database would be asked.
    if getattr(session, "accessed", False) and session.get(SESSION_KEY) == _pk_text(user):
        return ScopeUser(user.__class__, user.pk, session.__class__, session.session_key)
    return ScopeUser(user.__class__, user.pk, None, None)


def class_user(handshake: Handshake, classes: Sequence[Any], user: ScopeUser | None) -> ClassUser:
    """The credentials of whoever the classes find in a handshake."""
    # The port differs from one socket of a client to the next.
    address = (handshake.scope.get("client") or [None])[0]
    user_pk = getattr(handshake.user, "pk", None)
    return ClassUser(tuple(classes), user, user_pk, address, handshake.traits)


def find(wanted: Mapping[Credentials, Handshake]) -> dict[Credentials, Found | Exception]:
    """Whose credentials are now, each with a handshake that brought them; or why nobody knows."""
    of_scopes = {_of_scope(each) for each in wanted} - {None}
    try:
        found: Any = find_scope_users([each for each in of_scopes if each is not None])
    except Exception as exc:
        log_sometimes(FAILURE)
        return dict.fromkeys(wanted, exc)
    return {
        each: found[each] if isinstance(each, ScopeUser) else _find_class_user(each, found, wanted)
        for each in wanted
    }


def _of_scope(credentials: Credentials) -> ScopeUser | None:
    return credentials if isinstance(credentials, ScopeUser) else credentials.scope_user


def _find_class_user(
    credentials: ClassUser,
    found: Mapping[ScopeUser, Found],
    wanted: Mapping[Credentials, Handshake],
) -> Found | Exception:
    base = NOBODY if credentials.scope_user is None else found[credentials.scope_user]
    try:
        asked = ask_classes(wanted[credentials], credentials.classes, base.user)
    except REFUSALS:
        return NOBODY
    except Exception as exc:  # others are looked up all the same
        log_sometimes(FAILURE)
        return exc
    return NOBODY if asked is None else asked._replace(session=base.session)


def ask_classes(handshake: Handshake, classes: Iterable[Any], user: Any) -> Found | None:
    """Whom the first authentication class finds that finds somebody; `user` is the session's.

    Raises what refuses the handshake.
    """
    for authenticator in (each() for each in classes):
        request = FrameRequest(handshake, "GET", None)
        request.user = user or AnonymousUser()  # at which SessionAuthentication looks
        if handshake.token is not None:
            scheme = _scheme(authenticator, request)
            request.META["HTTP_AUTHORIZATION"] = f"{scheme} {handshake.token}"
        found = authenticator.authenticate(request)
        if found is not None:
            return Found(found[0] or AnonymousUser(), found[1])
    return None


def _scheme(authenticator: Any, request: FrameRequest) -> str:
    """What the class calls its tokens: "Token" for DRF's own, "Bearer" for JWT."""
    scheme: str = (authenticator.authenticate_header(request) or "Bearer").split()[0]
    return "Bearer" if scheme in NO_TOKEN_SCHEMES else scheme


def find_scope_users(wanted: Collection[ScopeUser]) -> dict[ScopeUser, Found]:
    """Whose these are now: a query for all users, and one for all sessions in the database."""
    users, sessions = _read_users(wanted), _read_sessions(wanted)
    return {
        each: _found(each, users.get((each.model, each.pk)), sessions.get(each.session_key, {}))
        for each in wanted
    }


def _found(credentials: ScopeUser, user: Any, session: SessionData) -> Found:
    if user is None:
        return NOBODY
    if credentials.store is None:
        return Found(user) if getattr(user, "is_active", True) else NOBODY
    return Found(_user_of_session(user, session), session=session)


def _user_of_session(user: Any, session: SessionData) -> Any:
    """The user, as django.contrib.auth.get_user has it, if a session is still theirs.

    That one would change the session, whose key the client could not be told.
    """
    path = session.get(BACKEND_SESSION_KEY, "")
    if session.get(SESSION_KEY) != _pk_text(user) or not _has_right_hash(user, session):
        return None
    if path not in django_settings.AUTHENTICATION_BACKENDS:
        return None
    backend: Any = load_backend(path)
    if type(backend).get_user is ModelBackend.get_user:
        # Without the query for what is at hand.
        return user if backend.user_can_authenticate(user) else None
    return backend.get_user(user.pk)


def _has_right_hash(user: Any, session: SessionData) -> bool:
    """Whether the password is still that of the login."""
    if not hasattr(user, "get_session_auth_hash"):
        return True
    known = session.get(HASH_SESSION_KEY, "")
    right = chain([user.get_session_auth_hash()], user.get_session_auth_fallback_hash())
    return any(constant_time_compare(known, each) for each in right)


def _pk_text(user: Any) -> str:
    text: str = user._meta.pk.value_to_string(user)
    return text


def _read_users(wanted: Iterable[ScopeUser]) -> dict[tuple[type[Model], Any], Any]:
    pks = defaultdict(set)
    for each in wanted:
        pks[each.model].add(each.pk)
    found: dict[tuple[type[Model], Any], Any] = {}
    for model, wanted_pks in pks.items():
        # The manager of Django's backends: whom it hides is not logged in. The primary: a replica
        # may not have the change yet that is the reason for this.
        users = model._default_manager.using(router.db_for_write(model))  # noqa: SLF001
        found |= {(model, user.pk): user for user in users.filter(pk__in=wanted_pks)}
    return found


def _read_sessions(wanted: Iterable[ScopeUser]) -> dict[str | None, SessionData]:
    keys = defaultdict(set)
    for each in wanted:
        if each.store is not None and each.session_key is not None:
            keys[each.store].add(each.session_key)
    return {key: data for store in keys for key, data in _load(store, keys[store])}


def _load(store: Any, keys: Collection[str]) -> Iterable[tuple[str, SessionData]]:
    if getattr(store, "load", None) not in (db.SessionStore.load, cached_db.SessionStore.load):
        return [(key, _load_one(store, key)) for key in keys]
    model = store.get_model_class()
    rows = model.objects.using(router.db_for_write(model))
    current = rows.filter(session_key__in=keys, expire_date__gt=timezone.now())
    return [(row.session_key, row.get_decoded()) for row in current]


def _load_one(store: Any, key: str) -> SessionData:
    data: SessionData = store(key).load()
    if not data:
        # Django takes a cache that fails for one that has no such session. This one raises.
        store(key).exists(key)
    return data
