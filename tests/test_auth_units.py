"""Credentials looked up: by how many queries, for which session stores, and what failures mean."""

import asyncio
from importlib import import_module

import pytest
from django.contrib.auth import login
from django.contrib.auth.backends import AllowAllUsersModelBackend, ModelBackend
from django.contrib.auth.models import AnonymousUser, User
from django.core.cache.backends.locmem import LocMemCache
from django.db import OperationalError, connection
from django.db.models import Manager
from django.http import HttpRequest
from django.test.utils import CaptureQueriesContext
from rest_framework import permissions as drf
from rest_framework.authentication import BaseAuthentication, TokenAuthentication
from rest_framework.authtoken.models import Token
from rest_framework.viewsets import ModelViewSet

from channels_api.admission import Admission
from channels_api.bindings import ResourceBindingBase
from channels_api.credentials import NOBODY, class_user, find, scope_user
from channels_api.exceptions import CloseCode, LoginEnded, LoginUnknown
from channels_api.login import GRACE, Login
from channels_api.logins import Logins
from channels_api.permissions import AllowAny, IsAuthenticated
from channels_api.requests import Handshake
from channels_api.sharing import personal_key
from channels_api.viewsets import binding_from_viewset

pytestmark = pytest.mark.django_db

STORES = ["db", "cached_db", "cache", "file", "signed_cookies"]


@pytest.fixture
def ann() -> User:
    return User.objects.create_user("ann", password="x")


class BrokenCache(LocMemCache):
    """A server of caches that can't be reached."""

    def get(self, *args, **kwargs):
        raise ConnectionError

    def has_key(self, *args, **kwargs):
        raise ConnectionError

    __contains__ = has_key


def break_cache(settings) -> None:
    settings.CACHES = {"default": {"BACKEND": f"{__name__}.BrokenCache"}}


def logged_in(user: User, store: str = "db", **scope) -> Handshake:
    """A handshake as AuthMiddlewareStack leaves it."""
    request = HttpRequest()
    request.session = import_module(f"django.contrib.sessions.backends.{store}").SessionStore()
    login(request, user, backend=scope.pop("backend", "django.contrib.auth.backends.ModelBackend"))
    request.session.save()
    return Handshake({"type": "websocket", "user": user, "session": request.session, **scope})


def look_up(handshake: Handshake):
    credentials = scope_user(handshake.scope)
    return find({credentials: handshake})[credentials]


def test_who_is_hidden_from_djangos_backends_is_nobody(monkeypatch, ann):
    """As a project has it that marks users as deleted."""
    handshake = logged_in(ann)

    class Visible(Manager):
        def get_queryset(self):
            return super().get_queryset().exclude(last_name="deleted")

    visible = Visible()
    visible.model = User
    monkeypatch.setitem(User._meta.__dict__, "default_manager", visible)
    assert look_up(handshake).user == ann
    User.objects.filter(pk=ann.pk).update(last_name="deleted")
    assert look_up(handshake).user is None


def test_credentials_do_not_show_what_they_hold(ann):
    """A traceback that is logged with its variables would."""
    handshake = logged_in(ann, headers=[(b"cookie", b"sessionid=secret")])
    handshake.token = "secret"
    user = scope_user(handshake.scope)
    shown = repr(user) + repr(class_user(handshake, [Failing], user))
    assert "secret" not in shown
    assert handshake.scope["session"].session_key not in shown


# sessions


@pytest.mark.parametrize("store", STORES)
def test_a_login_is_found_in_every_store(settings, tmp_path, ann, store):
    settings.SESSION_FILE_PATH = str(tmp_path)
    handshake = logged_in(ann, store)
    found = look_up(handshake)
    assert found.user == ann
    assert dict(found.session) == dict(handshake.scope["session"].items())
    ann.set_password("y")
    ann.save()
    assert look_up(handshake).user is None


@pytest.mark.parametrize("store", [each for each in STORES if each != "signed_cookies"])
def test_a_session_that_was_flushed_is_nobodys(settings, tmp_path, ann, store):
    settings.SESSION_FILE_PATH = str(tmp_path)
    handshake = logged_in(ann, store)
    session = handshake.scope["session"]
    session.__class__(session.session_key).flush()
    assert look_up(handshake).user is None


def test_a_cache_that_fails_logs_nobody_out(settings, ann):
    """Django takes it for one that has no such session."""
    handshake = logged_in(ann, "cache")
    break_cache(settings)
    assert isinstance(look_up(handshake), ConnectionError)


def test_a_session_of_somebody_else_by_now_is_not_this_users(ann):
    handshake = logged_in(ann)
    session = handshake.scope["session"]
    session["_auth_user_id"] = str(ann.pk + 1)
    session.save()
    session["_auth_user_id"] = str(ann.pk)
    assert look_up(handshake).user is None


def test_looking_up_changes_no_session(settings, ann):
    """Django's own get_user flushes, or gives it another key, of which no socket is told."""
    handshake = logged_in(ann)
    session = handshake.scope["session"]
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another one"
    store = session.__class__
    assert look_up(handshake).user == ann
    settings.SECRET_KEY_FALLBACKS = []
    assert look_up(handshake).user is None
    assert store(session.session_key).exists(session.session_key)


class Strict(ModelBackend):
    def get_user(self, user_id):
        user = super().get_user(user_id)
        return user if user and user.last_name != "locked" else None


@pytest.mark.parametrize(
    ("backend", "changes", "is_kept"),
    [
        (ModelBackend, {"is_active": False}, False),
        (AllowAllUsersModelBackend, {"is_active": False}, True),
        (Strict, {"last_name": "locked"}, False),
        (Strict, {"last_name": "open"}, True),
    ],
)
def test_the_backend_decides_who_may_go_on(settings, ann, backend, changes, is_kept):
    path = f"{backend.__module__}.{backend.__qualname__}"
    settings.AUTHENTICATION_BACKENDS = [path]
    handshake = logged_in(ann, backend=path)
    assert look_up(handshake).user == ann
    User.objects.filter(pk=ann.pk).update(**changes)
    assert (look_up(handshake).user is not None) is is_kept


def test_a_backend_that_is_no_more_lets_nobody_in(settings, ann):
    handshake = logged_in(ann)
    settings.AUTHENTICATION_BACKENDS = [f"{__name__}.Strict"]
    assert look_up(handshake).user is None


def test_users_and_sessions_are_read_by_two_queries():
    users = [User.objects.create_user(f"user {number}") for number in range(10)]
    handshakes = [logged_in(user) for user in users]
    wanted = {scope_user(each.scope): each for each in handshakes}
    with CaptureQueriesContext(
        connection,
    ) as queries:
        found = find(wanted)
    assert [each.user for each in found.values()] == users
    assert len(queries) == 2


# users without a session


def test_a_user_of_a_middleware_of_the_projects_own(ann):
    handshake = Handshake({"user": ann})
    assert look_up(handshake).user == ann
    User.objects.update(is_active=False)
    assert look_up(handshake) == NOBODY
    User.objects.all().delete()
    assert look_up(handshake) == NOBODY


@pytest.mark.parametrize("user", [None, AnonymousUser(), User(username="unsaved"), object()])
def test_who_is_in_no_database_can_not_be_looked_up(user):
    assert scope_user({"user": user}) is None


# classes


class Failing(BaseAuthentication):
    def authenticate(self, request):
        raise OperationalError("away")


def test_a_class_that_fails_logs_nobody_out(ann):
    """And the others are looked up all the same."""
    token = Token.objects.create(user=ann)
    handshake = Handshake({"type": "websocket", "path": "/", "headers": []})
    handshake.token = token.key
    failing, right = (
        class_user(handshake, [each], None) for each in (Failing, TokenAuthentication)
    )
    found = find({failing: handshake, right: handshake})
    assert isinstance(found[failing], OperationalError)
    assert found[right].user == ann


def test_sockets_with_different_tokens_are_different_audiences(ann):
    """A class may let a token do less than its user may."""
    one, other = (Handshake({"user": ann, "headers": []}) for _ in range(2))
    assert personal_key(one) == personal_key(other)
    one.token = "a"
    assert personal_key(one) != personal_key(other)


# logins


@pytest.mark.parametrize(
    "other", [{"path": "/ws/b/"}, {"query_string": b"key=b"}, {"client": ["10.0.0.2", 1]}]
)
def test_handshakes_that_a_class_may_tell_apart_are_different_logins(other):
    """One is looked up for all that are equal: a user would be given to the socket of another."""
    scope = {"path": "/ws/a/", "query_string": b"", "client": ["10.0.0.1", 1], "headers": []}
    ours, same, theirs = (
        class_user(Handshake({"type": "websocket", **each}), [Failing], None)
        for each in (scope, {**scope, "client": ["10.0.0.1", 2]}, {**scope, **other})
    )
    assert ours == same
    assert ours != theirs


class Socket:
    """Notes what it is told."""

    def __init__(self, handshake: Handshake) -> None:
        self.handshake = handshake
        self.told: list[CloseCode] = []

    def log_out(self) -> None:
        self.told.append(CloseCode.NOT_AUTHENTICATED)

    def give_up(self) -> None:
        self.told.append(CloseCode.OVERLOADED)


def login_of(handshake: Handshake, count: int = 1) -> Login:
    made = Login(scope_user(handshake.scope), handshake.user, Logins(asyncio.new_event_loop()))
    made.owner._loop.close()  # noqa: SLF001
    for _ in range(count):
        made.sockets.append(Socket(Handshake(dict(handshake.scope))))
    return made


@pytest.fixture
def clock(monkeypatch):
    """Sets the time, in seconds since the fixture was made."""

    class Clock:
        now = 1000.0

        def monotonic(self) -> float:
            return self.now

    clock = Clock()
    monkeypatch.setattr("channels_api.login.time", clock)
    return clock


def test_a_frame_looks_up_what_is_too_old(settings, ann, clock):
    """And nothing before, nor again after it."""
    settings.CHANNELS_API = {"AUTH_MAX_AGE": 30}
    made = login_of(logged_in(ann), 2)
    for after, queries in ((29, 0), (31, 2), (60, 0), (62, 2)):
        clock.now = 1000.0 + after
        with CaptureQueriesContext(connection) as seen:
            made.check()
        assert len(seen) == queries, after
    users = [socket.handshake.user for socket in made.sockets]
    assert users == [ann, ann]
    assert users[0] is not users[1]


def test_a_frame_finds_the_end(settings, ann, clock):
    settings.CHANNELS_API = {"AUTH_MAX_AGE": 30}
    made = login_of(logged_in(ann))
    User.objects.update(is_active=False)
    made.check()
    clock.now += 31
    for _ in range(2):
        with pytest.raises(LoginEnded):
            made.check()


def test_what_an_action_finds_out_closes_all_sockets_of_the_login(ann):
    made = login_of(logged_in(ann), 2)
    socket = Admission({"user": ann})
    socket.handshake.login = made
    socket._look_for_end()  # noqa: SLF001
    assert [each.told for each in made.sockets] == [[], []]
    made.end()
    socket._look_for_end()  # noqa: SLF001
    assert [each.told for each in made.sockets] == [[CloseCode.NOT_AUTHENTICATED]] * 2


def test_a_login_that_has_ended_is_nobodys(ann):
    """Also for what is read for a subscription meanwhile."""
    made = login_of(logged_in(ann))
    handshake = made.sockets[0].handshake
    handshake.login = made
    made.end()
    made.owner.end_soon = lambda login: None
    handshake.reload_user()
    assert not handshake.user.is_authenticated


def test_without_an_age_nothing_is_too_old(settings, ann, clock):
    settings.CHANNELS_API = {"AUTH_MAX_AGE": None}
    made = login_of(logged_in(ann))
    clock.now += 10_000_000
    with CaptureQueriesContext(connection) as seen:
        made.check()
    assert len(seen) == 0
    made.change()
    with CaptureQueriesContext(connection) as seen:
        made.check()
    assert len(seen) == 2


def test_what_is_old_is_trusted_where_nothing_can_be_read_and_what_changed_is_not(
    settings, ann, clock
):
    settings.CHANNELS_API = {"AUTH_MAX_AGE": 30}
    made = login_of(logged_in(ann, "cache"))
    break_cache(settings)
    clock.now += 31
    made.check()
    assert made.is_failing
    made.change()
    with pytest.raises(LoginUnknown):
        made.check()
    clock.now += GRACE - 1
    assert not made.is_given_up
    clock.now += 2
    assert made.is_given_up
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    made.check()
    assert not made.is_failing
    assert not made.is_given_up


def test_whom_an_action_has_logged_out_stays_out(settings, ann, clock):
    settings.CHANNELS_API = {"AUTH_MAX_AGE": 30}
    handshake = Handshake({"user": ann})
    login = login_of(handshake)
    handshake.scope["user"] = AnonymousUser()
    clock.now += 31
    login.check()
    assert not handshake.user.is_authenticated


def test_an_older_read_does_not_undo_a_newer_one(settings, ann, clock):
    settings.CHANNELS_API = {"AUTH_MAX_AGE": 30}
    made = login_of(logged_in(ann))
    older = made.expects()
    found = look_up(logged_in(ann))
    clock.now += 1
    made.change()
    made.take(look_up(logged_in(ann)), *made.expects())
    fresh = made.sockets[0].handshake.user
    made.take(found, *older)
    assert made.sockets[0].handshake.user is fresh


def test_a_change_while_it_is_looked_up_is_looked_up_again(settings, ann, clock):
    settings.CHANNELS_API = {"AUTH_MAX_AGE": 30}
    made = login_of(logged_in(ann))
    expected = made.expects()
    found = look_up(logged_in(ann))
    made.change()
    made.take(found, *expected)
    with CaptureQueriesContext(connection) as seen:
        made.check()
    assert len(seen) == 2


def test_changes_of_a_session_that_are_not_saved_yet_are_kept(settings, ann, clock):
    settings.CHANNELS_API = {"AUTH_MAX_AGE": 30}
    made = login_of(logged_in(ann))
    session = made.sockets[0].handshake.scope["session"]
    session["step"] = 2
    clock.now += 31
    made.check()
    assert session["step"] == 2


# E3


class Users(ResourceBindingBase):
    permission_classes = [IsAuthenticated]


class Computed(Users):
    def get_permissions(self):
        return []


class Own(IsAuthenticated):
    """Who knows what it asks for."""


def with_classes(*classes) -> type[ResourceBindingBase]:
    return type("Binding", (ResourceBindingBase,), {"permission_classes": classes})


@pytest.mark.parametrize(
    ("binding", "needs"),
    [
        (Users, True),
        (Computed, False),
        (with_classes(), False),
        (with_classes(AllowAny), False),
        (with_classes(drf.AllowAny), False),
        (with_classes(Own), True),
        (with_classes(drf.IsAuthenticated), True),
        (with_classes(AllowAny, drf.IsAdminUser), True),
        (with_classes(drf.DjangoModelPermissions), True),
        (with_classes(drf.IsAuthenticatedOrReadOnly), False),
        (with_classes(drf.DjangoModelPermissionsOrAnonReadOnly), False),
        (with_classes(drf.IsAuthenticated & AllowAny), True),
        (with_classes(drf.IsAuthenticated | AllowAny), False),
        (with_classes(drf.IsAuthenticated | drf.IsAdminUser), True),
        (with_classes(~drf.IsAuthenticated), False),
    ],
)
def test_which_bindings_need_a_user(binding, needs):
    assert binding.needs_user() is needs


def test_the_defaults_may_need_a_user(settings):
    binding = type("Binding", (ResourceBindingBase,), {})
    assert not binding.needs_user()
    settings.CHANNELS_API = {"DEFAULT_PERMISSION_CLASSES": [drf.IsAuthenticated]}
    assert binding.needs_user()


def test_viewsets_may_need_a_user():
    class Locked(ModelViewSet):
        permission_classes = [drf.IsAuthenticated]

    class Decides(Locked):
        def get_permissions(self):
            return []

    assert binding_from_viewset(Locked).needs_user()
    assert not binding_from_viewset(Decides).needs_user()
