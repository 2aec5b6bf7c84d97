"""Random schedules of watched tasks: states, late rings, slow reads, slow clients, every order."""

import asyncio

from rest_framework.exceptions import APIException

from channels_api.background.bell import Ring, to_message
from channels_api.background.hub import get_hub
from channels_api.background.references import TaskReference
from channels_api.background.states import TaskState
from channels_api.protocol import RequestFrame
from tests.live_world import end_all_tasks
from tests.tasks_world import BrokenPromiseError, Interest, Socket, Task, World

STEPS = 120
HEARTBEAT = 10
FINALS = ("SUCCESS", "FAILURE", "REVOKED", "IGNORED")
ERRORS = (OSError, APIException)


class Schedule:
    """One random schedule; `run` raises BrokenPromiseError where a client is told wrong."""

    def __init__(self, world: World) -> None:
        self.world, self.chance = world, world.chance
        self.store, self.reads = world.store, world.reads
        self.reads.parking = True
        self.rings: list[Ring] = []
        self.number = 0
        if self.chance.random() < 0.3:
            world.layer = None
        # Two tasks of one job, one of another, and one that nobody rings for.
        for job in ("a", "a", "b", ""):
            self.store.add(job)

    async def run(self) -> None:
        steps = {
            self.move: 8,
            self.ring: 7,
            self.begin_read: 8,
            self.end_read: 8,
            self.tick: 8,
            self.arrive: 6,
            self.open: 6,
            self.unsubscribe: 1,
            self.leave: 0.7,
            self.time_out: 0.5,
            self.fill: 1.5,
            self.drain: 2,
            self.fail: 1,
            self.lose: 0.5,
            self.wait: 2,
            self.catch_up: 2,
            self.nonsense: 0.3,
        }
        try:
            for _ in range(STEPS):
                await self.chance.choices([*steps], [*steps.values()])[0]()
            await self.finish()
            await self.go()
        finally:
            await end_all_tasks()

    # The worker

    async def move(self) -> None:
        """A task has a new state; some rings get lost, some come twice."""
        task = self.chance.choice(self.store.tasks)
        if not task.state.is_final:
            ring = self.advance(task)
            if task.job:
                self.rings += [ring] * self.chance.choice([0, 0, 1, 1, 1, 2])

    def advance(self, task: Task) -> Ring:
        self.number += 1
        name = task.state.name
        kind = self.chance.random()
        if kind < 0.05:
            return task.put(self.final())
        if name == "PENDING":
            return task.put(TaskState("STARTED"))
        if name == "RETRY":
            task.attempt += 1
            return task.put(TaskState("STARTED"))
        if kind < 0.2:
            return task.put(TaskState("RETRY", meta={"retries": task.attempt + 1}))
        if kind < 0.25 and task.attempt:
            # What the attempt before has stored too late.
            return task.put(TaskState("RETRY", meta={"retries": task.attempt}))
        return task.put(TaskState("PROGRESS", meta=self.number))

    def final(self) -> TaskState:
        name = self.chance.choice(FINALS)
        return TaskState(name, result=self.number if name == "SUCCESS" else None)

    # Rings and reads

    async def ring(self) -> None:
        """One ring arrives, mostly the oldest: from this process, or through the layer."""
        if not self.rings:
            return
        late = self.chance.random() < 0.3
        ring = self.rings.pop(self.chance.randrange(len(self.rings)) if late else 0)
        hub = get_hub()
        if self.world.layer is not None and self.chance.random() < 0.5:
            self.world.layer.send(*to_message(ring)[:2])
        elif hub.needs(ring.job):
            hub.hear(ring)

    async def nonsense(self) -> None:
        """What is no ring, and rings of tasks that nobody watches."""
        get_hub().hear(Ring("a", "nobody's", "SUCCESS", 0))
        get_hub().hear(Ring("nobody's", "task-0", "SUCCESS", 0))
        if self.world.layer is not None:
            self.world.layer.send("channels_api.task.a", {"type": "channels_api.task"})

    async def begin_read(self) -> None:
        if self.reads.parked:
            self.reads.begin(self.chance.randrange(len(self.reads.parked)))

    async def end_read(self) -> None:
        if self.reads.done:
            self.reads.end(self.chance.randrange(len(self.reads.done)))

    async def tick(self) -> None:
        """The event loop goes round a few times."""
        await self.ticks(self.chance.randint(1, 4))

    async def ticks(self, number: int) -> None:
        for _ in range(number):
            await asyncio.sleep(0)

    async def wait(self) -> None:
        """Time goes by: memberships are taken, hearts beat."""
        await asyncio.sleep(self.chance.choice([0.2, 2, HEARTBEAT]))

    async def fail(self) -> None:
        """The next reads fail, or can't begin."""
        if self.chance.random() < 0.7:
            self.store.failures = self.chance.randint(1, 3)
        else:
            self.reads.overloads = 1

    async def lose(self) -> None:
        """The store is emptied, or somebody has put back what was in it."""
        self.store.is_empty = not self.store.is_empty

    # The clients

    async def arrive(self) -> None:
        """Somebody begins a task, or subscribes to one, on a new socket or another."""
        sockets = self.world.sockets
        if len(sockets) < 3 or self.chance.random() < 0.1:
            sockets.append(Socket())
        socket = self.chance.choice(sockets)
        busy = any(not each.opened and not each.closed for each in socket.interests)
        if busy:  # a stream's frames run one after another
            return
        task = self.chance.choice(self.store.tasks)
        # Not all know the job: an action may return the result of an id.
        job = task.job if self.chance.random() < 0.9 else ""
        reference = TaskReference(task.task_id, job, created=0)
        interest = Interest(task, reference, socket, subscribes=self.chance.random() < 0.6)
        socket.interests.append(interest)
        interest.entering = asyncio.ensure_future(self.enter(interest))

    async def enter(self, interest: Interest) -> None:
        socket, reference = interest.socket, interest.reference
        frame = RequestFrame("tasks", "subscribe", request_id=socket.interests.index(interest))
        reader = self.world.reader(interest.task)
        try:
            if not interest.subscribes:
                interest.watch = await socket.watches.begin(reference, reader, frame.reply)
                interest.shown = TaskState()
                return
            watch = await socket.watches.subscribe("tasks", reference, reader, frame.reply)
            try:
                interest.shown = await get_hub().read(watch.task)
            except BaseException:
                watch.close()
                raise
            interest.watch = watch
        except (*ERRORS, asyncio.CancelledError):
            interest.closed = True

    def replace(self, interest: Interest) -> None:
        """It takes the place of an earlier one."""
        for each in interest.socket.interests:
            if each is not interest and each.subscribes and each.task is interest.task:
                each.closed = True

    async def open(self) -> None:
        """The reply goes out."""
        for interest in self.world.interests:
            if interest.entering.done() and not interest.opened:
                if interest.watch is None:  # cancelled before it began
                    interest.closed = True
                else:
                    if interest.subscribes:
                        self.replace(interest)
                    interest.open()
                return

    async def unsubscribe(self) -> None:
        opened = [each for each in self.world.interests if each.opened and each.subscribes]
        if opened:
            interest = self.chance.choice(opened)
            interest.socket.watches.unsubscribe("tasks", interest.reference)
            interest.closed = True

    async def time_out(self) -> None:
        """An action takes too long."""
        for interest in self.world.interests:
            if not interest.entering.done():
                interest.entering.cancel()
                return

    async def leave(self) -> None:
        """A socket goes, perhaps while something of it is on its way."""
        if not self.world.sockets:
            return
        socket = self.chance.choice(self.world.sockets)
        unanswered = [each for each in socket.interests if each.watch and not each.opened]
        socket.close()
        for interest in socket.interests:
            if self.chance.random() < 0.5:
                interest.entering.cancel()
        for interest in unanswered:  # the reply was dropped
            interest.open()

    async def fill(self) -> None:
        """A client takes nothing for a while."""
        if self.world.sockets:
            self.chance.choice(self.world.sockets).has_room = False

    async def drain(self) -> None:
        if self.world.sockets:
            self.chance.choice(self.world.sockets).drain()

    # What must be true

    async def catch_up(self) -> None:
        """Where nothing is wrong a ring is enough: nobody waits for the heartbeat."""
        self.end_trouble()
        await self.ticks(20)
        for task in self.store.tasks:
            if task.job:
                get_hub().hear(task.ring)
        await self.ticks(20)
        for each in self.world.interests:
            if each.opened and each.socket.has_room and each.reference.job:
                self.compare(each, "after a ring")
        self.reads.parking = True

    def end_trouble(self) -> None:
        self.reads.parking = self.store.is_empty = False
        self.store.failures = self.reads.overloads = 0
        self.reads.flush()

    def compare(self, interest: Interest, when: str) -> None:
        if interest.last != interest.task.state:
            raise BrokenPromiseError(f"{interest.last} {when}, and not {interest.task.state}")

    async def finish(self) -> None:
        """No more trouble, and no more rings: within a heartbeat everybody knows the end."""
        for task in self.store.tasks:
            if not task.state.is_final:
                task.put(self.final())
        self.end_trouble()
        for interest in self.world.interests:
            await asyncio.wait([interest.entering])
        for _ in self.world.interests:
            await self.open()
        for socket in self.world.sockets:
            socket.drain()
        await asyncio.sleep(HEARTBEAT * 1.2 + 0.01)
        for interest in self.world.interests:
            self.compare(interest, "after a heartbeat")

    async def go(self) -> None:
        """Everybody leaves; nothing stays behind, and nothing more is told."""
        await asyncio.sleep(HEARTBEAT * 3)
        for socket in self.world.sockets:
            socket.close()
        if self.world.layer is not None:
            self.world.layer.works = True
        await asyncio.sleep(HEARTBEAT)
        left = self.world.left_behind()
        if left:
            raise BrokenPromiseError(f"left behind: {left}")
