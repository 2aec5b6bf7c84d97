"""E4: DRF's authentication classes, and the ways by which a token comes to a socket."""

import base64
import json
from datetime import timedelta

import pytest
import websockets
from rest_framework.authtoken.models import Token
from rest_framework_simplejwt.tokens import AccessToken

from tests.auth_helpers import (
    GOODBYE,
    LONG,
    NO_CREDENTIALS,
    NOT_AUTHENTICATED,
    SHORT,
    ask,
    change,
    new_person,
    serves,
)
from tests.client import SocketClient
from tests.live_helpers import subscribe, until

PROTOCOL = "channels-api.v1"


# It looks nobody up while a test runs: what it knows, it was told.
server = serves(LONG)
looking_server = serves(SHORT)


async def token_of(person) -> str:
    return (await Token.objects.acreate(user=person.user)).key


def jwt_of(person, **lifetime) -> str:
    token = AccessToken.for_user(person.user)
    if lifetime:
        token.set_exp(lifetime=timedelta(**lifetime))
    return str(token)


def by_header(url: str, scheme: str, token: str) -> SocketClient:
    return SocketClient(url, headers={"Authorization": f"{scheme} {token}"})


def by_subprotocol(url: str, token: str) -> SocketClient:
    return SocketClient(url, subprotocols=[PROTOCOL, f"bearer.{token}"])


async def authenticate(client: SocketClient, token: str) -> None:
    await client.send_raw(json.dumps({"authenticate": token}))


async def is_refused(client: SocketClient) -> bool:
    """Whether the handshake is answered 403."""
    with pytest.raises(websockets.InvalidStatus) as caught:
        async with client:
            pass
    return caught.value.response.status_code == 403


def refusal(detail: str) -> dict:
    payload = {**GOODBYE["payload"], "errors": [detail]}
    return {"stream": None, "payload": payload}


KINDS = {"token/": "Token", "jwt/": "Bearer", "any/": "Token"}


async def make_token(path: str, person) -> str:
    return jwt_of(person) if path == "jwt/" else await token_of(person)


@pytest.mark.parametrize("path", KINDS)
@pytest.mark.parametrize("way", ["header", "subprotocol", "frame"])
async def test_a_token_is_taken(server, path, way):
    ann = await new_person()
    token = await make_token(path, ann)
    url = server.url + path
    client = {
        "header": lambda: by_header(url, KINDS[path], token),
        "subprotocol": lambda: by_subprotocol(url, token),
        "frame": lambda: SocketClient(url, subprotocols=[PROTOCOL]),
    }[way]()
    async with client:
        if way == "frame":
            await authenticate(client, token)
            assert await client.receive() == {"authenticated": True}
        status, data = await ask(client)
        auth = "AccessToken" if path == "jwt/" else "Token"
        assert (status, data["user"], data["auth"]) == (200, "ann", auth)
        assert await ask(client, "who_async") == (200, {"user": "ann"})
        assert client.socket.subprotocol == (None if way == "header" else PROTOCOL)
        answer = str(client.socket.response.headers)
        assert token not in answer
        assert "bearer" not in answer
    assert token not in server.log


async def test_basic_authentication_comes_from_the_header_alone(server):
    """A token is not offered to it as a name with a password."""
    await new_person()
    basic = base64.b64encode(b"ann:only for tests").decode()
    async with by_header(server.url + "any/", "Basic", basic) as client:
        assert (await ask(client))[0] == 200
    assert await is_refused(by_header(server.url + "any/", "Basic", "bm9ib2R5OngK"))
    assert await is_refused(by_subprotocol(server.url + "any/", basic.rstrip("=")))


@pytest.mark.parametrize("path", KINDS)
async def test_a_wrong_token_is_refused_before_the_socket_is_accepted(server, path):
    for client in (
        by_header(server.url + path, KINDS[path], "wrong"),
        by_subprotocol(server.url + path, "wrong"),
    ):
        assert await is_refused(client)


@pytest.mark.parametrize("path", KINDS)
async def test_a_wrong_token_in_a_frame_closes_the_socket(server, path):
    before = len(server.log)
    async with SocketClient(server.url + path) as client:
        await authenticate(client, "wrong")
        frames, code = await client.until_closed()
        assert code == NOT_AUTHENTICATED
        [frame] = frames
        assert frame["stream"] is None
        assert frame["payload"]["response_status"] == 401
    assert "Traceback" not in server.log[before:]


@pytest.mark.parametrize("path", ["token/", "jwt/"])
async def test_the_query_string_is_not_looked_at(server, path):
    ann = await new_person()
    token = await make_token(path, ann)
    url = f"{server.url}{path}?token={token}&bearer={token}&access_token={token}"
    async with SocketClient(url) as client:
        assert await ask(client) == (401, NO_CREDENTIALS)


async def test_the_session_is_not_looked_at_unless_a_class_does(server):
    """The cookie alone is nobody where the classes are about tokens."""
    ann = await new_person()
    async with SocketClient(server.url + "token/", headers=ann.headers) as client:
        assert await ask(client) == (401, NO_CREDENTIALS)
    for path in ("any/", "session/"):
        async with SocketClient(server.url + path, headers=ann.headers) as client:
            assert (await ask(client))[1]["user"] == "ann"


async def test_a_page_from_elsewhere_is_refused(server):
    """E1: a cookie comes with any page, so an origin is asked for; nobody else needs one."""
    ann = await new_person()
    token = await token_of(ann)
    for path, headers in (("ws/", ann.headers), ("session/", ann.headers)):
        url = server.url + path
        assert await is_refused(SocketClient(url, headers=headers, origin="http://evil.test"))
    url = server.url + "token/"
    assert await is_refused(
        SocketClient(url, origin="http://evil.test", subprotocols=[PROTOCOL, f"bearer.{token}"])
    )


# in a first frame


async def test_frames_behind_the_token_wait_for_it(server):
    """None of them is answered as nobody's, and in the order in which they were sent."""
    ann = await new_person()
    token = await token_of(ann)
    async with SocketClient(server.url + "token/") as client:
        await authenticate(client, token)
        for number in range(10):
            await client.send("auth", "who", request_id=number)
        assert await client.receive() == {"authenticated": True}
        for number in range(10):
            payload = (await client.receive())["payload"]
            assert (payload["request_id"], payload["response_status"]) == (number, 200)


async def test_without_a_token_a_client_is_nobody(server):
    async with SocketClient(server.url + "token/") as client:
        assert await ask(client) == (401, NO_CREDENTIALS)
        assert (await ask(client, stream="auth-nobody"))[0] == 200
        # And stays so: a token is the first frame, or none.
        await authenticate(client, "any")
        errors = (await client.receive())["payload"]["errors"]
        assert errors == [
            "A token is taken in the first frame only, where the server asks for one."
        ]
        assert await ask(client) == (401, NO_CREDENTIALS)


@pytest.mark.parametrize("path", ["ws/", "token/"])
async def test_who_is_known_sends_no_token(server, path):
    """Neither where the user is the scope's, nor where the handshake had a token already."""
    ann = await new_person()
    token = await token_of(ann)
    async with SocketClient(
        server.url + path, headers={**ann.headers, "Authorization": f"Token {token}"}
    ) as client:
        await authenticate(client, token)
        assert (await client.receive())["payload"]["response_status"] == 400
        assert (await ask(client))[1]["user"] == "ann"


@pytest.mark.parametrize(
    "frame",
    [
        '{"authenticate": 5}',
        '{"authenticate": null}',
        '{"authenticate": ""}',
        '{"authenticate": "with space"}',
        '{"authenticate": "line\\nbreak"}',
        '{"authenticate": "\\u0430"}',
        '{"authenticate": {"token": "a"}}',
        '{"authenticate": "a", "beside": 1}',
        '{"authenticate": "a", "authenticate": "b"}',
        '{"authenticate": "a"',
        '["authenticate"]',
    ],
)
async def test_a_frame_that_is_no_token_is_refused(server, frame):
    async with SocketClient(server.url + "token/") as client:
        await client.send_raw(frame)
        payload = (await client.receive())["payload"]
        assert (payload["response_status"], payload["data"]) == (400, None)
        assert (await ask(client, stream="auth-nobody"))[0] == 200


async def test_a_request_may_speak_of_authenticating(server):
    """The word is no secret key: only a frame without a stream is a token's."""
    async with SocketClient(server.url + "token/") as client:
        reply = await client.request("auth-nobody", "who", data={"authenticate": "x"})
        assert reply["response_status"] == 200


# what ends it


async def test_a_token_that_is_deleted_ends_its_sockets(looking_server):
    ann = await new_person()
    token = await token_of(ann)
    url = looking_server.url + "token/"
    async with by_header(url, "Token", token) as idle, SocketClient(url) as listening:
        await authenticate(listening, token)
        assert await listening.receive() == {"authenticated": True}
        await subscribe(listening, "auth-rows")
        await change(url, "delete_token", ann)
        for client in (idle, listening):
            frames, code = await client.until_closed()
            assert (frames[-1], code) == (GOODBYE, NOT_AUTHENTICATED)


async def test_a_jwt_that_expires_ends_its_sockets(looking_server):
    ann = await new_person()
    url = looking_server.url + "jwt/"
    async with (
        by_subprotocol(url, jwt_of(ann, seconds=3)) as short,
        by_subprotocol(url, jwt_of(ann)) as long,
    ):
        assert (await ask(short))[0] == 200
        assert await short.until_closed() == ([GOODBYE], NOT_AUTHENTICATED)
        assert (await ask(long))[0] == 200


@pytest.mark.parametrize("what", ["deactivate", "delete"])
@pytest.mark.parametrize("path", ["token/", "jwt/"])
async def test_the_classes_are_asked_at_once_where_the_user_changes(server, path, what):
    ann, bob = await new_person("ann"), await new_person("bob")
    url = server.url + path
    scheme = KINDS[path]
    async with (
        by_header(url, scheme, await make_token(path, ann)) as client,
        by_header(url, scheme, await make_token(path, bob)) as other,
    ):
        assert (await ask(client))[0] == 200
        await change(url, what, ann)
        assert await client.until_closed() == ([GOODBYE], NOT_AUTHENTICATED)
        assert (await ask(other))[0] == 200


async def test_a_password_is_not_what_a_token_stands_for(server):
    ann = await new_person()
    url = server.url + "token/"
    async with by_header(url, "Token", await token_of(ann)) as client:
        await change(url, "change_password", ann)
        await change(url, "log_out", ann)
        await change(url, "rename", ann)

        async def is_renamed() -> bool:
            return (await ask(client))[1]["name"] == "new"

        await until(is_renamed)


async def test_a_permission_that_is_lost_with_a_group_is_lost_at_once(server):
    ann = await new_person()
    url = server.url + "token/"
    async with by_header(url, "Token", await token_of(ann)) as client:
        assert (await ask(client))[1]["may"]
        await change(url, "leave_group", ann)

        async def is_lost() -> bool:
            return not (await ask(client))[1]["may"]

        await until(is_lost)


# E3


async def test_nobody_is_served_where_no_middleware_has_found_a_user(server):
    with pytest.raises(websockets.InvalidHandshake):
        async with SocketClient(server.url + "bare/"):
            pass
    assert "ImproperlyConfigured: Plain: 'auth' is for users who are logged in" in server.log


async def test_without_any_user_everybody_is_anonymous(server):
    ann = await new_person()
    async with SocketClient(server.url + "open/", headers=ann.headers) as client:
        assert await ask(client, stream="auth-nobody") == (200, [])
