"""What the wire tests of live have in common."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from tests.client import SocketClient


async def subscribe(client: SocketClient, stream: str, action: str = "*", **frame) -> None:
    """Subscribe, and see that the reply is what the contract says."""
    reply = await client.request(stream, "subscribe", data={"action": action}, **frame)
    assert reply == {
        "action": "subscribe",
        "errors": [],
        "data": {"action": action},
        "response_status": 200,
        "request_id": reply["request_id"],
    }


@contextlib.asynccontextmanager
async def subscriber(url: str, stream: str, headers=None, **frame) -> AsyncIterator[SocketClient]:
    """A client that is subscribed to one stream."""
    async with SocketClient(url, headers=headers) as client:
        await subscribe(client, stream, **frame)
        yield client


async def do(client: SocketClient, action: str, data=None, stream: str = "live-write"):
    """Run an action in the server's process; its data."""
    reply = await client.request(stream, action, data=data)
    assert reply["response_status"] == 200, reply
    return reply["data"]


def event(stream: str, action: str, pk, data=None, model: str = "app.question") -> dict:
    """An event, as a whole frame."""
    return {
        "stream": stream,
        "payload": {"action": action, "pk": pk, "data": data, "model": model},
    }


def question(pk: int, text: str = "a", *, votes=0, published=True, owner=None) -> dict:
    """A question, as its serializer shows it."""
    return {
        "id": pk,
        "question_text": text,
        "votes": votes,
        "published": published,
        "owner": owner,
    }


async def until(condition, seconds: float = 20):
    """Wait for an awaitable condition to be true; what it gave last is in the failure."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not (found := await condition()):
        assert loop.time() < deadline, f"it did not happen: {found}"
        await asyncio.sleep(0.02)
