"""What the app servers of the tests serve."""

import logging

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.core.asgi import get_asgi_application
from django.urls import path

# First of all: it sets Django up, and the modules below import models.
http = get_asgi_application()

from tests.app.echo import EchoConsumer  # noqa: E402
from tests.app.streams import Demultiplexer  # noqa: E402

# The tests read the server's log. uvicorn configures no logger but its own.
logging.basicConfig(level=logging.INFO)

application = ProtocolTypeRouter(
    {
        "http": http,
        "websocket": AllowedHostsOriginValidator(
            AuthMiddlewareStack(
                URLRouter(
                    [
                        path("ws/", Demultiplexer.as_asgi()),
                        path("echo/", EchoConsumer.as_asgi()),
                    ]
                )
            )
        ),
    }
)
