"""The hooks of 0.4.1 that a subclass overrides: each one is asked, and its answer counts."""

import pytest

from tests.app.models import Question
from tests.classic_client import NOT_FOUND, add, ask, ask_and_hear, failure, success
from tests.client import SocketClient

STREAM = "classic-hooks"
#: DRF's three, so that any DRF serializer finds what it is used to, and the binding's own.
CONTEXT = ["format", "request", "signature", "view"]


def row(pk, text, votes) -> dict:
    """As `get_serializer_class` has it, with what `get_serializer_context` adds."""
    return {
        "id": pk,
        "question_text": text,
        "votes": votes,
        "signature": "signed",
        "context_keys": CONTEXT,
    }


async def test_perform_create(server):
    async with SocketClient(server.url + "ws/") as client:
        reply = await ask(client, STREAM, "create", data={"question_text": "What?", "votes": 9})

    question = await Question.objects.aget()
    assert reply == success("create", row(question.pk, "What?", 1), 201)
    assert question.votes == 1


@pytest.mark.parametrize(("action", "votes"), [("update", 2), ("patch", 3)])
async def test_perform_update_and_perform_patch(server, action, votes):
    question = await Question.objects.acreate(question_text="What?")
    data = {"question_text": "Why?", "votes": 9}
    async with SocketClient(server.url + "ws/") as client:
        reply = await ask(client, STREAM, action, pk=question.pk, data=data)

    assert reply == success(action, row(question.pk, "Why?", votes))
    await question.arefresh_from_db()
    assert question.votes == votes


async def test_perform_delete(server):
    question = await Question.objects.acreate(question_text="What?")
    async with SocketClient(server.url + "ws/") as client:
        assert await ask(client, STREAM, "delete", pk=question.pk) == success("delete", {})
        # Hidden, not gone, as the hook has it.
        reply = await ask(client, STREAM, "delete", pk=question.pk)
        assert reply == failure("delete", 404, NOT_FOUND)

    await question.arefresh_from_db()
    assert not question.published


@pytest.mark.parametrize(
    "hidden", [{"published": False}, {"votes": -1}], ids=["get_queryset", "filter_queryset"]
)
async def test_a_row_outside_the_queryset_is_not_there(server, hidden):
    question = await Question.objects.acreate(question_text="What?", **hidden)
    async with SocketClient(server.url + "ws/") as client:
        for action in ["retrieve", "update", "patch", "delete"]:
            reply = await ask(
                client, STREAM, action, pk=question.pk, data={"question_text": "Why?"}
            )
            assert reply == failure(action, 404, NOT_FOUND)
        reply = await ask(client, STREAM, "subscribe", pk=question.pk, data={"action": "*"})
        assert reply == failure("subscribe", 404, NOT_FOUND)
        assert await ask(client, STREAM, "list") == success("list", [])

    assert await Question.objects.filter(question_text="What?").aexists()


async def test_serialize_data(server):
    question = await Question.objects.acreate(question_text="What?", votes=5)
    async with SocketClient(server.url + "ws/") as client:
        reply = await ask(client, STREAM, "retrieve", pk=question.pk)

    shown = {**row(question.pk, "What?", 5), "serialized": True}
    assert reply == success("retrieve", shown)


async def test_events_go_through_the_hooks_too(server):
    async with SocketClient(server.url + "ws/") as client:
        await ask(client, STREAM, "subscribe", data={"action": "*"})
        data = {"question_text": "What?"}
        reply, events = await ask_and_hear(client, STREAM, "create", data=data)

    question = await Question.objects.aget()
    shown = row(question.pk, "What?", 1)
    assert reply == success("create", shown, 201)
    payload = {
        "action": "create",
        "pk": question.pk,
        "data": {**shown, "serialized": True},
        "model": "app.question",
    }
    assert events == [{"stream": STREAM, "payload": payload}]


async def test_list_uses_queryset_filter_and_serializer(server):
    await Question.objects.acreate(question_text="hidden", published=False)
    few = await Question.objects.acreate(question_text="few", votes=1)
    many = await Question.objects.acreate(question_text="many", votes=2)
    async with SocketClient(server.url + "ws/") as client:
        reply = await ask(client, STREAM, "list")

    assert reply == success("list", [row(many.pk, "many", 2), row(few.pk, "few", 1)])


async def test_a_row_that_a_hook_hides_is_deleted_for_its_subscribers(server):
    question = await add(Question, question_text="What?")
    async with SocketClient(server.url + "ws/") as client:
        await ask(client, STREAM, "subscribe", pk=question.pk, data={"action": "delete"})
        reply, events = await ask_and_hear(client, STREAM, "delete", pk=question.pk)

    gone = {"action": "delete", "pk": question.pk, "data": None, "model": "app.question"}
    assert reply == success("delete", {})
    assert events == [{"stream": STREAM, "payload": gone}]
