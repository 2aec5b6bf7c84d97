"""A world for watched tasks without I/O: a store, its readers, a layer, sockets, a clock."""

import asyncio
import functools
import json
import random
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from channels_api.background import hub as hub_module
from channels_api.background.bell import Ring
from channels_api.background.references import TaskReference
from channels_api.background.states import FINAL, TaskState
from channels_api.background.watches import Watches
from channels_api.exceptions import Overloaded
from channels_api.layers import listener as listener_module

EPOCH = datetime(2026, 1, 1, tzinfo=timezone.utc)


class BrokenPromiseError(AssertionError):
    """A client was told what it must not be told, or was not told what it must."""


@dataclass(eq=False)
class Task:
    """What the store holds of a task, and what it has ever held."""

    task_id: str
    job: str
    attempt: int = 0
    state: TaskState = field(default_factory=TaskState)
    history: list[TaskState] = field(default_factory=lambda: [TaskState()])

    def put(self, state: TaskState) -> Ring:
        self.state = state
        self.history.append(state)
        return self.ring

    @property
    def ring(self) -> Ring:
        return Ring(self.job, self.task_id, self.state.name, self.attempt)


class Store:
    """`failures`: so many reads fail. `is_empty`: it has lost everything, for a while."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []
        self.failures = 0
        self.is_empty = False

    def add(self, job: str) -> Task:
        self.tasks.append(Task(f"task-{len(self.tasks)}", job))
        return self.tasks[-1]


class StoreReader:
    def __init__(self, store: Store, task: Task) -> None:
        self.store, self.task = store, task

    def hear(self, message: Ring) -> bool:
        return message.task_id == self.task.task_id

    def read(self, everything: bool) -> TaskState:
        if self.store.failures:
            self.store.failures -= 1
            raise OSError("the store is away")
        return TaskState() if self.store.is_empty else self.task.state


class Reads:
    """What would run in a thread: begun and ended when somebody says so, or at once."""

    def __init__(self) -> None:
        self.parking = False
        self.overloads = 0
        self.parked: list[tuple[asyncio.Future[Any], Any]] = []
        self.done: list[tuple[asyncio.Future[Any], Any]] = []

    async def run(self, function, *args, owner):
        if self.overloads:
            self.overloads -= 1
            raise Overloaded
        if not self.parking:
            await asyncio.sleep(0)
            return function(*args)
        future = asyncio.get_running_loop().create_future()
        self.parked.append((future, functools.partial(function, *args)))
        return await future

    def begin(self, position: int) -> None:
        """A read sees the store as it is now."""
        future, function = self.parked.pop(position)
        self.done.append((future, function()))

    def end(self, position: int) -> None:
        """What a read has seen comes back."""
        future, result = self.done.pop(position)
        if not future.done():
            future.set_result(result)

    def flush(self) -> None:
        while self.parked:
            self.begin(0)
        while self.done:
            self.end(0)


class Layer:
    """A channel layer with one listener; memberships take their time, and may fail."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.works = False
        self.members: defaultdict[str, set[str]] = defaultdict(set)
        self.queues: defaultdict[str, asyncio.Queue[dict]] = defaultdict(asyncio.Queue)
        self.channels = 0

    async def _trouble(self) -> None:
        if not self.works:
            await asyncio.sleep(self.chance.choice([0, 0, 0.1, 1, 3]))
            if self.chance.random() < 0.1:
                raise ConnectionError("the layer is away")

    async def new_channel(self) -> str:
        await self._trouble()
        self.channels += 1
        return f"channel.{self.channels}"

    async def group_add(self, group: str, channel: str) -> None:
        await self._trouble()
        self.members[group].add(channel)

    async def group_discard(self, group: str, channel: str) -> None:
        await self._trouble()
        self.members[group].discard(channel)

    async def receive(self, channel: str) -> dict:
        return await self.queues[channel].get()

    async def group_send(self, group: str, body: dict) -> None:
        await self._trouble()
        self.send(group, body)

    def send(self, group: str, body: dict) -> None:
        for channel in self.members[group]:
            self.queues[channel].put_nowait(body)


class Clock:
    """`datetime.now` by the time of the running loop."""

    @staticmethod
    def now(zone: timezone) -> datetime:
        return EPOCH + timedelta(seconds=asyncio.get_running_loop().time())


@dataclass(eq=False)
class Interest:
    """One frame's interest in a task, and what its client knows of the task by now."""

    task: Task
    reference: TaskReference
    socket: "Socket"
    subscribes: bool
    entering: asyncio.Task | None = None
    watch: Any = None
    shown: TaskState | None = None
    last: TaskState | None = None
    silent: list[str] = field(default_factory=list)
    #: The client has unsubscribed, or its socket is gone.
    closed: bool = False

    @property
    def opened(self) -> bool:
        return self.last is not None

    @property
    def is_over(self) -> bool:
        return self.last is not None and self.last.is_final

    def open(self) -> None:
        """The reply is on its way."""
        self.last = self.shown
        self.watch.open(self.shown)

    def take(self, state: TaskState, since: str | None) -> None:
        """A state comes."""
        if not self.opened:
            raise BrokenPromiseError("a state came before the reply")
        if self.closed:
            raise BrokenPromiseError("a state came to who does not watch any more")
        if self.is_over:
            raise BrokenPromiseError("a state came after the final one")
        if state not in self.task.history:
            raise BrokenPromiseError(f"{state} was never stored")
        if state.name == "PENDING" and self.last.name != "PENDING":
            raise BrokenPromiseError("back to PENDING")
        if since is None:
            self.last = state
            return
        self._check_silence(state, since)
        self.last = state

    def _check_silence(self, state: TaskState, since: str) -> None:
        now = Clock.now(timezone.utc)
        silent_for = (now - datetime.fromisoformat(since.replace("Z", "+00:00"))).total_seconds()
        if silent_for < 9.99 or state.is_final:
            raise BrokenPromiseError("silence was told of a task that is not silent")
        if since in self.silent:
            raise BrokenPromiseError("silence was told twice")
        self.silent.append(since)


class Socket:
    """A client's socket: the sink of its watches."""

    def __init__(self) -> None:
        self.has_room = True
        self.watches = Watches(self)
        self.interests: list[Interest] = []

    def push(self, text: str) -> None:
        if not self.has_room:
            raise BrokenPromiseError("a state was queued for who takes none")
        payload = json.loads(text)["payload"]
        data = payload["data"]
        state = TaskState(data["state"], meta=data.get("meta"), result=data.get("result"))
        if payload["response_status"] != FINAL.get(state.name, 202):
            raise BrokenPromiseError("a status that does not fit")
        self.interests[payload["request_id"]].take(state, data.get("since"))

    def drain(self) -> None:
        """The client takes what there is."""
        self.has_room = True
        self.watches.resume()

    def close(self) -> None:
        self.watches.close()
        for interest in self.interests:
            interest.closed = True


def put_in_place(patch, world: "World") -> None:
    """Have the hub use what is simulated: threads, the layer, the clock, chance."""
    patch.setattr(hub_module, "run_in_thread", world.reads.run)
    patch.setattr(hub_module, "datetime", Clock)
    patch.setattr(hub_module, "random", world.chance)
    patch.setattr(listener_module, "random", world.chance)
    patch.setattr(listener_module, "layer_between_processes", lambda: world.layer)


class World:
    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)  # noqa: S311
        self.store, self.reads = Store(), Reads()
        self.layer: Layer | None = Layer(self.chance)
        self.sockets: list[Socket] = []

    @property
    def interests(self) -> list[Interest]:
        return [each for socket in self.sockets for each in socket.interests if not each.closed]

    def reader(self, task: Task) -> StoreReader:
        return StoreReader(self.store, task)

    def left_behind(self) -> dict[str, Any]:
        """What the hub still holds."""
        hub = hub_module.get_hub()
        names = ("_tasks", "_jobs", "_to_read", "_leaving", "_reading", "_beating")
        found = {name: getattr(hub, name) for name in names}
        found["listener"] = hub._listener._channel  # noqa: SLF001
        found["watches"] = [s.watches._items for s in self.sockets if s.watches._items]  # noqa: SLF001
        found["tasks"] = asyncio.all_tasks() - {asyncio.current_task()}
        return {name: value for name, value in found.items() if value}
