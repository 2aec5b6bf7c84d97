"""Tasks that not everybody may ask about, or not as often as they like."""

from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.throttling import SimpleRateThrottle

from channels_api import permissions as classic
from channels_api.tasks import TaskBinding


class Closed(TaskBinding):
    permission_classes = (IsAuthenticated,)


class ReadsOnly(BasePermission):
    """Knows the names that a viewset would give to the actions."""

    message = "Looking is all you may do."

    def has_permission(self, request, view):
        return request.method == "GET" and view.action == "retrieve"


class Reads(TaskBinding):
    permission_classes = (ReadsOnly,)


class KnowsTheId(classic.BasePermission):
    """Of 0.4.1: it is asked with the id that the client has sent."""

    def has_permission(self, user, action, pk):
        return isinstance(pk, str) and action != "delete"


class Classic(TaskBinding):
    permission_classes = (KnowsTheId,)


class ThreePerHour(SimpleRateThrottle):
    rate = "3/hour"

    def get_cache_key(self, request, view):
        return f"owners-{request.headers['X-Test']}"


class Throttled(TaskBinding):
    throttle_classes = (ThreePerHour,)


CONSUMERS = {
    "owners-closed": Closed,
    "owners-reads": Reads,
    "owners-classic": Classic,
    "owners-throttled": Throttled,
}
