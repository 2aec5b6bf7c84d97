"""The polls over HTTP, as a project with Django REST framework has them already.

Both doors share the models, the serializers and the permissions, and what comes in through one
is told to the subscribers of the other.
"""

from rest_framework.decorators import action
from rest_framework.filters import OrderingFilter, SearchFilter
from rest_framework.response import Response
from rest_framework.routers import DefaultRouter
from rest_framework.viewsets import ModelViewSet, ViewSet

from channels_api.resources import AsyncResourceMixin

from . import tasks
from .models import Choice, Question
from .serializers import ChoiceSerializer, QuestionSerializer


class QuestionViewSet(ModelViewSet):
    """Stands behind /api/questions/ and, as it is, behind the stream `api-questions`."""

    serializer_class = QuestionSerializer
    queryset = Question.objects.prefetch_related("choices")
    filter_backends = [SearchFilter, OrderingFilter]
    search_fields = ["question_text", "choices__choice_text"]
    ordering_fields = ["pub_date", "question_text"]

    @action(detail=False)
    def totals(self, request):
        return Response(self.get_queryset().totals())


class ChoiceViewSet(ModelViewSet):
    """Stands behind /api/choices/."""

    serializer_class = ChoiceSerializer
    queryset = Choice.objects.all()

    @action(detail=True, methods=["post"])
    def vote(self, request, pk=None):
        choice = self.get_object()
        choice.vote()
        return Response(self.get_serializer(choice).data)


class ReportViewSet(AsyncResourceMixin, ViewSet):
    """Stands behind /api/reports/: the task of the action `report`, through the other door."""

    def async_get_list(self, request, **kwargs):
        return tasks.count_votes.delay()


router = DefaultRouter()
router.register("questions", QuestionViewSet)
router.register("choices", ChoiceViewSet)
router.register("reports", ReportViewSet, basename="report")
