"""Who comes through which door, and what they are told there, byte by byte."""

import asyncio
import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, urlsplit

from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.core.signing import Signer
from django.test import Client

from channels_api.background.references import SALT, TaskReference, owner_digest
from tests.client import PATIENCE, SocketClient
from tests.tasks_stacks import Stack

OPEN, OTHER = "owners/open/", "owners/other/"
#: DRF compares the two itself; any 32 letters will do.
CSRF = "c" * 32
SOCKET_VERBS = ("retrieve", "subscribe", "unsubscribe", "delete")
HTTP_VERBS = (("GET", "state"), ("DELETE", "state"), ("GET", "result"))


@dataclass(frozen=True)
class Visitor:
    """A client of both doors: its cookies, and the headers that it sends over HTTP only."""

    cookies: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def handshake(self) -> dict[str, str]:
        return cookie_header(self.cookies)

    @property
    def http(self) -> dict[str, str]:
        cookies = cookie_header({**self.cookies, "csrftoken": CSRF})
        return {**cookies, "X-CSRFToken": CSRF, **self.headers}

    def socket(self, stack: Stack) -> SocketClient:
        return SocketClient(stack.url, headers=self.handshake)


def cookie_header(cookies: dict[str, str]) -> dict[str, str]:
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}


def visitor(browser: Client) -> Visitor:
    """With the cookies that a browser has now."""
    return Visitor({name: morsel.value for name, morsel in browser.cookies.items()})


def logged_in(user: User) -> Visitor:
    browser = Client()
    browser.force_login(user)
    return visitor(browser)


def with_token(user: User) -> Visitor:
    return Visitor(headers={"Authorization": f"Name {user.username}"})


def with_session() -> Visitor:
    """Nobody in particular, in a browser that has a session."""
    session = SessionStore()
    session["seen"] = True
    session.create()
    return Visitor({"sessionid": session.session_key})


@dataclass(frozen=True)
class Answer:
    """Of a request over HTTP, all but its date."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def data(self) -> Any:
        return json.loads(self.body)


def _fetch(address: str, method: str, path: str, headers: dict[str, str], body: Any) -> Answer:
    connection = http.client.HTTPConnection(address, timeout=20)
    try:
        text = None if body is None else json.dumps(body)
        json_type = {} if body is None else {"Content-Type": "application/json"}
        connection.request(method, f"/{path}", text, {**headers, **json_type})
        response = connection.getresponse()
        kept = [(key, value) for key, value in response.getheaders() if key.lower() != "date"]
        return Answer(response.status, tuple(kept), response.read())
    finally:
        connection.close()


async def fetch(
    stack: Stack, who: Visitor, method: str, path: str, body: Any = None, **headers: str
) -> Answer:
    address = urlsplit(stack.server.http_url).netloc
    return await asyncio.to_thread(_fetch, address, method, path, {**who.http, **headers}, body)


async def ask(client: SocketClient, action: str, pk: Any, stream: str = "tasks") -> str:
    """The raw reply to a frame about a task."""
    await client.send(stream, action, pk=pk, request_id="r")
    answer: str = await asyncio.wait_for(client.socket.recv(), PATIENCE)
    return answer


def not_found(action: str, stream: str = "tasks") -> str:
    """The frame that says no more than that, as it is on the wire."""
    return (
        f'{{"stream":"{stream}","payload":{{"action":"{action}","errors":["Not found."],'
        '"data":null,"response_status":404,"request_id":"r"}}'
    )


async def begin(client: SocketClient, task: str, *args: Any) -> str:
    reply = await client.request("work", "start", data={"task": task, "args": args})
    assert reply["response_status"] == 202, reply
    signed: str = reply["data"]["id"]
    return signed


async def begin_over_http(stack: Stack, who: Visitor, task: str, *args: Any, view=OPEN) -> str:
    answer = await fetch(stack, who, "POST", view, {"task": task, "args": args})
    assert answer.status == 202, answer
    signed: str = answer.data["id"]
    return signed


def opened(signed: str) -> TaskReference:
    """What is in an id, for those who have the key."""
    *fields, others, created = Signer(salt=SALT).unsign_object(signed)
    return TaskReference(*fields, tuple(others), created)


def made_up(signed: str) -> str:
    """An id as it would look, had anybody signed it."""
    payload, signature = signed.rsplit(":", 1)
    return f"{payload}:{signature[::-1]}"


def forgeries(signed: str) -> Iterator[str]:
    """Ids that somebody may try who has seen one: the task is there, they are not its id."""
    reference = opened(signed)
    fields = [*vars(reference).values()]
    yield reference.task_id
    yield reference.job
    yield f"celery-task-meta-{reference.task_id}"
    yield f"{reference.job}.cancel"
    yield Signer(salt="another").sign_object(fields)
    yield Signer(salt=SALT, key="another").sign_object(fields)
    yield signed.rsplit(":", 1)[0]
    yield signed + "A"
    for position in range(0, len(signed), 11):
        yield signed[:position] + chr(ord(signed[position]) ^ 1) + signed[position + 1 :]


def forgotten(owner: str) -> Iterator[str]:
    """Ids of tasks, of a group and of a chord that were begun two days ago."""
    old = TaskReference("t", "job", owner=owner_digest(owner))
    old = replace(old, created=old.created - 2 * 24 * 3600)
    for changes in [{}, {"job": ""}, {"group": "t"}, {"group": "g"}]:
        yield replace(old, **changes).sign()


async def assert_hidden_on_socket(client: SocketClient, *pks: Any, verbs=SOCKET_VERBS) -> None:
    for pk in pks:
        for action in verbs:
            assert await ask(client, action, pk) == not_found(action), (action, pk)


async def assert_hidden_over_http(
    stack: Stack, who: Visitor, *signed: str, view: str = OPEN, verbs=HTTP_VERBS
) -> None:
    """404, and the same bytes as for an id that nobody ever had."""
    for method, kind in verbs:
        expected = await fetch(stack, who, method, f"{view}{kind}/nobody:ever/")
        assert (expected.status, expected.body) == (404, b'{"detail":"Not found."}')
        for each in signed:
            answer = await fetch(stack, who, method, f"{view}{kind}/{quote(each, safe='')}/")
            assert answer == expected, (method, kind, each)
