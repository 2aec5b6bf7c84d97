"""The client in JavaScript, driven by Node: js/client_*.test.mjs."""

import pytest

from tests.browser.node_tools import HERE

FOLDER = HERE / "js"
#: Many rows in a list, a log that is soon too short, and pings that come soon.
SETTINGS = {"DEFAULT_PAGE_SIZE": 5000, "HISTORY_SIZE": 200, "PING_INTERVAL": 1}


@pytest.fixture(params=[("embedded", "daphne"), ("redis-threads", "uvicorn")], ids="-".join)
def stack(request, stacks):
    name, kind = request.param
    return stacks.get(name, kind=kind, channels_api=SETTINGS)


def run_tests(node, *names: str, **env: str) -> None:
    files = [FOLDER / f"client_{name}.test.mjs" for name in names]
    done = node.run_node("--test", *files, env=env)
    assert done.returncode == 0, done.stdout + done.stderr


def test_against_a_server(node, stack):
    gates = stack.gate().parent
    run_tests(
        node,
        *("requests", "replica", "tasks", "stall"),
        CLIENT_SERVER=stack.url,
        CLIENT_SERVER_PID=str(stack.server.pid),
        CLIENT_GATES=str(gates),
    )


def test_against_what_a_server_does_not_do(node):
    run_tests(node, "sockets", "frames")
