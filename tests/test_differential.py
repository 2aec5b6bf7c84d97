"""One set of policies, three ways in: HTTP, the viewset on the socket, a binding on the socket.

The same user with the same data gets the same status and the same body, and leaves the same rows.
What may differ is what `on_the_socket` writes down, and nothing else.
"""

import re
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from asgiref.sync import sync_to_async
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.app.models import Question
from tests.app.streams.twins import TWINS
from tests.client import ABSENT, SocketClient
from tests.policies_world import Rows

#: The method and the path of each action; `{pk}` is a row's.
ROUTES = {
    "create": ("POST", ""),
    "retrieve": ("GET", "{pk}/"),
    "list": ("GET", ""),
    "update": ("PUT", "{pk}/"),
    "patch": ("PATCH", "{pk}/"),
    "delete": ("DELETE", "{pk}/"),
    "vote": ("POST", "{pk}/vote/"),
    "total": ("GET", "total/"),
}
PEOPLE = ("anonymous", "plain", "editor", "owner", "staff")
PAGED = ("filtered", "pages", "offsets", "cursors")
DECIDING = [name for name in TWINS if name not in (*PAGED, "throttled")]

NEW = {"question_text": "new", "votes": 1}
ACTIONS: list[tuple[str, Any, Any]] = [
    ("list", None, ABSENT),
    ("total", None, ABSENT),
    *[("retrieve", pk, ABSENT) for pk in ("apple", "cherry", 999_999_999, "x")],
    ("create", None, NEW),
    ("update", "banana", {"question_text": "refused", "published": None}),
    ("patch", "banana", {"votes": 7}),
    ("patch", "cherry", {"votes": -7}),
    ("vote", "banana", {"votes": 5}),
    ("delete", "apple", ABSENT),
]
QUERIES: list[dict[str, Any]] = [
    {},
    {"search": "an", "ordering": "-votes", "page": 1},
    {"search": ["an", "pp"], "votes": [2, 3]},
    {"search": "apple,,  ", "ordering": "votes,nonsense,-question_text"},
    {"search": "\0"},
    {"ordering": "owner__password"},
    {"votes": 3, "published": True},
    {"votes__gte": "2", "published": False},
    {"votes": "many", "votes__gte": ""},
    {"published": "maybe", "unknown": "Ünïcödé & more=1"},
    {"page": 2, "page_size": 1},
    {"page": "last", "page_size": "x"},
    {"page": 9},
    {"page": "x"},
    {"limit": 1, "offset": 1, "kept": "in the link"},
    {"limit": -1, "offset": "x"},
    {"offset": 100},
    {"cursor": "cD0y"},
    {"cursor": "cj0xJnA9Mw=="},
    {"cursor": "nonsense"},
]
ROW_BODIES: list[tuple[str, Any]] = [
    ("create", NEW),
    ("create", {}),
    ("create", []),
    ("create", [NEW]),
    ("create", "text"),
    ("create", 5),
    ("create", False),
    ("create", {"question_text": "", "votes": None}),
    ("create", {"question_text": "x" * 50_000}),
    ("create", {"question_text": "\0"}),
    ("create", {"question_text": "漢字 \u202e 🐍 é", "votes": "12"}),
    ("create", {"question_text": ["list"], "published": "no", "votes": 2.5}),
    ("create", {**NEW, "id": 1, "pk": 1, "self": 1, "request": {"deep": [1]}}),
    ("create", {**NEW, "votes": 2**40}),
    ("create", {**NEW, "owner": 2**62}),
    ("create", {**NEW, "owner": "nobody"}),
    ("create", {**NEW, "votes": -1}),
    ("create", {"question_text": "refused late"}),
    ("update", {**NEW, "published": False}),
    ("update", {}),
    ("update", []),
    ("update", {**NEW, "pk": "another"}),
    ("update", {"question_text": None, "votes": True, "published": "x", "owner": {}}),
    ("patch", {}),
    ("patch", 0),
    ("patch", {"question_text": "refused"}),
    ("patch", {"pk": "another", "published": False}),
    ("patch", {"owner": None}),
]


class Answer(NamedTuple):
    """What somebody is told, and the rows that are there afterwards."""

    status: int
    data: Any
    errors: Any
    rows: list


class Ways:
    """The three ways in for one person and one twin; each is tried on the same three rows."""

    def __init__(self, server, person, twin, rows: Rows) -> None:
        self.rows, self.twin = rows, twin
        self.http = httpx.AsyncClient(
            base_url=f"{server.http_url}policies/{twin}/",
            auth=person.basic_auth,
            trust_env=False,
            timeout=30,
        )
        self.socket = SocketClient(f"{server.url}ws/", headers=person.headers)

    async def __aenter__(self) -> "Ways":
        await self.http.__aenter__()
        await self.socket.__aenter__()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.socket.__aexit__(*exc_info)
        await self.http.__aexit__(*exc_info)

    async def over_http(self, action, pk, data) -> Answer:
        method, path = ROUTES[action]
        sent = {"params" if method == "GET" else "json": data} if data is not ABSENT else {}
        if method == "GET" and data is not ABSENT:
            sent["params"] = {key: as_text(value) for key, value in data.items()}
        url = path.format(pk=self.rows.pks.get(pk, pk))
        response = await self.http.request(method, url, **sent)
        body = response.json() if response.content else None
        status, data, errors = on_the_socket(response.status_code, body)
        return await self.answer(action, status, data, errors)

    async def over_socket(self, kind, action, pk, data) -> Answer:
        frame = {"pk": self.rows.pks.get(pk, pk)} if pk is not None else {}
        if data is not ABSENT:
            frame["data"] = data
        reply = await self.socket.request(f"{kind}-{self.twin}", action, timeout=30, **frame)
        status, data, errors = (reply[key] for key in ("response_status", "data", "errors"))
        return await self.answer(action, status, data, errors)

    async def answer(self, action, status, data, errors) -> Answer:
        method, _ = ROUTES[action]
        data = without_addresses(data, known=self.rows.pks.values())
        # What may have changed the rows is made undone, for the next one to find them the same.
        after = [] if method == "GET" else await sync_to_async(self.look_and_restore)()
        return Answer(status, data, errors, after)

    def look_and_restore(self):
        found = Question.objects.order_by("pk")
        after = list(found.values_list("question_text", "votes", "published", "owner"))
        if not self.rows.untouched():
            self.rows.restore()
        return after

    async def differences(self, action, pk, data) -> list[str]:
        """What the socket does otherwise than HTTP, said so that the fault can be found."""
        over_http = await self.over_http(action, pk, data)
        found = []
        for kind in ("viewset", "binding"):
            over_socket = await self.over_socket(kind, action, pk, data)
            if over_socket != over_http:
                asked = f"{action} {pk} {data!r:.200}"
                found.append(f"{asked}\n    http: {over_http}\n    {kind}: {over_socket}")
        return found


def as_text(value):
    """A value in a query string."""
    if isinstance(value, list):
        return [as_text(item) for item in value]
    return str(value).lower() if isinstance(value, bool) else str(value)


def on_the_socket(status: int, body: Any) -> tuple[int, Any, list]:
    """An answer of HTTP as the contract has it on the socket: all that may differ."""
    if status == 204:
        return 200, {}, []
    if status < 400:
        return status, body, []
    if isinstance(body, dict) and body.keys() == {"detail"}:
        body = body["detail"]
    # Django's words name the model. The contract's don't.
    if body == "No Question matches the given query.":
        body = "Not found."
    return status, None, body if isinstance(body, list) else [body]


def without_addresses(data: Any, known) -> Any:
    """Links by their query alone, and keys of new rows by the fact that they are new."""
    if isinstance(data, list):
        return [without_addresses(item, known) for item in data]
    if not isinstance(data, dict):
        return data
    data = {key: without_addresses(value, known) for key, value in data.items()}
    for link in ("next", "previous"):
        if data.get(link):
            data[link] = parse_qs(urlsplit(data[link]).query, keep_blank_values=True)
    if "id" in data and data["id"] not in known:
        data["id"] = "new"
    return data


def without_digits(errors: list) -> list:
    return [re.sub("[0-9]+ seconds?", "N seconds", error) for error in errors]


def report(differences) -> str:
    return "\n".join(differences)


@pytest.fixture
def ways(app_server, people, rows):
    """A function of a person's name and a twin's."""
    return lambda who, twin: Ways(app_server("uvicorn"), people[who], twin, rows)


@pytest.mark.parametrize("twin", DECIDING)
async def test_permissions_decide_the_same(twin, ways):
    """For everybody and every action, on rows of one's own, of others, and on none."""
    found = []
    for who in PEOPLE:
        async with ways(who, twin) as all_ways:
            for step in ACTIONS:
                found += [f"{who}: {each}" for each in await all_ways.differences(*step)]
    assert not found, report(found)


@pytest.mark.parametrize("twin", PAGED)
async def test_filters_and_pages_are_the_same(twin, ways):
    """Data of a frame is what a query string is to HTTP."""
    found = []
    async with ways("owner", twin) as all_ways:
        for query in QUERIES:
            for action in ("list", "total"):
                found += await all_ways.differences(action, None, query)
        for step in ACTIONS:
            found += await all_ways.differences(*step)
    assert not found, report(found)


async def test_validation_answers_the_same(ways):
    """Missing fields, wrong types, other keys, long text, and data that is no object at all."""
    found = []
    async with ways("owner", "open") as all_ways:
        for action, body in ROW_BODIES:
            found += await all_ways.differences(
                action, None if action == "create" else "banana", body
            )
    assert not found, report(found)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=250),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=4,
)
FIELDS = st.sampled_from(["question_text", "votes", "published", "owner", "id", "pk"])
BODIES = st.dictionaries(FIELDS | st.text(max_size=5), JSON, max_size=5) | JSON.filter(
    lambda body: body is not None
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(action=st.sampled_from(["create", "update", "patch"]), body=BODIES)
async def test_whatever_the_data_is_the_answer_is_the_same(action, body, ways):
    """Data that nobody has thought of."""
    async with ways("plain", "authored") as all_ways:
        pk = None if action == "create" else "apple"
        found = await all_ways.differences(action, pk, body)
    assert not found, report(found)


@pytest.mark.parametrize(
    ("kind", "body"), [("viewset", b""), ("binding", b"null")], ids=["viewset", "binding"]
)
@pytest.mark.parametrize("action", ["create", "update", "patch"])
async def test_no_data_is_no_body_to_a_viewset_and_null_to_a_binding(action, kind, body, ways):
    """A viewset sees its `request.data`, a binding's handler its `data`, as in 0.4.1: None."""
    async with ways("owner", "open") as all_ways:
        pk = None if action == "create" else "banana"
        method, path = ROUTES[action]
        url = path.format(pk=all_ways.rows.pks.get(pk))
        headers = {"Content-Type": "application/json"}
        response = await all_ways.http.request(method, url, content=body, headers=headers)
        expected = on_the_socket(response.status_code, response.json())
        over_socket = await all_ways.over_socket(kind, action, pk, ABSENT)
    assert over_socket[:3] == expected


@pytest.mark.parametrize("twin", DECIDING)
async def test_who_may_not_read_may_not_subscribe(twin, ways):
    """Subscribing to rows is refused in the words in which HTTP refuses to show them."""
    found = []
    for who in PEOPLE:
        async with ways(who, twin) as all_ways:
            for pk in (None, "apple", "cherry", 999_999_999):
                reading = await all_ways.over_http("retrieve" if pk else "list", pk, ABSENT)
                expected = (reading.status, reading.errors)
                for kind in ("viewset", "binding"):
                    answer = await all_ways.socket.request(
                        f"{kind}-{twin}",
                        "subscribe",
                        pk=all_ways.rows.pks.get(pk, pk),
                        data={"action": "update"},
                    )
                    subscribing = (answer["response_status"], answer["errors"])
                    if subscribing != expected:
                        found.append(f"{who} {kind} {pk}: {subscribing} instead of {expected}")
    assert not found, report(found)


@pytest.mark.parametrize("kind", ["viewset", "binding"])
async def test_throttles_refuse_the_same_request(kind, ways):
    """The count of a user is one, whichever way the requests come."""
    async with ways("plain", "throttled") as all_ways:
        for _ in range(2):
            for answer in (
                await all_ways.over_http("list", None, ABSENT),
                await all_ways.over_socket(kind, "list", None, ABSENT),
            ):
                assert answer.status == 200
        assert (await all_ways.over_socket(kind, "list", None, ABSENT)).status == 200
        # The wait is rounded up to a second, and the second may end between the two.
        over_http = await all_ways.over_http("list", None, ABSENT)
        over_socket = await all_ways.over_socket(kind, "list", None, ABSENT)
    assert (over_http.status, over_socket.status) == (429, 429)
    assert without_digits(over_socket.errors) == without_digits(over_http.errors)


async def test_a_difference_is_found(ways, people):
    """The comparison itself can fail: two twins with other policies are told apart."""
    async with ways("plain", "open") as one, ways("plain", "admin") as other:
        other.http = one.http
        found = await other.differences("list", None, ABSENT)
    assert len(found) == 2
