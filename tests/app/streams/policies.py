"""One binding for each policy class of DRF, and for mixtures with 0.4.1's permission classes."""

from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import filters, pagination, permissions, status, throttling
from rest_framework.exceptions import APIException
from rest_framework.serializers import ModelSerializer

from channels_api import permissions as classic
from channels_api.bindings import ResourceBinding
from channels_api.decorators import detail_action, list_action
from tests.app.models import Question
from tests.app.serializers import QuestionSerializer


class IsOwner(permissions.BasePermission):
    """Decides per object only, as most object permissions do; with words of its own."""

    message = "This is not yours."

    def has_object_permission(self, request, view, obj):
        return obj.owner_id is not None and obj.owner_id == request.user.pk


class ClassicIsStaff(classic.BasePermission):
    """A class of a 0.4.1 project."""

    def has_permission(self, user, action, pk):
        return user.is_staff


class ClassicReadsOnly(classic.BasePermission):
    """Decides by the name of the action on the wire."""

    def has_permission(self, user, action, pk):
        return action in ("list", "retrieve")


class ClassicKnowsPk(classic.BasePermission):
    """Decides by the key, which is an int whatever the client wrote."""

    def has_permission(self, user, action, pk):
        return type(pk) is int


class OwnFirst(filters.BaseFilterBackend):
    """A filter backend of a project: rows of the user, and nobody else's."""

    def filter_queryset(self, request, queryset, view):
        return queryset.filter(owner_id=request.user.pk)


class TwoPerHour:
    """DRF's throttles keep their counts per scope: one of each class here."""

    THROTTLE_RATES = {"anon": "2/hour", "user": "2/hour", "writes": "2/hour", "reads": "3/hour"}


class AnonTwo(TwoPerHour, throttling.AnonRateThrottle):
    pass


class UserTwo(TwoPerHour, throttling.UserRateThrottle):
    pass


class ScopedTwo(TwoPerHour, throttling.ScopedRateThrottle):
    pass


class Pages(pagination.PageNumberPagination):
    page_size = 2
    page_size_query_param = "page_size"
    max_page_size = 100


class Offsets(pagination.LimitOffsetPagination):
    default_limit = 2


class Cursors(pagination.CursorPagination):
    page_size = 2
    ordering = "votes"


class PagesWithoutSize(pagination.PageNumberPagination):
    """DRF's own default: over HTTP it means that there are no pages."""

    page_size = None


class PolicyBinding(ResourceBinding):
    """All actions, and one of each kind of one's own."""

    serializer_class = QuestionSerializer
    queryset = Question.objects.order_by("pk")
    permission_classes = [permissions.AllowAny]

    @detail_action()
    def publish(self, pk, data=None, **kwargs):
        question = self.get_object(pk)
        question.published = True
        question.save()
        return self.serialize_data(question)

    @detail_action()
    async def apublish(self, pk, data=None, **kwargs):
        return await self.aserialize_data(await self.aget_object(pk))

    @list_action(method="GET")
    def total(self, data=None, **kwargs):
        return {"total": self.filter_queryset(self.get_queryset()).count()}


def allow(*classes):
    return {"permission_classes": classes}


IsAdmin = permissions.IsAdminUser

POLICIES = {
    "allow-any": allow(permissions.AllowAny),
    "is-authenticated": allow(permissions.IsAuthenticated),
    "is-admin": allow(IsAdmin),
    "is-authenticated-or-read-only": allow(permissions.IsAuthenticatedOrReadOnly),
    "model-permissions": allow(permissions.DjangoModelPermissions),
    "model-permissions-or-anon": allow(permissions.DjangoModelPermissionsOrAnonReadOnly),
    "object-permissions": allow(permissions.DjangoObjectPermissions),
    "is-owner": allow(IsOwner),
    "and": allow(permissions.IsAuthenticated & IsOwner),
    "or": allow(IsAdmin | IsOwner),
    "not": allow(~permissions.IsAuthenticated),
    "classic": allow(ClassicIsStaff),
    "classic-action": allow(ClassicReadsOnly),
    "classic-pk": allow(ClassicKnowsPk),
    "classic-and-drf": allow(classic.IsAuthenticated, IsAdmin),
    "classic-and-object": allow(classic.IsAuthenticated, IsOwner),
    "classic-in-and": allow(ClassicIsStaff & permissions.IsAuthenticated),
    "classic-in-or": allow(ClassicReadsOnly | IsAdmin),
    "classic-in-not": allow(~ClassicIsStaff),
    "classic-only-or": allow(ClassicReadsOnly | ClassicIsStaff),
    "throttle-anon": {"throttle_classes": [AnonTwo]},
    "throttle-user": {"throttle_classes": [UserTwo]},
    "throttled-staff": {"throttle_classes": [UserTwo], **allow(IsAdmin)},
    "search": {"filter_backends": [filters.SearchFilter], "search_fields": ["question_text"]},
    "ordering": {"filter_backends": [filters.OrderingFilter], "ordering_fields": ["votes"]},
    "django-filter": {
        "filter_backends": [DjangoFilterBackend],
        "filterset_fields": {"votes": ["exact", "gte"], "published": ["exact"]},
    },
    "own-filter": {"filter_backends": [OwnFirst]},
    "pages": {"pagination_class": Pages},
    "offsets": {"pagination_class": Offsets},
    "cursors": {"pagination_class": Cursors},
    "pages-without-size": {"pagination_class": PagesWithoutSize},
    "no-pages": {"pagination_class": None},
}


class ScopedBinding(PolicyBinding):
    """A scope for the binding, another for one action, none for a third."""

    throttle_classes = [ScopedTwo]
    throttle_scope = "writes"

    @list_action(method="GET", throttle_scope="reads")
    def total(self, data=None, **kwargs):
        return super().total()

    @list_action(throttle_scope=None)
    def free(self, data=None, **kwargs):
        return "free"


class TextSerializer(ModelSerializer):
    class Meta:
        model = Question
        fields = ("question_text",)


class OverridingBinding(PolicyBinding):
    """Each action's keyword arguments replace attributes of the binding, for that action."""

    @detail_action(permission_classes=[IsAdmin])
    def publish(self, pk, data=None, **kwargs):
        return super().publish(pk)

    @detail_action(serializer_class=TextSerializer)
    def text(self, pk, data=None, **kwargs):
        return self.serialize_data(self.get_object(pk))

    @list_action(permission_classes=[ClassicIsStaff])
    def staff_only(self, data=None, **kwargs):
        return "staff"

    @list_action(method="GET", filter_backends=[OwnFirst])
    def total(self, data=None, **kwargs):
        return super().total()

    @list_action(
        method="GET", pagination_class=Pages, queryset=Question.objects.filter(published=True)
    )
    def published(self, data=None, **kwargs):
        return self.list()


class Told(APIException):
    """What a permission saw, as an error, so that it can look into every action."""

    status_code = status.HTTP_418_IM_A_TEAPOT


class Tell(permissions.BasePermission):
    """Refuses everything, and says what it was asked about."""

    def has_permission(self, request, view):
        raise Told(
            {
                "action": view.action,
                "detail": view.detail,
                "method": request.method,
                "kwargs": view.kwargs,
                "user": request.user.username,
                "authenticated": request.user.is_authenticated,
                "data": request.data,
                "query": {key: request.query_params.getlist(key) for key in request.query_params},
                "header": request.META.get("HTTP_X_TEST"),
                "same_header": request.headers.get("X-Test"),
                "cookie": request.COOKIES.get("taste"),
                "address": request.META.get("REMOTE_ADDR"),
                "session_user": request.session.get("_auth_user_id"),
                "uri": request.build_absolute_uri(),
                "other_uri": request.build_absolute_uri("/other/"),
                "secure": request.is_secure(),
                "of_view": view.request is request,
                "of_user": view.user == request.user,
            }
        )


class TellOfObject(permissions.BasePermission):
    """The same, when it is asked about a row."""

    def has_object_permission(self, request, view, obj):
        raise Told({"action": view.action, "row": obj.question_text})


class ToldAction:
    @detail_action(name="on-wire")
    def named_otherwise(self, pk, data=None, **kwargs):
        return self.get_object_or_404(pk)

    @list_action(method="PUT")
    def put_something(self, data=None, **kwargs):
        return None


class TellBinding(ToldAction, PolicyBinding):
    permission_classes = [Tell]


class TellOfObjectBinding(ToldAction, PolicyBinding):
    permission_classes = [TellOfObject]


class DefaultsBinding(ResourceBinding):
    """Names no policy: those of the project hold."""

    serializer_class = QuestionSerializer
    queryset = Question.objects.order_by("pk")
    search_fields = ["question_text"]
    throttle_scope = "writes"


CONSUMERS = {
    **{
        f"policy-{name}": type("GeneratedBinding", (PolicyBinding,), attributes)
        for name, attributes in POLICIES.items()
    },
    "policy-scoped": ScopedBinding,
    "policy-overriding": OverridingBinding,
    "policy-tell": TellBinding,
    "policy-tell-of-object": TellOfObjectBinding,
    "policy-defaults": DefaultsBinding,
}
