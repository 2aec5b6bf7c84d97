"""This library, as a user writes it."""

import time

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.urls import path

get_asgi_application()

from channels_api.bindings import ResourceBinding  # noqa: E402
from channels_api.decorators import list_action  # noqa: E402
from channels_api.demultiplexer import WebsocketDemultiplexer  # noqa: E402
from tests.benchmarks.project.models import Note, Question  # noqa: E402
from tests.benchmarks.project.serializers import NoteSerializer, QuestionSerializer  # noqa: E402
from tests.benchmarks.project.stats import stats  # noqa: E402


class QuestionBinding(ResourceBinding):
    model = Question
    queryset = Question.objects.order_by("pk")
    serializer_class = QuestionSerializer

    @list_action()
    def nap(self, data=None, **kwargs):
        time.sleep(0.2)
        return None, 200


class NoteBinding(ResourceBinding):
    """Each user sees the notes that are shared with them."""

    model = Note
    serializer_class = NoteSerializer

    def get_queryset(self):
        return Note.objects.filter(readers=self.user).order_by("pk")


class Questions(WebsocketDemultiplexer):
    consumers = {"rows": QuestionBinding.consumer}


class Notes(WebsocketDemultiplexer):
    consumers = {"rows": NoteBinding.consumer}


websocket = URLRouter(
    [
        path("", Questions.as_asgi()),
        path("notes/", AuthMiddlewareStack(Notes.as_asgi())),
    ]
)
application = ProtocolTypeRouter({"http": stats, "websocket": websocket})
