"""Viewsets of tasks, as users write them."""

from django.db import transaction
from django.http import HttpResponse
from django.utils.decorators import method_decorator
from rest_framework import serializers
from rest_framework.authentication import BasicAuthentication, SessionAuthentication
from rest_framework.exceptions import ValidationError
from rest_framework.filters import SearchFilter
from rest_framework.pagination import PageNumberPagination
from rest_framework.permissions import AllowAny, IsAdminUser, IsAuthenticated
from rest_framework.response import Response
from rest_framework.throttling import UserRateThrottle
from rest_framework.viewsets import GenericViewSet, ModelViewSet, ViewSet

from channels_api.resources import AsyncResourceMixin
from tests.app import http_tasks as tasks
from tests.app.celery_app import app  # noqa: F401 - the app that the tasks are published by
from tests.app.models import Question
from tests.app.serializers import QuestionSerializer

HOOKS = [
    f"{verb}_{kind}"
    for kind in ("list", "detail")
    for verb in ("get", "post", "put", "patch", "delete")
]


class Pages(PageNumberPagination):
    page_size = 2


class RowSerializer(serializers.Serializer):
    name = serializers.CharField()
    letter = serializers.SerializerMethodField()

    def get_letter(self, row):
        return row["name"][0]


def _echo(hook):
    def method(self, request, **kwargs):
        return tasks.echo.delay([hook, kwargs, request.data])

    return method


def _nothing(self, request, **kwargs):
    return None


ALLOWED = {"permission_classes": (AllowAny,)}
# All ten hooks.
Ten = type(
    "Ten",
    (AsyncResourceMixin, GenericViewSet),
    {**ALLOWED, **{f"async_{hook}": _echo(hook) for hook in HOOKS}},
)
# The same without anything that tasks don't need, and with a row's key of another name.
TenPlain = type(
    "TenPlain",
    (AsyncResourceMixin, ViewSet),
    {**ALLOWED, **{f"async_{hook}": _echo(hook) for hook in HOOKS}},
)
Nothing = type("Nothing", (AsyncResourceMixin, ViewSet), ALLOWED)
NothingGeneric = type("NothingGeneric", (AsyncResourceMixin, GenericViewSet), ALLOWED)
Refusing = type(
    "Refusing",
    (AsyncResourceMixin, ViewSet),
    {**ALLOWED, **{f"async_{hook}": _nothing for hook in HOOKS}},
)


class Shown(AsyncResourceMixin, GenericViewSet):
    """Lists in pages, each row through the serializer."""

    permission_classes = (AllowAny,)
    serializer_class = RowSerializer
    pagination_class = Pages

    def async_post_list(self, request, **kwargs):
        return tasks.echo.delay(request.data["value"], request.data.get("wait"))

    def async_get_list(self, request, **kwargs):
        """Run in place."""
        return tasks.echo.apply([[{"name": "ann"}]])

    def async_put_list(self, request, **kwargs):
        return tasks.refuse.apply(["invalid", {"year": ["No such year."]}])


class Found(Shown):
    """With a serializer that only a method knows, and filters that are nothing to results."""

    serializer_class = None
    filter_backends = (SearchFilter,)
    search_fields = ("name",)

    def get_serializer_class(self):
        return RowSerializer


class Bare(AsyncResourceMixin, ViewSet):
    """Neither pages nor a serializer."""

    permission_classes = (AllowAny,)

    def async_post_list(self, request, **kwargs):
        return tasks.echo.delay(request.data["value"])


class Processed(Bare):
    def process_result(self, result):
        if result == "response":
            return Response({"made": "here"}, status=203, headers={"X-Made": "here"})
        return {"processed": result}


class Passing(AsyncResourceMixin, ViewSet):
    permission_classes = (AllowAny,)

    def async_get_list(self, request, **kwargs):
        return Response({"short": "and stout"}, status=418, headers={"X-Pot": "tea"})

    def async_post_list(self, request, **kwargs):
        return HttpResponse("plain", content_type="text/plain", status=201)

    def async_put_list(self, request, **kwargs):
        raise ValidationError({"year": ["No such year."]})


class Locked(Bare):
    """For those who log in."""

    authentication_classes = (SessionAuthentication, BasicAuthentication)
    permission_classes = (IsAuthenticated,)


class StaffOnly(Locked):
    permission_classes = (IsAdminUser,)


class ThreeADay(UserRateThrottle):
    rate = "3/day"
    scope = "tests-http"


class Throttled(Bare):
    throttle_classes = (ThreeADay,)


class Questions(AsyncResourceMixin, ModelViewSet):
    """DRF's own, but for one verb."""

    permission_classes = (AllowAny,)
    queryset = Question.objects.order_by("pk")
    serializer_class = QuestionSerializer

    def async_post_list(self, request, **kwargs):
        return tasks.echo.delay("made")


class ProjectMixin(AsyncResourceMixin):
    """What a project's own viewsets have in common."""

    def process_result(self, result):
        return {"ours": result}


class ProjectQuestions(ProjectMixin, ModelViewSet):
    permission_classes = (AllowAny,)
    queryset = Question.objects.order_by("pk")
    serializer_class = QuestionSerializer

    def async_get_detail(self, request, **kwargs):
        return tasks.echo.delay("hook")


class WrittenAgain(ProjectQuestions):
    def retrieve(self, request, pk):
        return Response("by hand")


class WrittenOnce(WrittenAgain):
    pass


class Writing(AsyncResourceMixin, ViewSet):
    permission_classes = (AllowAny,)

    def async_post_list(self, request, **kwargs):
        Question.objects.create(question_text="written")
        if request.data.get("fail"):
            raise ValidationError("No.")
        return tasks.echo.delay(transaction.get_connection().in_atomic_block)


@method_decorator(transaction.non_atomic_requests, name="dispatch")
class WritingFreely(Writing):
    pass
