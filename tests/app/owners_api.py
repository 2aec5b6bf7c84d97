"""Tasks over HTTP for those who log in, by session or by token."""

from django.contrib.auth.models import User
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.routers import DefaultRouter
from rest_framework.viewsets import ViewSet

from channels_api.resources import AsyncResourceMixin
from tests.app import tasks
from tests.app.celery_app import app  # noqa: F401 - the app that the tasks are published by


class NameAuthentication(BaseAuthentication):
    """A token that is the user's name: no session, no cookie."""

    def authenticate(self, request):
        word, _, name = request.headers.get("Authorization", "").partition(" ")
        if word != "Name":
            return None
        user = User.objects.filter(username=name).first()
        if user is None:
            raise AuthenticationFailed
        return user, name


class OpenViewSet(AsyncResourceMixin, ViewSet):
    authentication_classes = (NameAuthentication, SessionAuthentication)
    permission_classes = (AllowAny,)

    def async_post_list(self, request, **kwargs):
        """Any task by its name, as the stream `work` has it."""
        return getattr(tasks, request.data["task"]).apply_async(request.data["args"])


class OtherViewSet(OpenViewSet):
    """Another view, with a better knowledge of who may do what."""

    permission_classes = (IsAuthenticated,)


router = DefaultRouter()
router.register("open", OpenViewSet, basename="owners-open")
router.register("other", OtherViewSet, basename="owners-other")
urlpatterns = router.urls
