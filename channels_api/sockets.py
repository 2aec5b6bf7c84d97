"""Where the project's sockets are: a walk through what `ASGI_APPLICATION` routes to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from channels.routing import get_default_application
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from rest_framework.schemas.generators import EndpointEnumerator

from .connection import Streams
from .demultiplexer import WebsocketDemultiplexer

# What middlewares call the application that they wrap.
WRAPPED = ("inner", "application", "app")

# Of an address; what a regular expression repeats, as [a-z]{2}, is none, and is escaped.
PARAMETER = re.compile(r"\{([A-Za-z_]\w*)\}")
REPEATED = re.compile(r"\{([0-9,]+)\}")

ADVICE = (
    'Put YourDemultiplexer.as_asgi() into a route of its URLRouter, under "websocket" in the '
    "ProtocolTypeRouter."
)


@dataclass(frozen=True)
class Socket:
    """A route with a demultiplexer: its path, as "/ws/{room}/", and its bindings by stream.

    `way`: the ASGI applications that lead to it, from the outermost to what `as_asgi()` made.
    """

    address: str
    parameters: tuple[str, ...]
    demultiplexer: type[WebsocketDemultiplexer]
    way: tuple[Any, ...]

    @property
    def streams(self) -> Streams:
        return self.demultiplexer.streams


def find_sockets() -> list[Socket]:
    """The sockets in the order of their routes. Raises ImproperlyConfigured where there is none."""
    name = getattr(settings, "ASGI_APPLICATION", None)
    if not name:
        raise ImproperlyConfigured(
            "ASGI_APPLICATION is not set, so it is not known where the sockets are. Name the "
            'application there: ASGI_APPLICATION = "proj.asgi.application", for example.'
        )
    found = list(walk(load_application()))
    if not found:
        raise ImproperlyConfigured(
            f"No WebsocketDemultiplexer was found in ASGI_APPLICATION ({name}), nor in the "
            f"routers and middlewares below it. {ADVICE}"
        )
    return found


def load_application() -> Any:
    """What `ASGI_APPLICATION` names. Raises what its module raises when it is imported."""
    try:
        return get_default_application()
    except ImproperlyConfigured as exc:
        raise ImproperlyConfigured(f"{exc} {exc.__context__ or ''}".strip()) from exc


def walk(application: Any, pattern: str = "", above: tuple[Any, ...] = ()) -> Iterator[Socket]:
    """The sockets below an ASGI application, as far as its routers and middlewares are known."""
    if application is None or any(application is each for each in above):
        return
    way = (*above, application)
    consumer = getattr(application, "consumer_class", None)
    if consumer is not None:
        if issubclass(consumer, WebsocketDemultiplexer):
            yield _socket(consumer, pattern, way)
        return
    mapping = getattr(application, "application_mapping", None)
    if isinstance(mapping, Mapping):
        yield from walk(mapping.get("websocket"), pattern, way)
    for route in getattr(application, "routes", None) or ():
        # Those of other frameworks have neither.
        below = pattern + str(getattr(route, "pattern", ""))
        yield from walk(getattr(route, "callback", None), below, way)
    for name in WRAPPED:
        yield from walk(getattr(application, name, None), pattern, way)


def _socket(
    demultiplexer: type[WebsocketDemultiplexer], pattern: str, way: tuple[Any, ...]
) -> Socket:
    path = EndpointEnumerator(patterns=[]).get_path_from_regex(pattern)
    address = REPEATED.sub(r"%7B\1%7D", path)
    return Socket(address, tuple(PARAMETER.findall(address)), demultiplexer, way)
