"""The demo as ASGI servers see it: Django for HTTP, the API for WebSockets."""

import os

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.core.asgi import get_asgi_application
from django.urls import path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "proj.settings")
# First of all: it sets Django up, and routing.py imports models.
http = get_asgi_application()

from proj.routing import APIDemultiplexer  # noqa: E402

application = ProtocolTypeRouter(
    {
        "http": http,
        # The outermost asks where the page came from that opens the socket. Browsers send their
        # cookies along from any site, so without it any site could act for our users.
        "websocket": AllowedHostsOriginValidator(
            AuthMiddlewareStack(URLRouter([path("ws/", APIDemultiplexer.as_asgi())]))
        ),
    }
)
