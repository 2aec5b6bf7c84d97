"""What the wire tests of live have in common."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from tests.app.models import Question
from tests.client import ABSENT, SocketClient
from tests.replica import Replica


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


# with state

# CHANNELS_API of a server on which little is much.
SMALL = {"HISTORY_SIZE": 5, "SNAPSHOT_ROWS": 8, "MAX_REPLY_BYTES": 4096}


async def keep(
    client: SocketClient, stream: str, replica: Replica | None = None, *, pk=ABSENT, **data
) -> Replica:
    """Subscribe with state: for a snapshot, or with `data`. A replica that is given goes on."""
    asked = data or {"snapshot": True}
    payload = await client.request(stream, "subscribe", pk=pk, data={"action": "*", **asked})
    assert payload["response_status"] == 200, payload
    kept = replica or Replica()
    kept.reply(payload)
    return kept


async def go_on(client: SocketClient, stream: str, replica: Replica, **data) -> bool:
    """Subscribe from where a replica has come to; whether it could go on."""
    await keep(client, stream, replica, **{**replica.resume_data(), **data})
    return replica.recovered


async def hear(client: SocketClient, replica: Replica, count: int = 1) -> list[dict]:
    """Let a replica take the next frames, all of which have to be its own; their payloads."""
    payloads = []
    for _ in range(count):
        frame = await client.receive()
        replica.event(frame["payload"])
        payloads.append(frame["payload"])
    return payloads


async def follow(client: SocketClient, replica: Replica, rows: dict) -> list[dict]:
    """Let a replica take frames until it is equal to these rows, and see that it stays so.

    A change may be told again: what was read for the one before it was newer already.
    """
    return await follow_all(client, (replica, rows))


async def follow_all(client: SocketClient, *wanted: tuple[Replica, dict]) -> list[dict]:
    """`follow` for all replicas of a socket."""
    payloads: list[dict] = []

    def take(frame: dict) -> None:
        (replica,) = [each for each, _ in wanted if each.has(frame["payload"])]
        replica.event(frame["payload"])
        payloads.append(frame["payload"])

    while any(replica.rows != rows for replica, rows in wanted):
        take(await client.receive())
    for frame in await client.barrier("live", timeout=20):
        take(frame)
    for replica, rows in wanted:
        assert replica.rows == rows
    return payloads


async def questions(**filters) -> dict[int, dict]:
    """The questions of the table by pk, as their serializer shows them."""
    found = Question.objects.order_by("pk").filter(**filters)
    return {
        each.pk: question(
            each.pk,
            each.question_text,
            votes=each.votes,
            published=each.published,
            owner=each.owner_id,
        )
        async for each in found
    }


async def hang_up(client: SocketClient, how: str = "close") -> None:
    """Close the socket, or cut it off ("abort")."""
    if how == "abort":
        client.socket.transport.abort()
    await client.socket.close()


async def left_with(url: str, stream: str, ending: str = "close", **data) -> Replica:
    """What a client kept that has left by now."""
    async with SocketClient(url) as client:
        replica = await keep(client, stream, **data)
        await hang_up(client, ending)
    return replica


async def nobody_is_subscribed(url: str) -> None:
    """Back when the server holds nothing for any subscription."""
    async with SocketClient(url) as probe:

        async def empty() -> bool:
            found = await do(probe, "look", stream="live-state")
            return (found["topics"], found["audiences"]) == (0, 0)

        await until(empty)
