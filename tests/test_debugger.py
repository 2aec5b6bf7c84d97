"""The debugger's two views: for whom they are there, and what they say."""

import re

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.templatetags.static import static
from django.test.utils import override_script_prefix
from django.urls import include, path

from channels_api.debugger import views
from tests.app.models import Question

urlpatterns = [
    path("debug/", include("channels_api.urls")),
    # In a namespace of the project's, and without a slash at the end.
    path("inner/", include(([path("x", include("channels_api.urls"))], "project"))),
    path("api-auth/", include("rest_framework.urls")),
]

ADDRESSES = ["/debug/", "/debug/schema.json"]
DOCUMENT = {"asyncapi": "3.0.0", "info": {"title": "project", "version": "1"}}


@pytest.fixture(autouse=True)
def project(settings, monkeypatch):
    settings.ROOT_URLCONF = __name__
    settings.DEBUG = True
    settings.LOGIN_URL = "rest_framework:login"
    monkeypatch.setattr(views, "make_schema", lambda: DOCUMENT)
    views.cached_schema.cache_clear()
    yield settings
    views.cached_schema.cache_clear()


def data_of(response) -> dict[str, str]:
    """The data attributes of the page's body."""
    return dict(
        re.findall(
            r'data-(schema|prefix|user|staff|superuser|cookie)="([^"]*)"', response.content.decode()
        )
    )


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("method", ["get", "head", "post", "options"])
@pytest.mark.django_db
def test_without_debug_it_is_a_404_like_any_other(client, settings, address, method):
    settings.DEBUG = False
    found = getattr(client, method)(address)
    nothing = getattr(client, method)("/no-such-address/")
    assert found.status_code == nothing.status_code == 404
    assert found.content == nothing.content
    assert found.headers == nothing.headers


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.django_db
def test_headers(client, address):
    response = client.get(address)
    assert response.status_code == 200
    assert response["Content-Security-Policy"] == (
        "default-src 'self'; connect-src 'self' ws://testserver wss://testserver; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "no-store" in response["Cache-Control"]


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.django_db
def test_nothing_can_be_posted(client, address):
    assert client.post(address).status_code == 405


@pytest.mark.django_db
def test_all_that_runs_or_styles_comes_from_files(client):
    page = client.get("/debug/").content.decode()
    assert re.findall(r"<script[^>]*>", page) == [
        '<script type="module" src="/static/channels_api/debugger/page.js">'
    ]
    assert not re.search(r"<style|\sstyle=|\son\w+=|https?:|//", page)


@pytest.mark.parametrize("address", ["/debug/", "/inner/x"])
@pytest.mark.django_db
def test_the_page_knows_where_its_schema_is(client, address):
    data = data_of(client.get(address))
    nobody = {"user": "", "staff": "", "superuser": "", "cookie": "sessionid"}
    assert data == {"schema": f"{address}schema.json", "prefix": "/", **nobody}
    assert client.get(data["schema"]).json() == DOCUMENT


@pytest.mark.django_db
def test_under_a_prefix(client, settings):
    settings.FORCE_SCRIPT_NAME = "/under"
    # Django keeps the first address of static files that it makes, for all tests of this process.
    static("")
    # As a server's handler does; that of the test client does not.
    with override_script_prefix("/under/"):
        response = client.get("/debug/")
    data = data_of(response)
    assert (data["schema"], data["prefix"]) == ("/under/debug/schema.json", "/under/")
    page = response.content.decode()
    assert 'href="/under/api-auth/login/?next=%2Funder%2Fdebug%2F"' in page


def test_the_schema_is_made_once(client, monkeypatch):
    made = []
    monkeypatch.setattr(views, "make_schema", lambda: made.append(1) or DOCUMENT)
    assert [client.get("/debug/schema.json").json() for _ in range(3)] == [DOCUMENT] * 3
    assert made == [1]


def test_why_there_is_no_schema_and_that_it_is_tried_again(client, monkeypatch, caplog):
    def fail():
        raise ImproperlyConfigured("ASGI_APPLICATION is not set.")

    with monkeypatch.context() as patched:
        patched.setattr(views, "make_schema", fail)
        response = client.get("/debug/schema.json")
    assert response.status_code == 500
    assert response.json() == {"error": "ImproperlyConfigured: ASGI_APPLICATION is not set."}
    assert response["Content-Security-Policy"].startswith("default-src 'self'")
    assert caplog.records[0].exc_info is not None
    assert client.get("/debug/schema.json").json() == DOCUMENT


@pytest.mark.django_db
def test_who_the_user_is_and_no_secret_and_no_row(client):
    name = "</script><img src=x onerror=alert(1)>"
    user = User.objects.create_user(name, password="only for tests")
    Question.objects.create(question_text="a row")
    client.force_login(user)
    page = client.get("/debug/").content.decode()
    assert f"<b>{escaped(name)}</b>" in page
    assert name not in page
    for secret in (client.session.session_key, user.password, user.get_session_auth_hash()):
        assert secret not in page
    assert "a row" not in page


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({}, {"staff": "", "superuser": ""}),
        ({"is_staff": True}, {"staff": "true", "superuser": ""}),
        ({"is_staff": True, "is_superuser": True}, {"staff": "true", "superuser": "true"}),
    ],
)
@pytest.mark.django_db
def test_what_a_copied_test_needs_to_be_the_same_user(
    client, settings, monkeypatch, flags, expected
):
    settings.SESSION_COOKIE_NAME = "project_session"
    # People may be called by another name than the one that they log in by.
    monkeypatch.setattr(User, "__str__", lambda user: "Somebody")
    client.force_login(User.objects.create_user("by-this", **flags))
    response = client.get("/debug/")
    data = data_of(response)
    del data["schema"], data["prefix"]
    assert data == {"user": "by-this", "cookie": "project_session", **expected}
    assert "<b>Somebody</b>" in response.content.decode()


def escaped(text: str) -> str:
    return text.replace("<", "&lt;").replace(">", "&gt;")


@pytest.mark.parametrize(
    ("login_url", "link"),
    [
        ("rest_framework:login", "/api-auth/login/?next=%2Fdebug%2F"),
        ("/api-auth/login/?by=mail", "/api-auth/login/?by=mail&amp;next=%2Fdebug%2F"),
        # Django's default, which this project has no page for; and names of nothing.
        ("/accounts/login/", None),
        ("no-such-name", None),
        ("no:such-name", None),
    ],
)
@pytest.mark.django_db
def test_where_to_log_in(client, settings, login_url, link):
    settings.LOGIN_URL = login_url
    page = client.get("/debug/").content.decode()
    assert "Not logged in" in page
    assert re.findall(r'<a href="([^"]*)">log in</a>', page) == ([link] if link else [])


@pytest.mark.django_db
def test_a_project_without_accounts(client, settings):
    settings.MIDDLEWARE = []
    assert data_of(client.get("/debug/"))["user"] == ""
