"""Bindings whose rows, or what is shown of them, depend on the user in every way there is."""

import asyncio
import threading
from collections import Counter

import django_filters
from django.db import models, transaction
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import permissions, serializers
from rest_framework.filters import BaseFilterBackend
from rest_framework.viewsets import ModelViewSet

from channels_api.bindings import ResourceBinding, ResourceBindingBase
from channels_api.decorators import list_action
from channels_api.live.hub import get_hub
from tests.app.models import PublishedQuestion, Question, Survey
from tests.app.serializers import QuestionSerializer

COUNTS: Counter[str] = Counter()
DOORS: dict[str, threading.Event] = {}


class CountingQuerySet(models.QuerySet):
    """Counts the queries that fetch rows."""

    def _fetch_all(self):
        if self._result_cache is None:
            COUNTS["queries"] += 1
        super()._fetch_all()


class CountingSerializer(QuestionSerializer):
    def to_representation(self, instance):
        COUNTS["serializations"] += 1
        return super().to_representation(instance)


class LiveBinding(ResourceBinding):
    """Everybody sees everything."""

    model = Question
    serializer_class = QuestionSerializer
    queryset = Question.objects.all()


class CountedBinding(LiveBinding):
    serializer_class = CountingSerializer
    queryset = CountingQuerySet(Question)


class PublishedBinding(LiveBinding):
    """The same rows for everybody, but not all of them."""

    queryset = Question.objects.filter(published=True)


class OwnedBinding(LiveBinding):
    """Rows by the user."""

    def get_queryset(self):
        return Question.objects.filter(owner=self.user.pk)


class IsOwner(permissions.BasePermission):
    def has_object_permission(self, request, view, obj):
        return obj.owner_id is not None and obj.owner_id == request.user.pk


class PermittedBinding(LiveBinding):
    permission_classes = [IsOwner]


class OwnersRows(BaseFilterBackend):
    def filter_queryset(self, request, queryset, view):
        return queryset.filter(owner=request.user.pk)


class FilteredBinding(LiveBinding):
    filter_backends = [OwnersRows]


class OwnersSet(django_filters.FilterSet):
    """As django-filter's own pages show how to filter by the user."""

    class Meta:
        model = Question
        fields = ["votes"]

    @property
    def qs(self):
        return super().qs.filter(owner=self.request.user.pk)


class FilterSetBinding(LiveBinding):
    filter_backends = [DjangoFilterBackend]
    filterset_class = OwnersSet


class FilterSetViewSet(ModelViewSet):
    queryset = Question.objects.all()
    serializer_class = QuestionSerializer
    filter_backends = [DjangoFilterBackend]
    filterset_class = OwnersSet


class OwnedViewSet(ModelViewSet):
    serializer_class = QuestionSerializer
    queryset = Question.objects.all()

    def get_queryset(self):
        return super().get_queryset().filter(owner=self.request.user.pk)


class ViewerSerializer(serializers.ModelSerializer):
    """Shows each user something else."""

    viewer = serializers.SerializerMethodField()

    class Meta:
        model = Question
        fields = ("id", "viewer")

    def get_viewer(self, obj):
        return self.context["request"].user.get_username()


class InnerSerializer(ViewerSerializer):
    pass


class OuterSerializer(serializers.ModelSerializer):
    """Hands its context on as a copy."""

    inner = serializers.SerializerMethodField()

    class Meta:
        model = Question
        fields = ("id", "inner")

    def get_inner(self, obj):
        return InnerSerializer(obj, context={**self.context, "depth": 1}).data


class ShownBinding(LiveBinding):
    serializer_class = ViewerSerializer


class ShownDeepBinding(LiveBinding):
    serializer_class = OuterSerializer


class ShownTwiceBinding(LiveBinding):
    """Mounted under two names."""

    serializer_class = type("Viewer", (ViewerSerializer,), {})


class OtherDatabaseBinding(LiveBinding):
    queryset = Question.objects.using("other")


class ProxyBinding(LiveBinding):
    model = PublishedQuestion
    queryset = PublishedQuestion.objects.all()


class SurveySerializer(serializers.ModelSerializer):
    class Meta:
        model = Survey
        fields = ("question_text", "audience")


class SurveyBinding(ResourceBinding):
    model = Survey
    serializer_class = SurveySerializer
    queryset = Survey.objects.all()


class WriteBinding(ResourceBindingBase):
    """Writes in the server's process, in transactions of every kind."""

    @list_action()
    def create(self, data=None, **kwargs):
        return Question.objects.create(**data).pk

    @list_action()
    def change(self, data=None, **kwargs):
        question = Question.objects.get(pk=data.pop("pk"))
        for name, value in data.items():
            setattr(question, name, value)
        question.save()

    @list_action()
    def remove(self, data=None, **kwargs):
        Question.objects.get(pk=data).delete()

    @list_action()
    def create_survey(self, data=None, **kwargs):
        return Survey.objects.create(**data).pk

    @list_action()
    def create_elsewhere(self, data=None, **kwargs):
        return Question.objects.using("other").create(question_text=data).pk

    @list_action()
    def roll_back(self, data=None, **kwargs):
        with transaction.atomic():
            Question.objects.create(question_text=data)
            transaction.set_rollback(True)

    @list_action()
    def roll_back_savepoint(self, data=None, **kwargs):
        with transaction.atomic():
            with transaction.atomic():
                Question.objects.create(question_text=data)
                transaction.set_rollback(True)
            return Question.objects.create(question_text="kept").pk


class StateBinding(ResourceBindingBase):
    """What there is of live in the server's process."""

    @list_action()
    async def look(self, data=None, **kwargs):
        topics = get_hub()._topics  # noqa: SLF001
        tasks = [task.get_coro().__qualname__ for task in asyncio.all_tasks()]
        return {
            "topics": len(topics),
            "audiences": sum(len(state.audiences) for state in topics.values()),
            "tasks": sorted(tasks),
        }

    @list_action()
    def counts(self, data=None, **kwargs):
        return dict(COUNTS)

    @list_action()
    def wait(self, data=None, **kwargs):
        return DOORS.setdefault(data, threading.Event()).wait(20)

    @list_action()
    def release(self, data=None, **kwargs):
        DOORS.setdefault(data, threading.Event()).set()


CONSUMERS = {
    "live": LiveBinding,
    "live-counted": CountedBinding,
    "live-published": PublishedBinding,
    "live-owned": OwnedBinding,
    "live-owned-viewset": OwnedViewSet,
    "live-permitted": PermittedBinding,
    "live-filtered": FilteredBinding,
    "live-filterset": FilterSetBinding,
    "live-filterset-viewset": FilterSetViewSet,
    "live-shown": ShownBinding,
    "live-shown-deep": ShownDeepBinding,
    "live-shown-a": ShownTwiceBinding,
    "live-shown-b": ShownTwiceBinding,
    "live-other": OtherDatabaseBinding,
    "live-proxy": ProxyBinding,
    "live-surveys": SurveyBinding,
    "live-write": WriteBinding,
    "live-state": StateBinding,
    "live-doors": StateBinding,
}
