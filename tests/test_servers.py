"""The infrastructure of the suite, tried on itself: if something here fails, look here first."""

import os
import socket

import psycopg
import pytest
import redis
import websockets
from channels.db import database_sync_to_async
from django.contrib.auth import get_user_model

from tests.app.models import Question
from tests.client import SocketClient, login_headers, parse_strictly
from tests.plugin import require_program
from tests.servers import AppServer, PostgresServer, RedisServer, ServerError


def process_exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class TestAppServer:
    """Under daphne and uvicorn, on the database and the layer that TEST_DB and TEST_LAYER chose."""

    async def test_request_and_reply(self, server):
        async with SocketClient(server.url + "echo/") as client:
            data = {"a": [1, None, "ü"]}
            payload = await client.request("echo", "say", data=data, request_id=7)
        assert payload == {"action": "say", "request_id": 7, "errors": [], "data": data}

    async def test_works_on_the_database_of_the_test(self, server):
        await Question.objects.acreate(question_text="from the test")
        async with SocketClient(server.url + "echo/") as client:
            assert (await client.request("echo", "count"))["data"] == 1
            await client.request("echo", "create", data="from the server")
        texts = [question.question_text async for question in Question.objects.order_by("pk")]
        assert texts == ["from the test", "from the server"]

    @pytest.mark.django_db(transaction=True, databases=["default", "other"])
    async def test_works_on_the_second_database_as_well(self, server):
        await Question.objects.using("other").acreate(question_text="over there")
        async with SocketClient(server.url + "echo/") as client:
            assert (await client.request("echo", "count", data="other"))["data"] == 1
            assert (await client.request("echo", "count", data="default"))["data"] == 0

    async def test_starts_with_empty_tables(self, server):
        """The flush after the test before left nothing, and the server that lives on sees that."""
        async with SocketClient(server.url + "echo/") as client:
            assert (await client.request("echo", "count"))["data"] == 0
            await client.request("echo", "create", data="left behind")

    async def test_login(self, server):
        user = await get_user_model().objects.acreate_user("ada")
        headers = await database_sync_to_async(login_headers)(user)
        async with SocketClient(server.url + "echo/", headers=headers) as client:
            assert (await client.request("echo", "who"))["data"] == "ada"
        async with SocketClient(server.url + "echo/") as client:
            assert (await client.request("echo", "who"))["data"] == ""

    async def test_channel_layer_and_barrier(self, server):
        async with SocketClient(server.url + "echo/") as client:
            await client.send("echo", "shout", data="hello")
            event = await client.receive()
            assert event["payload"] == {"data": "hello"}
            assert await client.barrier("echo") == []

    async def test_request_refuses_or_collects_what_comes_before_the_reply(self, server):
        async with (
            SocketClient(server.url + "echo/") as client,
            SocketClient(server.url + "echo/") as other,
        ):
            await other.send("echo", "shout", data="hello")
            await other.receive()
            # The event is in this socket's queue as well before the other one has seen its own.
            events = []
            while not events:
                await client.request("echo", "say", events=events)
            assert events == [{"stream": "echo", "payload": {"data": "hello"}}]

    async def test_close_code(self, server):
        async with SocketClient(server.url + "echo/") as client:
            await client.send("echo", "close")
            assert await client.until_closed() == ([], 4400)

    async def test_origin(self, server):
        """The client's own origin is right, or no other test here could pass."""
        for origin in (None, "https://evil.example"):
            with pytest.raises(websockets.InvalidStatus):
                async with SocketClient(server.url + "echo/", origin=origin):
                    pass

    async def test_one_server_for_the_same_arguments(self, app_server, server):
        assert app_server(server.kind) is server
        assert app_server(server.kind, env={"TEST_DEBUG": "1"}) is not server

    async def test_starts_again_after_it_was_killed(self, app_server, server):
        first = server.pid
        server.stop()
        assert not process_exists(first)
        assert app_server(server.kind) is server
        async with SocketClient(server.url + "echo/") as client:
            await client.request("echo", "say")


class TestServer:
    def test_says_why_it_did_not_start(self):
        with (
            pytest.raises(ServerError, match="no_such_module"),
            AppServer(application="no_such_module:x"),
        ):
            pass

    @pytest.mark.parametrize("kind", ["daphne", "uvicorn"])
    def test_finds_another_port_when_its_own_is_taken(self, kind):
        with socket.socket() as thief:
            server = AppServer(kind)
            thief.bind(("127.0.0.1", server.port))
            # Bound, not listening: nobody answers there, and nobody else can bind.
            taken = server.port
            with server:
                assert server.port != taken


class TestRedisServer:
    def test_starts_restarts_and_stops(self):
        require_program("redis-server")
        with RedisServer() as server, redis.Redis.from_url(server.url) as client:
            client.set("key", "value")
            first = server.pid
            server.stop()
            assert not process_exists(first)
            server.start()
            assert client.get("key") is None
        assert not process_exists(server.pid)
        assert not server.directory.exists()


class TestPostgresServer:
    def test_starts_restarts_and_stops(self):
        require_program("postgres")
        with PostgresServer() as server:
            assert ask(server, "SHOW fsync") == "off"
            first = server.pid
            server.stop()
            assert not process_exists(first)
            server.start()
            assert ask(server, "SELECT 1") == 1
        assert not process_exists(server.pid)
        assert not server.directory.exists()


def ask(server: PostgresServer, query: str) -> object:
    options = {"host": server.host, "port": server.port, "user": server.user}
    with psycopg.connect(dbname="postgres", **options) as connection:
        return connection.execute(query).fetchone()[0]


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", "1e999", '{"a": 1, "a": 2}', "{", b"{}"])
def test_strict_parser_refuses(text):
    with pytest.raises((ValueError, AssertionError)):
        parse_strictly(text)
