"""Bindings and viewsets at the edges: errors of a project, links, and what handlers may do."""

import asyncio
import threading

from django.contrib.auth.models import User
from django.core.exceptions import BadRequest, SuspiciousOperation
from django.db.models import Count
from django.http import Http404
from django.utils.functional import SimpleLazyObject
from rest_framework import pagination, permissions, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import exception_handler

from channels_api.bindings import ResourceBinding, ResourceBindingBase
from channels_api.decorators import detail_action, list_action
from channels_api.permissions import BasePermission
from tests.app.models import Question
from tests.app.serializers import QuestionSerializer

SECRET = "db password=correct horse"


class OutOfStockError(Exception):
    """An error of the project's domain, which DRF does not know."""


class UnhandledError(Exception):
    """One that the project's handler leaves to others."""


class BreaksHandlerError(Exception):
    """One that the project's handler fails on."""


FAILURES = {
    "OutOfStock": OutOfStockError("flour"),
    "Unhandled": UnhandledError(SECRET),
    "BreaksHandler": BreaksHandlerError(SECRET),
    "ValidationError": ValidationError({"field": ["Wrong."]}),
    "PermissionDenied": PermissionDenied(),
    "Http404": Http404(),
    "SuspiciousOperation": SuspiciousOperation(SECRET),
    "BadRequest": BadRequest(SECRET),
}


def project_handler(exc, context):
    """The EXCEPTION_HANDLER of edges_settings."""
    if isinstance(exc, OutOfStockError):
        errors = [f"Out of {exc}.", type(context["view"]).__name__, context["request"].method]
        return Response(errors, status=409)
    if isinstance(exc, UnhandledError):
        return None
    if isinstance(exc, BreaksHandlerError):
        return context["no such key"]
    response = exception_handler(exc, context)
    if response is not None:
        response.status_code = 418  # to be seen, should it be asked
    return response


class FailingBinding(ResourceBindingBase):
    @list_action()
    def fail(self, data=None, **kwargs):
        raise FAILURES[data]

    @list_action()
    async def async_fail(self, data=None, **kwargs):
        raise FAILURES[data]

    @list_action()
    def echo(self, data=None, **kwargs):
        return data


class FailingViewSet(viewsets.ViewSet):
    @action(detail=False, methods=["post"])
    def fail(self, request):
        raise FAILURES[request.data["name"]]


class BrokenConstructorBinding(FailingBinding):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        raise RuntimeError(SECRET)


class WhoBinding(ResourceBindingBase):
    """Looks at the user in every place where an action may."""

    @list_action()
    def who(self, data=None, **kwargs):
        return [self.user.username, self.request.user.username]

    @list_action()
    async def async_who(self, data=None, **kwargs):
        return [self.user.username, self.request.user.username]


class LinkSerializer(serializers.HyperlinkedModelSerializer):
    url = serializers.HyperlinkedIdentityField(view_name="edges-links-detail")
    all = serializers.SerializerMethodField()

    class Meta:
        model = Question
        fields = ("url", "all")

    def get_all(self, obj):
        return reverse("edges-links-list", request=self.context["request"])


class PagesOfOne(pagination.PageNumberPagination):
    page_size = 1


class LinksViewSet(viewsets.ModelViewSet):
    queryset = Question.objects.order_by("pk")
    serializer_class = LinkSerializer
    pagination_class = PagesOfOne


class LinksBinding(ResourceBinding):
    queryset = Question.objects.order_by("pk")
    serializer_class = LinkSerializer
    pagination_class = PagesOfOne


class VotesSerializer(serializers.Serializer):
    votes = serializers.IntegerField()


class TotalsSerializer(VotesSerializer):
    total = serializers.IntegerField()


class GroupedViewSet(viewsets.ModelViewSet):
    queryset = Question.objects.values("votes").annotate(total=Count("pk"))
    serializer_class = TotalsSerializer


class GroupedBinding(ResourceBinding):
    queryset = GroupedViewSet.queryset
    serializer_class = TotalsSerializer


class DistinctViewSet(viewsets.ModelViewSet):
    queryset = Question.objects.values("votes").distinct()
    serializer_class = VotesSerializer


class DistinctBinding(ResourceBinding):
    queryset = DistinctViewSet.queryset
    serializer_class = VotesSerializer


class HandlersBinding(ResourceBinding):
    """What a handler may ask for and give back."""

    queryset = Question.objects.all()
    serializer_class = QuestionSerializer

    @detail_action()
    def own_row(self, pk, data=None, **kwargs):
        return self.get_object().question_text

    @detail_action()
    def no_row(self, pk, data=None, **kwargs):
        return self.get_object(None).question_text

    @detail_action()
    async def async_own_row(self, pk, data=None, **kwargs):
        return (await self.aget_object()).question_text

    @detail_action()
    async def async_no_row(self, pk, data=None, **kwargs):
        return (await self.aget_object(None)).question_text

    @list_action()
    def pair(self, data=None, **kwargs):
        return 3, 4

    @list_action()
    def pair_with_status(self, data=None, **kwargs):
        return (3, 4), 202

    @list_action()
    def empty_error(self, data=None, **kwargs):
        return Response(None, status=404)


class ScopedViewSet(viewsets.ViewSet):
    """A viewset with an attribute, a `setup()` and an async action of its own."""

    scope = "whole"

    def setup(self, request, *args, **kwargs):
        super().setup(request, *args, **kwargs)
        self.tenant = f"tenant of {request.method}"

    def seen(self):
        return [self.scope, self.tenant, self.action, self.detail]

    @action(detail=False, methods=["post"], scope="narrow")
    def narrow(self, request):
        return Response(self.seen())

    @action(detail=False, methods=["put"])
    async def async_list(self, request):
        await asyncio.sleep(0)
        return Response(self.seen())

    @action(detail=True, methods=["post"])
    async def async_row(self, request, pk=None):
        await asyncio.sleep(0)
        return Response([pk, *self.seen()])


class FailingSetupViewSet(FailingViewSet):
    """It can't even be set up."""

    def setup(self, request, *args, **kwargs):
        raise OutOfStockError("sugar")


class SaysWhatItSees(permissions.BasePermission):
    def has_permission(self, request, view):
        raise ValidationError(f"{view.action} by {request.method}")


class SaysWhatItIsAsked(BasePermission):
    def has_permission(self, user, action, pk):
        raise ValidationError(f"{action} of {pk}")


class SeenBinding(ResourceBinding):
    queryset = Question.objects.all()
    serializer_class = QuestionSerializer
    permission_classes = [SaysWhatItSees]


class ClassicSeenBinding(SeenBinding):
    permission_classes = [SaysWhatItIsAsked]


class SeenViewSet(viewsets.ModelViewSet):
    queryset = Question.objects.all()
    serializer_class = QuestionSerializer
    permission_classes = [SaysWhatItSees]


class ShortSerializer(serializers.ModelSerializer):
    class Meta:
        model = Question
        fields = ("id",)


class ByActionBinding(ResourceBinding):
    queryset = Question.objects.all()

    def get_serializer_class(self):
        return {"list": ShortSerializer, "create": QuestionSerializer}.get(
            self.action, TextSerializer
        )


class ByActionViewSet(viewsets.ModelViewSet):
    queryset = Question.objects.all()
    get_serializer_class = ByActionBinding.get_serializer_class


class TextSerializer(serializers.ModelSerializer):
    class Meta:
        model = Question
        fields = ("id", "question_text")


class LazyUserMiddleware:
    """Puts a user into the scope that is loaded from the database at its first use."""

    def __init__(self, inner):
        self.inner = inner

    async def __call__(self, scope, receive, send):
        user = SimpleLazyObject(lambda: User.objects.get(username="lazy"))
        return await self.inner({**scope, "user": user}, receive, send)


class ThreadsBinding(ResourceBindingBase):
    @list_action()
    def thread(self, data=None, **kwargs):
        return threading.current_thread().name.startswith("channels_api-")


VIEWSETS = {
    "edges-links": LinksViewSet,
    "edges-grouped": GroupedViewSet,
    "edges-distinct": DistinctViewSet,
}

CONSUMERS = {
    "edges-failing": FailingBinding,
    "edges-failing-viewset": FailingViewSet,
    "edges-failing-setup": FailingSetupViewSet,
    "edges-constructor": BrokenConstructorBinding,
    "edges-who": WhoBinding,
    "edges-links": LinksBinding,
    "edges-links-viewset": LinksViewSet,
    "edges-grouped": GroupedBinding,
    "edges-grouped-viewset": GroupedViewSet,
    "edges-distinct": DistinctBinding,
    "edges-distinct-viewset": DistinctViewSet,
    "edges-handlers": HandlersBinding,
    "edges-scoped": ScopedViewSet,
    "edges-seen": SeenBinding,
    "edges-seen-classic": ClassicSeenBinding,
    "edges-seen-viewset": SeenViewSet,
    "edges-by-action": ByActionBinding,
    "edges-by-action-viewset": ByActionViewSet,
    "edges-threads": ThreadsBinding,
}
