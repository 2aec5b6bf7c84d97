"""The debugger's page and the schema that it reads. Both are a 404 without DEBUG.

The page holds no rows, no session key and no token: what it shows comes over the socket, as the
user whose cookie the browser sends.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings as django_settings
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render, resolve_url
from django.urls import NoReverseMatch, Resolver404, get_script_prefix, resolve
from django.utils.cache import add_never_cache_headers
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from ..logs import log_error
from ..schema import make_schema

# Scripts, styles and the socket come from this site; nothing that stands inside the page runs.
# Older browsers do not take a socket for 'self': it is named as well.
POLICY = (
    "default-src 'self'; connect-src 'self' ws://{host} wss://{host}; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

View = Callable[[HttpRequest], HttpResponse]


def debug_only(view: View) -> View:
    """The view, with headers that keep it to itself; without DEBUG, a 404 like any other.

    Only the redirect to it that APPEND_SLASH makes still tells that an address is routed here.
    """

    @wraps(view)
    def guarded(request: HttpRequest) -> HttpResponse:
        # Before the method is looked at: a 405 would tell that there is something.
        if not django_settings.DEBUG:
            raise Http404
        response: HttpResponse = require_safe(view)(request)
        response["Content-Security-Policy"] = POLICY.format(host=request.get_host())
        response["X-Content-Type-Options"] = "nosniff"
        add_never_cache_headers(response)
        return response

    return guarded


@debug_only
def page(request: HttpRequest) -> HttpResponse:
    """The page. Its script reads the schema and opens the socket."""
    context = {
        # From the path, and not from URL names: the page may be included in any namespace.
        "schema_url": f"{request.path}schema.json",
        "prefix": get_script_prefix(),
        "user": _user(request),
        "session_cookie": django_settings.SESSION_COOKIE_NAME,
        "login_url": _login_url(request),
    }
    return render(request, "channels_api/debugger.html", context)


@debug_only
def schema(_request: HttpRequest) -> HttpResponse:
    """The project's AsyncAPI document; `{"error": ...}` with 500 where it can't be made."""
    try:
        return JsonResponse(cached_schema())
    except Exception as exc:
        log_error("The schema can't be made")
        return JsonResponse({"error": f"{type(exc).__name__}: {exc}"}, status=500)


@cache
def cached_schema() -> dict[str, Any]:
    """The schema, made once: the streams of a process do not change. A failure is not kept."""
    return make_schema()


def _user(request: HttpRequest) -> Any:
    """Who is logged in; None for nobody, and where there are no accounts."""
    user = getattr(request, "user", None)
    return user if user is not None and user.is_authenticated else None


def _login_url(request: HttpRequest) -> str | None:
    """Where to log in and come back from; None where the project has no such page."""
    try:
        url = resolve_url(django_settings.LOGIN_URL)
        if url.startswith("/"):
            resolve(urlsplit(url).path.removeprefix(get_script_prefix().rstrip("/")))
    except (NoReverseMatch, Resolver404):
        return None
    query = urlencode({"next": request.path})
    return f"{url}{'&' if '?' in url else '?'}{query}"
