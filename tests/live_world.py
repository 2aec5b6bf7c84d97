"""A world for the live core without I/O: a table, readers of it, sinks, a loop without a clock."""

import asyncio
import functools
import json
import selectors
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from random import Random
from typing import Any

from rest_framework.exceptions import NotFound

from channels_api.live import audience, flusher, resets, rights, view
from channels_api.live.hub import Hub
from channels_api.live.log import Change, Hint, Topic
from channels_api.live.memory_log import MemoryLog
from channels_api.live.reader import Rows, Visible
from channels_api.live.subscription import Subscription

TOPIC = Topic("app.row", "default")


class JumpingSelector(selectors.SelectSelector):
    """Where a loop would wait for its next timer, the time goes there at once."""

    now = 0.0

    def select(self, timeout=None):
        if timeout:
            self.now += timeout
        return super().select(0)


class ClocklessLoop(asyncio.SelectorEventLoop):
    """An event loop in which sleeping takes no time and happens in the right order."""

    def __init__(self) -> None:
        self.clock = JumpingSelector()
        super().__init__(self.clock)

    def time(self) -> float:
        return self.clock.now


def clockless(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test in a loop of its own without a clock."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        loop = ClocklessLoop()
        try:
            loop.run_until_complete(test(*args, **kwargs))
            loop.run_until_complete(end_all_tasks())
        finally:
            loop.close()

    return run


async def end_all_tasks() -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


async def settle() -> None:
    """Let everything happen that will, retries included."""
    await asyncio.sleep(100)


@dataclass
class Row:
    """`owner` is who sees it (None: everybody); `version` tells states apart."""

    version: int = 0
    owner: str | None = None


@dataclass
class Table:
    """The rows that are committed, and a list of who was ever allowed to see which."""

    rows: dict[int, Row] = field(default_factory=dict)
    ever_visible: set[tuple[str | None, int]] = field(default_factory=set)
    #: Whether the serializer asks who the user is, and whether it has been noticed.
    asks: bool = False
    noticed: bool = False
    #: Rows that can't be made into text, and why: "fails", or "large".
    broken: dict[int, str] = field(default_factory=dict)
    #: The rows before the last commit.
    before: dict[int, Row] = field(default_factory=dict)

    def begin(self) -> None:
        """A commit is about to come."""
        self.before = dict(self.rows)

    def sees(self, user: str | None, pk: int) -> bool:
        row = self.rows.get(pk)
        return row is not None and row.owner in (None, user)

    def visible(self, user: str | None) -> dict[int, int]:
        """The version of each row that a user may see."""
        return {pk: row.version for pk, row in self.rows.items() if self.sees(user, pk)}

    def put(self, pk: int, row: Row | None, users: tuple[str | None, ...] = ()) -> str:
        """Change a row (None: delete it); the operation that this was."""
        created = pk not in self.rows
        if row is None:
            del self.rows[pk]
            return "delete"
        self.rows[pk] = row
        self.ever_visible |= {(user, pk) for user in users if self.sees(user, pk)}
        return "create" if created else "update"


class TableReader:
    """A reader of a table, as `BindingReader` is one of a database.

    `user` sees the rows of nobody and those of their own, `even` of them only those whose version
    is even: a filter. `shared`: it is believed that all users see the same, until the table's
    serializer asks.
    """

    stream = "rows"
    topic = TOPIC
    user_topic = None
    is_over = False
    user_pk = None

    def __init__(
        self,
        table: Table,
        user: str | None = None,
        *,
        restricted: bool = False,
        shared=False,
        even=False,
    ) -> None:
        self.even = even
        self.table, self.user, self.restricted, self.shared = table, user, restricted, shared
        self.reads: list[set[int | str]] = []
        self.failures = 0
        self.owner = object()

    @property
    def is_shared(self) -> bool:
        return self.shared and not self.table.noticed

    @property
    def key(self):
        user = None if self.shared and not self.table.noticed else self.user
        return (self.restricted, self.even, user)

    def visible_rows(self) -> dict[int, int]:
        """The version of each row that may be seen."""
        visible = self.table.visible(self.user)
        return {pk: each for pk, each in visible.items() if not self.even or each % 2 == 0}

    def read(self, pks) -> Rows:
        self.reads.append(set(pks))
        if self.failures:
            self.failures -= 1
            raise OSError("the database is away")
        if self.shared and self.table.asks and not self.table.noticed:
            self.table.noticed = True
            return Rows({}, personal=True)
        shown_to = self.user if self.table.asks or not self.shared else None
        versions = self.visible_rows()
        found = [pk for pk in pks if pk in versions]
        return Rows(
            {
                pk: json.dumps({"pk": pk, "version": versions[pk], "shown_to": shown_to})
                for pk in found
                if pk not in self.table.broken
            },
            failed={pk for pk in found if pk in self.table.broken},
            large={pk for pk in found if self.table.broken.get(pk) == "large"},
        )

    def snapshot(self, limit: int) -> Rows:
        pks = list(self.visible_rows())
        if len(pks) > limit:
            return Rows({}, complete=False)
        return self.read(pks)

    def renew(self) -> bool:
        return True

    def visible_among(self, pks) -> set[int | str]:
        return {pk for pk in self.visible_rows() if pk in pks}

    def visible(self, limit: int) -> Visible:
        pks = sorted(self.visible_rows(), reverse=True)
        return Visible(set(pks[:limit]), complete=len(pks) <= limit)

    def find(self, pk) -> int:
        if pk not in self.visible_rows():
            raise NotFound
        return pk


class Inbox:
    """A sink that has room or not, as a test wants it."""

    def __init__(self) -> None:
        self.has_room = True
        self.given_up = False
        self.events: list[dict[str, Any]] = []

    def push(self, *parts: str, size: int | None = None) -> None:
        text = "".join(parts)
        assert size in (None, len(text.encode()))
        frame = json.loads(text)
        assert frame["stream"] == "rows"
        self.events.append(frame["payload"])

    def too_slow(self) -> None:
        self.given_up = True

    def told(self) -> list[tuple[str, int]]:
        """Action and pk of each event so far; the next call starts after them."""
        events, self.events = self.events, []
        return [(event["action"], event["pk"]) for event in events]


class Reads:
    """Runs what would run in a thread: at once, or when a test says so."""

    def __init__(self) -> None:
        self.parked: list[tuple[asyncio.Future[Any], Callable[[], Any]]] = []
        self.parking = False
        #: What has been read and did not come back yet.
        self.results: list[tuple[asyncio.Future[Any], Any, Exception | None]] = []

    async def run(self, function, *args, owner):
        if not self.parking:
            await asyncio.sleep(0)
            return function(*args)
        future = asyncio.get_running_loop().create_future()
        self.parked.append((future, functools.partial(function, *args)))
        return await future

    def begin_one(self, rand: Random) -> None:
        """A read, if there is any, sees the rows as they are now."""
        if not self.parked:
            return
        future, function = self.parked.pop(rand.randrange(len(self.parked)))
        try:
            result, error = function(), None
        except (OSError, NotFound) as exc:
            result, error = None, exc
        self.results.append((future, result, error))

    def end_one(self, rand: Random) -> None:
        """What a read has seen comes back."""
        if not self.results:
            return
        hand_over(*self.results.pop(rand.randrange(len(self.results))))


def hand_over(future: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    """Let a read end for whoever still waits for it."""
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


def run_reads_in(patch, reads: Reads) -> None:
    """Have everything that live would run in a thread run in `reads`."""
    for module in (audience, flusher, resets, rights, view):
        patch.setattr(module, "run_in_thread", reads.run)


class World:
    """A log, a table and a hub; rings can be given by hand."""

    def __init__(self) -> None:
        self.table = Table()
        self.log = MemoryLog()
        self.hub = Hub(asyncio.get_running_loop())

    @property
    def topics(self) -> dict:
        """What the hub knows: empty when nobody needs it."""
        return self.hub._topics  # noqa: SLF001

    def append(self, pk: int, operation: str) -> Hint:
        return self.log.append(TOPIC, [Change(pk, operation)])[0]

    def commit(self, pk: int, row: Row | None) -> None:
        """Change a row, log it and ring."""
        self.hub.hear([self.append(pk, self.table.put(pk, row))])

    async def subscribe(
        self, reader: TableReader, action: str = "*", pk: int | None = None, *, opened: bool = True
    ) -> tuple[Subscription, Inbox]:
        """A subscription with an inbox, as `Subscriptions.add` makes one."""
        inbox = Inbox()
        subscription = Subscription(reader, action, inbox)
        await self.hub.hold(reader)
        subscription.audience = self.hub.audience(reader)
        try:
            await subscription.audience.enter(subscription, pk)
        except BaseException:
            self.hub.release(reader)
            raise
        if opened:
            subscription.open()
        return subscription, inbox

    def leave(self, subscription: Subscription) -> None:
        """The end of a subscription."""
        subscription.close()
        subscription.audience.remove(subscription)
        self.hub.release(subscription.reader)
