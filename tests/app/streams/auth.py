"""Streams that need a user, and one by which a test ends logins in the server's own process."""

from importlib import import_module

from django.conf import settings
from django.contrib.auth import logout
from django.contrib.auth.models import AnonymousUser, Group, User
from django.contrib.sessions.models import Session
from django.db import connection
from django.http import HttpRequest
from django.utils import timezone
from rest_framework import permissions
from rest_framework.authtoken.models import Token

from channels_api.bindings import ResourceBinding, ResourceBindingBase
from channels_api.decorators import list_action
from channels_api.permissions import AllowAny
from tests.app.models import Question
from tests.app.serializers import QuestionSerializer


class MayView(permissions.DjangoModelPermissions):
    """DRF's, which lets everybody read, for those who may."""

    perms_map = {
        **permissions.DjangoModelPermissions.perms_map,
        "GET": ["%(app_label)s.view_question"],
    }


class RowsBinding(ResourceBinding):
    model = Question
    queryset = Question.objects.all()
    serializer_class = QuestionSerializer
    permission_classes = [MayView]


class WhoBinding(ResourceBindingBase):
    permission_classes = [permissions.IsAuthenticated]

    @list_action()
    def who(self, data=None, **kwargs):
        return {
            "user": self.request.user.username,
            "name": self.user.first_name,
            "scope": self.scope["user"].first_name,
            "may": self.user.has_perm("app.view_question"),
            "auth": type(self.request.auth).__name__,
        }

    @list_action()
    async def who_async(self, data=None, **kwargs):
        return {"user": self.request.user.username}

    @list_action()
    def visits(self, data=None, **kwargs):
        return self.request.session.get("visits")


class NobodyBinding(ResourceBindingBase):
    permission_classes = [AllowAny]

    @list_action()
    def who(self, data=None, **kwargs):
        return self.user.get_username()


def store():
    return import_module(settings.SESSION_ENGINE).SessionStore


def log_out(user: User, session: str, **_) -> None:
    request = HttpRequest()
    request.session, request.user = store()(session), user
    logout(request)


def flush(session: str, **_) -> None:
    store()(session).flush()


def cycle(session: str, **_) -> None:
    store()(session).cycle_key()


def expire(session: str, **_) -> None:
    Session.objects.filter(session_key=session).update(expire_date=timezone.now())


def visit(session: str, **_) -> None:
    """Without a signal: another process may have done it."""
    found = store()(session)
    found["visits"] = 1
    found.save()


def deactivate(user: User, **_) -> None:
    user.is_active = False
    user.save()


def deactivate_silently(user: User, **_) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


def rename(user: User, **_) -> None:
    user.first_name = "new"
    user.save()


def change_password(user: User, **_) -> None:
    user.set_password("another one")
    user.save()


def delete(user: User, **_) -> None:
    user.delete()


def leave_group(user: User, **_) -> None:
    user.groups.clear()


def empty_group(user: User, **_) -> None:
    for group in Group.objects.filter(user=user):
        group.permissions.clear()


def delete_token(user: User, **_) -> None:
    Token.objects.filter(user=user).delete()


def break_sessions(**_) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE django_session RENAME TO django_session_away")


def mend_sessions(**_) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE django_session_away RENAME TO django_session")


CHANGES = {
    change.__name__: change
    for change in (
        *(log_out, flush, cycle, expire, visit, deactivate, deactivate_silently, rename),
        *(change_password, delete, leave_group, empty_group, delete_token),
        *(break_sessions, mend_sessions),
    )
}


class ChangesBinding(ResourceBindingBase):
    permission_classes = [AllowAny]

    @list_action()
    def change(self, data=None, **kwargs):
        user = User.objects.filter(username=data["user"]).first() or AnonymousUser()
        CHANGES[data["what"]](user=user, session=data["session"])
        return {}


CONSUMERS = {
    "auth": WhoBinding,
    "auth-rows": RowsBinding,
    "auth-nobody": NobodyBinding,
    "auth-changes": ChangesBinding,
}
