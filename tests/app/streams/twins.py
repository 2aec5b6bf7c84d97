"""The same policies three times: a viewset for HTTP, mounted as it is, and a binding.

`TWINS` holds what both classes are given. A viewset is served at `policies/<name>/` and as the
stream `viewset-<name>`, the binding as `binding-<name>`.
"""

from django.db.models import Q
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import filters, permissions, throttling
from rest_framework.authentication import BasicAuthentication, SessionAuthentication
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.response import Response
from rest_framework.serializers import ModelSerializer
from rest_framework.viewsets import ModelViewSet

from channels_api.bindings import ResourceBinding
from channels_api.decorators import detail_action, list_action
from tests.app.models import Question
from tests.app.streams.policies import Cursors, IsOwner, Offsets, Pages


class TwinSerializer(ModelSerializer):
    """Errors of each kind: of a field, of its validator, of the whole, and from saving."""

    class Meta:
        model = Question
        fields = ("id", "question_text", "votes", "published", "owner")

    def validate_question_text(self, value):
        if value == "refused":
            raise ValidationError("Not this text.")
        return value

    def validate(self, attrs):
        if attrs.get("votes", 0) < 0:
            raise ValidationError("Votes are counted upwards.")
        return attrs

    def save(self, **kwargs):
        if self.validated_data.get("question_text") == "refused late":
            raise ValidationError("Not this text either.")
        return super().save(**kwargs)


class TwinViewSet(ModelViewSet):
    # The first one names a way to log in, so that nobody's request is a 401 and not a 403.
    authentication_classes = [BasicAuthentication, SessionAuthentication]
    queryset = Question.objects.order_by("pk")
    serializer_class = TwinSerializer

    @action(detail=True, methods=["post"])
    def vote(self, request, pk=None):
        question = self.get_object()
        question.votes += request.data.get("votes", 1)
        question.save()
        return Response(self.get_serializer(question).data, status=202)

    @action(detail=False)
    def total(self, request):
        return Response({"total": self.filter_queryset(self.get_queryset()).count()})


class TwinBinding(ResourceBinding):
    queryset = Question.objects.order_by("pk")
    serializer_class = TwinSerializer

    @detail_action()
    def vote(self, pk, data=None, **kwargs):
        question = self.get_object(pk)
        question.votes += self.request.data.get("votes", 1)
        question.save()
        return self.serialize_data(question), 202

    @list_action(method="GET")
    def total(self, data=None, **kwargs):
        return {"total": self.filter_queryset(self.get_queryset()).count()}


class VisibleRows:
    """A queryset by user, for a viewset as for a binding."""

    def get_queryset(self):
        visible = Q(published=True)
        if self.request.user.is_authenticated:
            visible |= Q(owner=self.request.user)
        return super().get_queryset().filter(visible)


class ByAction:
    """Permissions and serializer by DRF's name of the action."""

    def get_permissions(self):
        if self.action in ("list", "retrieve", "total"):
            return [permissions.AllowAny()]
        if self.action in ("partial_update", "vote"):
            return [permissions.IsAuthenticated()]
        return [permissions.IsAdminUser()]

    def get_serializer_class(self):
        return VotesSerializer if self.action == "partial_update" else TwinSerializer


class VotesSerializer(ModelSerializer):
    class Meta:
        model = Question
        fields = ("id", "votes")


class OwnedByAuthor:
    def perform_create(self, serializer):
        serializer.save(owner=self.request.user)


class Busy(permissions.BasePermission):
    """Words of its own, and an object for a detail."""

    message = {"reason": "busy", "retry": True}

    def has_permission(self, request, view):
        return request.method in permissions.SAFE_METHODS


class UserFive(throttling.UserRateThrottle):
    rate = "5/hour"
    scope = "twins"


TWINS = {
    "open": {"permission_classes": [permissions.AllowAny]},
    "authenticated": {"permission_classes": [permissions.IsAuthenticated]},
    "read-only": {"permission_classes": [permissions.IsAuthenticatedOrReadOnly]},
    "admin": {"permission_classes": [permissions.IsAdminUser]},
    "model": {"permission_classes": [permissions.DjangoModelPermissions]},
    "model-anon": {"permission_classes": [permissions.DjangoModelPermissionsOrAnonReadOnly]},
    "object": {"permission_classes": [permissions.DjangoObjectPermissions]},
    "owner": {"permission_classes": [permissions.IsAuthenticatedOrReadOnly & IsOwner]},
    "owner-or-admin": {"permission_classes": [IsOwner | permissions.IsAdminUser]},
    "not-admin": {"permission_classes": [~permissions.IsAdminUser]},
    "busy": {"permission_classes": [Busy]},
    "visible": {"bases": [VisibleRows]},
    "by-action": {"bases": [ByAction]},
    "authored": {
        "bases": [OwnedByAuthor],
        "permission_classes": [permissions.IsAuthenticatedOrReadOnly],
    },
    "filtered": {
        "filter_backends": [DjangoFilterBackend, filters.SearchFilter, filters.OrderingFilter],
        "filterset_fields": {"votes": ["exact", "gte"], "published": ["exact"]},
        "search_fields": ["question_text"],
        "ordering_fields": ["votes", "question_text"],
        # Without pages, HTTP shows all rows where the socket shows 25 of them.
        "pagination_class": Pages,
    },
    "pages": {"pagination_class": Pages},
    "offsets": {"pagination_class": Offsets},
    "cursors": {"pagination_class": Cursors},
    "throttled": {"throttle_classes": [UserFive]},
}


def twin(base, attributes):
    attributes = dict(attributes)
    bases = (*attributes.pop("bases", ()), base)
    return type(f"Generated{base.__name__}", bases, attributes)


VIEWSETS = {name: twin(TwinViewSet, attributes) for name, attributes in TWINS.items()}
BINDINGS = {name: twin(TwinBinding, attributes) for name, attributes in TWINS.items()}

CONSUMERS = {
    **{f"viewset-{name}": viewset for name, viewset in VIEWSETS.items()},
    **{f"binding-{name}": binding for name, binding in BINDINGS.items()},
}
