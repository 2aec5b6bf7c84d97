"""What the project's sockets take and send, as one AsyncAPI document."""

from __future__ import annotations

import functools
from typing import Any

from django.conf import settings

from ..logs import logger
from ..sockets import Socket, find_sockets
from . import shapes
from .asyncapi import Document
from .draft7 import plain
from .fields import Warn
from .leaves import make_leaves
from .serializers import Components
from .streams import StreamInspector, StreamSchema

__all__ = ["make_schema"]


def make_schema(*, warn: Warn = logger.warning) -> dict[str, Any]:
    """The AsyncAPI 3 document of all demultiplexers that `ASGI_APPLICATION` leads to.

    `warn` is called with a sentence for each thing that can't be described, which is then left
    open: `{}`. Raises ImproperlyConfigured where there is no demultiplexer.
    """
    sockets = find_sockets()
    # The same is found out again for each action.
    warn = functools.cache(warn)
    components = Components(make_leaves(), warn)
    components.add("Task", shapes.TASK_STATE)
    document = Document(settings.ASGI_APPLICATION.partition(".")[0])
    for socket in sockets:
        document.add_socket(socket, _streams(socket, components, warn))
    found: dict[str, Any] = plain(document.finish(dict(sorted(components.schemas.items()))))
    return found


def _streams(socket: Socket, components: Components, warn: Warn) -> list[StreamSchema]:
    return [
        StreamInspector(stream, binding, socket=socket, components=components, warn=warn).describe()
        for stream, binding in socket.streams.items()
    ]
