"""The actions of 0.4.1, case by case; every reply is compared whole."""

import itertools
import json

import pytest

from tests.app.models import Question
from tests.classic_client import (
    DENIED,
    INVALID_ACTION,
    NOT_FOUND,
    REQUEST_ID,
    ask,
    failure,
    question_row,
    success,
)
from tests.client import SocketClient


async def test_create(server):
    async with SocketClient(server.url + "ws/") as client:
        reply = await ask(client, "classic", "create", pk=None, data={"question_text": "What?"})

    question = await Question.objects.aget()
    assert reply == success("create", question_row(question, question_text="What?"), 201)


async def test_create_without_a_required_field(server):
    async with SocketClient(server.url + "ws/") as client:
        reply = await ask(client, "classic", "create", pk=None, data={})

    assert reply == failure("create", 400, {"question_text": ["This field is required."]})
    assert not await Question.objects.aexists()


async def test_retrieve(server):
    question = await Question.objects.acreate(question_text="What?", votes=3)
    async with SocketClient(server.url + "ws/") as client:
        reply = await ask(client, "classic", "retrieve", pk=question.pk)

    assert reply == success("retrieve", question_row(question))


async def test_update_replaces_the_row(server):
    question = await Question.objects.acreate(question_text="What?", votes=3)
    data = {"question_text": "Why?", "votes": 4}
    async with SocketClient(server.url + "ws/") as client:
        reply = await ask(client, "classic", "update", pk=question.pk, data=data)

    await question.arefresh_from_db()
    assert reply == success("update", question_row(question, **data))


async def test_update_needs_the_whole_row(server):
    question = await Question.objects.acreate(question_text="What?")
    async with SocketClient(server.url + "ws/") as client:
        reply = await ask(client, "classic", "update", pk=question.pk, data={"votes": 1})

    assert reply == failure("update", 400, {"question_text": ["This field is required."]})


async def test_patch_changes_what_it_names(server):
    question = await Question.objects.acreate(question_text="What?", votes=3)
    async with SocketClient(server.url + "ws/") as client:
        reply = await ask(client, "classic", "patch", pk=question.pk, data={"votes": 4})

    await question.arefresh_from_db()
    assert reply == success("patch", question_row(question, question_text="What?", votes=4))


async def test_patch_validates(server):
    question = await Question.objects.acreate(question_text="What?", votes=3)
    async with SocketClient(server.url + "ws/") as client:
        reply = await ask(client, "classic", "patch", pk=question.pk, data={"votes": "many"})

    assert reply == failure("patch", 400, {"votes": ["A valid integer is required."]})


async def test_delete(server):
    question = await Question.objects.acreate(question_text="What?")
    async with SocketClient(server.url + "ws/") as client:
        reply = await ask(client, "classic", "delete", pk=question.pk)

    assert reply == success("delete", {})
    assert not await Question.objects.aexists()


async def test_no_row_is_not_found(server):
    """One answer for every action on one row, whatever else is wrong with the frame."""
    actions = ["retrieve", "update", "patch", "delete", "plain_detail", "named_detail"]
    async with SocketClient(server.url + "ws/") as client:
        for action, pk in itertools.product(actions, [-1, 1, "invalid-pk-value", None]):
            reply = await ask(client, "classic", action, pk=pk, data={})
            assert reply == failure(action, 404, NOT_FOUND)


async def test_custom_actions(server):
    """Named by their method, or by the decorator."""
    question = await Question.objects.acreate(question_text="What?")
    async with SocketClient(server.url + "ws/") as client:
        for action in ["plain_list", "named_list"]:
            reply = await ask(client, "classic", action, pk=None, data={})
            assert reply == success(action, "some data")
        for action in ["plain_detail", "named_detail"]:
            reply = await ask(client, "classic", action, pk=question.pk, data={})
            assert reply == success(action, "What?")


async def test_unknown_action(server):
    async with SocketClient(server.url + "ws/") as client:
        reply = await ask(client, "classic", "named_detail_not_set", pk=123, data={})

    assert reply == failure("named_detail_not_set", 400, INVALID_ACTION)


async def test_permission_is_asked_first(server):
    async with SocketClient(server.url + "ws/") as client:
        reply = await ask(client, "classic-denied", "named_detail", pk=546, data={})

    assert reply == failure("named_detail", 401, DENIED)


async def test_a_read_only_binding_changes_nothing(server):
    question = await Question.objects.acreate(question_text="What?")
    async with SocketClient(server.url + "ws/") as client:
        for action in ["create", "update", "patch", "delete"]:
            reply = await ask(
                client, "classic-read-only", action, pk=question.pk, data={"question_text": "Why?"}
            )
            assert reply == failure(action, 400, INVALID_ACTION)
        reply = await ask(client, "classic-read-only", "retrieve", pk=question.pk)
        assert reply == success("retrieve", question_row(question))
        reply = await ask(client, "classic-read-only", "list")
        assert reply == success("list", [question_row(question)])


async def test_pk_inside_the_data(server):
    """As 0.4.1's own README wrote it."""
    question = await Question.objects.acreate(question_text="What?")
    async with SocketClient(server.url + "ws/") as client:
        for pk in [question.pk, str(question.pk)]:
            reply = await ask(client, "classic", "plain_detail", data={"pk": pk})
            assert reply == success("plain_detail", "What?")
        reply = await ask(client, "classic", "plain_detail", pk=None, data={"pk": question.pk})
        assert reply == success("plain_detail", "What?")


async def test_the_pk_outside_the_data_wins(server):
    inside = await Question.objects.acreate(question_text="inside")
    outside = await Question.objects.acreate(question_text="outside")
    async with SocketClient(server.url + "ws/") as client:
        reply = await ask(client, "classic", "plain_detail", pk=outside.pk, data={"pk": inside.pk})
        assert reply == success("plain_detail", "outside")
        # Also where it names no row.
        reply = await ask(client, "classic", "delete", pk=-1, data={"pk": inside.pk})
        assert reply == failure("delete", 404, NOT_FOUND)


async def test_the_whole_frame_of_a_reply(server):
    """The stream next to the payload, and nothing else."""
    async with SocketClient(server.url + "ws/") as client:
        await client.send("classic", "plain_list", request_id=REQUEST_ID)
        assert await client.receive() == {
            "stream": "classic",
            "payload": success("plain_list", "some data"),
        }


async def test_request_id_comes_back_as_it_was(server):
    async with SocketClient(server.url + "ws/") as client:
        for request_id in ["some-guid", "", "\N{SNOWMAN}", 0, -7, 2**63 - 1, None]:
            for action, data in [("plain_list", "some data"), ("no_such_action", None)]:
                reply = await client.request("classic", action, request_id=request_id)
                assert reply["request_id"] == request_id
                assert type(reply["request_id"]) is type(request_id)
                assert reply["data"] == data


async def test_without_a_request_id_it_is_null(server):
    async with SocketClient(server.url + "ws/") as client:
        await client.send("classic", "plain_list")
        reply = await client.receive()
        assert reply["payload"] == success("plain_list", "some data", request_id=None)


async def test_other_keys_are_ignored(server):
    question = await Question.objects.acreate(question_text="What?")
    payload = {
        "action": "retrieve",
        "pk": question.pk,
        "request_id": REQUEST_ID,
        "method": "DELETE",
        "user": {"is_superuser": True},
        "stream": "questions",
        "response_status": 500,
        "errors": ["x"],
    }
    frame = {"stream": "classic", "payload": payload, "type": "websocket.close", "id": 3, "": None}
    async with SocketClient(server.url + "ws/") as client:
        await client.send_raw(json.dumps(frame))
        reply = await client.receive()

    assert reply == {"stream": "classic", "payload": success("retrieve", question_row(question))}


VALIDATION = [
    (
        {"question_text": "x" * 201, "votes": "many"},
        [
            {
                "question_text": ["Ensure this field has no more than 200 characters."],
                "votes": ["A valid integer is required."],
            }
        ],
    ),
    ({"question_text": "What?", "votes": -1}, [{"votes": ["Too few."]}]),
    ({"question_text": "What?", "votes": 13}, [{"non_field_errors": ["Unlucky."]}]),
    (None, [{"non_field_errors": ["No data provided"]}]),
    (
        ["What?"],
        [{"non_field_errors": ["Invalid data. Expected a dictionary, but got list."]}],
    ),
    ("What?", [{"non_field_errors": ["Invalid data. Expected a dictionary, but got str."]}]),
    # Raised by the hook, without a field.
    ({"question_text": "What?", "votes": 1}, ["Closed for today."]),
]


async def test_validation_errors(server):
    async with SocketClient(server.url + "ws/") as client:
        for data, errors in VALIDATION:
            reply = await ask(client, "classic-rules", "create", data=data)
            assert reply == failure("create", 400, *errors)

    assert not await Question.objects.aexists()


async def test_an_unknown_stream_is_named(server):
    async with SocketClient(server.url + "ws/") as client:
        await client.send("no-such-stream", "list", request_id=REQUEST_ID)
        assert await client.receive() == {
            "stream": "no-such-stream",
            "payload": failure("list", 404, "There is no stream 'no-such-stream'."),
        }
        assert await ask(client, "classic", "list") == success("list", [])


async def test_throttled(server):
    async with SocketClient(server.url + "ws/") as client:
        reply = await ask(client, "classic-throttled", "list")

    message = "Request was throttled. Expected available in 7 seconds."
    assert reply == failure("list", 429, message)


UNKNOWN = {"action": None, "request_id": None}


# A frame, what is known of it, and what the sentence says.
NO_REQUESTS = [
    ("{", None, UNKNOWN, "not JSON"),
    ("", None, UNKNOWN, "not JSON"),
    ("[]", None, UNKNOWN, "JSON object"),
    ("5", None, UNKNOWN, "JSON object"),
    ('{"payload": {}}', None, UNKNOWN, "needs a stream"),
    ('{"stream": "classic"}', "classic", UNKNOWN, "needs a payload"),
    ('{"stream": "classic", "payload": []}', "classic", UNKNOWN, "needs a payload"),
    ('{"stream": "classic", "payload": {}}', "classic", UNKNOWN, "needs an action"),
    (
        '{"stream": "classic", "payload": {"action": 1, "request_id": 7}}',
        "classic",
        {"action": None, "request_id": 7},
        "needs an action",
    ),
    (
        '{"stream": "classic", "payload": {"action": "list", "request_id": true}}',
        "classic",
        {"action": "list", "request_id": None},
        "request_id",
    ),
    (
        '{"stream": "classic", "payload": {"action": "list", "data": NaN}}',
        "classic",
        {"action": "list", "request_id": None},
        "NaN",
    ),
    (
        '{"stream": "classic", "payload": {"action": "list", "data": %s}}' % ("[" * 40 + "]" * 40),
        "classic",
        {"action": "list", "request_id": None},
        "too deep",
    ),
    (b'{"stream": "classic", "payload": {"action": "list"}}', None, UNKNOWN, "Binary"),
]


@pytest.mark.parametrize("part", [0, 1])
async def test_a_frame_that_is_no_request(server, part):
    """One sentence that names the fault; the socket stays open."""
    async with SocketClient(server.url + "ws/") as client:
        # In two parts: a socket that sends ten of them is closed.
        for text, stream, known, fault in NO_REQUESTS[part::2]:
            await client.send_raw(text)
            reply = await client.receive()
            [sentence] = reply["payload"].pop("errors")
            assert reply == {
                "stream": stream,
                "payload": {**known, "data": None, "response_status": 400},
            }
            assert fault in sentence
            assert await ask(client, "classic", "list") == success("list", [])


async def test_a_frame_that_is_too_large(server):
    async with SocketClient(server.url + "ws/") as client:
        frame = {"stream": "classic", "payload": {"action": "list", "data": {"x": ""}}}
        frame["payload"]["data"]["x"] = "x" * (65_537 - len(json.dumps(frame)))
        await client.send_raw(json.dumps(frame))
        reply = await client.receive()
        message = "The frame is too large: 65536 bytes are allowed."
        assert reply == {"stream": None, "payload": failure(None, 413, message, request_id=None)}
        assert await ask(client, "classic", "list") == success("list", [])
