"""What the tests of frames over the wire share."""

import json
from typing import Any

from tests.client import SocketClient
from tests.frames_cases import frame

KINDS = ["daphne", "uvicorn"]


def ws(server, **options: Any) -> SocketClient:
    return SocketClient(server.url + "ws/", **options)


def reply(data: Any, request_id: Any = 7, action: str = "echo") -> dict:
    """The whole frame that answers `frame()`."""
    payload = {
        "action": action,
        "errors": [],
        "data": data,
        "response_status": 200,
        "request_id": request_id,
    }
    return {"stream": "frames", "payload": payload}


async def ask(client: SocketClient, message: str | bytes) -> Any:
    """The one frame that answers a message."""
    await client.send_raw(message)
    return await client.receive(timeout=20)


async def assert_answers(client: SocketClient) -> None:
    """The socket is still good for a request, and nothing else was waiting in it."""
    assert await ask(client, frame(data='"still here"', request_id='"after"')) == reply(
        "still here", "after"
    )


def padded(size: int, character: str = "x") -> str:
    """A request of so many bytes, filled up with a character."""
    room = size - len(frame(data='""'))
    width = len(character.encode())
    text = frame(
        data=json.dumps("y" * (room % width) + character * (room // width), ensure_ascii=False)
    )
    assert len(text.encode()) == size
    return text
