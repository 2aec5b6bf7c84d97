"""Tasks over HTTP where the server is WSGI: Django's own runserver."""

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from tests.http_helpers import begin, ended_body, http, result_address, state_body, until
from tests.servers import AppServer

pytestmark = pytest.mark.django_db(transaction=True)


class WsgiServer(AppServer):
    def command(self):
        address = f"127.0.0.1:{self.port}"
        return [sys.executable, "-m", "django", "runserver", "--noreload", address]


@pytest.fixture(scope="module")
def wsgi(all_stacks, django_db_setup):
    """Beside an ASGI server, with the same worker."""
    stack = all_stacks.get("redis-prefork", kind="uvicorn")
    server = WsgiServer(env=stack.server.env)
    all_stacks.start(server)
    yield server, stack
    server.close()


def test_a_task_is_begun_polled_and_cancelled(wsgi, transactional_db):
    server, stack = wsgi
    gate = stack.gate()
    with http(server) as client:
        address = begin(client, "double", 4, gate)
        until(lambda: client.get(address).json() == state_body(address, "STARTED"))
        gate.touch()
        until(lambda: client.get(address).status_code == 303)
        response = client.get(address, follow_redirects=True)
        assert (response.status_code, response.json()) == (200, {"result": 8})
        address = begin(client, "tick", stack.gate())
        response = client.delete(address)
        assert (response.status_code, response.json()) == (410, state_body(address, "REVOKED"))


def test_requests_wait_side_by_side_and_leave_nothing_behind(wsgi, transactional_db):
    """Each has an event loop of its own, and Redis' layer is heard in one only."""
    server, stack = wsgi
    gate = stack.gate()
    layer = redis.Redis.from_url(stack.redis.url)
    with http(server) as client, ThreadPoolExecutor(4) as threads:
        before = set(layer.keys("*channels_api.task.*"))
        address = begin(client, "double", 4, gate)
        wait = {"headers": {"Prefer": "wait=20"}}
        waiting = [threads.submit(client.get, address, **wait) for _ in range(4)]
        until(lambda: set(layer.keys("*channels_api.task.*")) - before)
        # One that waits in vain, while the others go on.
        response = client.get(address, headers={"Prefer": "wait=1"})
        assert (response.status_code, response.json()) == (200, state_body(address, "STARTED"))
        assert not any(each.done() for each in waiting)
        # Another server is told of the same task.
        with http(stack) as other:
            waiting.append(threads.submit(other.get, address, **wait))
            gate.touch()
            for each in waiting:
                response = each.result()
                ended = ended_body(address, "SUCCESS")
                assert (response.status_code, response.json()) == (303, ended)
                assert response.headers["Location"] == result_address(address)
        until(lambda: not set(layer.keys("*channels_api.task.*")) - before)
    layer.close()
    for complaint in ("Traceback", "was destroyed", "never awaited", "never retrieved"):
        assert complaint not in server.log
