"""What the tests of the classic wire have in common: whole payloads, asked for and expected."""

from asgiref.sync import sync_to_async
from django.contrib.auth.models import User

from tests.client import SocketClient, login_headers

REQUEST_ID = "client-request-id"


async def ask(client: SocketClient, stream: str, action: str, **frame):
    """The whole payload of the reply to a frame that carries REQUEST_ID."""
    return await client.request(stream, action, request_id=REQUEST_ID, **frame)


async def ask_and_hear(client: SocketClient, stream: str, action: str, count=1, **frame):
    """The same, and so many events that the frame leads to: they come before the reply or after."""
    events: list = []
    reply = await ask(client, stream, action, events=events, **frame)
    while len(events) < count:
        events.append(await client.receive())
    return reply, events


def success(action, data, status=200, *, request_id=REQUEST_ID):
    """The five keys of a reply to what went well."""
    return {
        "action": action,
        "errors": [],
        "data": data,
        "response_status": status,
        "request_id": request_id,
    }


def failure(action, status, *errors, request_id=REQUEST_ID):
    """The five keys of a reply to what did not."""
    return {
        "action": action,
        "errors": list(errors),
        "data": None,
        "response_status": status,
        "request_id": request_id,
    }


NOT_FOUND = "Not found."
DENIED = "Permission Denied"
INVALID_ACTION = "Invalid Action"


def question_row(question, **changes):
    """A question as its serializer shows it."""
    return {
        "id": question.pk,
        "question_text": question.question_text,
        "votes": question.votes,
        "published": question.published,
        "owner": question.owner_id,
        **changes,
    }


async def add(model, **fields):
    """A new row that no subscriber hears of: one of another process would hear of it late."""
    [row] = await model.objects.abulk_create([model(**fields)])
    return row


async def logged_in(username="alice", **fields) -> dict[str, str]:
    """The headers of a browser in which a new user has logged in."""
    user = await User.objects.acreate(username=username, **fields)
    return await sync_to_async(login_headers)(user)
