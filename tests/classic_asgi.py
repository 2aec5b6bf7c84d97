"""Demultiplexers in other places than behind the usual middleware."""

import logging

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.urls import path

http = get_asgi_application()

from channels_api.bindings import ReadOnlyResourceBinding  # noqa: E402
from channels_api.demultiplexer import WebsocketDemultiplexer  # noqa: E402
from tests.app.streams import Demultiplexer  # noqa: E402
from tests.app.streams.classic import ClassicBinding, DocumentBinding  # noqa: E402

logging.basicConfig(level=logging.INFO)
logger = logging.getLogger(__name__)


class ListedDocumentBinding(DocumentBinding):
    stream = "listed-documents"


class ListedDemultiplexer(WebsocketDemultiplexer):
    """Bindings that name their streams themselves."""

    consumers = (ClassicBinding.consumer, ListedDocumentBinding)


class EmptyDemultiplexer(WebsocketDemultiplexer):
    pass


class ReadOnlyClassicBinding(ReadOnlyResourceBinding):
    """The same stream name as another demultiplexer has for another binding."""

    queryset = ClassicBinding.queryset
    serializer_class = ClassicBinding.serializer_class
    permission_classes = ()


class GuardedDemultiplexer(WebsocketDemultiplexer):
    """Takes only sockets of users, and notes when they are gone."""

    consumers = {"classic": ReadOnlyClassicBinding}

    async def connect(self):
        if self.scope["user"].is_authenticated:
            await self.accept()
        else:
            await self.close(4401)

    async def disconnect(self, code):
        logger.info("disconnected: %s", code)


application = ProtocolTypeRouter(
    {
        "http": http,
        "websocket": URLRouter(
            [
                path("ws/", AuthMiddlewareStack(Demultiplexer.as_asgi())),
                path("bare/", Demultiplexer.as_asgi()),
                path("listed/", AuthMiddlewareStack(ListedDemultiplexer.as_asgi())),
                path("empty/", EmptyDemultiplexer.as_asgi()),
                path("guarded/", AuthMiddlewareStack(GuardedDemultiplexer.as_asgi())),
            ]
        ),
    }
)
