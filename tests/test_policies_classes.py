"""Each policy class of DRF, unchanged, on a binding: one table of who is answered what."""

import inspect
import json
from typing import NamedTuple

import pytest
from rest_framework import filters, pagination, permissions

from tests.app.streams.policies import CONSUMERS
from tests.client import SocketClient
from tests.policies_world import (
    FORBIDDEN,
    NO_CREDENTIALS,
    NOT_FOUND,
    reply,
)

NOT_YOURS = ["This is not yours."]
DENIED = ["Permission Denied"]


class Case(NamedTuple):
    """What `who` is answered; names of rows stand for their keys and for their content."""

    policy: str
    who: str
    action: str
    pk: object = None
    data: object = None
    status: int = 200
    shows: object = None
    errors: object = ()


def refused(policy, who, status, errors, *actions):
    """The same refusal of several actions, all of them on the row `apple`."""
    return [
        Case(policy, who, action, pk="apple", data={}, status=status, errors=errors)
        for action in actions
    ]


READING = ("retrieve", "list")
WRITING = ("create", "update", "patch", "delete", "publish", "apublish")
ON_A_ROW = ("retrieve", "update", "patch", "delete", "publish", "apublish")
EVERYTHING = (*READING, *WRITING, "subscribe")
ALL_ROWS = ["apple", "banana", "cherry"]

PERMISSION_CASES = [
    Case("allow-any", "anonymous", "list", shows=ALL_ROWS),
    Case("allow-any", "anonymous", "retrieve", pk="cherry", shows="cherry"),
    # Who may not know of rows is not told which there are.
    *refused("is-authenticated", "anonymous", 401, NO_CREDENTIALS, *EVERYTHING, "unsubscribe"),
    Case("is-authenticated", "anonymous", "retrieve", pk="x", status=401, errors=NO_CREDENTIALS),
    Case("is-authenticated", "plain", "list", shows=ALL_ROWS),
    *refused("is-admin", "anonymous", 401, NO_CREDENTIALS, "list"),
    *refused("is-admin", "plain", 403, FORBIDDEN, *EVERYTHING),
    Case("is-admin", "staff", "retrieve", pk="apple", shows="apple"),
    *refused("is-authenticated-or-read-only", "anonymous", 401, NO_CREDENTIALS, *WRITING),
    Case("is-authenticated-or-read-only", "anonymous", "retrieve", pk="apple", shows="apple"),
    Case(
        "is-authenticated-or-read-only",
        "anonymous",
        "subscribe",
        pk="apple",
        data={"action": "update"},
        shows={"action": "update"},
    ),
    *refused("model-permissions", "anonymous", 401, NO_CREDENTIALS, "list", "create"),
    *refused("model-permissions", "plain", 403, FORBIDDEN, *WRITING),
    Case("model-permissions", "plain", "list", shows=ALL_ROWS),
    # Each HTTP method stands for a permission: POST to add, PUT and PATCH to change.
    *refused("model-permissions", "editor", 403, FORBIDDEN, "create", "delete", "publish"),
    Case("model-permissions", "editor", "patch", pk="apple", data={}, shows="apple"),
    Case(
        "model-permissions",
        "editor",
        "update",
        pk="apple",
        data={"question_text": "apple"},
        shows="apple",
    ),
    *refused("model-permissions-or-anon", "anonymous", 401, NO_CREDENTIALS, "create", "delete"),
    Case("model-permissions-or-anon", "anonymous", "list", shows=ALL_ROWS),
    # Django's own backend grants no permission on a single row to anybody but superusers.
    *refused("object-permissions", "editor", 403, FORBIDDEN, "update", "patch", "delete"),
    Case("object-permissions", "staff", "delete", pk="apple", shows={}),
    *refused("is-owner", "owner", 403, NOT_YOURS, *ON_A_ROW),
    *refused("is-owner", "anonymous", 401, NO_CREDENTIALS, *ON_A_ROW),
    Case("is-owner", "owner", "retrieve", pk="banana", shows="banana"),
    Case("is-owner", "owner", "apublish", pk="banana", data={}, shows="banana"),
    Case("is-owner", "owner", "delete", pk="banana", shows={}),
    Case("is-owner", "anonymous", "list", shows=ALL_ROWS),
    *refused("and", "anonymous", 401, NO_CREDENTIALS, "list", "retrieve"),
    *refused("and", "plain", 403, FORBIDDEN, "retrieve"),
    Case("and", "owner", "retrieve", pk="banana", shows="banana"),
    *refused("or", "plain", 403, FORBIDDEN, "retrieve", "delete"),
    Case("or", "owner", "retrieve", pk="banana", shows="banana"),
    Case("or", "staff", "retrieve", pk="banana", shows="banana"),
    *refused("not", "plain", 403, FORBIDDEN, "list"),
    Case("not", "anonymous", "list", shows=ALL_ROWS),
]
CLASSIC_CASES = [
    # 401 and these words whoever it is, and before anybody asks whether there is such an action.
    *refused("classic", "anonymous", 401, DENIED, *EVERYTHING, "no_such_action"),
    *refused("classic", "plain", 401, DENIED, "list", "no_such_action"),
    Case("classic", "staff", "list", shows=ALL_ROWS),
    Case("classic", "staff", "no_such_action", status=400, errors=["Invalid Action"]),
    *refused("classic-action", "staff", 401, DENIED, *WRITING, "subscribe"),
    Case("classic-action", "anonymous", "list", shows=ALL_ROWS),
    Case("classic-pk", "anonymous", "retrieve", pk="apple", shows="apple"),
    Case("classic-pk", "anonymous", "retrieve", pk="x", status=401, errors=DENIED),
    *refused("classic-and-drf", "anonymous", 401, DENIED, "list", "no_such_action"),
    *refused("classic-and-drf", "plain", 403, FORBIDDEN, "list", "delete"),
    Case("classic-and-drf", "plain", "no_such_action", status=400, errors=["Invalid Action"]),
    Case("classic-and-drf", "staff", "list", shows=ALL_ROWS),
    *refused("classic-and-object", "owner", 403, NOT_YOURS, *ON_A_ROW),
    *refused("classic-and-object", "anonymous", 401, DENIED, *ON_A_ROW),
    Case("classic-and-object", "owner", "retrieve", pk="banana", shows="banana"),
    # Inside a composition a 0.4.1-style class is answered as DRF's are.
    *refused("classic-in-and", "anonymous", 401, NO_CREDENTIALS, "list"),
    *refused("classic-in-and", "plain", 403, FORBIDDEN, "list"),
    Case("classic-in-and", "staff", "retrieve", pk="apple", shows="apple"),
    *refused("classic-in-or", "anonymous", 401, NO_CREDENTIALS, "delete", "publish"),
    Case("classic-in-or", "anonymous", "retrieve", pk="apple", shows="apple"),
    Case("classic-in-or", "staff", "delete", pk="apple", shows={}),
    *refused("classic-in-not", "staff", 403, FORBIDDEN, "list"),
    Case("classic-in-not", "anonymous", "list", shows=ALL_ROWS),
    *refused("classic-only-or", "plain", 403, FORBIDDEN, "delete"),
    Case("classic-only-or", "plain", "list", shows=ALL_ROWS),
    Case("classic-only-or", "staff", "delete", pk="apple", shows={}),
]
FILTER_CASES = [
    Case("search", "anonymous", "list", data={"search": "AN"}, shows=["banana"]),
    Case("search", "anonymous", "list", data={"search": "pp e"}, shows=["apple"]),
    Case("search", "anonymous", "list", data={"search": "apple,banana"}, shows=[]),
    Case("search", "anonymous", "list", data={"search": 5}, shows=[]),
    Case("search", "anonymous", "list", data={"search": None}, shows=ALL_ROWS),
    Case("search", "anonymous", "total", data={"search": "a"}, shows={"total": 2}),
    Case(
        "search",
        "anonymous",
        "list",
        data={"search": "\0"},
        status=400,
        errors=["Null characters are not allowed."],
    ),
    Case(
        "search",
        "anonymous",
        "list",
        data={"search": {"a": 1}},
        status=400,
        errors=[{"search": ["A filter must be a string, a number, true, false or null."]}],
    ),
    Case("search", "anonymous", "list", data=["a"], status=400, errors=["data must be an object."]),
    # A row outside of the filter is a row outside of the queryset, as in DRF.
    Case(
        "search",
        "anonymous",
        "retrieve",
        pk="apple",
        data={"search": "banana"},
        status=404,
        errors=NOT_FOUND,
    ),
    Case("search", "anonymous", "delete", pk="apple", data={"search": "banana"}, shows={}),
    Case(
        "ordering",
        "anonymous",
        "list",
        data={"ordering": "-votes"},
        shows=["apple", "cherry", "banana"],
    ),
    Case("ordering", "anonymous", "list", data={"ordering": "owner__password"}, shows=ALL_ROWS),
    Case("django-filter", "anonymous", "list", data={"votes__gte": 2}, shows=["apple", "cherry"]),
    Case("django-filter", "anonymous", "list", data={"published": False}, shows=["cherry"]),
    Case(
        "django-filter",
        "anonymous",
        "list",
        data={"published": True, "votes": 3, "no": 1},
        shows=["apple"],
    ),
    Case(
        "django-filter",
        "anonymous",
        "list",
        data={"votes": "many"},
        status=400,
        errors=[{"votes": ["Enter a number."]}],
    ),
    Case("own-filter", "owner", "list", shows=["banana"]),
    Case("own-filter", "owner", "retrieve", pk="apple", status=404, errors=NOT_FOUND),
]
INVALID_PAGE = ["Invalid page."]
PAGINATION_CASES = [
    Case("allow-any", "anonymous", "list", data={"page": 1}, shows=ALL_ROWS),
    Case("allow-any", "anonymous", "list", data={"page": "2"}, status=404, errors=INVALID_PAGE),
    Case("allow-any", "anonymous", "list", data={"page": True}, status=404, errors=INVALID_PAGE),
    Case("no-pages", "anonymous", "list", shows=ALL_ROWS),
    Case("no-pages", "anonymous", "list", data={"page": 2}, status=404, errors=INVALID_PAGE),
    Case("pages-without-size", "anonymous", "list", shows=ALL_ROWS),
    Case("pages", "anonymous", "list", data={"page": 3}, status=404, errors=INVALID_PAGE),
    Case(
        "pages",
        "anonymous",
        "list",
        data={"page": [1]},
        shows={"count": 3, "next": "?page=2", "previous": None, "results": ["apple", "banana"]},
    ),
    Case(
        "pages",
        "anonymous",
        "list",
        data={"page": "last", "kept": "in the link"},
        shows={
            "count": 3,
            "next": None,
            "previous": "?kept=in+the+link",
            "results": ["cherry"],
        },
    ),
    Case(
        "pages",
        "anonymous",
        "list",
        data={"page_size": 9},
        shows={"count": 3, "next": None, "previous": None, "results": ALL_ROWS},
    ),
    Case(
        "offsets",
        "anonymous",
        "list",
        data={"offset": 1},
        shows={
            "count": 3,
            "next": None,
            "previous": "?limit=2",
            "results": ["banana", "cherry"],
        },
    ),
    Case(
        "offsets",
        "anonymous",
        "list",
        data={"limit": 1, "offset": 2},
        shows={
            "count": 3,
            "next": None,
            "previous": "?limit=1&offset=1",
            "results": ["cherry"],
        },
    ),
    Case(
        "cursors",
        "anonymous",
        "list",
        # "p=2" in base 64: the votes of the last row that was shown.
        shows={"next": "?cursor=cD0y", "previous": None, "results": ["banana", "cherry"]},
    ),
    Case(
        "cursors",
        "anonymous",
        "list",
        data={"cursor": "cD0y"},
        # "r=1&p=3": backwards from the row with three votes.
        shows={"next": None, "previous": "?cursor=cj0xJnA9Mw%3D%3D", "results": ["apple"]},
    ),
    Case(
        "cursors",
        "anonymous",
        "list",
        data={"cursor": "nonsense"},
        status=404,
        errors=["Invalid cursor"],
    ),
]
TABLE = [*PERMISSION_CASES, *CLASSIC_CASES, *FILTER_CASES, *PAGINATION_CASES]


def name_of(case):
    said = [case.policy, case.who, case.action, case.pk, case.data and json.dumps(case.data)]
    return " ".join(str(part) for part in said if part)


@pytest.mark.parametrize("case", TABLE, ids=name_of)
async def test_a_policy_answers_as_in_drf(case, app_server, people, rows):
    """Whole replies: what is shown, or DRF's own words of refusal."""
    server = app_server()

    def written_out(value):
        if isinstance(value, dict):
            return {key: written_out(item) for key, item in value.items()}
        if isinstance(value, list):
            return [written_out(item) for item in value]
        if isinstance(value, str) and value in rows.pks:
            return rows.shown(value)
        if isinstance(value, str) and value.startswith("?"):
            return f"{server.http_url}ws/{value}"
        return value

    async with SocketClient(f"{server.url}ws/", headers=people[case.who].headers) as client:
        answer = await client.request(
            f"policy-{case.policy}",
            case.action,
            pk=rows.pks.get(case.pk, case.pk),
            data=case.data,
            request_id=1,
            timeout=20,
        )
    assert answer == reply(case.action, case.status, written_out(case.shows), case.errors)


@pytest.mark.parametrize("who", ["anonymous", "plain"])
@pytest.mark.parametrize("action", ["retrieve", "delete"])
async def test_a_refusal_leaves_the_row_and_the_socket_alone(who, action, app_server, people, rows):
    """The next frame of the same socket is answered, and shows the row as it was."""
    async with SocketClient(f"{app_server().url}ws/", headers=people[who].headers) as client:
        refusal = await client.request("policy-is-owner", action, pk=rows.pks["banana"])
        assert refusal["response_status"] in (401, 403)
        answer = await client.request("policy-is-owner", "list", request_id=1)
    assert answer == reply("list", 200, [rows.shown(name) for name in ALL_ROWS])


@pytest.mark.parametrize("library", [permissions, filters, pagination])
def test_no_class_of_drf_is_forgotten(library):
    """Whatever DRF brings is in the table, itself or as the base of what is there."""
    forgotten = {
        each
        for name, each in inspect.getmembers(library, inspect.isclass)
        if each.__module__ == library.__name__
        and issubclass(each, BASES[library])
        and each not in (BASES[library], *NOT_POLICIES)
        and not any(issubclass(used, each) for used in policies_in_the_table())
    }
    assert forgotten == set()


BASES = {
    permissions: permissions.BasePermission,
    filters: filters.BaseFilterBackend,
    pagination: pagination.BasePagination,
}
# Needs an extension of PostgreSQL; all that it adds to SearchFilter is the name of a lookup.
NOT_POLICIES = {getattr(filters, "UnaccentedSearchFilter", None)}


def policies_in_the_table():
    for case in TABLE:
        binding = CONSUMERS[f"policy-{case.policy}"]
        yield from map(type, binding_permissions(binding))
        yield from binding.filter_backends or ()
        yield binding.pagination_class or pagination.BasePagination


def binding_permissions(binding):
    """Permission instances, those inside a composition too."""
    waiting = [permission() for permission in binding.permission_classes]
    while waiting:
        permission = waiting.pop()
        yield permission
        waiting += [value for name, value in vars(permission).items() if name.startswith("op")]
