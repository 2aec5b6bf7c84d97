"""ASGI applications for the system checks: with faults, and with what only looks like one."""

import functools

from channels.auth import AuthMiddlewareStack
from channels.middleware import BaseMiddleware
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator, OriginValidator
from django.urls import path
from rest_framework import mixins, viewsets
from rest_framework import permissions as drf

from channels_api import permissions
from channels_api.bindings import ReadOnlyResourceBinding, ResourceBinding, ResourceBindingBase
from channels_api.decorators import list_action
from channels_api.demultiplexer import WebsocketDemultiplexer
from channels_api.mixins import DeleteModelMixin, ListModelMixin
from tests.app.echo import EchoConsumer
from tests.app.models import Question
from tests.app.serializers import QuestionSerializer


class QuestionBinding(ResourceBinding):
    queryset = Question.objects.all()
    serializer_class = QuestionSerializer


class AccountsBinding(QuestionBinding):
    permission_classes = [drf.IsAuthenticated]


class ClassicBinding(QuestionBinding):
    permission_classes = [permissions.IsAuthenticated]


class OpenBinding(QuestionBinding):
    permission_classes = [permissions.AllowAny, drf.AllowAny]


class TokenPermission(drf.BasePermission):
    """Knows who it is without a user."""


class TokenBinding(QuestionBinding):
    permission_classes = [TokenPermission, drf.IsAuthenticated | TokenPermission]


class OwnPermissionsBinding(AccountsBinding):
    def get_permissions(self):
        return []


class QuestionViewSet(viewsets.ModelViewSet):
    queryset = Question.objects.all()
    serializer_class = QuestionSerializer
    permission_classes = [drf.IsAdminUser]


class Open(WebsocketDemultiplexer):
    consumers = {"questions": QuestionBinding}


class Closed(WebsocketDemultiplexer):
    consumers = {
        "viewset": QuestionViewSet,
        "classic": ClassicBinding,
        "accounts": AccountsBinding,
        "open": OpenBinding,
        "token": TokenBinding,
        "own": OwnPermissionsBinding,
        "questions": QuestionBinding,
    }


def routed_to(application):
    return ProtocolTypeRouter({"websocket": application})


def at_root(application):
    return URLRouter([path("", application)])


# without a guard

bare = Open.as_asgi()
routed = routed_to(at_root(bare))
with_users = routed_to(AuthMiddlewareStack(at_root(bare)))
nested = routed_to(URLRouter([path("a/", URLRouter([path("b/", bare), path("c/", bare)]))]))
back_door = routed_to(URLRouter([path("a/", bare), path("b/", AllowedHostsOriginValidator(bare))]))
without_users = routed_to(AllowedHostsOriginValidator(at_root(Closed.as_asgi())))
several = routed_to(
    URLRouter(
        [
            path("a/", AllowedHostsOriginValidator(bare)),
            path("b/", Closed.as_asgi()),
            path("echo/", EchoConsumer.as_asgi()),
        ]
    )
)


# with one, or with what may be one


class OwnValidator(OriginValidator):
    """Of the project, by Channels' rules."""


class OwnOrigins(BaseMiddleware):
    """Of the project; it may look at anything."""


class OwnMiddleware:
    """Calls what it wraps as Channels does."""

    def __init__(self, inner):
        self.inner = inner


class Foreign:
    """A framework of its own, whose routes are not those of Channels."""

    def __init__(self, application):
        self.application = application
        self.routes = ["/a", "/b"]


class OwnConnect(WebsocketDemultiplexer):
    consumers = Closed.consumers

    async def connect(self):
        """It may look at anything as well."""


class OwnCall(WebsocketDemultiplexer):
    consumers = Closed.consumers

    async def __call__(self, scope, receive, send):
        """And so may this."""


class OwnUsers(WebsocketDemultiplexer):
    consumers = Closed.consumers
    authentication_classes = ("tests.checks_world.OwnOrigins",)


def decorated(application):
    @functools.wraps(application)
    async def guard(scope, receive, send):
        """Whatever it does."""

    return guard


async def own_function(scope, receive, send):
    """Hands over to whom it likes."""


guarded = routed_to(AllowedHostsOriginValidator(at_root(bare)))
guarded_users = routed_to(
    AllowedHostsOriginValidator(AuthMiddlewareStack(at_root(Closed.as_asgi())))
)
own_validator = routed_to(OwnValidator(at_root(bare), ["example.org"]))
own_origins = routed_to(OwnOrigins(at_root(bare)))
own_middleware = OwnMiddleware(routed_to(at_root(Closed.as_asgi())))
own_decorator = routed_to(at_root(decorated(Closed.as_asgi())))
own_connect = OwnConnect.as_asgi()
own_call = OwnCall.as_asgi()
own_users = AllowedHostsOriginValidator(OwnUsers.as_asgi())
foreign = Foreign(routed_to(Closed.as_asgi()))
http_only = ProtocolTypeRouter({"http": own_function})
several_guarded = routed_to(
    AllowedHostsOriginValidator(
        AuthMiddlewareStack(URLRouter([path("a/", bare), path("b/", Closed.as_asgi())]))
    )
)
not_an_application = None


# bindings


class Nothing(ResourceBinding):
    pass


class ModelOnly(ResourceBinding):
    model = Question
    serializer_class = QuestionSerializer


class RowsOnly(ListModelMixin, DeleteModelMixin, ResourceBindingBase):
    queryset = Question.objects.all()


class EmptyViewSet(viewsets.ModelViewSet):
    serializer_class = QuestionSerializer


class Incomplete(WebsocketDemultiplexer):
    consumers = {
        "nothing": Nothing,
        "model": ModelOnly,
        "rows": RowsOnly,
        "viewset": EmptyViewSet,
        "questions": QuestionBinding,
    }


class OwnMethods(ResourceBinding):
    def get_queryset(self):
        return Question.objects.all()

    def get_serializer_class(self):
        return QuestionSerializer


class OwnActions(ReadOnlyResourceBinding):
    """Nothing is left of the mixins but `unsubscribe`."""

    subscribe = None

    def retrieve(self, pk, data=None, **kwargs):
        return {}

    def list(self, data=None, **kwargs):
        return []


class NoRows(ResourceBindingBase):
    @list_action()
    def ping(self, data=None, **kwargs):
        return "pong"


class DeletesOnly(DeleteModelMixin, ResourceBindingBase):
    """Rows are deleted unseen."""

    queryset = Question.objects.all()


class OwnViewSet(viewsets.ViewSet):
    def list(self, request):
        """Of no rows."""


class OwnGenericViewSet(mixins.ListModelMixin, viewsets.GenericViewSet):
    def get_queryset(self):
        return Question.objects.all()

    def get_serializer_class(self):
        return QuestionSerializer


class Complete(WebsocketDemultiplexer):
    consumers = {
        "methods": OwnMethods,
        "actions": OwnActions,
        "none": NoRows,
        "deletes": DeletesOnly,
        "viewset": OwnViewSet,
        "generic": OwnGenericViewSet,
    }


incomplete = AllowedHostsOriginValidator(Incomplete.as_asgi())
complete = AllowedHostsOriginValidator(Complete.as_asgi())
