from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

# Scripts, styles and the socket come from this site; nothing that stands inside the page runs.
POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"


def page(request: HttpRequest) -> HttpResponse:
    """The page at /. It holds no polls: its script fetches them over the socket."""
    response = render(request, "polls/page.html")
    response["Content-Security-Policy"] = POLICY
    return response
