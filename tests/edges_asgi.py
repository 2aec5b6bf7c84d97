"""The streams behind a middleware that loads the user at its first use."""

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.urls import path

http = get_asgi_application()

from tests.app.streams import Demultiplexer  # noqa: E402
from tests.app.streams.edges import LazyUserMiddleware  # noqa: E402

application = ProtocolTypeRouter(
    {
        "http": http,
        "websocket": URLRouter([path("ws/", LazyUserMiddleware(Demultiplexer.as_asgi()))]),
    }
)
