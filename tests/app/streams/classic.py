"""Bindings as users of 0.4.1 wrote them, and what is new around them."""

import asyncio
import decimal
import uuid
from collections import defaultdict
from datetime import datetime, timezone
from http import HTTPStatus

from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.db import transaction
from django.http import Http404
from django.utils.translation import gettext_lazy
from rest_framework import permissions as drf_permissions
from rest_framework import serializers
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.pagination import PageNumberPagination
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle

from channels_api.bindings import ReadOnlyResourceBinding, ResourceBinding, ResourceBindingBase
from channels_api.decorators import detail_action, list_action
from channels_api.mixins import CreateModelMixin, ListModelMixin
from channels_api.permissions import AllowAny, BasePermission, IsAuthenticated
from tests.app.models import Document, Question, Tag
from tests.app.serializers import DocumentSerializer, QuestionSerializer, TagSerializer

#: Stands in the text of every exception that `FailingBinding` raises; no client may see it.
SECRET = "db password=hunter2"


class ClassicBinding(ResourceBinding):
    """Every action, for everybody, and custom ones in every form that a handler may have."""

    model = Question
    stream = "classic"
    serializer_class = QuestionSerializer
    queryset = Question.objects.all()
    permission_classes = (AllowAny,)

    @list_action()
    def plain_list(self, data=None, **kwargs):
        return "some data", 200

    @detail_action()
    def plain_detail(self, pk, data=None, **kwargs):
        return self.get_object_or_404(pk).question_text, 200

    @list_action(name="named_list")
    def some_other_list(self, data=None, **kwargs):
        return "some data", 200

    @detail_action(name="named_detail")
    def some_other_detail(self, pk, data=None, **kwargs):
        return self.get_object(pk).question_text, 200

    @list_action()
    def echo(self, data=None, **kwargs):
        return data

    @detail_action()
    def echo_pk(self, pk, data=None, **kwargs):
        return {"pk": pk, "data": data}

    @list_action()
    async def async_list(self, data=None, **kwargs):
        return data, 202

    @detail_action()
    async def async_detail(self, pk, data=None, **kwargs):
        return await self.aserialize_data(await self.aget_object(pk))

    @detail_action()
    async def async_detail_or_404(self, pk, data=None, **kwargs):
        return await self.aserialize_data(await self.aget_object_or_404(pk))

    @list_action()
    def who(self, data=None, **kwargs):
        return {"user": self.user.get_username(), "request_id": self.request_id}

    @list_action()
    def returns(self, data=None, **kwargs):
        return RETURNED[data]()

    @list_action()
    async def async_returns(self, data=None, **kwargs):
        return RETURNED[data]()

    @list_action()
    def text(self, data=None, **kwargs):
        return "x" * data

    @list_action()
    async def async_text(self, data=None, **kwargs):
        return "x" * data

    @list_action()
    def save_and_fail(self, data=None, **kwargs):
        Question.objects.create(question_text="saved before the failure")
        raise ValidationError("no")

    @list_action()
    def in_transaction(self, data=None, **kwargs):
        return transaction.get_connection().in_atomic_block

    def helper(self, data=None, **kwargs):
        """Public, but not an action: nothing says that it is one."""
        return SECRET


class Cycle(list):
    def __init__(self):
        super().__init__([self])


#: What handlers return, by the name that a test asks for.
RETURNED = {
    "data and status": lambda: ({"a": 1}, 202),
    "data and HTTPStatus": lambda: ({"a": 1}, HTTPStatus.CREATED),
    "bare dict": lambda: {"a": 1},
    "bare list": lambda: [1, 2, 3],
    "bare pair": lambda: ("a", "b"),
    "bare pair with true": lambda: ("a", True),
    "nothing": lambda: None,
    "response": lambda: Response({"a": 1}, status=201),
    "empty response": lambda: Response(status=204),
    "response with errors": lambda: Response({"question_text": ["Too short."]}, status=400),
    "response with a list of errors": lambda: Response(["one", "two"], status=422),
    "response with a detail": lambda: Response({"detail": "Taken."}, status=409),
    "response with a text": lambda: Response("Gone.", status=410),
    # DRF's encoder knows these.
    "uuid": lambda: uuid.UUID(int=1),
    "decimal": lambda: decimal.Decimal("1.50"),
    "datetime": lambda: datetime(2020, 1, 2, 3, 4, 5, tzinfo=timezone.utc),
    "lazy text": lambda: gettext_lazy("Yes"),
    "set": lambda: {1},
    "generator": lambda: (number for number in range(3)),
    "snowman": lambda: "\N{SNOWMAN} \U0001f600 \u2028",
    # Nobody knows these.
    "object": object,
    "NaN": lambda: float("nan"),
    "infinity": lambda: {"a": [float("inf")]},
    "a cycle": Cycle,
    "a tuple as key": lambda: {(1, 2): 3},
    "half a surrogate pair": lambda: "\ud800",
    "bytes that are no text": lambda: b"\xff",
    "model instances": lambda: [Question()],
    "response with an object": lambda: Response(object()),
    "response with an object as error": lambda: Response(object(), status=400),
}


class HooksBinding(ResourceBinding):
    """Every hook of 0.4.1, overridden so that replies and rows show that it was asked."""

    model = Question
    serializer_class = TagSerializer  # the hook below says otherwise

    def get_queryset(self):
        return Question.objects.filter(published=True)

    def filter_queryset(self, queryset):
        return super().filter_queryset(queryset).filter(votes__gte=0).order_by("-votes")

    def get_serializer_class(self):
        return SigningSerializer

    def get_serializer_context(self):
        return {**super().get_serializer_context(), "signature": "signed"}

    def serialize_data(self, instance):
        return {**super().serialize_data(instance), "serialized": True}

    def perform_create(self, serializer):
        serializer.save(votes=1)

    def perform_update(self, serializer):
        serializer.save(votes=2)

    def perform_patch(self, serializer):
        serializer.save(votes=3)

    def perform_delete(self, instance):
        instance.published = False
        instance.save()


class SigningSerializer(serializers.ModelSerializer):
    """Shows what is in the context."""

    signature = serializers.SerializerMethodField()
    context_keys = serializers.SerializerMethodField()

    class Meta:
        model = Question
        fields = ("id", "question_text", "votes", "signature", "context_keys")

    def get_signature(self, instance):
        return self.context["signature"]

    def get_context_keys(self, instance):
        return sorted(self.context)


class RulesSerializer(serializers.ModelSerializer):
    """Refuses in each of the ways that a serializer has."""

    class Meta:
        model = Question
        fields = ("id", "question_text", "votes")

    def validate_votes(self, votes):
        if votes < 0:
            raise ValidationError("Too few.")
        return votes

    def validate(self, attrs):
        if attrs.get("votes") == 13:
            raise ValidationError("Unlucky.")
        return attrs


class RulesBinding(ClassicBinding):
    serializer_class = RulesSerializer

    def perform_create(self, serializer):
        raise ValidationError("Closed for today.")


class DeniedBinding(ClassicBinding):
    """0.4.1's `has_permission`, overridden."""

    def has_permission(self, user, action, pk):
        return False


class OnlyRetrieve(BasePermission):
    """A 0.4.1-style class that looks at all that it is given."""

    def has_permission(self, user, action, pk):
        return action == "retrieve" and user.get_username() == "alice" and type(pk) is int


class UndecidedPermission(BasePermission):
    """0.4.1's base class answered None, which is no yes."""

    def has_permission(self, user, action, pk):
        return None


class OwnPermissionBinding(ClassicBinding):
    permission_classes = (AllowAny, OnlyRetrieve)


class UndecidedBinding(ClassicBinding):
    permission_classes = (UndecidedPermission,)


class AuthenticatedBinding(ClassicBinding):
    permission_classes = (IsAuthenticated,)


class DRFAuthenticatedBinding(ClassicBinding):
    permission_classes = (drf_permissions.IsAuthenticated,)


class MixedBinding(ClassicBinding):
    """Both families: 0.4.1's is asked before DRF's."""

    permission_classes = (drf_permissions.IsAdminUser, IsAuthenticated)


class NoObject(drf_permissions.BasePermission):
    message = "This row is not yours."

    def has_object_permission(self, request, view, obj):
        return False


class NoObjectBinding(ClassicBinding):
    permission_classes = (NoObject,)


class DefaultPermissionsBinding(ResourceBinding):
    """Names no permission classes: the project's defaults hold."""

    serializer_class = QuestionSerializer
    queryset = Question.objects.all()


class NoMoreToday(BaseThrottle):
    def allow_request(self, request, view):
        return False

    def wait(self):
        return 7


class ThrottledBinding(ClassicBinding):
    throttle_classes = (NoMoreToday,)


class Teapot(APIException):
    status_code = 418
    default_detail = "I'm a teapot."


FAILURES = {
    "ValueError": lambda: ValueError(SECRET),
    "KeyError": lambda: KeyError(SECRET),
    "AssertionError": lambda: AssertionError(SECRET),
    "OSError": lambda: ConnectionRefusedError(111, SECRET),
    "ImproperlyConfigured": lambda: ImproperlyConfigured(SECRET),
    "DoesNotExist": lambda: Question.DoesNotExist(SECRET),
    "StopIteration": lambda: StopIteration(SECRET),
    "SystemExit": lambda: SystemExit(SECRET),
    "RecursionError": lambda: RecursionError(SECRET),
    "Http404": lambda: Http404(SECRET),
    "PermissionDenied": PermissionDenied,
    "APIException": Teapot,
    "ValidationError": lambda: ValidationError("x"),
}


class FailingBinding(ClassicBinding):
    """Raises what `data` names, where it says so: in a handler, or in what surrounds one."""

    @list_action()
    def fail(self, data=None, **kwargs):
        raise FAILURES[data]()

    @list_action()
    async def async_fail(self, data=None, **kwargs):
        raise FAILURES[data]()

    def has_permission(self, user, action, pk):
        if action == "fails_in_permission":
            raise FAILURES["ValueError"]()
        return True

    def get_serializer_context(self):
        raise FAILURES["ValueError"]()


class EnvelopePagination(PageNumberPagination):
    page_size = 2


class EnvelopeBinding(ClassicBinding):
    queryset = Question.objects.order_by("pk")
    pagination_class = EnvelopePagination


class OverridingBinding(ClassicBinding):
    """Overrides actions as a user would: with and without the decorator, and away."""

    delete = None

    def create(self, data=None, **kwargs):
        row, status = super().create(data)
        return {"created": row["question_text"]}, status

    async def retrieve(self, pk, data=None, **kwargs):
        return {"retrieved": (await self.aget_object(pk)).question_text}, 200

    def some_other_list(self, data=None, **kwargs):
        return "overridden", 200

    @list_action(name="list")
    def a_list_of_its_own(self, data=None, **kwargs):
        return ["its own"]


class MixinsBinding(CreateModelMixin, ListModelMixin, ResourceBindingBase):
    """Two actions only, one of them overridden without the decorator."""

    queryset = Question.objects.all()
    serializer_class = QuestionSerializer

    def create(self, data=None, **kwargs):
        row, status = super().create(data)
        return row["question_text"], status


class ReadOnlyBinding(ReadOnlyResourceBinding):
    queryset = Question.objects.all()
    serializer_class = QuestionSerializer


class TextLookupBinding(ClassicBinding):
    lookup_field = "question_text"


class NoModelBinding(ResourceBinding):
    """Says nowhere which model it is about until it is asked for its rows."""

    class serializer_class(serializers.Serializer):  # noqa: N801
        question_text = serializers.CharField()

    def get_queryset(self):
        return Question.objects.all()


class DoorBinding(ClassicBinding):
    """Its `subscribe` makes a row, then waits in front of a door until `open_door` is called."""

    async def subscribe(self, pk=None, data=None, **kwargs):
        result = await super().subscribe(pk, data)
        if "door" in data:
            await Question.objects.acreate(question_text="made during subscribe")
            await DOORS[data["door"]].wait()
        return result

    @list_action()
    async def open_door(self, data=None, **kwargs):
        DOORS[data].set()


DOORS: dict[str, asyncio.Event] = defaultdict(asyncio.Event)


class DocumentBinding(ResourceBinding):
    serializer_class = DocumentSerializer
    queryset = Document.objects.all()


class TagBinding(ResourceBinding):
    serializer_class = TagSerializer
    queryset = Tag.objects.all()


CONSUMERS = {
    "classic": ClassicBinding.consumer,
    "classic-hooks": HooksBinding.consumer,
    "classic-rules": RulesBinding,
    "classic-denied": DeniedBinding,
    "classic-own-permission": OwnPermissionBinding,
    "classic-undecided": UndecidedBinding,
    "classic-authenticated": AuthenticatedBinding,
    "classic-drf-authenticated": DRFAuthenticatedBinding,
    "classic-mixed": MixedBinding,
    "classic-no-object": NoObjectBinding,
    "classic-default-permissions": DefaultPermissionsBinding,
    "classic-throttled": ThrottledBinding,
    "classic-failing": FailingBinding,
    "classic-envelope": EnvelopeBinding,
    "classic-overriding": OverridingBinding,
    "classic-mixins": MixinsBinding,
    "classic-read-only": ReadOnlyBinding,
    "classic-text-lookup": TextLookupBinding,
    "classic-no-model": NoModelBinding,
    "classic-door": DoorBinding,
    "classic-documents": DocumentBinding,
    "classic-tags": TagBinding,
}
