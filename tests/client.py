"""A client for the tests: what it sends is up to the test, what it receives has to be perfect."""

import asyncio
import itertools
import json
import math
from typing import Any, NoReturn
from urllib.parse import urlsplit

import websockets
from django.test import Client

#: Seconds until a test that fails gives up; none is waited for in one that passes.
PATIENCE = 20
#: The same for one frame: less than the 8 s between two heartbeats, so that an event was rung for.
FRAME_PATIENCE = 7
#: Tells "not given" from None, which is a value that a frame may carry.
ABSENT: Any = object()


class SocketClient:
    """One WebSocket: `async with SocketClient(server.url) as client`.

    It names the server's own origin, as the browser of a page from there does; `origin=None` names
    none. Other options go to `websockets.connect`.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: dict[str, str] | None = None,
        origin: str | None = ABSENT,
        **options: Any,
    ) -> None:
        if origin is ABSENT:
            origin = f"http://{urlsplit(url).netloc}"
        # No limit on what we take, and no proxy of the person who runs the tests.
        defaults: dict[str, Any] = {"max_size": None, "proxy": None, "open_timeout": PATIENCE}
        self._connecting = websockets.connect(
            url, additional_headers=headers, origin=origin, **{**defaults, **options}
        )
        self._request_ids = itertools.count(1)

    async def __aenter__(self) -> "SocketClient":
        self.socket = await self._connecting
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.socket.close()

    async def send(
        self, stream: Any, action: Any, *, pk=ABSENT, data=ABSENT, request_id=ABSENT
    ) -> None:
        """Send a frame with the keys that were given, and no others."""
        given = {"action": action, "pk": pk, "data": data, "request_id": request_id}
        payload = {key: value for key, value in given.items() if value is not ABSENT}
        await self.send_raw(json.dumps({"stream": stream, "payload": payload}))

    async def send_raw(self, message: str | bytes) -> None:
        """Send a text frame (str) or a binary one (bytes) as it is."""
        await self.socket.send(message)

    async def receive(self, *, timeout: float = FRAME_PATIENCE) -> Any:
        """The next frame, parsed. The socket's end is an error: `websockets.ConnectionClosed`."""
        return parse_strictly(await asyncio.wait_for(self.socket.recv(), timeout))

    async def request(
        self,
        stream: str,
        action: str,
        *,
        events: list | None = None,
        timeout: float = PATIENCE,
        **frame,
    ) -> Any:
        """Send a frame with a fresh `request_id` and return the payload of its reply.

        Frames that come before the reply go into `events`; without such a list they are an error.
        """
        frame.setdefault("request_id", f"request-{next(self._request_ids)}")
        await self.send(stream, action, **frame)
        reply = await self.receive(timeout=timeout)
        while events is not None and not is_reply(reply, frame["request_id"]):
            events.append(reply)
            reply = await self.receive(timeout=timeout)
        assert is_reply(reply, frame["request_id"]), f"expected a reply, received {reply}"
        assert reply["stream"] == stream
        return reply["payload"]

    async def barrier(
        self, stream: str, action: str = "list", *, timeout: float = PATIENCE
    ) -> list:
        """The frames that come before the reply to one more request.

        Proves without a sleep that something did not arrive: the server had the time to answer.
        """
        frames: list = []
        await self.request(stream, action, events=frames, timeout=timeout)
        return frames

    async def until_closed(self, *, timeout: float = PATIENCE) -> tuple[list, int]:
        """The frames until the server closes the socket, and its close code."""
        frames = []
        try:
            while True:
                frames.append(await self.receive(timeout=timeout))
        except websockets.ConnectionClosed:
            return frames, self.socket.close_code


def login_headers(user, **cookies: str) -> dict[str, str]:
    """The headers of a browser in which this user has logged in; the session is in the database."""
    browser = Client()
    browser.force_login(user)
    cookies |= {name: morsel.value for name, morsel in browser.cookies.items()}
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}


def is_reply(frame: Any, request_id: Any) -> bool:
    """Events have no `request_id`; a reply always has it."""
    payload = frame["payload"]
    return "request_id" in payload and payload["request_id"] == request_id


def parse_strictly(message: str | bytes) -> Any:
    """JSON as the standard has it, where Python's own parser takes NaN, 1e999 and a key twice."""
    assert isinstance(message, str), f"a binary frame: {message!r}"
    return json.loads(
        message, parse_constant=refuse, parse_float=finite, object_pairs_hook=unique_keys
    )


def refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits} is no number that a browser can hold")
    return number


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(f"a key stands twice among {[key for key, _ in pairs]}")
    return found
