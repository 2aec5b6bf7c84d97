"""E2: what ends the login of an open socket ends the socket: at once, or within AUTH_MAX_AGE."""

import pytest
from asgiref.sync import sync_to_async
from django.db import connection

from tests.app.streams.auth import mend_sessions
from tests.auth_helpers import (
    GOODBYE,
    LONG,
    NOT_AUTHENTICATED,
    SHORT,
    ask,
    change,
    new_person,
    serves,
)
from tests.client import SocketClient, login_headers
from tests.live_helpers import subscribe, until

#: What Django tells of.
TOLD = ["log_out", "flush", "cycle", "deactivate", "change_password", "delete"]
#: What nobody tells of.
SILENT = ["expire", "deactivate_silently"]


# It looks nobody up while a test runs: what it knows, it was told.
server = serves(LONG)
looking_server = serves(SHORT)


@pytest.mark.parametrize("path", ["ws/", "session/"])
@pytest.mark.parametrize("what", TOLD)
async def test_what_django_tells_of_closes_the_socket_at_once(server, what, path):
    """One that listens, one that does nothing, and no others."""
    ann, bob = await new_person("ann"), await new_person("bob")
    url = server.url + path
    async with (
        SocketClient(url, headers=ann.headers) as idle,
        SocketClient(url, headers=ann.headers) as listening,
        SocketClient(url, headers=bob.headers) as other,
        SocketClient(url) as nobody,
    ):
        await subscribe(listening, "auth-rows")
        assert (await ask(idle))[0] == 200
        await change(url, what, ann)
        for client in (idle, listening):
            frames, code = await client.until_closed()
            assert (frames[-1], code) == (GOODBYE, NOT_AUTHENTICATED)
        assert (await ask(other))[0] == 200
        assert (await ask(nobody, stream="auth-nobody")) == (200, [])
    # Whoever comes with the same cookie is nobody.
    async with SocketClient(url, headers=ann.headers) as client:
        assert (await ask(client))[0] == 401


@pytest.mark.parametrize("what", ["log_out", "flush"])
async def test_a_logout_in_one_browser_is_none_in_another(server, what):
    ann = await new_person()
    headers = await sync_to_async(login_headers)(ann.user)
    url = server.url + "ws/"
    async with (
        SocketClient(url, headers=ann.headers) as here,
        SocketClient(url, headers=headers) as there,
    ):
        await change(url, what, ann)
        assert await here.until_closed() == ([GOODBYE], NOT_AUTHENTICATED)
        assert (await ask(there))[0] == 200


@pytest.mark.parametrize("what", ["leave_group", "empty_group"])
async def test_a_permission_that_is_lost_with_a_group_is_lost_at_once(server, what):
    """And the socket stays open: the user is still logged in."""
    ann = await new_person()
    url = server.url + "ws/"
    async with SocketClient(url, headers=ann.headers) as client:
        assert (await ask(client))[1]["may"]
        assert (await ask(client, "list", "auth-rows"))[0] == 200
        await change(url, what, ann)

        async def is_lost() -> bool:
            return (await ask(client, "list", "auth-rows"))[0] == 403

        await until(is_lost)
        assert not (await ask(client))[1]["may"]


async def test_the_user_of_the_next_frame_is_that_of_now(server):
    """In the request, in the binding and in the scope."""
    ann = await new_person()
    url = server.url + "ws/"
    async with SocketClient(url, headers=ann.headers) as client:
        _, before = await ask(client)
        await change(url, "rename", ann)

        async def is_renamed() -> bool:
            return (await ask(client))[1] == {**before, "name": "new", "scope": "new"}

        await until(is_renamed)


@pytest.mark.parametrize("what", SILENT)
async def test_what_nobody_tells_of_takes_effect_within_the_age(looking_server, what):
    """Also on a socket that does nothing."""
    ann = await new_person()
    url = looking_server.url + "ws/"
    async with (
        SocketClient(url, headers=ann.headers) as idle,
        SocketClient(url, headers=ann.headers) as asking,
    ):
        assert (await ask(asking))[0] == 200
        await change(url, what, ann)
        assert await idle.until_closed() == ([GOODBYE], NOT_AUTHENTICATED)
        frames, code = await asking.until_closed()
        assert (frames, code) == ([GOODBYE], NOT_AUTHENTICATED)


async def test_what_nobody_tells_of_has_no_effect_before(server):
    """The user is not read for each frame."""
    ann = await new_person()
    url = server.url + "ws/"
    async with SocketClient(url, headers=ann.headers) as client:
        assert (await ask(client))[0] == 200
        for what in SILENT:
            await change(url, what, ann)
            assert (await ask(client))[0] == 200


async def test_the_session_is_read_again_with_the_user(looking_server):
    ann = await new_person()
    url = looking_server.url + "ws/"
    async with SocketClient(url, headers=ann.headers) as client:
        assert await ask(client, "visits") == (200, [])
        await change(url, "visit", ann)

        async def is_seen() -> bool:
            return (await ask(client, "visits")) == (200, 1)

        await until(is_seen)


async def test_subscriptions_go_on_where_the_user_is_looked_up(looking_server):
    ann = await new_person()
    url = looking_server.url + "ws/"
    async with SocketClient(url, headers=ann.headers) as client:
        await subscribe(client, "auth-rows")
        for _ in range(3):
            reply = await client.request(
                "auth-rows", "create", data={"question_text": "a"}, events=(events := [])
            )
            assert reply["response_status"] == 403  # she may only look
            await change(url, "rename", ann)
            assert events == []


@pytest.fixture
def broken_sessions(transactional_db):
    """Puts the table of sessions back, whatever the test has done."""
    yield
    if "django_session_away" in connection.introspection.table_names():
        mend_sessions()


async def test_sessions_that_can_not_be_read_log_nobody_out(looking_server, broken_sessions):
    """And a logout that came meanwhile is found when they can be read again."""
    ann = await new_person()
    url = looking_server.url + "ws/"
    async with SocketClient(url, headers=ann.headers) as client:
        assert (await ask(client))[0] == 200
        before = len(looking_server.log)
        await change(url, "break_sessions", ann)

        async def is_logged() -> bool:
            return "It can't be found out who is still logged in" in looking_server.log[before:]

        if "It can't be found out" not in looking_server.log:  # once in a minute
            await until(is_logged)
        assert (await ask(client))[0] == 200
        await change(url, "mend_sessions", ann)
        await change(url, "expire", ann)
        assert await client.until_closed() == ([GOODBYE], NOT_AUTHENTICATED)


@pytest.mark.parametrize("action", ["who", "who_async"])
async def test_a_change_that_can_not_be_looked_up_is_not_passed_over(
    server, broken_sessions, action
):
    ann = await new_person()
    url = server.url + "ws/"
    async with SocketClient(url, headers=ann.headers) as client:
        assert (await ask(client, action))[0] == 200
        await change(url, "break_sessions", ann)
        await change(url, "rename", ann)

        async def is_refused() -> bool:
            return (await ask(client, action))[0] == 503

        await until(is_refused)
        await change(url, "mend_sessions", ann)

        async def is_served() -> bool:
            return (await ask(client, action))[0] == 200

        await until(is_served)
