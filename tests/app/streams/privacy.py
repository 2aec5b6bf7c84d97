"""Streams that hide rows in ways that are not the queryset's; see test_privacy.py."""

from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.http import Http404
from rest_framework import permissions, serializers
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound
from rest_framework.response import Response
from rest_framework.viewsets import ModelViewSet

from channels_api.bindings import ResourceBinding
from tests.app.models import Question
from tests.app.serializers import QuestionSerializer

MEMBERS = "members"


class Base:
    model = Question
    serializer_class = QuestionSerializer
    queryset = Question.objects.all()


class ListsItsOwn(Base, ModelViewSet):
    """List shows less than retrieve does."""

    def get_queryset(self):
        rows = super().get_queryset()
        return rows.filter(owner=self.request.user) if self.action == "list" else rows


class HidesInList(Base, ModelViewSet):
    """As tutorials do it: the queryset is all rows, the method shows some."""

    def list(self, request, *args, **kwargs):
        rows = self.get_queryset().filter(owner=request.user)
        return Response(self.get_serializer(rows, many=True).data)

    def retrieve(self, request, *args, **kwargs):
        raise PermissionDenied


class HidesInGetObject(Base, ResourceBinding):
    def get_object_or_404(self, pk=None):
        row = super().get_object_or_404(pk)
        if row.owner_id != self.user.pk:
            raise NotFound
        return row


class IsMember(permissions.BasePermission):
    """A class-level permission that can be taken away."""

    def has_permission(self, request, view):
        return Group.objects.filter(name=MEMBERS, user=request.user.pk).exists()


class ForMembers(Base, ResourceBinding):
    permission_classes = [IsMember]


class OwnsTheKey(permissions.BasePermission):
    """Looks at the key, as a URL has it, and not at the row."""

    def has_permission(self, request, view):
        return Question.objects.filter(pk=view.kwargs.get("pk"), owner=request.user.pk).exists()


class ByKey(Base, ResourceBinding):
    permission_classes = [OwnsTheKey]


class ByProperty(ResourceBinding):
    """Depends on the user without overriding a method."""

    model = Question
    serializer_class = QuestionSerializer

    @property
    def queryset(self):
        return Question.objects.filter(owner=self.user.pk)


class NeedsInitial(Base, ModelViewSet):
    def initial(self, request, *args, **kwargs):
        super().initial(request, *args, **kwargs)
        self.owner = request.user

    def get_queryset(self):
        return super().get_queryset().filter(owner=self.owner)


class BySetup(Base, ModelViewSet):
    def setup(self, request, *args, **kwargs):
        super().setup(request, *args, **kwargs)
        self.queryset = Question.objects.filter(owner=request.user.pk)


class ByInit(Base, ResourceBinding):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.queryset = Question.objects.filter(owner=self.handshake.user.pk)


class ByHeader(Base, ResourceBinding):
    """One user at two tenants."""

    def get_queryset(self):
        return super().get_queryset().filter(question_text=self.request.headers["X-Tenant"])


class OwnList(Base, ResourceBinding):
    def list(self, data=None, **kwargs):
        return []

    def retrieve(self, pk, data=None, **kwargs):
        return {}


class OwnPages(Base, ResourceBinding):
    def paginate_queryset(self, queryset):
        return super().paginate_queryset(queryset.filter(published=True))


class EmptyLists(serializers.ListSerializer):
    def to_representation(self, data):
        return []


class ListsOtherwise(QuestionSerializer):
    class Meta(QuestionSerializer.Meta):
        list_serializer_class = EmptyLists


class OwnLists(Base, ResourceBinding):
    serializer_class = ListsOtherwise


class SharedByName(Base, ResourceBinding):
    def audience(self):
        return "everybody"

    def get_queryset(self):
        rows = super().get_queryset()
        return rows.filter(published=True) if self.action == "list" else rows


class Nested(Base, ResourceBinding):
    """A refusal in the queryset, as nested routes have it."""

    def get_queryset(self):
        if not Group.objects.filter(name=MEMBERS, user=self.user.pk).exists():
            raise Http404
        return super().get_queryset()


class FailingSerializer(QuestionSerializer):
    def to_representation(self, instance):
        if instance.question_text == "broken":
            raise ValueError("this row can't be shown")
        return super().to_representation(instance)


class Failing(Base, ResourceBinding):
    serializer_class = FailingSerializer

    def get_queryset(self):
        return super().get_queryset().filter(published=True)


class FailsAfterwards(Base, ResourceBinding):
    async def subscribe(self, pk=None, data=None, **kwargs):
        result = await super().subscribe(pk, data=data, **kwargs)
        if data.get("fail"):
            raise PermissionDenied
        return result


class TextSerializer(serializers.Serializer):
    question_text = serializers.CharField()


class Values(ResourceBinding):
    model = Question
    serializer_class = TextSerializer
    queryset = Question.objects.values("question_text")


class Union(Base, ResourceBinding):
    def get_queryset(self):
        return Question.objects.filter(votes=0).union(Question.objects.filter(votes=1))


class OwnSubscribe(Base, ModelViewSet):
    """A newsletter, for one."""

    @action(detail=False, methods=["post"])
    def subscribe(self, request):
        return Response({"newsletter": request.data["mail"]})


CONSUMERS = {
    "privacy-write": type("Write", (Base, ResourceBinding), {}),
    "privacy-lists-its-own": ListsItsOwn,
    "privacy-hides-in-list": HidesInList,
    "privacy-hides-in-get-object": HidesInGetObject,
    "privacy-members": ForMembers,
    "privacy-by-key": ByKey,
    "privacy-by-property": ByProperty,
    "privacy-initial": NeedsInitial,
    "privacy-setup": BySetup,
    "privacy-init": ByInit,
    "privacy-header": ByHeader,
    "privacy-own-list": OwnList,
    "privacy-own-pages": OwnPages,
    "privacy-own-lists": OwnLists,
    "privacy-shared-by-name": SharedByName,
    "privacy-nested": Nested,
    "privacy-failing": Failing,
    "privacy-fails-afterwards": FailsAfterwards,
    "privacy-values": Values,
    "privacy-union": Union,
    "privacy-own-subscribe": OwnSubscribe,
}
