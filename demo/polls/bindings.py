"""The polls over the socket: what viewsets are to HTTP, bindings are to a stream."""

from rest_framework.permissions import IsAuthenticated

from channels_api.bindings import ResourceBinding
from channels_api.decorators import detail_action, list_action

from . import tasks
from .models import Choice, Question
from .serializers import ChoiceSerializer, QuestionSerializer


class QuestionBinding(ResourceBinding):
    model = Question
    stream = "questions"
    serializer_class = QuestionSerializer
    queryset = Question.objects.prefetch_related("choices")

    @list_action()
    def totals(self, data=None, **kwargs):
        return self.get_queryset().totals(), 200

    # Takes seconds: the client is answered 202 at once, and hears of each step.
    @list_action()
    def report(self, data=None, **kwargs):
        return tasks.count_votes.delay()

    # The one action that asks for an account (demo/demo), to show what others are answered.
    @detail_action(permission_classes=[IsAuthenticated])
    def reset(self, pk, data=None, **kwargs):
        question = self.get_object(pk)
        question.reset()
        return {"id": question.pk}, 200


class ChoiceBinding(ResourceBinding):
    model = Choice
    stream = "choices"
    serializer_class = ChoiceSerializer
    queryset = Choice.objects.all()

    @detail_action()
    def vote(self, pk, data=None, **kwargs):
        choice = self.get_object(pk)
        choice.vote()
        return self.serialize_data(choice), 200
