"""A DRF viewset mounted as it is: what it overrides holds on the socket as over HTTP."""

import uuid

import pytest

from tests.app.models import Document, Question, Tag
from tests.app.streams import Demultiplexer
from tests.client import SocketClient
from tests.policies_world import FORBIDDEN, NO_CREDENTIALS, NOT_FOUND, reply

INVALID_ACTION = ["Invalid Action"]
STANDARD = {"create", "retrieve", "list", "update", "patch", "delete"}
SUBSCRIBING = {"subscribe", "unsubscribe"}


@pytest.fixture
def socket(app_server, people):
    """A function that gives the socket of somebody, by name."""

    def connect(who="anonymous", **headers):
        url = f"{app_server().url}ws/"
        return SocketClient(url, headers={**(people[who].headers or {}), **headers})

    return connect


def columns(row):
    return {
        "question_text": row.question_text,
        "votes": row.votes,
        "published": row.published,
        "owner": row.owner_id,
    }


@pytest.mark.parametrize(
    ("stream", "actions"),
    [
        ("vs-questions", STANDARD | SUBSCRIBING),
        ("vs-read-only", {"retrieve", "list"} | SUBSCRIBING),
        ("vs-get-and-post", {"retrieve", "list", "create"} | SUBSCRIBING),
        # Who can't read rows is not told of them.
        ("vs-write-only", {"create"}),
        ("vs-plain", {"retrieve", "list", "echo"}),
        (
            "vs-actions",
            STANDARD
            | SUBSCRIBING
            | {"publish", "by_votes", "text", "clear_text", "seen", "similar"}
            | {"slowly", "fails"},
        ),
    ],
)
def test_the_actions_are_those_of_http(stream, actions):
    """No more than a router would route, and no less; and subscribe for what can be read."""
    Demultiplexer.as_asgi()
    assert Demultiplexer.streams[stream].available_actions.keys() == actions


@pytest.mark.parametrize(
    ("stream", "actions"),
    [
        ("vs-read-only", ["create", "delete"]),
        ("vs-get-and-post", ["patch", "clear"]),
        ("vs-write-only", ["list", "subscribe"]),
        (
            "vs-actions",
            ["not_an_action", "get_queryset", "partial_update", "destroy", "by-votes"],
        ),
        ("vs-plain", ["subscribe"]),
    ],
)
async def test_other_names_are_no_actions(stream, actions, socket, rows):
    """Methods that HTTP does not allow, methods that are no actions, names that are DRF's."""
    async with socket("staff") as client:
        for action in actions:
            answer = await client.request(
                stream, action, pk=rows.pks["apple"], data={}, request_id=1
            )
            assert answer == reply(action, 400, errors=INVALID_ACTION)


class TestStandardActions:
    """Create to delete by the viewset's own methods, with the replies of a binding."""

    async def test_on_both_servers(self, server, rows):
        """Whole payloads of each action, one after another."""
        async with SocketClient(f"{server.url}ws/") as client:

            async def ask(action, **frame):
                return await client.request("vs-questions", action, request_id=1, **frame)

            created = await ask("create", data={"question_text": "date"})
            pk = created["data"]["id"]
            date = {
                "id": pk,
                "question_text": "date",
                "votes": 0,
                "published": True,
                "owner": None,
            }
            assert created == reply("create", 201, date)
            assert await ask("retrieve", pk=pk) == reply("retrieve", 200, date)
            assert await ask("retrieve", data={"pk": pk}) == reply("retrieve", 200, date)
            fig = {**date, "question_text": "fig"}
            updating = {"question_text": "fig"}
            assert await ask("update", pk=pk, data=updating) == reply("update", 200, fig)
            fig["votes"] = 4
            assert await ask("patch", pk=str(pk), data={"votes": 4}) == reply("patch", 200, fig)
            everything = [*map(rows.shown, rows.pks), fig]
            assert await ask("list") == reply("list", 200, everything)
            assert await ask("delete", pk=pk) == reply("delete", 200, {})
            assert await ask("delete", pk=pk) == reply("delete", 404, errors=NOT_FOUND)

    @pytest.mark.parametrize("action", ["retrieve", "update", "patch", "delete"])
    async def test_what_is_no_row_is_not_found(self, action, socket, rows):
        """Also no pk at all."""
        huge = 2**63 - 1
        async with socket() as client:
            for pk in (None, 999_999_999, "x", "", True, 1.5, " 1", [1], {"pk": 1}, huge, "1\0"):
                answer = await client.request("vs-questions", action, pk=pk, data={}, request_id=1)
                assert answer == reply(action, 404, errors=NOT_FOUND), pk

    @pytest.mark.parametrize("stream", ["vs-own", "vs-by-text", "vs-documents", "vs-tags"])
    async def test_of_other_kinds_of_keys_too(self, stream, socket, rows):
        """Whatever the type of the key, and where only `get_queryset` knows the rows."""
        async with socket("plain") as client:
            for pk in (None, "x", 5, True, [1], {}, "1\0"):
                answer = await client.request(stream, "retrieve", pk=pk, request_id=1)
                assert answer == reply("retrieve", 404, errors=NOT_FOUND), pk

    @pytest.mark.parametrize("action", ["publish", "text", "clear_text", "similar"])
    async def test_nor_do_actions_of_a_row_find_one(self, action, socket, rows):
        """404 and not the 500 of a method that was called without its argument."""
        data = {"question_text": "x"}
        async with socket() as client:
            for pk in (None, "x", 999_999_999):
                answer = await client.request("vs-actions", action, pk=pk, data=data, request_id=1)
                assert answer == reply(action, 404, errors=NOT_FOUND), pk

    async def test_validation(self, socket, rows):
        async with socket() as client:
            answer = await client.request(
                "vs-questions", "create", data={"votes": "many"}, request_id=1
            )
        errors = {
            "question_text": ["This field is required."],
            "votes": ["A valid integer is required."],
        }
        assert answer == reply("create", 400, errors=[errors])


class TestOverrides:
    """Methods that projects override, each with an effect that shows."""

    async def test_perform_create(self, socket, people, rows):
        async with socket("plain") as client:
            answer = await client.request("vs-own", "create", data={"question_text": "new"})
        row = await Question.objects.aget(pk=answer["data"]["id"])
        assert columns(row) == {
            "question_text": "new",
            "votes": 0,
            "published": False,
            "owner": people["plain"].user.pk,
        }

    @pytest.mark.parametrize("action", ["update", "patch"])
    async def test_perform_update(self, action, socket, rows):
        """It is what DRF calls for a patch as well."""
        pk = rows.pks["banana"]
        async with socket("owner") as client:
            answer = await client.request(
                "vs-own", action, pk=pk, data={"question_text": "kiwi"}, request_id=1
            )
        kiwi = {**rows.shown("banana"), "question_text": "kiwi", "votes": 2}
        assert answer == reply(action, 200, kiwi)

    async def test_perform_destroy(self, socket, rows):
        pk = rows.pks["banana"]
        async with socket("owner") as client:
            answer = await client.request("vs-own", "delete", pk=pk, request_id=1)
        assert answer == reply("delete", 200, {})
        assert (await Question.objects.aget(pk=pk)).published is False

    async def test_get_queryset(self, socket, rows):
        """Rows of others are not there, and nobody gets as far who has not logged in."""
        async with socket("owner") as client:
            assert await client.request("vs-own", "list", request_id=1) == reply(
                "list", 200, [rows.shown("banana")]
            )
            other = await client.request("vs-own", "delete", pk=rows.pks["apple"], request_id=1)
        assert other == reply("delete", 404, errors=NOT_FOUND)
        async with socket() as client:
            answer = await client.request("vs-own", "list", request_id=1)
        assert answer == reply("list", 401, errors=NO_CREDENTIALS)

    @pytest.mark.parametrize(
        ("action", "keys"),
        [
            ("retrieve", {"id", "question_text", "votes", "published", "owner"}),
            ("patch", {"question_text"}),
        ],
    )
    async def test_get_serializer_class(self, action, keys, socket, rows):
        """By DRF's name of the action."""
        async with socket() as client:
            answer = await client.request("vs-by-action", action, pk=rows.pks["apple"], data={})
        assert answer["data"].keys() == keys

    @pytest.mark.parametrize(
        ("who", "action", "status"),
        [
            ("plain", "create", 403),
            ("plain", "delete", 403),
            ("plain", "patch", 200),
            ("staff", "create", 201),
            ("staff", "delete", 200),
        ],
    )
    async def test_get_permissions(self, who, action, status, socket, rows):
        async with socket(who) as client:
            answer = await client.request(
                "vs-by-action", action, pk=rows.pks["apple"], data={"question_text": "x"}
            )
        assert (answer["response_status"], answer["errors"]) == (
            status,
            FORBIDDEN if status == 403 else [],
        )

    async def test_initial(self, socket, rows):
        """It is called with what a URL would have given, and may refuse."""
        async with socket() as client:
            answer = await client.request("vs-initial", "greet", pk=5, request_id=1)
            assert answer == reply("greet", 200, "greet []")
        async with socket(**{"X-Closed": "1"}) as client:
            for action in ("greet", "list", "create"):
                answer = await client.request("vs-initial", action, data={}, request_id=1)
                assert answer == reply(action, 418, errors=["Closed."])

    async def test_object_permissions(self, socket, rows):
        """In each action that looks a row up, subscribe included."""
        async with socket("plain") as client:
            for action in ("retrieve", "update", "patch", "delete", "subscribe"):
                answer = await client.request(
                    "vs-owned",
                    action,
                    pk=rows.pks["banana"],
                    data={"action": "update"},
                    request_id=1,
                )
                assert answer == reply(action, 403, errors=["This is not yours."])

    @pytest.mark.parametrize("accept", ["text/html", "*/*", "application/xml"])
    @pytest.mark.parametrize("stream", ["vs-html-only", "vs-questions"])
    async def test_renderers_do_not_matter(self, stream, accept, socket, rows):
        """A frame is JSON, whatever the handshake accepts and the viewset renders."""
        async with socket(Accept=accept) as client:
            answer = await client.request(stream, "list", request_id=1)
        assert answer == reply("list", 200, [*map(rows.shown, rows.pks)])


class TestActions:
    """`@action` methods under their own names."""

    async def test_of_a_row(self, socket, rows):
        """With the status that the method chose."""
        async with socket() as client:
            answer = await client.request(
                "vs-actions", "publish", pk=rows.pks["cherry"], request_id=1
            )
        assert answer == reply("publish", 202, {**rows.shown("cherry"), "published": True})

    async def test_of_all_rows(self, socket, rows):
        """With its own permissions, and the data as query parameters."""
        async with socket("plain") as client:
            answer = await client.request(
                "vs-actions", "by_votes", data={"order": "-votes"}, request_id=1
            )
        expected = [rows.shown(name) for name in ("apple", "cherry", "banana")]
        assert answer == reply("by_votes", 200, expected)
        async with socket() as client:
            answer = await client.request("vs-actions", "by_votes", request_id=1)
        assert answer == reply("by_votes", 401, errors=NO_CREDENTIALS)

    @pytest.mark.parametrize("frame", [{"pk": 5}, {"data": {"pk": 5}}, {"pk": "no key"}])
    async def test_of_all_rows_do_not_get_a_pk(self, frame, socket, rows):
        """Such a method takes no argument of that name."""
        async with socket("plain") as client:
            answer = await client.request("vs-actions", "by_votes", **frame)
        assert answer["errors"] == []

    async def test_see_what_a_view_sees(self, socket, rows):
        """Of several HTTP methods it is the one that writes, and so the data is `data`."""
        async with socket() as client:
            answer = await client.request(
                "vs-actions", "seen", data={"pk": 5, "list": [1]}, request_id=1
            )
        told = {
            "method": "POST",
            "action": "seen",
            "detail": False,
            "kwargs": {},
            "data": {"pk": 5, "list": [1]},
            "query": {},
            "of_view": True,
        }
        assert answer == reply("seen", 200, told)

    async def test_with_extra_mappings(self, socket, rows):
        """Each method that is mapped is an action, with what the decorator said."""
        pk = rows.pks["apple"]
        async with socket() as client:
            answer = await client.request(
                "vs-actions", "text", pk=pk, data={"question_text": "kiwi"}, request_id=1
            )
            assert answer == reply("text", 200, {"question_text": "kiwi"})
            answer = await client.request("vs-actions", "clear_text", pk=pk, request_id=1)
            assert answer == reply("clear_text", 204, {})
        assert (await Question.objects.aget(pk=pk)).question_text == ""

    async def test_with_a_pagination_class(self, socket, rows):
        async with socket() as client:
            answer = await client.request(
                "vs-actions", "similar", pk=rows.pks["apple"], request_id=1
            )
        found = [rows.shown("banana"), rows.shown("cherry")]
        page = {"count": 2, "next": None, "previous": None, "results": found}
        assert answer == reply("similar", 200, page)

    async def test_with_throttles(self, socket, rows):
        async with socket("plain") as client:
            answers = [await client.request("vs-actions", "slowly") for _ in range(3)]
            other = await client.request("vs-actions", "list")
        assert [answer["response_status"] for answer in answers] == [200, 200, 429]
        assert other["response_status"] == 200

    async def test_with_a_response_that_is_an_error(self, socket, rows):
        async with socket() as client:
            answer = await client.request("vs-actions", "fails", request_id=1)
        assert answer == reply("fails", 409, errors=["Not today."])


@pytest.mark.parametrize(
    ("what", "status", "errors"),
    [
        ("http404", 404, NOT_FOUND),
        ("denied", 403, ["Members only."]),
        ("denied without words", 403, FORBIDDEN),
        ("teapot", 418, ["Short and stout."]),
        ("teapot with a body", 418, [{"lid": ["missing"]}]),
    ],
)
async def test_exceptions_are_answered_as_in_drf(what, status, errors, socket, rows):
    async with socket() as client:
        answer = await client.request("vs-raising", "throw", data={"what": what}, request_id=1)
    assert answer == reply("throw", status, errors=errors)


async def test_a_bug_in_a_viewset_is_a_500_with_an_id(socket, rows):
    """Its text stays on the server, and the socket answers on."""
    async with socket() as client:
        answer = await client.request("vs-raising", "throw", data={"what": "bug"}, request_id=1)
        after = await client.request("vs-raising", "list")
    [words, reference] = answer["errors"]
    assert (words, reference.keys()) == ("Internal server error", {"error_id"})
    assert answer == reply("throw", 500, errors=[words, reference])
    assert after["response_status"] == 200


class TestPages:
    """No viewset sends a whole table, whatever HTTP does."""

    @pytest.mark.parametrize("stream", ["vs-questions", "vs-without-size"])
    async def test_a_viewset_without_pages_is_limited(self, stream, socket, rows):
        """25 rows, and `page` for the others; the same where a paginator knows no size."""
        await Question.objects.abulk_create(
            Question(question_text=f"more {number}") for number in range(30)
        )
        async with socket() as client:
            first = await client.request(stream, "list")
            second = await client.request(stream, "list", data={"page": 2})
        pks = [row["id"] async for row in Question.objects.order_by("pk").values("id")]
        assert [row["id"] for row in first["data"]] == pks[:25]
        assert [row["id"] for row in second["data"]] == pks[25:]

    async def test_nor_is_a_limit_left_out(self, socket, rows):
        """LimitOffsetPagination without a default shows all rows over HTTP."""
        await Question.objects.abulk_create(
            Question(question_text=f"more {number}") for number in range(30)
        )
        async with socket() as client:
            all_rows = await client.request("vs-offsets-without-limit", "list")
            limited = await client.request("vs-offsets-without-limit", "list", data={"limit": 2})
        assert len(all_rows["data"]) == 25
        assert (limited["data"]["count"], len(limited["data"]["results"])) == (33, 2)

    async def test_a_paginated_viewset_has_its_envelope(self, socket, app_server, rows):
        async with socket() as client:
            answer = await client.request("vs-paged", "list", request_id=1)
        page = {
            "count": 3,
            "next": f"{app_server().http_url}ws/?page=2",
            "previous": None,
            "results": [rows.shown("apple"), rows.shown("banana")],
        }
        assert answer == reply("list", 200, page)


class TestKeys:
    """Rows are found as the viewset says."""

    async def test_by_another_field(self, socket, rows):
        async with socket() as client:
            found = await client.request("vs-by-text", "retrieve", pk="banana", request_id=1)
            shouted = await client.request("vs-by-text", "shout", pk="banana", request_id=1)
            by_pk = await client.request(
                "vs-by-text", "retrieve", pk=rows.pks["banana"], request_id=1
            )
        assert found == reply("retrieve", 200, rows.shown("banana"))
        assert shouted == reply("shout", 200, "BANANA")
        assert by_pk == reply("retrieve", 404, errors=NOT_FOUND)

    async def test_by_uuid(self, socket, people):
        document = await Document.objects.acreate(title="one")
        shown = {"id": str(document.pk), "title": "one"}
        async with socket() as client:
            for pk in (str(document.pk), document.pk.hex):
                answer = await client.request("vs-documents", "retrieve", pk=pk, request_id=1)
                assert answer == reply("retrieve", 200, shown)
            other = await client.request(
                "vs-documents", "retrieve", pk=str(uuid.uuid4()), request_id=1
            )
        assert other == reply("retrieve", 404, errors=NOT_FOUND)

    @pytest.mark.parametrize("name", ["1", "a/b", "ü ñ", "?", "None", "x" * 50])
    async def test_by_text(self, name, socket, people):
        """What no URL could hold is a key on the socket."""
        await Tag.objects.acreate(name=name)
        async with socket() as client:
            answer = await client.request("vs-tags", "retrieve", pk=name, request_id=1)
        assert answer == reply("retrieve", 200, {"name": name})


class TestSubscriptions:
    """Subscribing to a viewset shows what reading it shows, and to nobody else."""

    async def test_events_are_of_the_rows_of_the_user(self, socket, people, rows):
        """A change of somebody else's row is not told; the viewset's serializer is used."""
        async with socket("owner") as client:
            answer = await client.request("vs-own", "subscribe", data={"action": "*"}, request_id=1)
            assert answer == reply("subscribe", 200, {"action": "*"})
            for who in ("staff", "owner"):
                async with socket(who) as other:
                    data = {"question_text": f"of {who}"}
                    created = await other.request("vs-own", "create", data=data)
            event = await client.receive(timeout=20)
        row = created["data"]
        assert (row["question_text"], row["owner"]) == ("of owner", people["owner"].user.pk)
        payload = {"action": "create", "pk": row["id"], "data": row, "model": MODEL}
        assert event == {"stream": "vs-own", "payload": payload}

    @pytest.mark.parametrize(
        ("who", "pk", "status", "errors"),
        [
            ("anonymous", None, 401, NO_CREDENTIALS),
            ("anonymous", "banana", 401, NO_CREDENTIALS),
            ("plain", "banana", 404, NOT_FOUND),
            ("plain", "no row", 404, NOT_FOUND),
            ("owner", "banana", 200, []),
            ("plain", None, 200, []),
        ],
    )
    async def test_who_may_subscribe(self, who, pk, status, errors, socket, rows):
        async with socket(who) as client:
            answer = await client.request(
                "vs-own",
                "subscribe",
                pk=rows.pks.get(pk, pk),
                data={"action": "update"},
                request_id=1,
            )
        data = {"action": "update"} if status == 200 else None
        assert answer == reply("subscribe", status, data, errors)

    async def test_a_serializer_by_action_is_that_of_retrieving(self, socket, rows):
        """An event shows a row: whoever reads one sees the same."""
        pk = rows.pks["apple"]
        async with socket() as client:
            await client.request("vs-by-action", "subscribe", pk=pk, data={"action": "update"})
            await client.send("vs-by-action", "patch", pk=pk, data={"question_text": "kiwi"})
            frames = [await client.receive(timeout=20) for _ in range(2)]
        [event] = [frame["payload"] for frame in frames if "pk" in frame["payload"]]
        kiwi = {**rows.shown("apple"), "question_text": "kiwi"}
        assert event == {"action": "update", "pk": pk, "data": kiwi, "model": MODEL}


MODEL = "app.question"


class TestPlainViewSet:
    """A ViewSet that is about no model."""

    async def test_its_methods_answer(self, socket):
        async with socket() as client:
            listed = await client.request("vs-plain", "list", request_id=1)
            found = await client.request("vs-plain", "retrieve", pk=7, request_id=1)
            echoed = await client.request("vs-plain", "echo", data={"a": [1]}, request_id=1)
        assert listed == reply("list", 200, ["a", "b"])
        assert found == reply("retrieve", 200, {"pk": "7"})
        assert echoed == reply("echo", 200, {"a": [1]})
