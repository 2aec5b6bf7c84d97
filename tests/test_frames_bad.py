"""Frames that are no request: an error reply each, and the socket still answers."""

import json
import struct

import pytest

from tests.client import parse_strictly
from tests.frames_cases import (
    BAD_FRAMES,
    GOOD_REQUEST_IDS,
    TOO_DEEP_TO_READ,
    error_frame,
    frame,
    nested,
)
from tests.frames_helpers import KINDS, ask, assert_answers, padded, reply, ws

BINARY = error_frame(400, "Binary frames are not taken: send JSON as text.")
TOO_LARGE = error_frame(413, "The frame is too large: 65536 bytes are allowed.")


@pytest.fixture(params=KINDS)
def server(request, app_server):
    """The usual server, without a flush after each test: no test here touches a table."""
    return app_server(request.param)


@pytest.mark.parametrize("bad", BAD_FRAMES, ids=lambda bad: bad.name)
async def test_one_error_reply(server, bad):
    async with ws(server) as client:
        assert await ask(client, bad.text) == bad.reply()
        await assert_answers(client)


@pytest.mark.parametrize(
    "message", [b"", b"{}", frame().encode(), b"\xff\x00", b"\x00" * 65_536], ids=len
)
async def test_binary_is_refused_whatever_it_holds(server, message):
    async with ws(server) as client:
        assert await ask(client, message) == BINARY
        await assert_answers(client)


class TestSize:
    @pytest.mark.parametrize("character", ["x", "ü", "\U0001f600"])
    async def test_the_limit_is_in_bytes(self, server, character):
        async with ws(server) as client:
            text = padded(65_536, character)
            assert await ask(client, text) == reply(parse_strictly(text)["payload"]["data"])
            assert await ask(client, padded(65_537, character)) == TOO_LARGE
            await assert_answers(client)

    async def test_what_is_too_large_is_not_parsed(self, server):
        """Else these would be 400s that say what is wrong with them."""
        async with ws(server) as client:
            for text in ("[" * 65_537, "x" * 65_537, " " * 1_000_000):
                assert await ask(client, text) == TOO_LARGE
            await assert_answers(client)

    async def test_a_frame_in_pieces_is_one_frame(self, server):
        async with ws(server) as client:
            text = padded(65_536)
            await client.socket.send([text[:1], text[1:10], "", text[10:]])
            assert await client.receive() == reply(parse_strictly(text)["payload"]["data"])
            await client.socket.send([text, " "])
            assert await client.receive() == TOO_LARGE
            await assert_answers(client)


class TestDepth:
    @pytest.mark.parametrize("levels", [31, 32])
    async def test_as_deep_as_allowed(self, server, levels):
        async with ws(server) as client:
            text = nested(levels)
            assert await ask(client, text) == reply(parse_strictly(text)["payload"]["data"])

    @pytest.mark.parametrize(
        "text",
        [
            nested(990),
            nested(1500),
            nested(32_000),
            "[" * 65_536,
            "[" * 32_768 + "]" * 32_768,
            '{"a":' * 13_107,
        ],
        ids=lambda text: f"{text[:5]} {len(text)}",
    )
    async def test_deeper_than_a_parser_may_go(self, server, text):
        """Where Python's parser gives up depends on its version; that it is refused does not."""
        async with ws(server) as client:
            answer = await ask(client, text)
            (message,) = answer["payload"]["errors"]
            assert answer["payload"]["response_status"] == 400
            assert message.startswith((TOO_DEEP_TO_READ[:-1], "The frame is not JSON: "))
            await assert_answers(client)


class TestValues:
    """What strict JSON can hold comes back as it went in."""

    @pytest.mark.parametrize("request_id", GOOD_REQUEST_IDS, ids=ascii)
    async def test_request_id(self, server, request_id):
        async with ws(server) as client:
            answer = await ask(client, frame(request_id=json.dumps(request_id)))
            assert answer == reply(None, request_id)
            assert type(answer["payload"]["request_id"]) is type(request_id)

    async def test_no_request_id_is_null(self, server):
        async with ws(server) as client:
            await client.send("frames", "echo")
            assert await client.receive() == reply(None, None)

    @pytest.mark.parametrize(
        "value",
        [
            2**53,
            2**53 + 1,
            2**63 - 1,
            -(2**63),
            1e308,
            -1.7976931348623157e308,
            5e-324,
            0.1,
            "\U0001f600",
            r"\ud800",
            "\ud7ff\ue000\uffff",
            "\x00\u2028",
            {"\U0001f600": [{"": None}]},
            {"__class__": 1, "self": 2, "pk": None},
        ],
        ids=ascii,
    )
    async def test_pk_and_data(self, server, value):
        async with ws(server) as client:
            for escaped in (True, False):
                text = json.dumps(value, ensure_ascii=escaped)
                request = frame(pk=text, data=text).replace('"echo"', '"point"')
                expected = reply({"pk": value, "data": value}, action="point")
                assert await ask(client, request) == expected

    @pytest.mark.parametrize(
        "stream",
        ["nope", "", "Frames", "frames ", "\x00", "\U0001f600", r"\ud800", "x" * 10_000],
        ids=lambda stream: ascii(stream)[:20],
    )
    async def test_unknown_stream(self, server, stream):
        async with ws(server) as client:
            await client.send(stream, "echo", request_id="a")
            message = f"There is no stream {stream!r}."
            assert await client.receive() == error_frame(404, message, stream, "echo", "a")
            await assert_answers(client)

    @pytest.mark.parametrize("action", ["nope", "", "__init__", "\x00", "\U0001f600", "x" * 10_000],
        ids=lambda action: ascii(action)[:20],
    )  # fmt: skip
    async def test_unknown_action(self, server, action):
        async with ws(server) as client:
            await client.send("frames", action, request_id=1)
            expected = error_frame(400, "Invalid Action", "frames", action, 1)
            assert await client.receive() == expected
            await assert_answers(client)

    @pytest.mark.parametrize("name", [
        "self", "pk", "data", "action", "kwargs", "args", "scope", "frame", "request",
        "handshake", "request_id", "stream", "user", "queryset", "serializer_class",
    ])  # fmt: skip
    async def test_keys_never_become_arguments(self, server, name):
        async with ws(server) as client:
            content = {name: 5, "stream": "frames"}
            content["payload"] = {name: 5, "action": "echo", "data": {name: 5}, "request_id": 7}
            assert await ask(client, json.dumps(content)) == reply({name: 5})


class TestTheServersOwnLimits:
    """What never reaches us; page A4 of the design, and so the deployment page, builds on it."""

    async def test_text_that_is_not_utf8_ends_the_socket(self, server):
        for message in (b"\xff", b'"\xed\xa0\x80"'):
            async with ws(server) as client:
                await client.socket.send(message, text=True)
                # daphne drops the connection without a close frame.
                assert await client.until_closed() == (
                    [],
                    {"daphne": 1006, "uvicorn": 1007}[server.kind],
                )

    async def test_a_message_over_the_servers_own_limit_ends_the_socket(self, server):
        """1 MiB with daphne, 16 MiB with uvicorn, if not told otherwise; other sockets live on."""
        limit = {"daphne": 2**20, "uvicorn": 2**24}[server.kind]
        async with ws(server) as other:
            async with ws(server, compression=None) as client:
                assert await ask(client, " " * limit) == TOO_LARGE
                # The head is enough: text, the last piece, masked with zeros, and its length.
                head = b"\x81\xff" + struct.pack("!Q", limit + 1) + bytes(4)
                client.socket.transport.write(head)
                code = {"daphne": 1006, "uvicorn": 1009}[server.kind]
                assert await client.until_closed() == ([], code)
            await assert_answers(other)
