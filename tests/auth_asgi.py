"""Sockets with each way to authenticate."""

import logging

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.core.asgi import get_asgi_application
from django.urls import path

http = get_asgi_application()

from rest_framework import authentication  # noqa: E402
from rest_framework_simplejwt.authentication import JWTAuthentication  # noqa: E402

from channels_api.demultiplexer import WebsocketDemultiplexer  # noqa: E402
from tests.app.streams import auth  # noqa: E402

# The tests look for tokens in the log.
logging.basicConfig(level=logging.INFO)
logging.getLogger("channels_api").setLevel(logging.DEBUG)
logging.getLogger("django").setLevel(logging.DEBUG)


class Session(WebsocketDemultiplexer):
    consumers = auth.CONSUMERS
    authentication_classes = [authentication.SessionAuthentication]


class Token(WebsocketDemultiplexer):
    consumers = auth.CONSUMERS
    authentication_classes = [authentication.TokenAuthentication]


class JWT(WebsocketDemultiplexer):
    consumers = auth.CONSUMERS
    authentication_classes = [JWTAuthentication]


class Any(WebsocketDemultiplexer):
    consumers = auth.CONSUMERS
    authentication_classes = [
        authentication.SessionAuthentication,
        authentication.BasicAuthentication,
        authentication.TokenAuthentication,
    ]


class Plain(WebsocketDemultiplexer):
    consumers = auth.CONSUMERS


class Open(WebsocketDemultiplexer):
    consumers = {"auth-nobody": auth.NobodyBinding}


application = ProtocolTypeRouter(
    {
        "http": http,
        "websocket": AllowedHostsOriginValidator(
            URLRouter(
                [
                    path("ws/", AuthMiddlewareStack(Plain.as_asgi())),
                    path("session/", AuthMiddlewareStack(Session.as_asgi())),
                    path("any/", AuthMiddlewareStack(Any.as_asgi())),
                    path("token/", Token.as_asgi()),
                    path("jwt/", JWT.as_asgi()),
                    path("bare/", Plain.as_asgi()),
                    path("open/", Open.as_asgi()),
                ]
            )
        ),
    }
)
