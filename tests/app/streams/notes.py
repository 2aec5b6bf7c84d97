"""Notes that hide rows and fields in every way there is, each way as a binding and over REST.

`VIEWS` are the viewsets by the names of the streams; see tests/privacy_world.py.
"""

from django.db.models import Q
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import permissions, serializers
from rest_framework.filters import BaseFilterBackend
from rest_framework.viewsets import ModelViewSet

from channels_api.bindings import ResourceBinding
from tests.app.models import Note


class NoteSerializer(serializers.ModelSerializer):
    class Meta:
        model = Note
        fields = ("id", "text", "published", "owner", "team")


class DiscreetSerializer(serializers.ModelSerializer):
    """The secret is for the owner."""

    class Meta:
        model = Note
        fields = ("id", "text", "secret", "owner")

    def to_representation(self, instance):
        shown = super().to_representation(instance)
        user = self.context["request"].user
        if user.pk is None or instance.owner_id != user.pk:
            del shown["secret"]
        return shown


class Notes:
    """What a viewset and a binding have in common."""

    queryset = Note.objects.order_by("pk")
    serializer_class = NoteSerializer
    filter_backends = [DjangoFilterBackend]
    filterset_fields = ["published"]
    pagination_class = None


class Own(Notes):
    """The queryset asks who the user is, and for a many-to-many relation."""

    def get_queryset(self):
        user = self.request.user.pk or 0
        return super().get_queryset().filter(Q(owner=user) | Q(readers=user)).distinct()


class MayRead(permissions.BasePermission):
    def has_object_permission(self, request, view, obj):
        return obj.published or (obj.owner_id is not None and obj.owner_id == request.user.pk)


class Permitted(Notes):
    permission_classes = [MayRead]


class VisibleNotes(BaseFilterBackend):
    def filter_queryset(self, request, queryset, view):
        return queryset.filter(Q(published=True) | Q(owner=request.user.pk))


class Filtered(Notes):
    filter_backends = [VisibleNotes, DjangoFilterBackend]


class Discreet(Notes):
    """All rows for all users, and not all of each."""

    permission_classes = [permissions.IsAuthenticated]
    serializer_class = DiscreetSerializer


class ByGroups(Notes):
    """The rows of the user's groups."""

    permission_classes = [permissions.IsAuthenticated]

    def get_queryset(self):
        return super().get_queryset().filter(team__in=self.request.user.groups.all())


class Team(ByGroups):
    """The same; the binding names who sees the same."""


class ViewPermissions(permissions.DjangoModelPermissions):
    """To read needs a permission too."""

    perms_map = {
        **permissions.DjangoModelPermissions.perms_map,
        "GET": ["%(app_label)s.view_%(model_name)s"],
    }


class ByModelPermission(Notes):
    permission_classes = [ViewPermissions]


class Staff(Notes):
    """One audience, to which not everybody belongs."""

    permission_classes = [permissions.IsAdminUser]


class ByKind(Notes):
    """What is not published is for the staff; the binding names who is what."""

    def get_queryset(self):
        rows = super().get_queryset()
        return rows if self.request.user.is_staff else rows.filter(published=True)


class Published(Notes):
    """One audience, of everybody, and not all rows."""

    queryset = Note.objects.filter(published=True).order_by("pk")


class OpenTeams(Notes):
    """Rows by a field of another model; list shows fewer of them than retrieve."""

    def get_queryset(self):
        rows = super().get_queryset().filter(team__name__startswith="open")
        return rows.filter(owner=self.request.user.pk) if self.action == "list" else rows


class TeamBinding(Team, ResourceBinding):
    def audience(self):
        return tuple(sorted(self.user.groups.values_list("pk", flat=True)))


class StaffByNameBinding(Staff, ResourceBinding):
    """All of the staff see the same, as the binding says itself."""

    def audience(self):
        return "staff"


class ByKindBinding(ByKind, ResourceBinding):
    def audience(self):
        return self.user.is_staff


class OpenTeamsViewSet(OpenTeams, ModelViewSet):
    """Mounted as it is."""


RULES = {
    "notes-own": Own,
    "notes-permitted": Permitted,
    "notes-filtered": Filtered,
    "notes-discreet": Discreet,
    "notes-by-groups": ByGroups,
    "notes-team": Team,
    "notes-model-permission": ByModelPermission,
    "notes-staff": Staff,
    "notes-staff-by-name": Staff,
    "notes-by-kind": ByKind,
    "notes-published": Published,
    "notes-open-teams": OpenTeams,
}
VIEWS = {
    stream: type(f"{rules.__name__}View", (rules, ModelViewSet), {})
    for stream, rules in RULES.items()
}
CONSUMERS = {
    **{
        stream: type(f"{rules.__name__}Binding", (rules, ResourceBinding), {})
        for stream, rules in RULES.items()
    },
    "notes-team": TeamBinding,
    "notes-staff-by-name": StaffByNameBinding,
    "notes-by-kind": ByKindBinding,
    "notes-open-teams": OpenTeamsViewSet,
}
