"""What the server of the benchmarks serves: one stream whose action begins any of the tasks."""

# First of all: it connects with Celery's signals before channels_api does.
from tests.benchmarks import work  # isort: skip

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.urls import path

http = get_asgi_application()

from channels_api.bindings import ResourceBindingBase  # noqa: E402
from channels_api.decorators import list_action  # noqa: E402
from channels_api.demultiplexer import WebsocketDemultiplexer  # noqa: E402
from channels_api.permissions import AllowAny  # noqa: E402


class Work(ResourceBindingBase):
    permission_classes = (AllowAny,)

    @list_action()
    def start(self, data=None, **kwargs):
        return getattr(work, data["task"]).delay(data["argument"])


class Demultiplexer(WebsocketDemultiplexer):
    consumers = {"work": Work}


websocket = AuthMiddlewareStack(URLRouter([path("", Demultiplexer.as_asgi())]))
application = ProtocolTypeRouter({"http": http, "websocket": websocket})
