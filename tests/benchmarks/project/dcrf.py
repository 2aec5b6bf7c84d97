"""djangochannelsrestframework, as a user writes it."""

import time

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.urls import path

get_asgi_application()

from djangochannelsrestframework.decorators import action  # noqa: E402
from djangochannelsrestframework.generics import GenericAsyncAPIConsumer  # noqa: E402
from djangochannelsrestframework.mixins import (  # noqa: E402
    CreateModelMixin,
    DeleteModelMixin,
    ListModelMixin,
    PatchModelMixin,
    RetrieveModelMixin,
)
from djangochannelsrestframework.observer import model_observer  # noqa: E402

from tests.benchmarks.project.models import Note, Question  # noqa: E402
from tests.benchmarks.project.serializers import NoteSerializer, QuestionSerializer  # noqa: E402
from tests.benchmarks.project.stats import stats  # noqa: E402


class QuestionConsumer(
    CreateModelMixin,
    RetrieveModelMixin,
    ListModelMixin,
    PatchModelMixin,
    DeleteModelMixin,
    GenericAsyncAPIConsumer,
):
    queryset = Question.objects.all()
    serializer_class = QuestionSerializer

    def get_queryset(self, **kwargs):
        queryset = super().get_queryset(**kwargs)
        # It pages in streams of pages only: this is the first one, as the others send it.
        return queryset.order_by("pk")[:25] if kwargs.get("action") == "list" else queryset

    @model_observer(Question, serializer_class=QuestionSerializer)
    async def changed(self, message, action, subscribing_request_ids=(), **kwargs):
        for request_id in subscribing_request_ids:
            await self.reply(data=message, action=action, request_id=request_id)

    @action()
    async def subscribe(self, request_id, **kwargs):
        await self.changed.subscribe(request_id=request_id)
        return None, 201

    @action()
    def nap(self, **kwargs):
        time.sleep(0.2)
        return None, 200


class NoteConsumer(PatchModelMixin, GenericAsyncAPIConsumer):
    """A group for each user, as its manual has it: whoever may see a note is told of it.

    It reads no row for a subscriber. The other way, to ask the database in each consumer whether
    its user may see the row, would be a thread hop and a query for every one of them.
    """

    serializer_class = NoteSerializer

    def get_queryset(self, **kwargs):
        return Note.objects.filter(readers=self.scope["user"])

    @model_observer(Note, serializer_class=NoteSerializer)
    async def changed(self, message, action, subscribing_request_ids=(), **kwargs):
        for request_id in subscribing_request_ids:
            await self.reply(data=message, action=action, request_id=request_id)

    @changed.groups_for_signal
    def changed(self, instance, **kwargs):
        for pk in instance.readers.values_list("pk", flat=True):
            yield f"-user__{pk}"

    @changed.groups_for_consumer
    def changed(self, user, **kwargs):
        yield f"-user__{user.pk}"

    @action()
    async def subscribe(self, request_id, **kwargs):
        await self.changed.subscribe(request_id=request_id, user=self.scope["user"])
        return None, 201


websocket = URLRouter(
    [
        path("", QuestionConsumer.as_asgi()),
        path("notes/", AuthMiddlewareStack(NoteConsumer.as_asgi())),
    ]
)
application = ProtocolTypeRouter({"http": stats, "websocket": websocket})
