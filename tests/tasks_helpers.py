"""Frames about tasks, as the tests expect them."""

from typing import Any

from tests.client import PATIENCE


def frame(
    stream: str, action: str, request_id: Any, status: int, data: dict, errors: list | None = None
) -> dict:
    payload = {
        "action": action,
        "errors": errors or [],
        "data": data,
        "response_status": status,
        "request_id": request_id,
    }
    return {"stream": stream, "payload": payload}


def started(stream: str, action: str, request_id: Any, task: str) -> dict:
    return frame(stream, action, request_id, 202, {"id": task, "state": "STARTED"})


def progress(stream: str, action: str, request_id: Any, task: str, meta: dict) -> dict:
    data = {"id": task, "state": "PROGRESS", "meta": meta}
    return frame(stream, action, request_id, 202, data)


def succeeded(stream: str, action: str, request_id: Any, task: str, result: Any) -> dict:
    data = {"id": task, "state": "SUCCESS", "result": result}
    return frame(stream, action, request_id, 200, data)


def failed(stream: str, action: str, request_id: Any, task: str, errors: list) -> dict:
    return frame(stream, action, request_id, 500, {"id": task, "state": "FAILURE"}, errors)


def revoked(stream: str, action: str, request_id: Any, task: str) -> dict:
    return frame(stream, action, request_id, 410, {"id": task, "state": "REVOKED"})


async def follow(client) -> list[dict]:
    """The frames of a socket up to the first that says how a task ended."""
    frames = [await client.receive(timeout=PATIENCE)]
    while frames[-1]["payload"]["response_status"] == 202:
        frames.append(await client.receive(timeout=PATIENCE))
    return frames
