"""Clients that stand still, that come all at once, or send bombs; and a database that hangs up."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import zlib
from collections.abc import Iterator
from functools import partial

import pytest
from asgiref.sync import sync_to_async
from django.db import connection

from channels_api.exceptions import CloseCode
from tests.app.models import Question
from tests.client import SocketClient
from tests.faults_helpers import LONG
from tests.live_helpers import do, follow, go_on, keep, question, questions, until
from tests.memory import MEGABYTE, peak_of_memory
from tests.raw_sockets import COMPRESSED, TEXT, masked, raw_socket, read_until
from tests.replica import Replica
from tests.servers import ROOT, AppServer

KINDS = ["daphne", "uvicorn"]


async def census(client: SocketClient) -> dict:
    return (await client.request("load-a", "census"))["data"]


# a client that stands still


@contextlib.contextmanager
def client_process(url: str) -> Iterator[subprocess.Popen]:
    command = [sys.executable, "-m", "tests.faults_client", url]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


async def test_a_client_that_stands_still_is_given_up(server, app_server):
    """Its machine takes all that is sent, so that no send fails: only its pongs are missing."""
    soon = app_server(server.kind, channels_api={"PING_INTERVAL": 1})
    async with SocketClient(soon.url + "ws/") as other:
        with client_process(soon.url + "ws/") as process:
            tells = iter(process.stdout.readline, "")
            assert await asyncio.to_thread(next, tells) == "subscribe\n"
            await do(other, "create", {"question_text": "a"})
            assert await asyncio.to_thread(next, tells) == "create\n"
            assert (await census(other))["topics"] == 1
            process.send_signal(signal.SIGSTOP)
            await do(other, "create", {"question_text": "b"})
            await until(partial(nobody_subscribes, other))
            process.send_signal(signal.SIGCONT)
            told = await asyncio.to_thread(list, tells)
    # It was sent what happened before it was missed; the frame of no action is the reason.
    assert told[0] == "create\n"
    assert told[-1] in (f"{CloseCode.SILENT_TOO_LONG}\n", f"{CloseCode.TOO_SLOW}\n")


async def test_daphne_gives_up_who_does_not_read(app_server, transactional_db):
    """Where no ping of ours asks, those of the WebSocket do: a server of 2 seconds' patience."""
    server = app_server("daphne", arguments=["--ping-interval", "1", "--ping-timeout", "2"])
    async with SocketClient(server.url + "ws/") as other:
        with raw_socket(server.port) as (connection, _):
            ask(connection, "live", "subscribe", {"action": "*"})
            read_until(connection, b'"response_status":200')
            assert (await census(other))["topics"] == 1
            for _ in range(20):
                ask(connection, "load-a", "large", 1_000_000)
            await until(partial(nobody_subscribes, other))


def ask(connection: socket.socket, stream: str, action: str, data: object) -> None:
    payload = {"action": action, "data": data}
    connection.sendall(masked(json.dumps({"stream": stream, "payload": payload}).encode()))


async def nobody_subscribes(client: SocketClient) -> bool:
    return (await census(client))["topics"] == 0


# compression bombs

# 15 kB that are 15 MiB: less than uvicorn takes, so that it would hand them over.
SIZE = 15 * MEGABYTE


def bomb() -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    text = compressor.compress(b" " * SIZE) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return masked(text[:-4], TEXT | COMPRESSED)


def documented_arguments() -> list[str]:
    """What docs/threats.rst starts uvicorn with."""
    text = (ROOT / "docs" / "threats.rst").read_text()
    return re.search(r"^ +uvicorn proj\.asgi:application (.+)$", text, re.MULTILINE)[1].split()


@pytest.mark.parametrize("kind", KINDS)
async def test_compression_bombs(app_server, kind):
    """As deployed. A server that does not take compressed frames closes at the first of them."""
    server = app_server(kind, arguments=documented_arguments() if kind == "uvicorn" else ())
    async with SocketClient(server.url + "ws/") as other:
        assert (await other.request("load-a", "echo", data=1))["data"] == 1
        before = peak_of_memory(server.pid, forget=True)
        await asyncio.to_thread(throw_bombs, server.port, 20)
        assert (await other.request("load-a", "echo", data=2))["data"] == 2
        assert peak_of_memory(server.pid) - before < 10 * MEGABYTE


def throw_bombs(port: int, count: int) -> None:
    with contextlib.ExitStack() as stack:
        offered = {"Sec_WebSocket_Extensions": "permessage-deflate"}
        sockets = [stack.enter_context(raw_socket(port, **offered))[0] for _ in range(count)]
        for each in sockets:
            each.sendall(bomb())
        for each in sockets:
            with contextlib.suppress(ConnectionError):
                while each.recv(65_536):
                    pass


# all clients at once

CROWD = 500 if LONG else 100
#: Seconds that the last of them may wait.
PATIENCE = 60


async def test_all_clients_come_back_at_once(lone_server):
    """Each has an audience of its own, so that none is served by what is read for another."""
    server = lone_server()
    for number in range(20):
        await Question.objects.acreate(question_text=str(number))
    rows = await questions()
    async with SocketClient(server.url + "ws/") as other:
        before = await census(other)
        replicas = [Replica() for _ in range(CROWD)]
        async with contextlib.AsyncExitStack() as stack:
            clients = await crowd(stack, server)
            await asyncio.gather(*map(come, clients, replicas))
            assert [each.rows for each in replicas] == [rows] * CROWD
            for client in clients:
                client.socket.transport.abort()
        await until_census(other, before)
        pk = await do(other, "create", {"question_text": "missed"})
        rows[pk] = question(pk, "missed")
        async with contextlib.AsyncExitStack() as stack:
            clients = await crowd(stack, server)
            recovered = await asyncio.gather(*map(come_back, clients, replicas))
            assert recovered == [True] * CROWD
            for client, replica in zip(clients, replicas, strict=True):
                await follow(client, replica, rows)
        await until_census(other, before)


async def crowd(stack: contextlib.AsyncExitStack, server: AppServer) -> list[SocketClient]:
    sockets = [SocketClient(server.url + "ws/", open_timeout=PATIENCE) for _ in range(CROWD)]
    return await asyncio.gather(*map(stack.enter_async_context, sockets))


async def come(client: SocketClient, replica: Replica) -> None:
    data = {"action": "*", "snapshot": True}
    replica.reply(await client.request("live-owned", "subscribe", data=data, timeout=PATIENCE))


async def come_back(client: SocketClient, replica: Replica) -> bool:
    return await go_on(client, "live-owned", replica)


async def until_census(client: SocketClient, expected: dict) -> None:
    async def is_so() -> bool:
        return await census(client) == expected

    await until(is_so)


# SQLite has no server that could end a connection.
if os.environ.get("TEST_DB") == "postgres":
    THREADS = 2

    class TestDatabaseConnections:
        """C4, on a socket: connections that are kept, and that the database ends."""

        @pytest.fixture(params=KINDS)
        def keeping(self, request, app_server, transactional_db) -> AppServer:
            env = {"TEST_CONN_MAX_AGE": "60", "PGAPPNAME": f"faults-{request.param}"}
            return app_server(request.param, env=env, channels_api={"THREADS": THREADS})

        async def test_are_replaced(self, keeping):
            """A call whose connection was dead fails, and no other; no event is lost."""
            url = keeping.url + "ws/"
            async with SocketClient(url) as subscriber, SocketClient(url) as client:
                replica = await keep(subscriber, "live")
                for number in range(3):
                    assert await sync_to_async(end_connections)(keeping) > 0
                    await create_at_last(client, f"row {number}")
                    assert len(await questions()) == number + 1
                    await follow(subscriber, replica, await questions())

    def end_connections(server: AppServer) -> int:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(pg_terminate_backend(pid, 9000)) FROM pg_stat_activity "
                "WHERE application_name = %s",
                [server.env["PGAPPNAME"]],
            )
            return cursor.fetchone()[0]

    async def create_at_last(client: SocketClient, text: str) -> None:
        data = {"question_text": text}
        statuses = []
        while 201 not in statuses:
            reply = await client.request("live", "create", data=data)
            statuses.append(reply["response_status"])
            assert statuses[-1] in (201, 500), reply
            assert len(statuses) <= THREADS + 1, statuses
