"""What the tests of cancelling have in common: tasks that leave traces, and both doors."""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import httpx

from tests.client import PATIENCE, SocketClient
from tests.tasks_helpers import follow, revoked
from tests.tasks_stacks import Stack


class Files:
    """Names of files that are not there yet: gates, and what tasks write down."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._made: list[Path] = []

    def __call__(self) -> Path:
        self._made.append(self._directory / str(len(self._made)))
        return self._made[-1]

    def touch_all(self) -> None:
        for path in self._made:
            path.touch()


async def until(condition: Callable[[], object], *, seconds: float = PATIENCE) -> None:
    """Wait until something holds that no frame tells of."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        await asyncio.sleep(0.01)


def ran(path: Path) -> list[int]:
    """The process ids of the runs that a task has written down."""
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def has_begun(path: Path) -> None:
    await until(lambda: ran(path))


async def start(client: SocketClient, task: str, *args: object, **options: object) -> str:
    """Start a task; its id."""
    data = {"task": task, "args": plain(args), "options": options}
    return accepted(await client.request("cancel", "start", data=data))


async def compose(client: SocketClient, kind: str, *args: object) -> str:
    """Start several at once; the id for them all."""
    data = {"kind": kind, "args": plain(args)}
    reply = await client.request("cancel", "compose", data=data)
    return accepted(reply, action="compose")


def plain(args: Iterable[object]) -> list:
    """Paths as text, in lists too; anything else as it is."""
    return [
        plain(arg) if isinstance(arg, list) else str(arg) if isinstance(arg, Path) else arg
        for arg in args
    ]


def accepted(reply: dict, action: str = "start") -> str:
    task = reply["data"]["id"]
    assert reply == {
        "action": action,
        "errors": [],
        "data": {"id": task, "state": "PENDING"},
        "response_status": 202,
        "request_id": reply["request_id"],
    }
    return task


async def cancel(stack: Stack, task: str, door: str = "tasks") -> None:
    """Cancel a task, by another socket (`door` is the stream) or over HTTP; told 410."""
    status, body = await answer_to_cancel(stack, task, door)
    if door == "http":
        address = f"/jobs/double/state/{task}/"
        expected: dict = {"id": task, "resource_uri": address, "state": "REVOKED"}
    else:
        expected = revoked(door, "delete", "request-1", task)["payload"]
    assert (status, body) == (410, expected)


async def refuse_to_cancel(stack: Stack, task: str, door: str = "tasks") -> None:
    """Try to cancel what has finished; told 400."""
    status, body = await answer_to_cancel(stack, task, door)
    expected: dict = {"detail": "The task has finished."}
    if door != "http":
        expected = {
            "action": "delete",
            "errors": ["The task has finished."],
            "data": None,
            "response_status": 400,
            "request_id": "request-1",
        }
    assert (status, body) == (400, expected)


async def answer_to_cancel(stack: Stack, task: str, door: str) -> tuple[int, dict]:
    if door == "http":
        async with httpx.AsyncClient(
            base_url=stack.server.http_url, timeout=PATIENCE, trust_env=False
        ) as http:
            response = await http.delete(f"jobs/double/state/{task}/")
            return response.status_code, response.json()
    async with SocketClient(stack.url) as other:
        reply = await other.request(door, "delete", pk=task)
        return reply["response_status"], reply


async def told_revoked(client: SocketClient, task: str, action: str = "start") -> None:
    """Whoever began the task is told that it is gone, and nothing after that."""
    [*others, last] = await follow(client)
    request_id = last["payload"]["request_id"]
    assert last == revoked("cancel", action, request_id, task)
    states = [frame["payload"]["data"]["state"] for frame in others]
    assert set(states) <= {"PENDING", "STARTED", "PROGRESS", "RETRY"}
    assert await client.barrier("tasks", "nothing") == []


async def stored(stack: Stack, task: str) -> str:
    """The state that somebody who comes now is told."""
    async with SocketClient(stack.url) as other:
        reply = await other.request("tasks", "retrieve", pk=task)
        return reply["data"]["state"]


async def worker_is_through(client: SocketClient, path: Path) -> None:
    """What was queued before has been begun, and done if it is short: a later task is done."""
    task = await start(client, "touch", path)
    last = (await follow(client))[-1]
    assert last["payload"]["data"] == {"id": task, "state": "SUCCESS", "result": "done"}


async def pool_is_free(stack: Stack, new_file: Files) -> None:
    """Nothing runs any more: there is room for two, or for the one of the solo pool."""
    size = 1 if stack.worker is not None and stack.worker.pool == "solo" else 2
    paths, gate = [new_file() for _ in range(size)], new_file()
    async with contextlib.AsyncExitStack() as sockets:
        clients = [await sockets.enter_async_context(SocketClient(stack.url)) for _ in paths]
        for client, path in zip(clients, paths, strict=True):
            await start(client, "touch", path, gate)
        for path in paths:
            await has_begun(path)
        gate.touch()
        for client in clients:
            assert (await follow(client))[-1]["payload"]["response_status"] == 200
