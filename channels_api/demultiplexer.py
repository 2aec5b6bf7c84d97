"""The ASGI application: many streams on one WebSocket."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from channels.consumer import AsyncConsumer
from django.core.exceptions import ImproperlyConfigured
from django.db.models import QuerySet
from rest_framework.viewsets import ViewSetMixin

from .bindings import ResourceBindingBase
from .connection import Connection, Streams
from .credentials import REFUSALS
from .exceptions import CloseCode
from .handover import connect_celery, start_embedded_worker
from .live.changes import watch
from .logs import logger
from .metrics import SOCKETS, measure
from .protocol import SUBPROTOCOL
from .viewsets import binding_from_viewset


class WebsocketDemultiplexer(AsyncConsumer):
    """Routes the frames of one socket to bindings by their `stream`.

    A subclass sets `consumers`: binding classes, their `.consumer`, or DRF viewsets, by the name
    of their stream; or a list of bindings that name their streams themselves. It may override
    `connect()` to refuse a socket, and `disconnect(code)`. Mount it with `as_asgi()`.

    `authentication_classes` are DRF's. They are given the handshake as a GET request; where they
    find nobody, and where they are an empty list, the user is anonymous. None: the user is whom
    the middleware has put into the scope. A token comes in the header Authorization, in a
    subprotocol `bearer.<token>`, or in a first frame `{"authenticate": "<token>"}`, which is
    answered `{"authenticated": true}`; frames behind it wait for that.
    """

    consumers: ClassVar[Mapping[str, Any] | Iterable[Any]] = {}
    authentication_classes: ClassVar[Sequence[Any] | None] = None

    streams: ClassVar[Streams] = {}

    def __init__(self, *args: Any) -> None:
        if args:  # what a route passes to an application
            raise ImproperlyConfigured(
                f"Put {type(self).__name__}.as_asgi() into the route, not the class."
            )

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # Here as well, for processes that import the class and serve no sockets.
        for _, consumer in _named(cls):
            queryset = getattr(consumer, "queryset", None)
            if isinstance(queryset, QuerySet):
                watch(queryset.model)

    @classmethod
    def as_asgi(cls, **initkwargs: Any) -> Any:
        """The ASGI application. Raises ImproperlyConfigured for what can't be a stream."""
        # Here, where the project is being started, and not for each socket.
        cls.streams = streams = {}
        if not cls.consumers:
            logger.warning("%s has no consumers: it can answer nothing.", cls.__name__)
        for stream, binding in _streams(cls):
            if stream in streams:
                raise ImproperlyConfigured(f"{cls.__name__} has two bindings for {stream!r}.")
            streams[stream] = binding
        return super().as_asgi(**initkwargs)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one socket until it is gone."""
        # Instead of AsyncConsumer's own loop: that one makes a channel, two tasks and a hop to a
        # shared thread for each message, so that one slow query holds up every socket.
        if scope["type"] != "websocket":
            raise ImproperlyConfigured(
                f"{type(self).__name__} serves websocket connections, not {scope['type']}. "
                'Put it under "websocket" in a ProtocolTypeRouter.'
            )
        connect_celery()
        start_embedded_worker()
        self.scope = scope
        self.base_send = send
        self.connection = Connection(scope, self.streams, self.send)
        code = 1006
        measure(SOCKETS)
        try:
            code = await self._serve(receive)
        finally:
            measure(SOCKETS, -1)
            await self.connection.end()
            await self.disconnect(code)

    async def _serve(self, receive: Any) -> int:
        while True:
            message = await receive()
            if message["type"] == "websocket.receive":
                self.connection.receive(message.get("text"))
            elif message["type"] == "websocket.connect":
                await self._connect()
            elif message["type"] == "websocket.disconnect":
                code: int = message.get("code") or 1005
                return code

    async def _connect(self) -> None:
        if self.authentication_classes is None and "user" not in self.scope:
            self._check_nobody_is_needed()
        try:
            await self.connection.authenticate(self.authentication_classes)
        except REFUSALS:
            await self.close(CloseCode.NOT_AUTHENTICATED)
        else:
            await self.connect()

    def _check_nobody_is_needed(self) -> None:
        # Here, since only a socket's scope tells which middleware is there.
        for stream, binding in self.streams.items():
            if binding.needs_user():
                raise ImproperlyConfigured(
                    f"{type(self).__name__}: {stream!r} is for users who are logged in, and no "
                    "middleware has put a user into the scope. Put AuthMiddlewareStack around the "
                    "router, or set authentication_classes."
                )

    async def connect(self) -> None:
        """A client wants to connect: `accept()` by default; `close()` refuses it."""
        await self.accept()

    async def disconnect(self, code: int) -> None:
        """The socket is gone, with this close code."""

    async def accept(self, subprotocol: str | None = None) -> None:
        """Accept the connection; a client that offers `channels-api.v1` gets it by default."""
        if subprotocol is None and SUBPROTOCOL in self.scope.get("subprotocols", ()):
            subprotocol = SUBPROTOCOL
        await self.send({"type": "websocket.accept", "subprotocol": subprotocol})
        if subprotocol == SUBPROTOCOL:
            self.connection.start_pings()

    async def close(self, code: int = 1000) -> None:
        """Refuse the connection, or close it."""
        await self.send({"type": "websocket.close", "code": int(code)})


def _named(demultiplexer: type[WebsocketDemultiplexer]) -> Iterable[tuple[Any, Any]]:
    consumers = demultiplexer.consumers
    if isinstance(consumers, Mapping):
        return consumers.items()
    return [(getattr(consumer, "stream", None), consumer) for consumer in consumers]


def _streams(demultiplexer: type[WebsocketDemultiplexer]) -> Iterable[tuple[str, Any]]:
    for stream, consumer in _named(demultiplexer):
        if not isinstance(stream, str) or not stream:
            raise ImproperlyConfigured(f"{demultiplexer.__name__}: {consumer!r} needs a stream.")
        yield stream, _binding(demultiplexer, stream, consumer)


def _binding(demultiplexer: type[Any], stream: str, consumer: Any) -> type[ResourceBindingBase]:
    if isinstance(consumer, type) and issubclass(consumer, ResourceBindingBase):
        return consumer
    if isinstance(consumer, type) and issubclass(consumer, ViewSetMixin):
        return binding_from_viewset(consumer)
    raise ImproperlyConfigured(
        f"{demultiplexer.__name__}.consumers[{stream!r}] is {consumer!r}, which is neither a "
        "binding class nor a DRF viewset class."
    )
