"""The schema of streams: actions, what they take and answer, filters, pages, subscriptions."""

import django_filters
import pytest
from channels.routing import URLRouter
from django import forms
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.urls import path, re_path
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.response import Response

from channels_api.bindings import ReadOnlyResourceBinding
from channels_api.demultiplexer import WebsocketDemultiplexer
from channels_api.protocol import RequestFrame
from channels_api.requests import Handshake
from channels_api.schema import make_schema
from channels_api.schema.shapes import NOTHING
from tests import schema_world
from tests.app.models import Document, Question
from tests.app.serializers import DocumentSerializer, QuestionSerializer

QUESTION, BRIEF, DOCUMENT, TASK = (
    {"$ref": f"#/components/schemas/{name}"} for name in ("Question", "Brief", "Document", "Task")
)
ANY_KEY = {"type": ["integer", "string"]}
TITLE = {"type": "string", "maxLength": 200}
UUID = {"type": "string", "format": "uuid"}
PAGE = {"type": "integer", "minimum": 1, "maximum": 2**31}
FILTERS = {
    "search": {"type": "string", "description": "A search term."},
    "ordering": {
        "type": "string",
        "description": "Which field to use when ordering the results.",
    },
    "published": {"type": "boolean", "title": "Published"},
    "owner": {"type": "integer", "title": "Owner"},
    "question_text": {"type": "string", "title": "Question text"},
    "votes_min": {"type": "number", "title": "How many votes"},
    "votes_max": {"type": "number", "title": "How many votes"},
    "kind": {"enum": ["a"], "x-enum-labels": ["Apple"]},
    "kinds": {"type": "array", "items": {"enum": ["a"], "x-enum-labels": ["Apple"]}},
    "since": {"type": "string", "format": "date", "description": "A day"},
    "ids": {"type": "string", "description": "Multiple values may be separated by commas."},
}
PAGES = {
    "page": {"type": "integer", "description": "A page number within the paginated result set."},
    "size": {"type": "integer", "description": "Number of results to return per page."},
}

LIMITS = {
    "limit": {"type": "integer", "description": "Number of results to return per page."},
    "offset": {
        "type": "integer",
        "description": "The initial index from which to return the results.",
    },
}


def listed(row):
    return {"type": "array", "items": row}


def taken(name):
    return {"$ref": f"#/components/schemas/{name}"}


def objects(**properties):
    return {"type": "object", "properties": properties}


def envelope(row):
    return {
        **objects(
            count={"type": "integer"},
            next={"type": ["string", "null"], "format": "uri"},
            previous={"type": ["string", "null"], "format": "uri"},
            results=listed(row),
        ),
        "required": ["count", "results"],
    }


#: Operation: detail, method, standard, data, result.
ACTIONS = {
    "full.list": (
        *(False, "GET", True, objects(**PAGES, **FILTERS)),
        envelope(BRIEF),
    ),
    "full.retrieve": (True, "GET", True, None, QUESTION),
    "full.create": (False, "POST", True, taken("QuestionInput"), QUESTION),
    "full.update": (True, "PUT", True, taken("QuestionInput"), QUESTION),
    "full.patch": (True, "PATCH", True, taken("QuestionPatch"), QUESTION),
    "full.delete": (True, "DELETE", True, None, NOTHING),
    "full.clear-all": (False, "POST", False, None, {}),
    "full.look": (False, "GET", False, {}, {}),
    "full.mend": (True, "PATCH", False, taken("VotePatch"), {}),
    "full.vote": (True, "POST", False, taken("VoteInput"), {}),
    "asking.list": (
        *(False, "GET", True, objects(page=PAGE, votes={"type": "number", "title": "Votes"})),
        listed({}),
    ),
    "asking.retrieve": (True, "GET", True, None, {}),
    "hidden.list": (False, "GET", True, objects(page=PAGE), listed(DOCUMENT)),
    "hidden.retrieve": (True, "GET", True, None, DOCUMENT),
    "ping.ping": (False, "POST", False, {}, {}),
    # Its paginator has no size, so that the library's own takes its place until it is given one.
    "documents.list": (
        *(False, "GET", True, objects(page=PAGE, **LIMITS)),
        {"anyOf": [listed(DOCUMENT), envelope(DOCUMENT)]},
    ),
    "documents.retrieve": (True, "GET", True, None, DOCUMENT),
    "documents.create": (False, "POST", True, taken("DocumentInput"), DOCUMENT),
    "documents.rate": (True, "POST", False, taken("VoteInput"), {}),
    "plain.list": (False, "GET", True, objects(), {}),
    "tasks.retrieve": (True, "GET", True, None, TASK),
    "tasks.delete": (True, "DELETE", True, None, TASK),
    "tasks.subscribe": (True, "GET", True, None, TASK),
    "tasks.unsubscribe": (True, "GET", True, None, NOTHING),
    "rooms_room_name.ping.ping": (False, "POST", False, {}, {}),
    "a b/c.ping": (False, "POST", False, {}, {}),
}
SUBSCRIBABLE = ("full", "asking", "documents")


def make(settings, name="application"):
    settings.ASGI_APPLICATION = f"tests.schema_world.{name}"
    warnings: list[str] = []
    return make_schema(warn=warnings.append), warnings


@pytest.fixture
def make_routes(settings, monkeypatch):
    """A function that makes the document of these routes, and what was warned of."""

    def run(*routes):
        monkeypatch.setattr(schema_world, "routed", URLRouter([*routes]), raising=False)
        return make(settings, "routed")

    return run


@pytest.fixture
def make_streams(make_routes):
    """A function that makes the document of one socket with these streams, and its warnings."""

    def run(**streams):
        demultiplexer = type("Streams", (WebsocketDemultiplexer,), {"consumers": streams})
        return make_routes(path("ws/", demultiplexer.as_asgi()))

    return run


def test_actions_say_what_they_take_and_answer(settings):
    document, _ = make(settings)

    found = {key: each.get("x-action") for key, each in document["operations"].items()}
    expected = {
        key: {
            "socket": "rooms_room_name" if key.endswith("ping") and key != "ping.ping" else "ws",
            "stream": key.split(".")[-2],
            "name": key.rpartition(".")[2],
            "detail": detail,
            "method": method,
            "standard": standard,
            "data": data,
            "result": result,
        }
        for key, (detail, method, standard, data, result) in ACTIONS.items()
    }
    ours = {f"{stream}.{name}" for stream in SUBSCRIBABLE for name in ("subscribe", "unsubscribe")}
    assert {key: each for key, each in found.items() if each and key not in ours} == expected
    sent = {*(f"{stream}.events" for stream in SUBSCRIBABLE), "ws.ping", "rooms_room_name.ping"}
    assert found.keys() == expected.keys() | ours | sent


def test_a_subscription_takes_the_filters_of_list_and_tells_rows_of_list_or_retrieve(settings):
    document, _ = make(settings)
    row = {"anyOf": [BRIEF, QUESTION]}

    action = document["operations"]["full.subscribe"]["x-action"]
    data, result = action["data"], action["result"]
    assert (action["detail"], action["method"], action["standard"]) == (False, "GET", True)
    assert data["properties"]["filter"] == objects(**FILTERS)
    assert data["properties"]["have"]["items"] == {"type": "integer"}
    assert set(data["properties"]) == {"action", "snapshot", "filter", "since", "have"}
    assert data["required"] == ["action"]
    assert result["properties"]["snapshot"] == listed(row)
    event = document["components"]["messages"]["full.events.change"]["payload"]
    payload = event["properties"]["payload"]
    assert payload["properties"]["data"] == {"anyOf": [row, {"type": "null"}]}
    assert payload["properties"]["model"] == {"const": "app.question"}
    assert payload["required"] == ["action", "pk", "data", "model"]


def test_streams_say_what_their_rows_are(settings):
    document, _ = make(settings)
    names = ("model", "key", "pk", "event_pk", "row", "subscribable", "tasks")
    number = {"type": "integer"}
    found = {
        key: tuple(each[name] for name in names) for key, each in document["x-streams"].items()
    }
    nothing = (None, None, ANY_KEY, ANY_KEY, None, False, False)

    assert found == {
        "full": ("app.question", "id", number, number, BRIEF, True, False),
        "asking": ("app.question", None, number, number, None, True, False),
        "hidden": ("app.document", "id", TITLE, UUID, DOCUMENT, False, False),
        "ping": nothing,
        "documents": ("app.document", "id", UUID, UUID, DOCUMENT, True, False),
        "plain": nothing,
        "tasks": (None, None, {"type": "string"}, ANY_KEY, None, False, True),
        "rooms_room_name.ping": nothing,
        "a b/c": nothing,
    }  # fmt: skip
    second = document["x-streams"]["rooms_room_name.ping"]
    assert (second["socket"], second["stream"]) == ("rooms_room_name", "ping")
    assert document["x-streams"]["full"]["description"] == (
        "Questions, with all that there is.\n\nIn two lines."
    )


def test_what_the_project_has_written_describes_the_actions(settings):
    operations = make(settings)[0]["operations"]

    assert operations["full.vote"]["description"] == "Add votes."
    assert operations["documents.rate"]["description"] == "Say what it is worth."
    assert operations["plain.list"]["description"] == "Whatever it likes."
    assert "description" not in operations["full.create"]


def test_sockets_are_found_behind_routers_and_middlewares(settings):
    document, _ = make(settings)

    found = {
        key: (each["address"], each.get("parameters"))
        for key, each in document["x-sockets"].items()
    }
    assert found == {
        "ws": ("/ws/", None),
        "rooms_room_name": ("/rooms/{room}/{name}/", {"room": {}, "name": {}}),
    }
    assert make(settings, "bare")[0]["x-sockets"]["root"]["address"] == "/"


def test_what_needs_a_user_is_told_and_ends_nothing(settings):
    sentence = "AskingBinding.{}: no serializer without a socket: KeyError(False)"

    assert make(settings)[1] == [sentence.format(name) for name in ("list", "retrieve")]


def test_a_binding_can_tell_whether_somebody_has_asked(make_streams):
    class OwnBinding(ReadOnlyResourceBinding):
        serializer_class = QuestionSerializer

        def get_queryset(self):
            if self.swagger_fake_view:
                return Question.objects.all()
            return Question.objects.filter(owner=self.user)

    document, warnings = make_streams(own=OwnBinding)

    assert document["x-streams"]["own"]["model"] == "app.question"
    assert warnings == []
    asked = OwnBinding(Handshake({"user": User(pk=1)}), RequestFrame("own", "list"))
    assert asked.get_queryset().model is Question


class Values(django_filters.FilterSet):
    #: Without a mark for it, tests have no database: what asks it fails.
    every = django_filters.AllValuesFilter(field_name="votes", label="Every", help_text="One.")
    owners = django_filters.AllValuesMultipleFilter(field_name="owner__username")
    document = django_filters.ModelChoiceFilter(queryset=lambda request: 1 / 0)
    order = django_filters.OrderingFilter(fields=["votes"])
    lookup = django_filters.LookupChoiceFilter(
        field_class=forms.DecimalField, lookup_choices=["lt", "gt"], field_name="votes"
    )
    file = django_filters.Filter(field_name="question_text")
    file.field_class, file.extra = forms.FilePathField, {"path": "/", "required": False}

    class Meta:
        model = Question
        fields = {"votes": ["in", "range"], "published": ["exact"]}


def test_filters_take_what_their_queries_read_and_do_not_ask_the_database(make_streams):
    class FilteredBinding(ReadOnlyResourceBinding):
        queryset = Question.objects.all()
        serializer_class = QuestionSerializer
        filter_backends = [DjangoFilterBackend]
        filterset_class = Values

    document, warnings = make_streams(filtered=FilteredBinding)

    commas = {"type": "string", "description": "Multiple values may be separated by commas."}
    names = {"type": "array", "items": {"type": "string", "maxLength": 150}}
    choice = {"enum": ["lt", "gt"], "x-enum-labels": ["Lt", "Gt"]}
    found = document["operations"]["filtered.list"]["x-action"]["data"]["properties"]
    assert found == {
        "page": PAGE,
        "votes__in": {**commas, "title": "Votes is in"},
        "votes__range": {**commas, "title": "Votes is in range"},
        "published": {"type": "boolean", "title": "Published"},
        "every": {"type": "integer", "title": "Every", "description": "One."},
        "owners": {**names, "title": "Owner username"},
        "order": {
            "type": "string",
            "title": "Ordering",
            "description": "Several, with commas between them.",
        },
        "lookup": {"type": "number", "title": "Votes"},
        "lookup_lookup": {**choice, "title": "Votes"},
        "file": {"type": "string", "title": "Question text"},
    }
    assert warnings == [
        "The filter Values.document can't be described: ZeroDivisionError('division by zero')"
    ]


class Unsized(schema_world.Pages):
    page_size = None


class NeverAsked(schema_world.Pages):
    page_size = page_size_query_param = None


class Wrapped(schema_world.Pages):
    def get_paginated_response(self, data):
        return Response({"rows": data})


class WrappedAndTold(Wrapped):
    def get_paginated_response_schema(self, schema):
        return objects(rows=schema)


@pytest.mark.parametrize(
    ("pagination", "data", "result", "told"),
    [
        (None, {"page": PAGE}, listed(DOCUMENT), []),
        (NeverAsked, {"page": PAGE}, listed(DOCUMENT), []),
        (Unsized, PAGES, {"anyOf": [listed(DOCUMENT), envelope(DOCUMENT)]}, []),
        (
            *(Wrapped, PAGES, {}),
            ["The pages of Wrapped may be anything: get_paginated_response() has no schema."],
        ),
        (WrappedAndTold, PAGES, objects(rows=listed(DOCUMENT)), []),
    ],
)
def test_pages_are_what_the_paginator_makes_of_them(make_streams, pagination, data, result, told):
    class PagedBinding(ReadOnlyResourceBinding):
        queryset = Document.objects.all()
        serializer_class = DocumentSerializer
        pagination_class = pagination

    document, warnings = make_streams(paged=PagedBinding)

    action = document["operations"]["paged.list"]["x-action"]
    assert (action["data"], action["result"], warnings) == (objects(**data), result, told)


def test_braces_in_an_expression_are_no_parameters(make_routes):
    document, warnings = make_routes(
        re_path(r"^ws/[a-z]{2}/(?P<room>\w+)/$", schema_world.Second.as_asgi())
    )

    assert list(document["x-sockets"].values()) == [
        {"address": "/ws/[a-z]%7B2%7D/{room}/", "parameters": {"room": {}}}
    ]
    assert warnings == []


def test_replies_belong_to_requests_by_their_id_and_nothing_else_does(settings):
    document, _ = make(settings)
    correlated = {
        reference["$ref"].rpartition("/")[2]
        for each in document["operations"].values()
        if each["action"] == "receive"
        for reference in (*each["messages"], *each["reply"]["messages"])
    }

    found = {
        name: each.get("correlationId") for name, each in document["components"]["messages"].items()
    }
    place = {"location": "$message.payload#/payload/request_id"}
    assert found == {name: place if name in correlated else None for name in found}
    assert {"full.list", "full.list.reply", "error", "task"} <= correlated


def test_each_channel_is_a_websocket(settings):
    channels = make(settings)[0]["channels"].values()

    handshake = {"method": "GET", "bindingVersion": "0.1.0"}
    assert [each["bindings"] for each in channels] == [{"ws": handshake}] * len(channels)


@pytest.mark.parametrize("replied", ["full.create", "full.vote", "tasks.delete"])
def test_an_action_may_fail_and_one_of_the_projects_own_may_begin_a_task(settings, replied):
    operation = make(settings)[0]["operations"][replied]

    names = [each["$ref"].rpartition("/")[2] for each in operation["reply"]["messages"]]
    shared = ["error"] if replied == "full.create" else ["error", "task"]
    assert names == [f"{replied}.reply", *shared]


def test_the_document_is_the_same_each_time(settings):
    assert repr(make(settings)[0]) == repr(make(settings)[0])


@pytest.mark.parametrize("name", ["nothing", "http_alone"])
def test_a_project_without_a_demultiplexer_is_told_what_was_looked_at(settings, name):
    with pytest.raises(ImproperlyConfigured) as caught:
        make(settings, name)

    assert str(caught.value) == (
        f"No WebsocketDemultiplexer was found in ASGI_APPLICATION (tests.schema_world.{name}), nor "
        "in the routers and middlewares below it. Put YourDemultiplexer.as_asgi() into a route of "
        'its URLRouter, under "websocket" in the ProtocolTypeRouter.'
    )


def test_an_application_that_is_missing_is_told(settings):
    settings.ASGI_APPLICATION = "tests.no_such_module.application"
    with pytest.raises(ImproperlyConfigured, match=r"No module named 'tests\.no_such_module'"):
        make_schema()

    del settings.ASGI_APPLICATION
    with pytest.raises(ImproperlyConfigured, match="ASGI_APPLICATION is not set"):
        make_schema()
