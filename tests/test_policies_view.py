"""What DRF's classes see of a frame: a view and a request as they know them from HTTP."""

import pytest

from tests.client import SocketClient
from tests.policies_world import reply

#: Action on the wire: DRF's name of it, its HTTP method, and whether it is about one row.
SEEN_AS = {
    "create": ("create", "POST", False),
    "retrieve": ("retrieve", "GET", True),
    "list": ("list", "GET", False),
    "update": ("update", "PUT", True),
    "patch": ("partial_update", "PATCH", True),
    "delete": ("destroy", "DELETE", True),
    # What a subscriber of a row may see is what its reader may.
    "subscribe": ("retrieve", "GET", True),
    "unsubscribe": ("retrieve", "GET", True),
    "publish": ("publish", "POST", True),
    "apublish": ("apublish", "POST", True),
    "total": ("total", "GET", False),
    "on-wire": ("named_otherwise", "POST", True),
    "put_something": ("put_something", "PUT", False),
}
DATA = {"action": "update", "votes": 5}


@pytest.mark.parametrize("action", SEEN_AS)
async def test_a_permission_sees_the_view_and_the_request_of_drf(action, server, people, rows):
    """`view` and `request` are the same on daphne and on uvicorn, and what a REST view has."""
    plain, pk = people["plain"].user, rows.pks["apple"]
    name, method, detail = SEEN_AS[action]
    cookie = people["plain"].headers["Cookie"] + "; taste=sweet"
    headers = {"Cookie": cookie, "X-Test": "from the handshake"}
    async with SocketClient(f"{server.url}ws/?from=handshake", headers=headers) as client:
        answer = await client.request("policy-tell", action, pk=pk, data=DATA, request_id=1)
    reads = method == "GET" and "subscribe" not in action
    query = "?action=update&votes=5" if reads else ""
    told = {
        "action": name,
        "detail": str(detail),
        "method": method,
        # A key is of the route of a row; over HTTP other routes have none.
        "kwargs": {"pk": str(pk)} if detail else {},
        "user": plain.username,
        "authenticated": "True",
        "data": {} if method == "GET" else {"action": "update", "votes": "5"},
        "query": {"action": ["update"], "votes": ["5"]} if reads else {},
        "header": "from the handshake",
        "same_header": "from the handshake",
        "cookie": "sweet",
        "address": "127.0.0.1",
        "session_user": str(plain.pk),
        "uri": f"{server.http_url}ws/{query}",
        "other_uri": f"{server.http_url}other/",
        "secure": "False",
        "of_view": "True",
        "of_user": "True",
    }
    assert answer == reply(action, 418, errors=[told])


async def test_a_subscription_to_all_rows_is_seen_as_their_list(app_server, rows):
    """Without a key; and the data says what is subscribed, so it is no query."""
    async with SocketClient(f"{app_server().url}ws/") as client:
        answer = await client.request("policy-tell", "subscribe", data=DATA)
    [told] = answer["errors"]
    expected = {"action": "list", "method": "GET", "kwargs": {}, "query": {}, "data": {}}
    assert {key: told[key] for key in expected} == expected


async def test_a_permission_sees_that_nobody_has_logged_in(server, rows):
    """An AnonymousUser and an empty session, not the lack of them."""
    async with SocketClient(f"{server.url}ws/") as client:
        answer = await client.request("policy-tell", "list")
    [told] = answer["errors"]
    expected = {"user": "", "authenticated": "False", "session_user": "None", "of_user": "True"}
    assert {key: told[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("action", "name"), [(action, name) for action, (name, _, detail) in SEEN_AS.items() if detail]
)
async def test_a_row_is_shown_to_object_permissions_by_every_action(action, name, app_server, rows):
    """Custom actions by their `get_object`, subscribe too; unsubscribe needs no row."""
    async with SocketClient(f"{app_server().url}ws/") as client:
        answer = await client.request(
            "policy-tell-of-object", action, pk=rows.pks["cherry"], data=DATA, request_id=1
        )
    if action == "unsubscribe":
        assert answer == reply(action, 200, {})
    else:
        told = {"action": name, "row": "cherry"}
        assert answer == reply(action, 418, errors=[told])


@pytest.mark.parametrize("action", ["create", "list", "total", "subscribe"])
async def test_object_permissions_are_not_asked_where_there_is_no_row(action, app_server, rows):
    """As in DRF, a list is narrowed by the queryset and by filters, not by object permissions."""
    data = {**DATA, "question_text": "new"}
    async with SocketClient(f"{app_server().url}ws/") as client:
        answer = await client.request("policy-tell-of-object", action, data=data)
    assert answer["errors"] == []


@pytest.mark.parametrize("action", ["retrieve", "update", "subscribe", "publish", "on-wire"])
async def test_object_permissions_are_not_asked_about_a_row_that_is_not_there(
    action, app_server, rows
):
    """404, whatever the class would have said."""
    async with SocketClient(f"{app_server().url}ws/") as client:
        for pk in ("x", 999_999_999, True, "01"):
            answer = await client.request(
                "policy-tell-of-object", action, pk=pk, data=DATA, request_id=1
            )
            assert answer == reply(action, 404, errors=["Not found."]), pk


async def test_one_frame_says_nothing_of_another(app_server, people, rows):
    """Data and names of one frame are gone with it: each has a request and a binding of its own."""
    async with SocketClient(f"{app_server().url}ws/", headers=people["plain"].headers) as client:
        await client.send("policy-tell", "update", pk=rows.pks["apple"], data=DATA, request_id=1)
        await client.send("policy-tell", "list", request_id=2)
        answers = [await client.receive(), await client.receive()]
    [first], [second] = (answer["payload"]["errors"] for answer in answers)
    assert (first["action"], first["data"]["votes"]) == ("update", "5")
    assert (second["action"], second["data"], second["query"]) == ("list", {}, {})
    assert (second["kwargs"], second["method"]) == ({}, "GET")


class TestOverrides:
    """Keyword arguments of the decorator replace the binding's attributes for one action."""

    async def test_permission_classes(self, app_server, people, rows):
        """The binding's own are not asked in addition."""
        async with SocketClient(f"{app_server().url}ws/") as client:
            for pk in rows.pks.values():
                refusal = await client.request("policy-overriding", "publish", pk=pk, request_id=1)
                errors = ["Authentication credentials were not provided."]
                assert refusal == reply("publish", 401, errors=errors)
            other = await client.request("policy-overriding", "apublish", pk=rows.pks["apple"])
        assert other["response_status"] == 200

    @pytest.mark.parametrize(
        ("who", "expected"),
        [
            ("plain", reply("staff_only", 401, errors=["Permission Denied"])),
            ("staff", reply("staff_only", 200, "staff")),
        ],
    )
    async def test_permission_classes_of_0_4_1(self, who, expected, app_server, people):
        url, headers = f"{app_server().url}ws/", people[who].headers
        async with SocketClient(url, headers=headers) as client:
            answer = await client.request("policy-overriding", "staff_only", request_id=1)
        assert answer == expected

    async def test_serializer_class(self, app_server, rows):
        async with SocketClient(f"{app_server().url}ws/") as client:
            answer = await client.request(
                "policy-overriding", "text", pk=rows.pks["apple"], request_id=1
            )
        assert answer == reply("text", 200, {"question_text": "apple"})

    async def test_filter_backends(self, app_server, people, rows):
        url, headers = f"{app_server().url}ws/", people["owner"].headers
        async with SocketClient(url, headers=headers) as client:
            answer = await client.request("policy-overriding", "total", request_id=1)
            everything = await client.request("policy-overriding", "list")
        assert answer == reply("total", 200, {"total": 1})
        assert len(everything["data"]) == 3

    async def test_queryset_and_pagination_class(self, app_server, rows):
        async with SocketClient(f"{app_server().url}ws/") as client:
            answer = await client.request("policy-overriding", "published", request_id=1)
        found = [rows.shown("apple"), rows.shown("banana")]
        page = {"count": 2, "next": None, "previous": None, "results": found}
        assert answer == reply("published", 200, page)
