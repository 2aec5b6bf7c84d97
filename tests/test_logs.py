"""What a record of an error says of where it happened, and what it does not."""

import json
import logging

import pytest
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import AnonymousUser, User

from channels_api import logs
from channels_api.handover import connect_celery
from tests.app.streams import Demultiplexer
from tests.app.tasks import fail
from tests.client import PATIENCE

pytestmark = pytest.mark.django_db(transaction=True)


async def error_of(stream: str, action: str, user=None, **payload) -> dict:
    """What the only error of a reply with 500 refers to."""
    application = Demultiplexer.as_asgi()

    async def with_user(scope, receive, send):
        return await application({**scope, "user": user or AnonymousUser()}, receive, send)

    client = WebsocketCommunicator(with_user, "/ws/")
    assert (await client.connect(timeout=PATIENCE))[0]
    await client.send_json_to({"stream": stream, "payload": {"action": action, **payload}})
    reply = (await client.receive_json_from(timeout=PATIENCE))["payload"]
    assert reply["response_status"] == 500
    await client.disconnect(timeout=PATIENCE)
    return reply["errors"][1]


@pytest.mark.parametrize("action", ["fail", "async_fail"])
async def test_a_500_says_which_frame_it_was(caplog, action):
    """The id that the client has, where it happened, and whose request it was."""
    user = await sync_to_async(User.objects.create_user)("ann", email="ann@example.org")
    told = await error_of(
        "edges-failing", action, user, data="Unhandled", pk="secret", request_id="mine"
    )
    [record] = [each for each in caplog.records if each.name == "channels_api"]
    assert told == {"error_id": record.error_id}
    assert record.error_id in record.getMessage()
    assert (record.stream, record.action, record.user_pk) == ("edges-failing", action, user.pk)
    assert record.exc_info
    # The record is of the module that tells of it, and has nothing of the frame but that.
    assert record.module == "exceptions"
    shown = json.dumps({**vars(record), "exc_info": None, "exc_text": None}, default=str)
    assert "ann" not in shown.replace("channels", "")
    assert "secret" not in shown
    assert "mine" not in shown


async def test_of_an_action_that_there_is_not_no_name_is_logged(caplog, monkeypatch):
    """Whoever fails before it is looked up: a line that a client wrote would be in the log."""
    told = await error_of("edges-constructor", "up to you\nERROR made up")
    [record] = [each for each in caplog.records if each.name == "channels_api"]
    assert told == {"error_id": record.error_id}
    assert (record.stream, record.action, record.user_pk) == ("edges-constructor", None, None)
    assert "made up" not in record.getMessage()


def test_a_task_that_failed_has_its_error_id_on_the_record(caplog):
    """It is the task's id; Celery writes the record, with the traceback."""
    connect_celery()
    with caplog.at_level(logging.INFO, "celery.app.trace"):
        result = fail.apply(args=["wrong"])
    [record] = [each for each in caplog.records if hasattr(each, "error_id")]
    assert record.name == "celery.app.trace"
    assert (record.error_id, record.task) == (result.id, fail.name)
    assert record.exc_info


def test_the_same_is_logged_once_a_minute(caplog, monkeypatch):
    """With the place of whoever has seen it."""
    monkeypatch.setattr(logs, "_last", {})
    for _ in range(3):
        logs.log_sometimes("Redis is %s", "away")
    logs.log_sometimes("Redis is %s", "back")
    assert [record.getMessage() for record in caplog.records] == ["Redis is away", "Redis is back"]
    assert {record.module for record in caplog.records} == {"test_logs"}
