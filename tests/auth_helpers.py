"""Users who are logged in, and how a test ends that in a server's process."""

from dataclasses import dataclass
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import Group, Permission, User

from tests.client import SocketClient, login_headers

APPLICATION = "tests.auth_asgi:application"
NOT_AUTHENTICATED = 4401
OVERLOADED = 4503
ENDED = ["You are not logged in any more."]
NO_CREDENTIALS = ["Authentication credentials were not provided."]
#: The last frame of a socket whose login has ended.
GOODBYE = {
    "stream": None,
    "payload": {
        "action": None,
        "errors": ENDED,
        "data": None,
        "response_status": 401,
        "request_id": None,
    },
}
#: Seconds: what is heard of earlier was told, and not looked up.
LONG, SHORT = 600, 0.5


@dataclass
class Person:
    """A user of a group that may see questions, in a browser."""

    user: User
    headers: dict[str, str]

    @property
    def session(self) -> str:
        return self.headers["Cookie"].partition("sessionid=")[2].partition(";")[0]


def make_person(name: str) -> Person:
    group, _ = Group.objects.get_or_create(name="viewers")
    group.permissions.add(Permission.objects.get(codename="view_question"))
    user = User.objects.create_user(name, password="only for tests")
    user.groups.add(group)
    return Person(user, login_headers(user))


async def new_person(name: str = "ann") -> Person:
    return await sync_to_async(make_person)(name)


async def change(url: str, what: str, person: Person) -> None:
    """Have a server change something, on a socket of nobody."""
    async with SocketClient(url) as client:
        data = {"what": what, "user": person.user.username, "session": person.session}
        reply = await client.request("auth-changes", "change", data=data)
        assert reply["response_status"] == 200, reply


async def ask(client: SocketClient, action: str = "who", stream: str = "auth") -> tuple:
    """Status and data of an action's reply, or its errors."""
    reply = await client.request(stream, action)
    return reply["response_status"], reply["data"] or reply["errors"]


def serves(age: float) -> Any:
    """A fixture: a server of either kind that looks users up when they are so many seconds old."""

    @pytest.fixture(params=["daphne", "uvicorn"])
    def serve(request, app_server, transactional_db):
        return app_server(request.param, APPLICATION, channels_api={"AUTH_MAX_AGE": age})

    return serve
