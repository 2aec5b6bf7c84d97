"""Tasks over HTTP on real servers and workers: polling, waiting, following; and both doors."""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from asgiref.sync import sync_to_async
from django.db import connection

from tests.client import SocketClient
from tests.http_helpers import begin, ended_body, http, log_in, result_address, state_body, until
from tests.tasks_helpers import frame, revoked, succeeded

pytestmark = pytest.mark.django_db(transaction=True)

STACKS = [
    ("embedded", "daphne"),
    ("embedded", "uvicorn"),
    ("redis-prefork", "daphne"),
    ("redis-prefork", "uvicorn"),
]
WAITERS = 50


@pytest.fixture(params=STACKS, ids="-".join)
def stack(request, stacks):
    name, kind = request.param
    return stacks.get(name, kind=kind)


@pytest.fixture(params=[STACKS[0], STACKS[3]], ids="-".join)
def either_stack(request, stacks):
    """Of those that differ most."""
    name, kind = request.param
    return stacks.get(name, kind=kind)


@pytest.fixture(params=["daphne", "uvicorn"])
def redis_stack(request, stacks):
    return stacks.get("redis-prefork", kind=request.param)


def has_state(client, address, state):
    return lambda: client.get(address).json()["state"] == state


def test_a_task_is_polled_until_it_leads_to_its_result(stack):
    first, second = stack.gate(), stack.gate()
    with http(stack) as client:
        address = begin(client, "report", [str(first), str(second)])
        until(has_state(client, address, "STARTED"))
        response = client.get(address)
        assert (response.status_code, response.json()) == (200, state_body(address, "STARTED"))
        assert response.headers["Retry-After"] == "1"
        assert client.get(result_address(address)).status_code == 404
        first.touch()
        until(has_state(client, address, "PROGRESS"))
        meta = {"current": 1, "total": 2}
        assert client.get(address).json() == state_body(address, "PROGRESS", meta=meta)
        second.touch()
        until(has_state(client, address, "SUCCESS"))
        response = client.get(address)
        ended = ended_body(address, "SUCCESS")
        assert (response.status_code, response.json()) == (303, ended)
        response = client.get(ended["result_uri"])
        assert (response.status_code, response.json()) == (200, {"steps": 2})
        response = client.delete(address)
        assert (response.status_code, response.json()["detail"]) == (400, "The task has finished.")


def test_who_waits_and_follows_has_the_result_at_once(stack):
    """One call, as if it were no task at all."""
    with http(stack, follow_redirects=True, headers={"Prefer": "wait=20"}) as client:
        response = client.get("/jobs/double/", params={"number": 21})
    assert (response.status_code, response.json()) == (200, {"result": 42})
    (redirect,) = response.history
    assert redirect.status_code == 303
    assert redirect.headers["Preference-Applied"] == "wait=20"
    assert redirect.json()["state"] == "SUCCESS"


def test_a_failure_is_a_result_too(either_stack):
    with http(either_stack, headers={"Prefer": "wait=20"}) as client:
        response = client.post("/jobs/double/", json={"task": "fail"})
        assert (response.status_code, response.json()["state"]) == (303, "FAILURE")
        result = client.get(response.headers["Location"])
        error_id = result.json()["error_id"]
        shown = (
            {"exception": "RuntimeError: db password=secret"} if either_stack.worker is None else {}
        )
        told = {"error": "Task failed", "error_id": error_id, **shown}
        assert (result.status_code, result.json()) == (200, told)
        assert error_id in (either_stack.worker or either_stack.server).log
        # What is meant for clients is told to them.
        response = client.post("/jobs/double/", json={"task": "refuse"}, follow_redirects=True)
        assert response.json() == {"error": {"year": ["No such year."]}}


def test_a_wait_ends_with_the_task_or_in_time(either_stack):
    gate = either_stack.gate()
    with http(either_stack) as client, ThreadPoolExecutor(2) as threads:
        address = begin(client, "double", 4, gate)
        until(has_state(client, address, "STARTED"))
        headers = {"Prefer": "respond-async, wait=300"}  # which is 30
        waiting = [threads.submit(client.get, address, headers=headers) for _ in range(2)]
        began = time.monotonic()
        response = client.get(address, headers={"Prefer": "wait=1"})
        assert time.monotonic() - began >= 1
        assert (response.status_code, response.json()) == (200, state_body(address, "STARTED"))
        assert response.headers["Preference-Applied"] == "wait=1"
        assert response.headers["Retry-After"] == "1"
        assert not any(each.done() for each in waiting)
        released = time.monotonic()
        gate.touch()
        for each in waiting:
            response = each.result()
            assert (response.status_code, response.json()) == (303, ended_body(address, "SUCCESS"))
            assert response.headers["Location"] == result_address(address)
            assert response.headers["Preference-Applied"] == "wait=30"
            assert "Retry-After" not in response.headers
        assert time.monotonic() - released < 10


def test_the_first_request_waits_as_well(stacks):
    stack = stacks.get("redis-prefork", kind="daphne")
    first = stack.gate()
    first.touch()
    with http(stack) as client:
        data = {"task": "report", "args": [[str(first), str(stack.gate())]]}
        response = client.post("/jobs/double/", json=data, headers={"Prefer": "wait=1"})
        address = response.headers["Location"]
        progress = state_body(address, "PROGRESS", meta={"current": 1, "total": 2})
        assert (response.status_code, response.json()) == (202, progress)
        assert response.headers["Preference-Applied"] == "wait=1"
        assert response.headers["Retry-After"] == "1"
        assert client.delete(address).status_code == 410


def test_a_task_is_cancelled_while_somebody_waits_for_it(stack):
    with http(stack) as client, ThreadPoolExecutor(1) as threads:
        address = begin(client, "tick", stack.gate())
        until(has_state(client, address, "PROGRESS"))
        waiting = threads.submit(client.get, address, headers={"Prefer": "wait=20"})
        response = client.delete(address)
        gone = state_body(address, "REVOKED")
        assert (response.status_code, response.json()) == (410, gone)
        response = waiting.result()
        assert (response.status_code, response.json()) == (410, gone)
        assert "Location" not in response.headers
        assert client.delete(address).status_code == 400


def count_threads(stack):
    status = Path(f"/proc/{stack.server.pid}/status").read_text()
    return int(re.search(r"Threads:\s+(\d+)", status)[1])


def count_files(stack, kind):
    files = Path(f"/proc/{stack.server.pid}/fd").iterdir()
    return sum(kind in str(each.readlink()) for each in files if each.is_symlink())


def count_database_connections(stack):
    """Of the server; with PostgreSQL of everybody, who has none open between two requests."""
    if connection.vendor == "sqlite":
        return count_files(stack, ".sqlite3")
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
        return cursor.fetchone()[0]


def test_many_wait_without_a_thread_or_a_connection_each(redis_stack):
    """They are logged in, so the database was asked for each of them."""
    gate = redis_stack.gate()
    browser, _ = log_in()
    with http(redis_stack, **browser) as client, ThreadPoolExecutor(WAITERS) as threads:
        address = begin(client, "double", 4, gate)
        counts = count_threads(redis_stack), count_database_connections(redis_stack)
        sockets = count_files(redis_stack, "socket:")
        wait = {"headers": {"Prefer": "wait=30"}}
        waiting = [threads.submit(client.get, address, **wait) for _ in range(WAITERS)]
        until(lambda: count_files(redis_stack, "socket:") >= sockets + WAITERS - 1)
        # Whoever comes now is answered after those have been read.
        assert client.get(address, headers={"Prefer": "wait=1"}).status_code == 200
        until(lambda: count_threads(redis_stack) <= counts[0] + 8)
        assert count_database_connections(redis_stack) <= counts[1] + 4
        assert not any(each.done() for each in waiting)
        # DRF reads the user of that one as well.
        assert client.get("/jobs/double/5/", timeout=5).json() == {"pk": "5"}
        gate.touch()
        answers = {(each.result().status_code, each.result().text) for each in waiting}
    assert [status for status, _ in answers] == [303]


def test_a_client_that_leaves_is_forgotten(redis_stack):
    """The server leaves the group of the task's rings when nobody waits for it any more."""
    import redis  # noqa: PLC0415 - a dependency of channels-redis

    layer = redis.Redis.from_url(redis_stack.redis.url)
    with http(redis_stack) as client:
        before = set(layer.keys("*channels_api.task.*"))
        address = begin(client, "double", 4, redis_stack.gate())
        with ThreadPoolExecutor(1) as threads:
            with http(redis_stack) as other:
                leaving = threads.submit(other.get, address, headers={"Prefer": "wait=30"})
                until(lambda: set(layer.keys("*channels_api.task.*")) - before)
                assert not leaving.done()
                # From another thread, as a browser that is closed.
                for connection in other._transport._pool.connections:  # noqa: SLF001
                    stream = connection._connection._network_stream  # noqa: SLF001
                    stream.get_extra_info("socket").shutdown(2)
            with pytest.raises(httpx.HTTPError):
                leaving.result()
        until(lambda: not set(layer.keys("*channels_api.task.*")) - before)
        assert client.delete(address).status_code == 410
    layer.close()


async def test_a_task_of_http_is_watched_and_cancelled_on_the_socket(either_stack):
    browser, headers = await sync_to_async(log_in)()
    gate, other = either_stack.gate(), either_stack.gate()
    with http(either_stack, **browser) as client:
        watched = begin(client, "double", 4, gate)
        cancelled = begin(client, "tick", other)
        ids = [address.rstrip("/").rsplit("/", 1)[1] for address in (watched, cancelled)]
        async with SocketClient(either_stack.url, headers=headers) as socket:
            reply = await socket.request("tasks", "subscribe", pk=ids[0], request_id="s")
            while reply["data"]["state"] == "PENDING":
                reply = (await socket.receive())["payload"]
            started = frame("tasks", "subscribe", "s", 202, {"id": ids[0], "state": "STARTED"})
            assert reply == started["payload"]
            gate.touch()
            assert await socket.receive() == succeeded("tasks", "subscribe", "s", ids[0], 8)
            reply = await socket.request("tasks", "delete", pk=ids[1], request_id="d")
            assert reply == revoked("tasks", "delete", "d", ids[1])["payload"]
        response = client.get(watched, follow_redirects=True)
        assert (response.status_code, response.json()) == (200, {"result": 8})
        # A thread can't be ended: it looks for itself.
        until(has_state(client, cancelled, "REVOKED"))
        response = client.get(cancelled)
        assert (response.status_code, response.json()) == (410, state_body(cancelled, "REVOKED"))
    async with SocketClient(either_stack.url) as stranger:
        reply = await stranger.request("tasks", "retrieve", pk=ids[0])
        assert (reply["response_status"], reply["errors"]) == (404, ["Not found."])


async def test_a_task_of_the_socket_is_followed_and_cancelled_over_http(either_stack):
    browser, headers = await sync_to_async(log_in)()
    gate = either_stack.gate()
    async with SocketClient(either_stack.url, headers=headers) as socket:
        reply = await socket.request("work", "start", data={"task": "double", "args": [4]})
        first = reply["data"]["id"]
        while (await socket.receive())["payload"]["response_status"] == 202:
            pass
        data = {"task": "tick", "args": [str(gate)]}
        reply = await socket.request("work", "start", data=data)
        second = reply["data"]["id"]
        while (await socket.receive())["payload"]["data"]["state"] != "PROGRESS":
            pass
        with http(either_stack, **browser) as client:
            response = client.get(f"/jobs/double/state/{first}/", follow_redirects=True)
            assert (response.status_code, response.json()) == (200, {"result": 8})
            address = f"/jobs/double/state/{second}/"
            response = client.delete(address)
            gone = state_body(address, "REVOKED")
            assert (response.status_code, response.json()) == (410, gone)
        while (last := await socket.receive())["payload"]["response_status"] == 202:
            pass
        assert last == revoked("work", "start", "request-2", second)
    with http(either_stack) as stranger:
        assert stranger.get(f"/jobs/double/state/{first}/").status_code == 404


async def test_a_viewset_of_tasks_is_a_stream_as_well(either_stack):
    async with SocketClient(either_stack.url) as socket:
        reply = await socket.request("http-questions", "subscribe", data={"action": "create"})
        assert reply["response_status"] == 200
        assert (await socket.request("http-questions", "list"))["data"] == []
        reply = await socket.request("http-questions", "create", data={}, request_id="c")
        task = reply["data"]["id"]
        assert (reply["response_status"], reply["data"]["state"]) == (202, "PENDING")
        while (last := await socket.receive())["payload"]["response_status"] == 202:
            pass
        assert last == succeeded("http-questions", "create", "c", task, "made")
        reply = await socket.request("http-questions", "async_state", data={})
        assert (reply["response_status"], reply["errors"]) == (400, ["Invalid Action"])
