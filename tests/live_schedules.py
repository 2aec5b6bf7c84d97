"""Random schedules: commits, late rings, slow reads and slow clients, in every order."""

import asyncio
import random
from dataclasses import dataclass

from channels_api.live.log import Hint
from channels_api.live.subscription import Subscription
from tests.live_world import TOPIC, Inbox, Reads, Row, TableReader, World, end_all_tasks, settle

USERS = ("ann", "bob")
PKS = range(4)
STEPS = 120


class BrokenPromiseError(AssertionError):
    """A schedule after which a client has what it must not have, or has not what it must."""


@dataclass(eq=False)
class Client:
    """A subscriber who starts with full knowledge and applies the events that follow."""

    reader: TableReader
    row: int | None
    inbox: Inbox
    subscription: Subscription | None = None
    replica: dict[int, int] | None = None
    entering: asyncio.Task | None = None
    #: How far the hub had heard when the client came.
    entered_at: int = 0

    @property
    def opened(self) -> bool:
        return self.replica is not None

    def open(self, last: dict[int, int]) -> None:
        """The reply is on its way: from now on the client knows the rows and takes events.

        `last` is the number of each row's last change.
        """
        table, user = self.reader.table, self.reader.user
        known = table.visible(user)
        if self.reader.restricted:
            # What its audience has seen; -1 where that is over, and it is still to hear of it.
            seen = self.subscription.audience.view.pks
            gone = {pk: -1 for pk in seen if last.get(pk, 0) > self.entered_at}
            known = {pk: known.get(pk, -1) for pk in seen if pk in known or pk in gone}
        self.replica = {pk: known.get(pk, -1) for pk in known if self.row in (None, pk)}
        if self.row is not None:
            self.replica.setdefault(self.row, -1)
        if self.inbox.events:
            raise BrokenPromiseError("an event came before the reply")
        self.subscription.open()

    def apply(self) -> None:
        events, self.inbox.events = self.inbox.events, []
        for event in events:
            self._check(event)
            if event["action"] == "delete":
                self.replica.pop(event["pk"], None)
            else:
                self.replica[event["pk"]] = event["data"]["version"]

    def _check(self, event: dict) -> None:
        reader = self.reader
        if self.row not in (None, event["pk"]):
            raise BrokenPromiseError("an event of another row than the one subscribed")
        if reader.restricted and (reader.user, event["pk"]) not in reader.table.ever_visible:
            raise BrokenPromiseError("the pk of a row that the user could never see")
        if event["data"] and event["data"]["shown_to"] not in (None, reader.user):
            raise BrokenPromiseError("a row as it is shown to somebody else")

    def compare(self) -> None:
        self.apply()
        visible = self.reader.table.visible(self.reader.user)
        wanted = {pk: version for pk, version in visible.items() if self.row in (None, pk)}
        if self.replica != wanted:
            raise BrokenPromiseError(f"the client has {self.replica} where {wanted} is visible")


class Schedule:
    """One random schedule; `run` raises BrokenPromiseError where a client ends wrong."""

    def __init__(self, seed: int, world: World, reads: Reads) -> None:
        self.random = random.Random(seed)  # noqa: S311
        self.world, self.reads = world, reads
        self.restricted = self.random.random() < 0.7
        self.shared = self.random.random() < 0.4
        self.versions = 0
        self.last_of: dict[int, int] = {}
        self.rings: list[Hint] = []
        self.clients: list[Client] = []
        reads.parking = True

    async def run(self) -> None:
        steps = [self.commit, self.ring, self.begin_read, self.end_read, self.tick, self.arrive]
        steps += [self.open, self.leave, self.fill, self.drain, self.fail, self.wait, self.ask]
        weights = [6, 8, 8, 8, 8, 3, 4, 1, 1, 2, 1, 1, 0.2]
        try:
            for _ in range(STEPS):
                await self.random.choices(steps, weights)[0]()
            await self.finish()
            for client in self.clients:
                client.compare()
        finally:
            await end_all_tasks()

    async def commit(self) -> None:
        """Change a row; some rings get lost, some come twice."""
        pk = self.random.choice(PKS)
        row = None
        if pk not in self.world.table.rows or self.random.random() < 0.6:
            self.versions += 1
            # What is shared looks the same to all: in it every row is for all, or for nobody.
            owners = (None, "nobody") if self.shared or not self.restricted else (None, *USERS)
            row = Row(self.versions, self.random.choice(owners) if self.restricted else None)
        operation = self.world.table.put(pk, row, USERS)
        self.last = self.world.append(pk, operation)
        self.last_of[pk] = self.last.position.seq
        self.rings += [self.last] * self.random.choice([0, 1, 1, 1, 1, 2])

    async def ring(self) -> None:
        """One ring arrives, mostly the oldest."""
        if self.rings:
            late = self.random.random() < 0.3
            position = self.random.randrange(len(self.rings)) if late else 0
            self.world.hub.hear([self.rings.pop(position)])

    async def begin_read(self) -> None:
        self.reads.begin_one(self.random)

    async def end_read(self) -> None:
        self.reads.end_one(self.random)

    async def tick(self) -> None:
        """The event loop goes round a few times."""
        for _ in range(self.random.randint(1, 4)):
            await asyncio.sleep(0)

    async def wait(self) -> None:
        """The pause after a read that failed goes by."""
        if not self.reads.parked:
            await asyncio.sleep(0.6)

    async def arrive(self) -> None:
        """Somebody subscribes, to all rows or to one."""
        if len(self.clients) >= 6:
            return
        row = self.random.choice([None, None, *PKS])
        reader = TableReader(
            self.world.table,
            self.random.choice(USERS),
            restricted=self.restricted,
            shared=self.shared,
        )
        client = Client(reader, row, Inbox())
        client.entering = asyncio.ensure_future(self.enter(client))
        client.entering.add_done_callback(lambda task: task.cancelled() or task.exception())
        self.clients.append(client)

    async def enter(self, client: Client) -> None:
        subscription = Subscription(client.reader, "*", client.inbox)
        await self.world.hub.hold(client.reader)
        client.entered_at = self.world.topics[TOPIC].position.seq
        subscription.audience = self.world.hub.audience(client.reader)
        try:
            await subscription.audience.enter(subscription, client.row)
        except BaseException:
            self.world.hub.release(client.reader)
            raise
        client.subscription = subscription

    async def open(self) -> None:
        """The reply to a subscribe goes out."""
        for client in list(self.clients):
            if client.entering.done() and not client.opened:
                if client.subscription is None:  # the row can't be seen, or the view not be read
                    self.clients.remove(client)
                else:
                    client.open(self.last_of)
                return

    async def leave(self) -> None:
        """A client goes, perhaps while it enters."""
        if self.clients:
            client = self.clients.pop(self.random.randrange(len(self.clients)))
            if client.subscription is not None:
                self.world.leave(client.subscription)
            else:
                client.entering.cancel()

    async def fill(self) -> None:
        """A client takes nothing for a while."""
        if self.clients:
            self.random.choice(self.clients).inbox.has_room = False

    async def drain(self) -> None:
        """A client takes what there is."""
        for client in self.clients:
            if client.opened:
                client.apply()
                client.inbox.has_room = True
                client.subscription.resume()

    async def fail(self) -> None:
        """The next read of somebody fails."""
        if self.clients:
            self.random.choice(self.clients).reader.failures = 1

    async def ask(self) -> None:
        """From now on the serializer shows each user something else."""
        if self.shared:
            self.world.table.asks = True

    async def finish(self) -> None:
        """No more trouble: the last ring arrives, reads end, everybody takes everything."""
        self.reads.parking = False
        while self.reads.parked:
            await self.begin_read()
        while self.reads.results:
            await self.end_read()
        await settle()
        await self.commit()
        self.rings.append(self.last)  # after a lost ring there is always a later one
        self.random.shuffle(self.rings)
        self.world.hub.hear(self.rings)
        await settle()
        while any(not client.opened for client in self.clients):
            await self.open()
        for client in self.clients:
            client.inbox.has_room = True
            client.subscription.resume()
        await settle()
