"""The ASGI application: many streams on one WebSocket."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from channels.consumer import AsyncConsumer
from django.core.exceptions import ImproperlyConfigured
from django.db.models import QuerySet
from rest_framework.viewsets import ViewSetMixin

from .bindings import ResourceBindingBase
from .connection import Connection, Streams
from .handover import connect_celery, start_embedded_worker
from .live.changes import watch
from .logs import logger
from .protocol import SUBPROTOCOL
from .viewsets import binding_from_viewset


class WebsocketDemultiplexer(AsyncConsumer):
    """Routes the frames of one socket to bindings by their `stream`.

    A subclass sets `consumers`: binding classes, their `.consumer`, or DRF viewsets, by the name
    of their stream; or a list of bindings that name their streams themselves. It may override
    `connect()` to refuse a socket, and `disconnect(code)`. Mount it with `as_asgi()`.
    """

    consumers: ClassVar[Mapping[str, Any] | Iterable[Any]] = {}

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
        try:
            code = await self._serve(receive)
        finally:
            await self.connection.end()
            await self.disconnect(code)

    async def _serve(self, receive: Any) -> int:
        while True:
            message = await receive()
            if message["type"] == "websocket.receive":
                self.connection.receive(message.get("text"))
            elif message["type"] == "websocket.connect":
                await self.connect()
            elif message["type"] == "websocket.disconnect":
                code: int = message.get("code") or 1005
                return code

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
