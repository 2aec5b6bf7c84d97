"""The DRF `Request` of a frame, made from the socket's ASGI scope."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Container, Hashable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import AnonymousUser
from django.core.handlers.asgi import ASGIRequest
from django.db import router
from django.db.models import Model
from django.http import HttpRequest, QueryDict
from django.utils.datastructures import MultiValueDict
from django.utils.functional import cached_property
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import ValidationError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request

from .protocol import RequestFrame

if TYPE_CHECKING:
    from .login import Login

Scope = MutableMapping[str, Any]

SCHEMES = {"ws": "http", "wss": "https"}
# Before a token that is offered as a subprotocol.
BEARER = "bearer."
# What differs between the handshakes of one browser.
OF_ONE_HANDSHAKE = frozenset((b"sec-websocket-key", b"sec-websocket-extensions"))
# Actions whose data stands where HTTP has the query string.
READING_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_renderer = JSONRenderer()
_negotiator = DefaultContentNegotiation()


class Handshake:
    """What the requests of one socket have in common: its handshake, read once.

    `scope` is the socket's ASGI scope after the middleware (session, auth, URL route).
    """

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self._is_nobody = False
        # What an authentication class has found beside the user: `request.auth`.
        self.auth: Any = None
        # What a client has sent as its token, where there is no header for it.
        self.token: str | None = None
        # Who looks after it whether the user may still act; None where there is nobody.
        self.login: Login | None = None

    @property
    def user(self) -> Any:
        """The scope's user; AnonymousUser where no auth middleware put one there."""
        # An instance: the class itself, as a missing middleware leaves it elsewhere, is truthy
        # and has a truthy `is_authenticated`.
        return (not self._is_nobody and self.scope.get("user")) or AnonymousUser()

    @property
    def traits(self) -> Hashable:
        """All but the user by which a project may tell this socket from others of a browser."""
        # A tenant may stand in the host, in a header or in a cookie.
        headers = self.scope.get("headers", ())
        return (
            frozenset(item for item in headers if item[0] not in OF_ONE_HANDSHAKE),
            self.scope.get("path"),
            self.scope.get("query_string"),
            # What a token allows may differ from what another one of the same user does.
            self.token,
        )

    def take_token(self) -> None:
        """Take the token that came as a subprotocol: browsers let pages set no header."""
        for offered in self.scope.get("subprotocols", ()):
            if offered.startswith(BEARER):
                self.token = offered[len(BEARER) :]

    def set_user(self, user: Any) -> None:
        """Take what was found out about the user; None: it may not act any more."""
        self._is_nobody = user is None
        if user is not None:
            self.scope["user"] = user

    def reload_user(self) -> None:
        """Find out again who the user is: permissions, groups, and whether it is active."""
        login = self.login
        if login is not None and (login.asks_classes or login.has_ended):
            login.reload()
            return
        user = self.scope.get("user")
        if not isinstance(user, Model) or user.pk is None:
            return
        # The primary: a replica may not have the change yet that is the reason for this.
        alias = router.db_for_write(user.__class__)
        users = user.__class__._base_manager.using(alias)
        fresh = users.filter(pk=user.pk).first()
        active = fresh is not None and getattr(fresh, "is_active", True)
        self.set_user(fresh if active else None)

    def check(self) -> None:
        """Raise what an action is refused with whose user may not act any more; in a thread."""
        if self.login is not None:
            self.login.check()

    def log_extra(self, frame: RequestFrame, actions: Container[str]) -> dict[str, object]:
        """What the log says of a frame for one of these actions: nothing that a client made up."""
        user_pk = None
        with contextlib.suppress(Exception):  # of a user that is read only now
            user_pk = getattr(self.user, "pk", None)
        action = frame.action if frame.action in actions else None
        return {"stream": frame.stream, "action": action, "user_pk": user_pk}

    @cached_property
    def http(self) -> ASGIRequest:
        """The handshake as Django sees it: META, COOKIES, path."""
        scope = {
            **self.scope,
            "type": "http",
            "method": "GET",
            "scheme": SCHEMES.get(self.scope.get("scheme", "ws"), "http"),
        }
        return ASGIRequest(scope, io.BytesIO())


class FrameHttpRequest(HttpRequest):
    """Django's request for one frame: the handshake's headers, the action's method."""

    def __init__(self, handshake: Handshake, method: str, query: QueryDict) -> None:
        # As Django's own subclasses, without the constructor of the base, which takes longer to
        # make empty containers than all else here: each is made when somebody asks for it.
        self._http = http = handshake.http
        self.scope = http.scope
        self.path, self.path_info = http.path, http.path_info
        self.method = method
        self.resolver_match = self.content_type = self.content_params = None
        self.COOKIES = dict(http.COOKIES)
        self.GET = query  # type: ignore[assignment]  # immutable in Django's own requests too
        self.user = handshake.user
        if "session" in handshake.scope:
            self.session = handshake.scope["session"]
        self._body = b""  # so that reading the body is no error; the data is in `Request.data`

    @cached_property
    def META(self) -> dict[str, Any]:  # type: ignore[override]  # noqa: N802
        query = self.GET.urlencode() if self.GET else ""
        return {**self._http.META, "REQUEST_METHOD": self.method, "QUERY_STRING": query}

    @cached_property
    def POST(self) -> QueryDict:  # type: ignore[override]  # noqa: N802
        return QueryDict()

    @cached_property
    def FILES(self) -> MultiValueDict[str, Any]:  # type: ignore[override]  # noqa: N802
        return MultiValueDict()

    def _get_scheme(self) -> str | None:
        scheme: str | None = self.scope.get("scheme")
        return scheme


class SocketAuthentication(BaseAuthentication):
    """Who the socket's user was found to be, as DRF's `request.user` and `request.auth`."""

    def __init__(self, user: Any, auth: Any) -> None:
        self.user = user
        self.auth = auth

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        return (self.user, self.auth) if self.user.is_authenticated else None


class FrameRequest(Request):
    """DRF's request for one frame: `data` is the frame's data, or `query_params` for reading."""

    def __init__(self, handshake: Handshake, method: str, data: Any) -> None:
        reading = method in READING_METHODS
        query = query_params(data) if reading else QueryDict()
        request = FrameHttpRequest(handshake, method, query)
        authentication = SocketAuthentication(request.user, handshake.auth)
        super().__init__(request, authenticators=[authentication], negotiator=_negotiator)
        self._full_data = self._data = {} if reading or data is None else data
        self._files: MultiValueDict[str, Any] = MultiValueDict()
        self.accepted_renderer = _renderer
        self.accepted_media_type = _renderer.media_type
        self.version = self.versioning_scheme = None


def query_params(data: Any) -> QueryDict:
    """A frame's data as query parameters: lists repeat a key, null leaves it out.

    Raises ValidationError for data that is no object and for values that are objects.
    """
    if data is None:
        return QueryDict()
    if not isinstance(data, Mapping):
        raise ValidationError("data must be an object.")
    query = QueryDict(mutable=True)
    for key, value in data.items():
        values = value if isinstance(value, list) else [value]
        query.setlist(key, [_query_text(key, item) for item in values if item is not None])
    query._mutable = False
    return query


def _query_text(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        raise ValidationError({key: ["A filter must be a string, a number, true, false or null."]})
    return str(value)
