"""Requests, permissions, pages and keys as plain objects: no socket, no database."""

import uuid
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.db import connection, models
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st
from rest_framework import permissions
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.test import APIRequestFactory
from rest_framework.throttling import BaseThrottle

from channels_api import permissions as classic
from channels_api.lookups import canonical_pk, wire_pk
from channels_api.pagination import BarePagination, ordered
from channels_api.permissions import decides_per_object, drf_permission, is_classic
from channels_api.requests import FrameRequest, Handshake, query_params
from channels_api.settings import default_permission_classes
from tests.app.models import Document, Question, Tag
from tests.app.streams.policies import ClassicIsStaff, ClassicReadsOnly, IsOwner

NO_FILTER = "A filter must be a string, a number, true, false or null."


def scope(**given):
    """What a server and the middleware leave of a handshake."""
    return {
        "type": "websocket",
        "scheme": "ws",
        "path": "/ws/",
        "raw_path": b"/ws/",
        "root_path": "",
        "query_string": b"token=1",
        "headers": [(b"host", b"localhost"), (b"x-test", b"yes"), (b"cookie", b"a=1; b=2")],
        "client": ["192.0.2.7", 5000],
        "server": ["127.0.0.1", 80],
        "http_version": "1.1",
        **given,
    }


def request_for(method="GET", data=None, **given):
    return FrameRequest(Handshake(scope(**given)), method, data)


class TestQueryParams:
    """Data of a reading frame is what the query string is to HTTP."""

    @pytest.mark.parametrize(
        ("data", "query"),
        [
            (None, ""),
            ({}, ""),
            ({"page": 2}, "page=2"),
            ({"a": "x y", "b": "ü&="}, "a=x+y&b=%C3%BC%26%3D"),
            ({"a": [1, "two", True]}, "a=1&a=two&a=true"),
            ({"a": False, "b": 1.5, "c": 0, "d": ""}, "a=false&b=1.5&c=0&d="),
            ({"a": None, "b": [None, 1], "c": []}, "b=1"),
            ({"self": 1, "": 2}, "self=1&=2"),
        ],
    )
    def test_values(self, data, query):
        assert query_params(data).urlencode() == query

    @pytest.mark.parametrize("data", [[], [1], "a=1", 5, True, 0.5])
    def test_data_is_an_object(self, data):
        with pytest.raises(ValidationError) as refusal:
            query_params(data)
        assert refusal.value.detail == ["data must be an object."]

    @pytest.mark.parametrize("value", [{}, {"a": 1}, [[1]], [{"a": 1}]])
    def test_an_object_is_no_filter(self, value):
        with pytest.raises(ValidationError) as refusal:
            query_params({"good": 1, "bad": value})
        assert refusal.value.detail == {"bad": [NO_FILTER]}

    @given(st.dictionaries(st.text(), st.text() | st.lists(st.text(), min_size=1)))
    def test_text_arrives_as_it_was_sent(self, data):
        query = query_params(data)
        assert {key: query.getlist(key) for key in query} == {
            key: value if isinstance(value, list) else [value] for key, value in data.items()
        }

    def test_nobody_can_change_it(self):
        with pytest.raises(AttributeError):
            query_params({"a": 1})["b"] = "2"


class TestFrameRequest:
    """The request that permissions, throttles and serializers are given."""

    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
    def test_writing_frames_have_data(self, method):
        request = request_for(method, {"a": [1]})
        assert (request.data, request.query_params.dict()) == ({"a": [1]}, {})

    @pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
    def test_reading_frames_have_query_params(self, method):
        request = request_for(method, {"a": [1, 2]})
        assert (request.data, request.query_params.getlist("a")) == ({}, ["1", "2"])

    @pytest.mark.parametrize("data", [[], "text", 0, False])
    def test_data_may_be_anything(self, data):
        assert request_for("POST", data).data == data

    def test_no_data_is_an_empty_object(self):
        assert request_for("POST").data == {}

    @pytest.mark.parametrize(
        ("scheme", "expected"),
        [("ws", "http://localhost/ws/?a=1"), ("wss", "https://localhost/ws/?a=1")],
    )
    def test_addresses_are_those_of_http(self, scheme, expected):
        """The handshake's own query string, with a token perhaps, is not in them."""
        assert request_for(data={"a": 1}, scheme=scheme).build_absolute_uri() == expected

    def test_the_handshake_shows(self):
        request = request_for("PUT")
        meta = request.META
        assert (meta["REMOTE_ADDR"], meta["HTTP_X_TEST"]) == ("192.0.2.7", "yes")
        assert (request.method, meta["REQUEST_METHOD"], meta["QUERY_STRING"]) == ("PUT", "PUT", "")
        assert request.COOKIES == {"a": "1", "b": "2"}
        assert request.headers["X-Test"] == "yes"
        assert request.body == b""

    def test_frames_do_not_share_what_they_change(self):
        """Middleware-like code may write into META."""
        handshake = Handshake(scope())
        first, second = (FrameRequest(handshake, "GET", {"page": n}) for n in (1, 2))
        first.META["HTTP_X_TEST"] = "changed"
        assert second.META["HTTP_X_TEST"] == "yes"
        assert second.META["QUERY_STRING"] == "page=2"

    def test_without_auth_middleware_nobody_is_logged_in(self):
        """E3: not the class AnonymousUser, which is truthy."""
        request = request_for()
        assert isinstance(request.user, AnonymousUser)
        assert request.successful_authenticator is None
        assert not permissions.IsAuthenticated().has_permission(request, None)

    def test_the_user_of_the_scope(self):
        user = User(pk=1, username="somebody")
        request = request_for(user=user)
        assert request.user is user
        assert request.successful_authenticator is not None

    def test_the_session_of_the_scope(self):
        session = {"a": 1}
        assert request_for(session=session).session is session
        assert not hasattr(request_for(), "session")


class TestPermissions:
    """Both families, alone and composed."""

    @staticmethod
    def ask(permission_class, *, action="list", staff=False, obj=None):
        """What a permission says, to an action or about a row."""
        permission = drf_permission(permission_class)
        request = SimpleNamespace(
            user=User(pk=1, username="somebody", is_staff=staff), method="GET"
        )
        view = SimpleNamespace(frame=SimpleNamespace(action=action), pk=None)
        if obj is None:
            return permission.has_permission(request, view)
        return permission.has_object_permission(request, view, obj)

    @pytest.mark.parametrize(
        ("composed", "denies", "allows"),
        [
            (ClassicIsStaff & permissions.IsAuthenticated, {}, {"staff": True}),
            (permissions.IsAuthenticated & ClassicIsStaff, {}, {"staff": True}),
            (ClassicIsStaff & ClassicReadsOnly, {"staff": True, "action": "x"}, {"staff": True}),
            (ClassicIsStaff | permissions.IsAdminUser, {}, {"staff": True}),
            (~ClassicIsStaff, {"staff": True}, {}),
            (~~ClassicIsStaff, {}, {"staff": True}),
            (~(ClassicIsStaff | ~ClassicReadsOnly), {"staff": True}, {}),
            (
                (ClassicIsStaff & ClassicReadsOnly) | (permissions.IsAdminUser & ~ClassicReadsOnly),
                {},
                {"staff": True, "action": "x"},
            ),
        ],
    )
    def test_compositions(self, composed, denies, allows):
        assert not self.ask(composed, **denies)
        assert self.ask(composed, **allows)

    def test_a_composition_is_made_anew_for_each_frame(self):
        """An instance may keep what it saw; two frames must not share it."""
        composed = ClassicIsStaff & permissions.IsAuthenticated
        first, second = drf_permission(composed), drf_permission(composed)
        assert first is not second
        assert first.op1.permission is not second.op1.permission

    @pytest.mark.parametrize(
        ("composed", "of_owner", "of_others"),
        [
            (IsOwner & classic.AllowAny, True, False),
            (IsOwner | ClassicIsStaff, True, False),
            (~IsOwner, False, True),
        ],
    )
    def test_compositions_decide_about_rows(self, composed, of_owner, of_others):
        mine, other = SimpleNamespace(owner_id=1), SimpleNamespace(owner_id=2)
        assert self.ask(composed, obj=mine) is of_owner
        assert self.ask(composed, obj=other) is of_others

    @pytest.mark.parametrize(
        ("permission_class", "expected"),
        [
            (classic.AllowAny, True),
            (ClassicIsStaff, True),
            (permissions.AllowAny, False),
            (ClassicIsStaff & ClassicIsStaff, False),
            (~ClassicIsStaff, False),
        ],
    )
    def test_families_are_told_apart(self, permission_class, expected):
        """A composition is DRF's, whatever is in it."""
        assert is_classic(permission_class) is expected

    @pytest.mark.parametrize(
        ("permission_class", "expected"),
        [
            (permissions.IsAuthenticated, False),
            (permissions.IsAuthenticated & permissions.IsAdminUser, False),
            (permissions.IsAuthenticated | ClassicIsStaff, False),
            (IsOwner, True),
            (permissions.IsAuthenticated & IsOwner, True),
            (ClassicIsStaff | (permissions.IsAdminUser & IsOwner), True),
            # Not the default is never: DRF's way, and it is about rows.
            (~permissions.IsAuthenticated, True),
            (permissions.DjangoObjectPermissions, True),
            (permissions.DjangoModelPermissions, False),
        ],
    )
    def test_who_decides_per_row(self, permission_class, expected):
        assert decides_per_object(drf_permission(permission_class)) is expected

    @pytest.mark.parametrize(
        ("user", "expected"), [(User(pk=1), True), (AnonymousUser(), False), (None, False)]
    )
    def test_classic_is_authenticated(self, user, expected):
        assert classic.IsAuthenticated().has_permission(user, "list", None) is expected

    def test_the_base_decides_nothing(self):
        """A forgotten method is an error that is seen, and never a yes."""
        with pytest.raises(NotImplementedError, match="BasePermission must override"):
            classic.BasePermission().has_permission(None, "list", None)


class TestDefaultPermissions:
    """CHANNELS_API first, then REST_FRAMEWORK, then everybody."""

    def test_nothing_is_set(self):
        assert default_permission_classes() == [permissions.AllowAny]

    @override_settings(
        REST_FRAMEWORK={"DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAdminUser"]}
    )
    def test_of_the_rest_api(self):
        assert default_permission_classes() == [permissions.IsAdminUser]

    @override_settings(
        REST_FRAMEWORK={"DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAdminUser"]},
        CHANNELS_API={
            "DEFAULT_PERMISSION_CLASSES": [
                "channels_api.permissions.IsAuthenticated",
                permissions.AllowAny,
            ]
        },
    )
    def test_of_the_socket(self):
        """Dotted paths or classes, of both families."""
        assert default_permission_classes() == [classic.IsAuthenticated, permissions.AllowAny]

    @override_settings(
        REST_FRAMEWORK={"DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAdminUser"]},
        CHANNELS_API={"DEFAULT_PERMISSION_CLASSES": []},
    )
    def test_none_at_all_is_a_choice(self):
        assert default_permission_classes() == []


class TestBarePagination:
    """0.4.1's pages, of anything that can be sliced."""

    @staticmethod
    def page(rows, **query):
        request = SimpleNamespace(query_params=query)
        return BarePagination().paginate_queryset(rows, request)

    @pytest.mark.parametrize(
        ("number", "expected"),
        [
            ("1", range(25)),
            ("2", range(25, 50)),
            ("3", range(50, 60)),
            ("03", range(50, 60)),
        ],
    )
    def test_pages(self, number, expected):
        assert self.page(list(range(60)), page=number) == list(expected)

    def test_the_first_page_is_the_default(self):
        assert self.page(list(range(60))) == list(range(25))

    def test_an_empty_first_page_is_a_page(self):
        assert self.page([]) == []

    @pytest.mark.parametrize(
        "number",
        [
            "0",
            "-1",
            "4",
            "",
            " 1",
            "1.0",
            "x",
            "last",
            "\u0662",
            "²",
            "1_0",
            "true",
            "9" * 11,
            "9" * 99,
        ],
    )
    def test_other_pages_are_not_found(self, number):
        with pytest.raises(NotFound, match="Invalid page"):
            self.page(list(range(60)), page=number)

    @override_settings(CHANNELS_API={"DEFAULT_PAGE_SIZE": 2})
    def test_the_size_is_a_setting(self):
        assert self.page([1, 2, 3], page="2") == [3]

    def test_the_reply_has_no_envelope(self):
        assert BarePagination().get_paginated_response([1]).data == [1]

    @pytest.mark.parametrize(
        ("queryset", "order"),
        [
            (Question.objects.all(), ("pk",)),
            (Question.objects.order_by("-votes"), ("-votes",)),
        ],
    )
    def test_rows_without_an_order_come_by_their_key(self, queryset, order):
        """Else the database may repeat on page two what it showed on page one."""
        assert ordered(queryset).query.order_by == order


UUID = uuid.UUID("12345678-1234-5678-1234-567812345678")
LARGEST = 2**63 - 1


class TestCanonicalPk:
    """One form of a key, for look-ups, permissions and subscriptions alike."""

    @pytest.mark.parametrize(
        ("model", "field", "sent", "key"),
        [
            (Question, "pk", 1, 1),
            (Question, "pk", "1", 1),
            (Question, "id", "-5", -5),
            (Question, "pk", 0, 0),
            (Question, "pk", LARGEST, LARGEST),
            (Question, "pk", str(-LARGEST), -LARGEST),
            (Question, "votes", "3", 3),
            (Question, "owner", "3", 3),
            (Question, "owner__username", "ann", "ann"),
            (Question, "question_text", " 1 ", " 1 "),
            (Question, "no_field", "anything", "anything"),
            (Document, "pk", str(UUID), UUID),
            (Document, "pk", UUID.hex.upper(), UUID),
            (Tag, "pk", "a b/é", "a b/é"),
            (Tag, "pk", "", ""),
            (Tag, "name", "x" * 50, "x" * 50),
        ],
    )
    def test_a_key(self, model, field, sent, key):
        found = canonical_pk(model, field, sent)
        assert (found, type(found)) == (key, type(key))

    @pytest.mark.parametrize(
        "sent",
        [
            *(True, False, None, 1.0, 1.9, [], [1], {}, "", " 1", "1 ", "+1", "01", "-0", "1.0"),
            *("1_0", "0x1", "\uff11", "\u0661", "1\0", "1\n", "x", "None", "true", "1e3"),
            *(LARGEST + 1, -LARGEST - 2, str(LARGEST + 1), "9" * 5000),
        ],
    )
    def test_what_no_integer_key_can_be(self, sent):
        with pytest.raises(NotFound):
            canonical_pk(Question, "pk", sent)

    @pytest.mark.parametrize(
        "sent",
        [
            *(5, True, None, [], {}, "", "x", UUID.hex[:-1], UUID.hex + "0", f"{{{UUID}}}"),
            *(f"urn:uuid:{UUID}", f"{UUID} ", f"{UUID}\n", UUID.hex.replace("1", "\uff11")),
        ],
    )
    def test_what_no_uuid_can_be(self, sent):
        with pytest.raises(NotFound):
            canonical_pk(Document, "pk", sent)

    @pytest.mark.parametrize("sent", [1, True, None, [], {}, "a\0", "x" * 51])
    def test_what_no_text_can_be(self, sent):
        with pytest.raises(NotFound):
            canonical_pk(Tag, "pk", sent)

    @given(st.integers(-LARGEST - 1, LARGEST))
    def test_a_key_means_the_same_as_number_and_as_text(self, key):
        assert canonical_pk(Question, "pk", key) == canonical_pk(Question, "pk", str(key)) == key

    @given(st.text(max_size=30))
    def test_text_is_an_integer_key_in_one_spelling_only(self, sent):
        """Whatever is accepted reads the same when it is written again."""
        try:
            key = canonical_pk(Question, "pk", sent)
        except NotFound:
            return
        assert str(key) == sent

    def test_a_key_fits_into_its_column(self):
        """PostgreSQL refuses what a column can't hold; it is no key before it comes to that."""
        low, high = connection.ops.integer_field_range("AutoField")
        assert [canonical_pk(User, "pk", key) for key in (low, high)] == [low, high]
        for key in (low - 1, high + 1):
            with pytest.raises(NotFound):
                canonical_pk(User, "pk", key)

    @pytest.mark.parametrize(
        ("key", "expected"),
        [(5, 5), (UUID, str(UUID)), ("a", "a"), (True, "True"), (1.5, "1.5")],
    )
    def test_on_the_wire_a_key_is_an_int_or_text(self, key, expected):
        found = wire_pk(key)
        assert (found, type(found)) == (expected, type(expected))


class TestOtherKeys:
    """Fields of kinds that are neither integers, UUIDs nor text."""

    class Event(models.Model):
        day = models.DateField()
        price = models.DecimalField(max_digits=5, decimal_places=2)

        class Meta:
            app_label = "nowhere"
            managed = False

        def __str__(self):
            return str(self.day)

    @pytest.mark.parametrize(("field", "sent"), [("day", "2024-02-29"), ("price", "1.50")])
    def test_are_taken_as_they_are_written(self, field, sent):
        assert str(canonical_pk(self.Event, field, sent)) == sent

    @pytest.mark.parametrize(
        ("field", "sent"),
        [
            *(("day", sent) for sent in ("2024-2-29", "2023-02-29", "x", "", True, None, [], 5)),
            *(("price", sent) for sent in ("1.5\0", " 1.5", "x", "", True, None, [], "1,5")),
        ],
    )
    def test_and_otherwise_are_not_found(self, field, sent):
        with pytest.raises(NotFound):
            canonical_pk(self.Event, field, sent)


def test_a_throttle_of_drf_tells_addresses_apart():
    """The address that a throttle counts by is the one that it would count by over HTTP."""
    http = APIRequestFactory().get("/", REMOTE_ADDR="192.0.2.7")
    throttle = BaseThrottle()
    assert throttle.get_ident(request_for()) == throttle.get_ident(http) == "192.0.2.7"
    assert throttle.get_ident(request_for(client=["192.0.2.8", 1])) == "192.0.2.8"
