"""Sockets without a server: real connections, bindings, hub and database, one step at a time.

What would run in a thread waits until a test says so, so that each interleaving can be had, and
had again. Nothing else stands in for anything.
"""

import asyncio
import json
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.db import connection
from rest_framework.test import APIRequestFactory, force_authenticate

from channels_api import threads
from channels_api.connection import Connection
from channels_api.viewsets import binding_from_viewset
from tests.app.streams.notes import CONSUMERS, VIEWS
from tests.live_world import ClocklessLoop, end_all_tasks

#: Seconds after which it is looked at again who may see what.
REVALIDATE = 60
CHANNELS_API = {
    "REVALIDATE": REVALIDATE,
    # Time goes by in jumps here.
    **dict.fromkeys(("FRAME_RATE", "SEND_TIMEOUT", "ACTION_TIMEOUT", "PING_INTERVAL")),
}
STREAMS = {
    name: each if hasattr(each, "available_actions") else binding_from_viewset(each)
    for name, each in CONSUMERS.items()
}


class ManualPool:
    """A thread pool whose calls begin and end when they are told to, each owner's in their order.

    They run where no event loop does, as Django wants it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.waiting: dict[Hashable, deque[Any]] = {}
        self.results: dict[Hashable, deque[tuple[Any, ...]]] = {}

    def start(self, owner: Hashable, job: Any) -> None:
        self.waiting.setdefault(owner, deque()).append(job)

    @property
    def is_idle(self) -> bool:
        return not self.waiting and not self.results

    def next_calls(self) -> dict[Hashable, Any]:
        """What would begin next, of each owner."""
        return {owner: calls[0] for owner, calls in self.waiting.items()}

    def begin(self, which: int = 0) -> None:
        """Run a call of one of the owners; nobody hears of it yet."""
        if self.waiting:
            self.begin_for(list(self.waiting)[which % len(self.waiting)])

    def begin_for(self, owner: Hashable) -> None:
        """Run an owner's next call."""
        job = _next(self.waiting, owner)
        if job.run(lambda *call: self.results.setdefault(owner, deque()).append(call)):
            self.start(owner, job)

    def end(self, which: int = 0) -> None:
        """Hand one of the results over."""
        if self.results:
            owner = list(self.results)[which % len(self.results)]
            self._loop.call_soon(*_next(self.results, owner))


def _next(queues: dict[Hashable, deque[Any]], owner: Hashable) -> Any:
    item = queues[owner].popleft()
    if not queues[owner]:
        del queues[owner]
    return item


@contextmanager
def queries() -> Iterator[list[str]]:
    """The SQL that was run inside; notes and users only, no savepoints and pragmas."""
    seen: list[str] = []

    def see(execute, sql, params, many, context):
        if sql.startswith("SELECT"):
            seen.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(see):
        yield seen


class Site:
    """An event loop with its hub, and a pool; `close` it."""

    def __init__(self, patch: Any) -> None:
        self.loop = ClocklessLoop()
        self.pool = ManualPool(self.loop)
        patch.setattr(threads, "get_pool", lambda size: self.pool)
        self.sockets: list[Socket] = []

    def run(self, coroutine: Any) -> Any:
        return self.loop.run_until_complete(coroutine)

    def tick(self) -> None:
        """Let the loop do what it can."""
        self.run(_turns(20))

    def begin(self, which: int = 0) -> None:
        self.pool.begin(which)
        self.tick()

    def end(self, which: int = 0) -> None:
        self.pool.end(which)
        self.tick()

    def drain(self) -> None:
        """Run all calls, and those that come of them, in order. No time goes by."""
        self.tick()
        while not self.pool.is_idle:
            while self.pool.waiting:
                self.pool.begin()
            while self.pool.results:
                self.pool.end()
            self.tick()

    def pass_time(self, seconds: float = REVALIDATE + 1) -> None:
        self.run(asyncio.sleep(seconds))
        self.drain()

    def settle(self) -> None:
        """Let everything happen that is to happen, with a look at what may be seen at its end."""
        self.drain()
        self.pass_time()

    def close(self) -> None:
        for socket in list(self.sockets):
            socket.hang_up()
        self.run(end_all_tasks())
        self.loop.close()


async def _turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


class Socket:
    """A socket of a user (None: of nobody); `hear` is called with each frame as it is sent."""

    def __init__(
        self,
        site: Site,
        user: User | None,
        hear: Callable[[dict[str, Any]], None] = lambda frame: None,
    ) -> None:
        self.site, self.hear = site, hear
        self.frames: list[dict[str, Any]] = []
        self.door: asyncio.Event | None = None
        self.next_id = 1
        cookie = f"sessionid={user.pk}" if user else "none=1"
        scope = {
            "type": "websocket",
            "path": "/ws/",
            "query_string": b"",
            "headers": [(b"host", b"testserver"), (b"cookie", cookie.encode())],
            "user": (active_user(user) if user else None) or AnonymousUser(),
        }
        self.connection: Connection = site.run(self._connect(scope))
        site.sockets.append(self)

    async def _connect(self, scope: Any) -> Connection:
        return Connection(scope, STREAMS, self._send)

    async def _send(self, message: dict[str, Any]) -> None:
        if self.door is not None:
            await self.door.wait()
        assert message["type"] == "websocket.send", f"the socket was closed: {message}"
        frame = json.loads(message["text"])
        self.frames.append(frame)
        self.hear(frame)

    def send(self, stream: str, action: str, data: Any = None, pk: Any = None) -> int:
        """Send a frame; its request_id."""
        request_id, self.next_id = self.next_id, self.next_id + 1
        payload = {"action": action, "data": data, "pk": pk, "request_id": request_id}
        text = json.dumps({"stream": stream, "payload": payload})
        self.site.run(self._receive(text))
        self.site.tick()
        return request_id

    async def _receive(self, text: str) -> None:
        self.connection.receive(text)

    def request(self, stream: str, action: str, data: Any = None, pk: Any = None) -> dict[str, Any]:
        """Send a frame and let all calls run; the payload of its reply."""
        request_id = self.send(stream, action, data, pk)
        self.site.drain()
        return next(
            frame["payload"]
            for frame in self.frames
            if "response_status" in frame["payload"]
            and frame["payload"]["request_id"] == request_id
        )

    def take(self) -> list[dict[str, Any]]:
        """The payloads of the events since the last call."""
        frames, self.frames = self.frames, []
        return [each["payload"] for each in frames if "response_status" not in each["payload"]]

    def stop_reading(self) -> None:
        if self.door is None:
            self.door = asyncio.Event()

    def read_on(self) -> None:
        if self.door is not None:
            self.site.loop.call_soon(self.door.set)
            self.door = None
            self.site.tick()

    def hang_up(self) -> None:
        self.site.sockets.remove(self)
        self.site.run(self.connection.end())
        self.site.tick()


def active_user(user: User) -> User | None:
    """A user as a middleware loads them."""
    return User.objects.filter(pk=user.pk, is_active=True).first()


_factory = APIRequestFactory()

Rows = dict[Any, dict[str, Any]]


def rest(
    stream: str,
    user: User | None,
    filters: Mapping[str, Any] | None = None,
    row: int | None = None,
) -> Rows:
    """What a user is shown over REST at this moment: a list, or a row, by pk."""
    user = active_user(user) if user else None
    if row is not None:
        return _shown(stream, user, "retrieve", {}, row)
    query = {key: json.dumps(value) for key, value in (filters or {}).items()}
    rows = _shown(stream, user, "list", query)
    if stream != "notes-permitted":
        return rows
    # DRF does not ask for object permissions in lists; what can't be retrieved is not shown.
    return {pk: each for pk, each in rows.items() if _shown(stream, user, "retrieve", {}, pk)}


def _shown(stream: str, user: User | None, action: str, query: Any, pk: int | None = None) -> Rows:
    request = _factory.get("/", query)
    if user is not None:
        force_authenticate(request, user)
    view = VIEWS[stream].as_view({"get": action})
    response = view(request) if pk is None else view(request, pk=pk)
    if response.status_code != 200:
        assert response.status_code in (401, 403, 404), response.data
        return {}
    rows = response.data if pk is None else [response.data]
    return {each["id"]: dict(each) for each in rows}
