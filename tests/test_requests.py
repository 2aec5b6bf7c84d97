"""The request of a frame as a plain object."""

import pytest
from django.http import HttpRequest
from django.http.request import QueryDict

from channels_api.requests import FrameRequest, Handshake

SCOPE = {
    "type": "websocket",
    "path": "/ws/",
    "query_string": b"from=handshake",
    "headers": [(b"host", b"testserver"), (b"cookie", b"taste=sweet")],
}


@pytest.fixture
def request_of():
    handshake = Handshake(dict(SCOPE))
    # What Django's own code sees of it.
    return lambda method, data=None: FrameRequest(handshake, method, data)._request  # noqa: SLF001


@pytest.mark.parametrize("name", sorted(vars(HttpRequest())))
def test_it_has_all_that_django_gives_its_requests(request_of, name):
    """Made without Django's constructor, whose attributes may become more."""
    assert hasattr(request_of("GET"), name)


def test_what_is_made_when_it_is_asked_for(request_of):
    asked = request_of("GET", {"votes": 5, "page": [1, 2]})
    assert asked.META["QUERY_STRING"] == "votes=5&page=1&page=2"
    assert (asked.META["REQUEST_METHOD"], asked.META["HTTP_HOST"]) == ("GET", "testserver")
    assert (type(asked.POST), len(asked.POST)) == (QueryDict, 0)
    assert asked.FILES == {}
    assert asked.COOKIES == {"taste": "sweet"}
    assert request_of("POST", {"votes": 5}).META["QUERY_STRING"] == ""


def test_nothing_is_shared_between_two_frames(request_of):
    """What one user's handler writes into its request, no other request shows."""
    first, second = request_of("GET"), request_of("GET")
    first.META["HTTP_X_OWN"] = "1"
    first.GET._mutable = True
    first.GET["own"] = "1"
    first.POST._mutable = True
    first.POST["own"] = "1"
    first.FILES["own"] = "1"
    first.COOKIES["own"] = "1"
    assert "HTTP_X_OWN" not in second.META
    assert second.COOKIES == {"taste": "sweet"}
    assert second.GET == second.POST == QueryDict()
    assert second.FILES == {}
