"""What the tests of hub and watches have in common: a client without a socket, and steps."""

import asyncio

from channels_api.background.hub import get_hub
from channels_api.background.references import TaskReference
from channels_api.background.states import TaskState
from channels_api.background.watches import Watch, Watches
from channels_api.protocol import RequestFrame
from tests.client import parse_strictly
from tests.tasks_world import Task, World

HEARTBEAT = 10
STARTED, DONE = TaskState("STARTED"), TaskState("SUCCESS", result=1)
REPLY = RequestFrame("tasks", "subscribe", request_id="r").reply


def progress(number: int) -> TaskState:
    return TaskState("PROGRESS", meta=number)


class Client:
    """A sink that keeps what it is told."""

    def __init__(self) -> None:
        self.has_room = True
        self.frames: list[dict] = []
        self.watches = Watches(self)

    def push(self, text: str) -> None:
        self.frames.append(parse_strictly(text)["payload"])

    def told(self) -> list:
        """State and meta of each news so far; the next call starts after them."""
        data = [each["data"] for each in self.frames if "since" not in each["data"]]
        self.frames = []
        return [(each["state"], each.get("meta")) for each in data]


def reference_of(task: Task) -> TaskReference:
    return TaskReference(task.task_id, task.job)


async def watch(world: World, task: Task, client: Client) -> Watch:
    """Watch a task that has just been begun."""
    begun = await client.watches.begin(reference_of(task), world.reader(task), REPLY)
    begun.open(TaskState())
    await ticks()
    return begun


async def ticks(number: int = 20) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def put(task: Task, state: TaskState) -> None:
    """A state is stored, and rung."""
    get_hub().hear(task.put(state))
    await ticks()
