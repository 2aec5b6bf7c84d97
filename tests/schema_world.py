"""The streams of the tests of the schema: few, and of every kind."""

import django_filters
from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.urls import path, re_path
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import filters, pagination, serializers, viewsets
from rest_framework.decorators import action

from channels_api.bindings import ReadOnlyResourceBinding, ResourceBinding, ResourceBindingBase
from channels_api.decorators import detail_action, list_action
from channels_api.demultiplexer import WebsocketDemultiplexer
from channels_api.tasks import TaskBinding
from tests.app.echo import EchoConsumer
from tests.app.models import Document, Question
from tests.app.serializers import DocumentSerializer, QuestionSerializer


class VoteSerializer(serializers.Serializer):
    count = serializers.IntegerField()


class BriefSerializer(serializers.ModelSerializer):
    class Meta:
        model = Question
        fields = ("id", "votes")


class QuestionFilter(django_filters.FilterSet):
    votes = django_filters.RangeFilter(label="How many votes")
    kind = django_filters.ChoiceFilter(choices=[("a", "Apple")], method="nothing")
    kinds = django_filters.MultipleChoiceFilter(choices=[("a", "Apple")], method="nothing")
    since = django_filters.DateFilter(method="nothing", help_text="A day")
    ids = django_filters.BaseInFilter(field_name="pk")

    class Meta:
        model = Question
        fields = ["published", "owner", "question_text"]

    def nothing(self, queryset, name, value):
        return queryset


class Pages(pagination.PageNumberPagination):
    page_size = 10
    page_size_query_param = "size"


class FullBinding(ResourceBinding):
    """Questions, with all that there is.

    In two lines.
    """

    queryset = Question.objects.all()
    serializer_class = QuestionSerializer
    filter_backends = [filters.SearchFilter, filters.OrderingFilter, DjangoFilterBackend]
    filterset_class = QuestionFilter
    search_fields = ["question_text"]
    pagination_class = Pages

    def get_serializer_class(self):
        return BriefSerializer if self.action == "list" else super().get_serializer_class()

    @detail_action(serializer_class=VoteSerializer)
    def vote(self, pk, data=None, **kwargs):
        """Add votes."""

    @detail_action(method="PATCH", serializer_class=VoteSerializer)
    def mend(self, pk, data=None, **kwargs):
        pass

    @list_action("clear-all", uses_data=False)
    def clear(self, data=None, **kwargs):
        pass

    @list_action(method="GET", serializer_class=VoteSerializer)
    def look(self, data=None, **kwargs):
        pass


class AskingBinding(ReadOnlyResourceBinding):
    """Of whose rows nothing is known without a user."""

    model = Question
    filter_backends = [DjangoFilterBackend]
    filterset_fields = ["votes"]

    def get_queryset(self):
        return self.user.questions.all()

    def get_serializer_class(self):
        return {True: QuestionSerializer}[self.user.is_authenticated]


class HiddenBinding(ReadOnlyResourceBinding):
    """Its list and its retrieve are its own: it can't be subscribed to."""

    queryset = Document.objects.all()
    serializer_class = DocumentSerializer
    lookup_field = "title"

    @list_action(method="GET")
    def list(self, data=None, **kwargs):
        return []

    @detail_action(method="GET")
    def retrieve(self, pk, data=None, **kwargs):
        return {}


class PingBinding(ResourceBindingBase):
    @list_action()
    def ping(self, data=None, **kwargs):
        return "pong"


class DocumentViewSet(viewsets.ModelViewSet):
    """Documents."""

    queryset = Document.objects.all()
    serializer_class = DocumentSerializer
    http_method_names = ["get", "post"]
    pagination_class = pagination.LimitOffsetPagination

    @action(detail=True, methods=["post"], serializer_class=VoteSerializer)
    def rate(self, request, pk=None):
        """Say what it is worth."""


class PlainViewSet(viewsets.ViewSet):
    def list(self, request):
        """Whatever it likes."""


class Everything(WebsocketDemultiplexer):
    consumers = {
        "full": FullBinding,
        "asking": AskingBinding,
        "hidden": HiddenBinding,
        "ping": PingBinding,
        "documents": DocumentViewSet,
        "plain": PlainViewSet,
        "tasks": TaskBinding,
    }


class Second(WebsocketDemultiplexer):
    consumers = {"ping": PingBinding, "a b/c": PingBinding}


application = ProtocolTypeRouter(
    {
        "websocket": AllowedHostsOriginValidator(
            AuthMiddlewareStack(
                URLRouter(
                    [
                        path("ws/", Everything.as_asgi()),
                        path("echo/", EchoConsumer.as_asgi()),
                        path(
                            "rooms/<int:room>/",
                            URLRouter([re_path(r"^(?P<name>\w+)/$", Second.as_asgi())]),
                        ),
                    ]
                )
            )
        )
    }
)
nothing = ProtocolTypeRouter({"websocket": URLRouter([path("echo/", EchoConsumer.as_asgi())])})
http_alone = ProtocolTypeRouter({})
bare = Second.as_asgi()
