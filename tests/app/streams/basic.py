"""The three models as plain bindings, and one of them as a viewset that is mounted as it is."""

from rest_framework.viewsets import ModelViewSet

from channels_api.bindings import ReadOnlyResourceBinding, ResourceBinding
from tests.app.models import Document, Question, Tag
from tests.app.serializers import DocumentSerializer, QuestionSerializer, TagSerializer


class QuestionBinding(ResourceBinding):
    model = Question
    stream = "questions"
    serializer_class = QuestionSerializer
    queryset = Question.objects.all()


class ReadOnlyQuestionBinding(ReadOnlyResourceBinding):
    model = Question
    serializer_class = QuestionSerializer
    queryset = Question.objects.all()


class DocumentBinding(ResourceBinding):
    model = Document
    serializer_class = DocumentSerializer
    queryset = Document.objects.all()


class TagBinding(ResourceBinding):
    model = Tag
    serializer_class = TagSerializer
    queryset = Tag.objects.all()


class QuestionViewSet(ModelViewSet):
    serializer_class = QuestionSerializer
    queryset = Question.objects.all()


CONSUMERS = {
    "questions": QuestionBinding.consumer,
    "questions-read-only": ReadOnlyQuestionBinding,
    "documents": DocumentBinding,
    "tags": TagBinding,
    "questions-viewset": QuestionViewSet,
}
