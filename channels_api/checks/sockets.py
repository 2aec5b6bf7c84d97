"""What `ASGI_APPLICATION` leads to: who guards the sockets, and what their bindings lack."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as CheckWarning

from .tasks import find_task_faults

if TYPE_CHECKING:
    from ..sockets import Socket


@register
def check_sockets(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W004: the application can't be looked at. W005: nobody checks origins. W006: nor users.

    E007: a binding lacks a queryset or a serializer. E008: two have one stream. E004 and E009: see
    `find_task_faults`.
    """
    # What is used here and below is imported now: other processes make no checks.
    from .bindings import find_binding_faults

    sockets: list[Socket] = []
    found: list[CheckMessage] = []
    try:
        sockets = _load_sockets()
    except Exception as exc:  # whatever the project's modules raise
        found = [_not_loaded(exc)]
    bindings = {binding: stream for each in sockets for stream, binding in each.streams.items()}
    unguarded = [message for each in sockets if _is_known(each) for message in _unguarded(each)]
    # Once for a demultiplexer that several routes lead to.
    found += {message.msg: message for message in unguarded}.values()
    for binding, stream in bindings.items():
        found += find_binding_faults(stream, binding)
    return [*found, *_ambiguous(), *find_task_faults(bindings)]


def _load_sockets() -> list[Socket]:
    if not getattr(django_settings, "ASGI_APPLICATION", None):
        return []
    from ..sockets import load_application, walk

    return list(walk(load_application()))


def _not_loaded(exc: Exception) -> CheckMessage:
    name = django_settings.ASGI_APPLICATION
    return CheckWarning(
        f"ASGI_APPLICATION ({name}) was not checked: {type(exc).__name__}: {exc}",
        hint="Import it in `manage.py shell` to see where that comes from.",
        id="channels_api.W004",
    )


def _is_known(socket: Socket) -> bool:
    """Whether all that a handshake passes is Channels' own: else anybody may guard the socket."""
    from ..demultiplexer import WebsocketDemultiplexer

    *outer, innermost = socket.way
    demultiplexer = socket.demultiplexer
    return (
        all(type(each).__module__.partition(".")[0] == "channels" for each in outer)
        # A decorator that was put round it has its own.
        and getattr(innermost, "__wrapped__", None) is demultiplexer
        and demultiplexer.connect is WebsocketDemultiplexer.connect
        and demultiplexer.__call__ is WebsocketDemultiplexer.__call__
    )


def _unguarded(socket: Socket) -> Iterator[CheckMessage]:
    from channels.security.websocket import OriginValidator

    name = socket.demultiplexer.__name__
    if not any(isinstance(each, OriginValidator) for each in socket.way):
        yield CheckWarning(
            f"Pages of any site may open the socket of {name} as the user who visits them.",
            hint="Wrap it in channels.security.websocket.AllowedHostsOriginValidator.",
            id="channels_api.W005",
        )
    for_users = sorted(stream for stream, each in socket.streams.items() if each.needs_user())
    if for_users and not _has_users(socket):
        yield CheckWarning(
            f"Nobody can use {', '.join(map(repr, for_users))} of {name}: the permissions need a "
            "user, and no middleware finds out who it is.",
            hint="Wrap it in channels.auth.AuthMiddlewareStack, or set authentication_classes.",
            id="channels_api.W006",
        )


def _has_users(socket: Socket) -> bool:
    from channels.auth import AuthMiddleware

    return bool(socket.demultiplexer.authentication_classes) or any(
        isinstance(each, AuthMiddleware) for each in socket.way
    )


def _ambiguous() -> Iterator[CheckMessage]:
    from ..demultiplexer import WebsocketDemultiplexer

    # Of all that were imported: such a one can't become an application that could be found.
    for each in _subclasses(WebsocketDemultiplexer):
        for stream in _repeated(each.consumers):
            yield Error(
                f"{each.__name__} has two bindings for {stream!r}.",
                hint="Give one of them another `stream`, or name the streams: "
                'consumers = {"questions": QuestionBinding}.',
                id="channels_api.E008",
            )


def _repeated(consumers: Mapping[str, Any] | Iterable[Any]) -> list[str]:
    if isinstance(consumers, Mapping):
        return []
    count = Counter(getattr(each, "stream", None) for each in consumers)
    return [stream for stream, times in count.items() if stream is not None and times > 1]


def _subclasses(cls: type[Any]) -> Iterator[type[Any]]:
    for each in cls.__subclasses__():
        # What a function has made is no configuration: it fails where it is made.
        if "<locals>" not in each.__qualname__:
            yield each
        yield from _subclasses(each)
