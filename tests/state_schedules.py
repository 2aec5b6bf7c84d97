"""Random schedules of subscriptions with state: two nodes, a log, clients that come back."""

import asyncio
import json
import random
from contextlib import suppress

from rest_framework.exceptions import NotFound

from channels_api.live import hub as hub_module
from channels_api.live.hub import Hub
from channels_api.live.log import ANYTHING, Change, Hint, Position
from channels_api.live.memory_log import MemoryLog
from channels_api.live.subscriptions import Subscriptions
from channels_api.live.wish import State
from tests.live_schedules import PKS, USERS, BrokenPromiseError
from tests.live_world import TOPIC, Reads, Row, Table, TableReader, end_all_tasks, settle

STEPS = (100, 250, 500)
HEARTBEAT = 50


class SharedLog(MemoryLog):
    """A log as several nodes have it: each call takes a while, and it may be lost."""

    shared = True

    def __init__(self, rand: random.Random) -> None:
        super().__init__()
        self._random = rand

    async def tops(self, topics):
        await self._take_a_while()
        tops = await super().tops(topics)
        await self._take_a_while()
        return tops

    async def since(self, topic, position):
        await self._take_a_while()
        replay = await super().since(topic, position)
        await self._take_a_while()
        return replay

    def lose_everything(self) -> None:
        self._name = f"{self._random.getrandbits(48):x}"
        self._tops.clear()
        self._entries.clear()

    async def _take_a_while(self) -> None:
        for _ in range(self._random.randrange(4)):
            await asyncio.sleep(0)


class Client:
    """Keeps a replica by nothing but frames, and comes back with what it has."""

    def __init__(self, reader_of, row: int | None) -> None:
        self.reader_of, self.row = reader_of, row
        self.replica: dict[int, int] = {}
        self.position: Position | None = None
        self.hangs_up()

    def hangs_up(self) -> None:
        """What is on its way is lost."""
        self.frames: list[dict] = []
        self.n = 0
        self.has_room = True
        self.subscriptions: Subscriptions | None = None
        self.subscription = None
        self.connecting: asyncio.Task | None = None

    # the sink of its socket

    def push(self, *parts: str, size: int | None = None) -> None:
        self.frames.append(json.loads("".join(parts))["payload"])

    def too_slow(self) -> None:
        raise AssertionError("a subscription with state is never given up")

    # what it does

    def take_reply(self, answer: str) -> None:
        if self.frames:
            raise BrokenPromiseError("an event came before the reply")
        reply = json.loads(answer)
        self.position = Position(reply["epoch"], reply["seq"])
        if not reply["recovered"]:
            self._replace(reply["snapshot"])

    def take_frame(self) -> None:
        if not self.frames:
            return
        frame = self.frames.pop(0)
        self.n += 1
        if frame["n"] != self.n:
            raise BrokenPromiseError(f"frame {frame['n']} where {self.n} is due")
        if frame["action"] == "reset":
            self._replace(frame["snapshot"])
        elif self.row not in (None, frame["pk"]):
            raise BrokenPromiseError("an event of another row than the one subscribed")
        elif frame["action"] == "delete":
            self._check_pk(frame["pk"])
            self.replica.pop(frame["pk"], None)
        else:
            self._put(frame["data"])
        self.position = Position(frame["epoch"], frame["seq"])

    def take_everything(self) -> None:
        while self.frames:
            self.take_frame()
        self.has_room = True
        if self.subscriptions is not None:
            self.subscriptions.resume()

    def _replace(self, snapshot: list[dict]) -> None:
        self.replica = {}
        for row in snapshot:
            self._put(row)

    def _put(self, row: dict) -> None:
        reader = self.reader_of()
        if row["shown_to"] not in (None, reader.user):
            raise BrokenPromiseError("a row as it is shown to somebody else")
        self._check_pk(row["pk"])
        self.replica[row["pk"]] = row["version"]

    def _check_pk(self, pk: int) -> None:
        reader = self.reader_of()
        if reader.restricted and (reader.user, pk) not in reader.table.ever_visible:
            raise BrokenPromiseError("the pk of a row that the user could never see")

    def compare(self) -> None:
        visible = self.reader_of().visible_rows()
        wanted = {pk: each for pk, each in visible.items() if self.row in (None, pk)}
        if self.replica != wanted:
            raise BrokenPromiseError(f"the client has {self.replica} where {wanted} is visible")


class StateSchedule:
    """One random schedule; `run` raises BrokenPromiseError where a client ends wrong."""

    #: Mutants of the order of things: a number is given before the commit, reads are of yesterday.
    number_first = stale_reads = False

    def __init__(self, seed: int, patch) -> None:
        self.random = random.Random(seed)  # noqa: S311
        pick = self.random.choice
        self.table = Table()
        self.log = SharedLog(self.random)
        self.nodes = [Hub(asyncio.get_running_loop()) for _ in range(2)]
        self.node = self.nodes[0]
        patch.setattr(hub_module, "get_hub", lambda: self.node)
        self.reads = Reads()
        self.reads.parking = True
        self.restricted, self.shared = self.random.random() < 0.7, self.random.random() < 0.4
        self.drops = pick([0, 0.25, 0.6])
        self.versions = 0
        self.to_publish: list[list[Change]] = []
        self.hints: list[tuple[Hub, Hint]] = []
        self.clients = [self._client() for _ in range(4)]
        self.steps = {
            self.commit: pick([3, 6, 12]),
            self.bulk: pick([0, 0, 0.5, 3]),
            self.publish: pick([3, 8]),
            self.ring: 8,
            self.begin_read: 8,
            self.end_read: 8,
            self.tick: 16,
            self.connect: 8,
            self.hang_up: pick([0, 2, 6]),
            self.take: pick([5, 20]),
            self.fill: 1,
            self.drain: 1,
            self.lose_log: pick([0, 0, 0.2, 2]),
            self.fail: 0.3,
            self.beat: pick([0, 0.3]),
            self.ask: 0.1,
        }

    def _client(self) -> Client:
        user = self.random.choice(USERS)
        even = self.restricted and self.random.random() < 0.3

        def reader() -> TableReader:
            made = _StaleReader if self.stale_reads else TableReader
            return made(self.table, user, restricted=self.restricted, shared=self.shared, even=even)

        return Client(reader, self.random.choice([None, None, None, *PKS]))

    async def run(self) -> None:
        steps, weights = zip(*self.steps.items(), strict=True)
        try:
            for _ in range(self.random.choice(STEPS)):
                await self.random.choices(steps, weights)[0]()
            await self.finish()
            for client in self.clients:
                client.compare()
        finally:
            await end_all_tasks()

    # the database and the log

    def _change(self) -> Change:
        pk = self.random.choice(PKS)
        row = None
        if pk not in self.table.rows or self.random.random() < 0.6:
            self.versions += 1
            owners = (None, "nobody") if self.shared or not self.restricted else (None, *USERS)
            row = Row(self.versions, self.random.choice(owners) if self.restricted else None)
        return Change(pk, self.table.put(pk, row, USERS))

    async def commit(self) -> None:
        """Rows change; the log hears of it later, and not in this order."""
        if self.number_first:
            await self._number_first()
            return
        self.table.begin()
        self.to_publish.append([self._change() for _ in range(self.random.choice([1, 1, 2]))])

    async def _number_first(self) -> None:
        before = dict(self.table.rows)
        change = self._change()
        after, self.table.rows = self.table.rows, before
        self.to_publish.append([change])
        await self.publish()
        for _ in range(3):
            await self.random.choice([self.ring, self.begin_read, self.end_read, self.tick])()
        self.table.rows = after

    async def bulk(self) -> None:
        """Rows change without a signal; that they did is announced."""
        self.table.begin()
        for _ in range(3):
            self._change()
        self.to_publish.append([ANYTHING])

    async def publish(self) -> None:
        if self.to_publish:
            changes = self.to_publish.pop(self.random.randrange(len(self.to_publish)))
            for hint in self.log.append(TOPIC, changes):
                for node in self.nodes:
                    if self.random.random() >= self.drops:
                        self.hints += [(node, hint)] * self.random.choice([1, 1, 1, 2])

    async def ring(self) -> None:
        if self.hints:
            late = self.random.random() < 0.3
            node, hint = self.hints.pop(self.random.randrange(len(self.hints)) if late else 0)
            node.hear([hint])

    async def lose_log(self) -> None:
        self.log.lose_everything()

    async def beat(self) -> None:
        """A heartbeat goes by."""
        if not self.reads.parked:
            await asyncio.sleep(HEARTBEAT + 1)

    # reads

    async def begin_read(self) -> None:
        for _ in range(self.random.randint(1, 3)):
            self.reads.begin_one(self.random)

    async def end_read(self) -> None:
        for _ in range(self.random.randint(1, 3)):
            self.reads.end_one(self.random)

    async def tick(self) -> None:
        for _ in range(self.random.randint(1, 12)):
            await asyncio.sleep(0)

    async def fail(self) -> None:
        """The database is away for a read."""
        if self.reads.parked:
            future, _ = self.reads.parked.pop(0)
            if not future.done():
                future.set_exception(OSError("the database is away"))

    async def ask(self) -> None:
        """From now on the serializer shows each user something else."""
        if self.shared:
            self.table.asks = True

    # clients

    async def connect(self) -> None:
        away = [client for client in self.clients if client.connecting is None]
        if away:
            client = self.random.choice(away)
            client.connecting = asyncio.ensure_future(self._connect(client))
            client.connecting.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def _connect(self, client: Client) -> None:
        self.node = self.random.choice(self.nodes)
        client.subscriptions = subscriptions = Subscriptions(client)
        has = frozenset(client.replica)
        state = State(since=client.position, have=has if client.position else None)
        try:
            subscription, answer = await subscriptions.add_stateful(
                client.reader_of(), state, client.row, 7
            )
        except (NotFound, OSError) as failed:
            # Python before 3.12 loses a cancel that comes just when a wait_for has failed: by now
            # the client may be on another socket.
            if client.subscriptions is subscriptions:
                client.connecting = None
                if isinstance(failed, NotFound):  # of the row that it wants
                    client.replica, client.position = {}, None
            return
        for _ in range(self.random.randrange(5)):
            await asyncio.sleep(0)
        client.subscription = subscription
        client.take_reply(answer)
        subscription.open()

    async def hang_up(self) -> None:
        # Mostly those who have heard of something and have more on its way.
        there = [client for client in self.clients if client.frames and client.n]
        if not there or self.random.random() < 0.1:
            there = [client for client in self.clients if client.subscription]
        if not there or self.random.random() < 0.1:
            there = self.clients
        self._hang_up(self.random.choice(there))

    def _hang_up(self, client: Client) -> None:
        if client.connecting is not None:
            client.connecting.cancel()
            if client.subscriptions is not None:
                client.subscriptions.close()
            client.hangs_up()

    async def take(self) -> None:
        self.random.choice(self.clients).take_frame()

    async def fill(self) -> None:
        """A client takes nothing for a while."""
        self.random.choice(self.clients).has_room = False

    async def drain(self) -> None:
        client = self.random.choice(self.clients)
        client.has_room = True
        if client.subscriptions is not None:
            client.subscriptions.resume()

    # the end

    async def finish(self) -> None:
        """No more trouble: what is on its way arrives, or is lost for ever; everybody is back."""
        self.table.begin()
        self.reads.parking = False
        for left, step in (
            (self.to_publish, self.publish),
            (self.hints, self.ring),
            (self.reads.parked, self.begin_read),
            (self.reads.results, self.end_read),
        ):
            while left:
                await step()
        for _ in range(6):
            await settle()
            for client in self.clients:
                client.take_everything()
                await self._come_back(client)
        for client in self.clients:
            if client.connecting is None:  # the row that it wants can't be seen
                client.replica = {}

    async def _come_back(self, client: Client) -> None:
        failed = client.connecting and client.connecting.done() and not client.subscription
        if client.connecting is None or failed:
            client.connecting = asyncio.ensure_future(self._connect(client))
            with suppress(Exception):
                await client.connecting


class _StaleReader(TableReader):
    """Reads from a replica of the database that is one commit behind."""

    def visible_rows(self):
        now, self.table.rows = self.table.rows, self.table.before
        try:
            return super().visible_rows()
        finally:
            self.table.rows = now
