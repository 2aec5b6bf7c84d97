"""Tasks over HTTP, for the tests that need no worker and for those that do."""

import time
from collections.abc import Callable
from typing import Any

import httpx
from django.contrib.auth.models import User
from django.core.signing import Signer

from channels_api.background.references import SALT
from tests.app.celery_app import app
from tests.client import PATIENCE, login_headers
from tests.servers import AppServer
from tests.tasks_stacks import Stack

#: DRF compares the two itself; any 32 letters will do.
CSRF = "c" * 32


def store(body: dict, result: Any = None, state: str = "SUCCESS") -> str:
    """Do what a worker does at last, for the task that an answer of 202 is about; its id."""
    task_id = Signer(salt=SALT).unsign_object(body["id"])[0]
    app.backend.store_result(task_id, result, state)
    return task_id


def state_body(address: str, state: str, **more: Any) -> dict:
    """The body about a task, by the address of its state."""
    signed = address.rstrip("/").rsplit("/", 1)[1]
    return {"id": signed, "resource_uri": address, "state": state, **more}


def result_address(address: str) -> str:
    """Of the task whose state has this address."""
    return address.replace("/state/", "/result/")


def ended_body(address: str, state: str) -> dict:
    return state_body(address, state, result_uri=result_address(address))


def http(stack: Stack | AppServer, **options: Any) -> httpx.Client:
    """A client of a server, or of a stack's; it asks no proxy of the person who runs the tests."""
    server = stack.server if isinstance(stack, Stack) else stack
    return httpx.Client(base_url=server.http_url, timeout=PATIENCE, trust_env=False, **options)


def log_in(username: str = "anne") -> tuple[dict, dict]:
    """A user's browser: options for `http`, and the headers of its sockets."""
    headers = login_headers(User.objects.create_user(username), csrftoken=CSRF)
    cookies = dict(pair.split("=") for pair in headers["Cookie"].split("; "))
    return {"cookies": cookies, "headers": {"X-CSRFToken": CSRF}}, headers


def begin(client: httpx.Client, task: str, *args: Any, headers: dict | None = None) -> str:
    """Begin a task of tests/app/tasks.py; the address of its state."""
    data = {"task": task, "args": [str(arg) if hasattr(arg, "touch") else arg for arg in args]}
    response = client.post("/jobs/double/", json=data, headers=headers)
    assert response.status_code == 202, response.text
    return response.headers["Location"]


def until(condition: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """What a condition gives once it is true of something."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)
    return found
