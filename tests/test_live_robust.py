"""What one client, one row or one message may cost the others: nothing."""

import asyncio
import json
from typing import Any

import pytest
from channels.layers import get_channel_layer
from django.contrib.auth.models import User
from django.db import DatabaseError
from rest_framework import permissions

from channels_api.bindings import ResourceBinding
from channels_api.exceptions import LogUnavailable
from channels_api.live import batches, subscriptions
from channels_api.live import flusher as flusher_module
from channels_api.live import log as log_module
from channels_api.live import view as view_module
from channels_api.live.audience import Audience
from channels_api.live.bell import to_message
from channels_api.live.hub import get_hub
from channels_api.live.log import ANYTHING, Change, Position
from channels_api.live.memory_log import MemoryLog
from channels_api.live.operations import RESET, UPDATE
from channels_api.live.rows import Row as ChangedRow
from channels_api.live.subscription import Sink, StatefulSubscription
from channels_api.live.subscriptions import SnapshotTooLarge, Subscriptions
from channels_api.live.wish import State
from channels_api.settings import settings as api_settings
from channels_api.writer import Writer
from tests.app.models import Question
from tests.app.serializers import QuestionSerializer
from tests.live_clients import Client, DatabaseReads, in_database
from tests.live_world import (
    TOPIC,
    Inbox,
    Reads,
    Row,
    TableReader,
    World,
    clockless,
    run_reads_in,
    settle,
)


@pytest.fixture(autouse=True)
def alone(settings) -> None:
    """No channel layer, and nothing that is looked at now and then."""
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    settings.CHANNELS_API = {"REVALIDATE": None}


@pytest.fixture
def reads(monkeypatch) -> Reads:
    """What would run in a thread runs here."""
    reads = Reads()
    run_reads_in(monkeypatch, reads)
    return reads


@pytest.fixture
def make_world(reads, monkeypatch):
    def make(log: MemoryLog | None = None) -> World:
        world = World()
        world.hub = get_hub()  # that of `Subscriptions`
        world.log = log or world.log
        monkeypatch.setattr(log_module, "_log", lambda name: world.log)
        return world

    return make


@pytest.fixture
def database(transactional_db, monkeypatch) -> None:
    run_reads_in(monkeypatch, DatabaseReads())


async def keep(
    reader: TableReader, sink: Sink, pk: int | None = None, **state: Any
) -> tuple[StatefulSubscription, dict[str, Any]]:
    """Subscribe with state; the subscription, and what is answered."""
    found, answer = await Subscriptions(sink).add_stateful(reader, State(**state), pk, 1)
    found.open()
    return found, json.loads(answer)


def reset(world: World) -> None:
    """The log can't tell what happened."""
    world.hub.hear([world.append(0, RESET)])


def versions(inbox: Inbox) -> list[tuple[str, Any]]:
    """Of each frame the action and the version of its row, or of each row of a snapshot."""
    frames, inbox.events = inbox.events, []
    return [
        (frame["action"], [row["version"] for row in frame["snapshot"]])
        if frame["action"] == "reset"
        else (frame["action"], frame["data"] and frame["data"]["version"])
        for frame in frames
    ]


# rows and keys


class Published(ResourceBinding):
    model = Question
    queryset = Question.objects.filter(published=True)
    serializer_class = QuestionSerializer


#: Keys that can be none, and one that a database can't compare.
FORGED = ["9" * 24, "-" + "9" * 30, 2**63 - 1, "abc", "1\x00", "", "\u0661"]


@clockless
@pytest.mark.parametrize("forged", FORGED)
async def test_a_key_that_can_be_none_costs_nobody_anything(database, forged):
    """A client may claim to hold any row, and what it is told of it is read together with
    what others are told."""
    ann, eve = (Client(make_user(name)) for name in ("ann", "eve"))
    row = create("a")
    await ann.subscribe(Published)
    begun = await eve.keep(Published, State())
    since = Position(begun["epoch"], begun["seq"])
    await eve.keep(Published, State(since=since, have=frozenset([forged, row.pk])))
    change(row, "b")
    await settle()
    told = ("update", row.pk, "b")
    assert ann.told() == [told]
    assert sorted(eve.told(), key=str) == [("delete", forged, None), told, told]


@pytest.mark.parametrize("forged", FORGED)
def test_a_key_that_can_be_none_is_not_looked_for(database, forged):
    row = create("a")
    assert Client(make_user("ann")).reader(Published).read([forged, row.pk]).texts.keys() == {
        row.pk
    }


def make_user(name: str) -> User:
    return in_database(User.objects.create_user, name)


def create(text: str) -> Question:
    return in_database(lambda: Question.objects.create(question_text=text))


def change(row: Question, text: str) -> None:
    row.question_text = text
    in_database(row.save)


class Divides(QuestionSerializer):
    def to_representation(self, row):
        if row.question_text == "broken":
            raise DatabaseError("division by zero in this row's query")
        return super().to_representation(row)


class BrokenRow(Published):
    serializer_class = Divides


class RaisesForSome(permissions.BasePermission):
    def has_object_permission(self, request, view, obj):
        if obj.question_text == "broken":
            raise DatabaseError("division by zero in this row's query")
        return True


class UndecidedRow(Published):
    permission_classes = [RaisesForSome]


@clockless
@pytest.mark.parametrize("binding", [BrokenRow, UndecidedRow])
async def test_a_row_whose_query_fails_does_not_keep_others_from_being_told(database, binding):
    """The database is there: what failed is what was asked of it for this row."""
    client = Client(make_user("ann"))
    await client.subscribe(binding)
    create("broken")
    row = create("fine")
    await settle()
    assert client.told() == [("create", row.pk, "fine")]


@clockless
async def test_a_row_that_fails_when_it_is_told_late_is_not_told_as_deleted(make_world):
    """A slow client missed that it was deleted and made again: it is there."""
    world = make_world()
    world.table.rows[1] = Row(1)
    subscription, inbox = await world.subscribe(TableReader(world.table))
    inbox.has_room = False
    for row in (None, Row(2)):
        world.commit(1, row)
        await settle()
    world.table.broken[1] = "fails"
    inbox.has_room = True
    subscription.resume()
    await settle()
    assert inbox.told() == []
    world.table.broken.clear()
    world.commit(1, Row(3))
    await settle()
    assert versions(inbox) == [("update", 3)]


@clockless
async def test_the_delete_of_a_subscribed_row_is_told_however_many_are(make_world, monkeypatch):
    monkeypatch.setattr(view_module, "MAX_VISIBLE", 10)
    world = make_world()
    world.table.rows = {pk: Row() for pk in range(25)}
    inboxes = []
    for pk in range(25):
        reader = TableReader(world.table, "ann", restricted=True)
        inboxes.append((await world.subscribe(reader, pk=pk))[1])
    for pk in range(25):
        world.commit(pk, None)
    await settle()
    assert [inbox.told() for inbox in inboxes] == [[("delete", pk)] for pk in range(25)]


@clockless
async def test_what_a_reset_hides_while_a_row_is_looked_up_is_told(make_world, reads):
    """The row was there when it was looked for, and was deleted where the log can't tell."""
    world = make_world()
    world.table.rows = {1: Row(), 2: Row()}
    await world.subscribe(TableReader(world.table), pk=2)  # so that there is an audience
    reads.parking = True
    entering = asyncio.ensure_future(world.subscribe(TableReader(world.table), pk=1))
    await settle()
    [(future, find)] = reads.parked
    found = find()
    world.table.put(1, None)
    reads.parking = False
    reset(world)
    await settle()
    future.set_result(found)
    _, inbox = await entering
    await settle()
    assert inbox.told() == [("delete", 1)]


# many at once


@clockless
async def test_changes_in_a_row_are_handed_on_as_one(make_world, monkeypatch):
    """A transaction of many rows, where many have an audience of their own."""
    world = make_world()
    for user in ("ann", "bob", "cid"):
        await world.subscribe(TableReader(world.table, user, restricted=True))
    handed_on = []
    mark = Audience.mark

    def count(self, changes):
        changes = list(changes)
        handed_on.append(len(changes))
        mark(self, changes)

    monkeypatch.setattr(Audience, "mark", count)
    world.hub.hear(world.log.append(TOPIC, [Change(pk, UPDATE) for pk in range(1000)]))
    assert handed_on == [1000, 1000, 1000]


def test_a_transaction_of_very_many_rows_is_one_change(make_world, transactional_db, monkeypatch):
    log = MemoryLog()
    monkeypatch.setattr(log_module, "_log", lambda name: log)
    rows = [ChangedRow(TOPIC, Change(pk, UPDATE)) for pk in range(2 * batches.MOST_ROWS)]
    batches.collect(rows, "default")
    [hint] = log.append(TOPIC, [Change(1, UPDATE)])
    assert hint.position.seq == 2
    batches.collect(rows[: batches.MOST_ROWS], "default")
    assert log.append(TOPIC, [ANYTHING])[0].position.seq == batches.MOST_ROWS + 3


@clockless
async def test_others_have_their_turn_while_many_are_told(make_world, monkeypatch):
    monkeypatch.setattr(flusher_module, "AT_ONCE", 2)
    world = make_world()
    turns: list[int] = [0]
    seen: list[int] = []
    for _ in range(6):
        _, inbox = await world.subscribe(TableReader(world.table))
        inbox.push = lambda *parts, size: seen.append(turns[0])

    async def take_turns() -> None:
        while len(seen) < 6:
            await asyncio.sleep(0)
            turns[0] += 1

    world.commit(1, Row())
    await take_turns()
    first = seen[0]
    assert [turn - first for turn in seen] == [0, 0, 1, 1, 2, 2]


@clockless
async def test_the_bytes_of_an_event_are_those_of_its_text(make_world):
    """The inbox compares them. Here neither the row nor what is around it is ASCII."""
    world = make_world()
    classic, stateful = Inbox(), Inbox()
    key: Any = "ключ"
    (await Subscriptions(classic).add(TableReader(world.table), "*", None)).open()
    found, _ = await Subscriptions(stateful).add_stateful(
        TableReader(world.table), State(), None, "é"
    )
    found.open()
    world.commit(key, Row())
    await settle()
    assert (classic.told(), stateful.told()) == ([("create", key)], [("create", key)])


class CountedKey(int):
    """A key that counts how often any of them is looked up."""

    hashed = 0

    def __hash__(self) -> int:
        CountedKey.hashed += 1
        return int.__hash__(self)


@clockless
async def test_to_leave_costs_as_much_among_many(make_world):
    """A site that restarts ends all subscriptions at once."""
    costs = []
    for count in (50, 100):
        world = make_world()
        keys = [CountedKey(pk) for pk in range(count)]
        world.table.rows = {pk: Row() for pk in range(count)}
        left = []
        for pk in keys:
            reader = TableReader(world.table, "ann", restricted=True)
            left.append((await world.subscribe(reader, pk=pk))[0])
        CountedKey.hashed = 0
        for subscription in left:
            world.leave(subscription)
        costs.append(CountedKey.hashed)
    assert costs[1] == 2 * costs[0]


class RowReader(TableReader):
    """A reader of what is personal: each row that is subscribed has an audience of its own."""

    def __init__(self, world: World, pk: int) -> None:
        super().__init__(world.table, "ann", restricted=True)
        self._pk = pk

    @property
    def key(self):
        return (*super().key, self._pk)


@clockless
async def test_a_change_costs_as_much_among_many_rows(make_world):
    """Only those who subscribed to the row are looked at."""
    world = make_world()
    world.table.rows = {pk: Row() for pk in range(100)}
    inboxes, costs = [], []
    for pk in range(100):
        inboxes.append((await world.subscribe(RowReader(world, pk), pk=pk))[1])
        if pk in (49, 99):
            CountedKey.hashed = 0
            world.commit(CountedKey(7), Row(pk))
            await settle()
            costs.append(CountedKey.hashed)
            assert [pk for pk, inbox in enumerate(inboxes) if inbox.told()] == [7]
    assert costs[0] == costs[1]


@clockless
@pytest.mark.parametrize("pk", [None, 2])
async def test_who_joins_an_audience_of_one_row_hears_of_theirs(make_world, pk):
    world = make_world()
    world.table.rows = {1: Row(), 2: Row()}
    _, first = await world.subscribe(TableReader(world.table), pk=1)
    _, second = await world.subscribe(TableReader(world.table), pk=pk)
    world.commit(2, Row(1))
    await settle()
    assert (first.told(), second.told()) == ([], [("update", 2)])


async def send_nothing(message: dict[str, Any]) -> None:
    """A client that does not read."""
    await asyncio.Event().wait()


@clockless
@pytest.mark.parametrize("kind", ["reset", "event"])
async def test_what_many_sockets_wait_for_is_held_once(make_world, settings, kind):
    settings.CHANNELS_API = {"REVALIDATE": None, "SEND_TIMEOUT": None}
    world = make_world()
    world.table.rows = {pk: Row() for pk in range(100)}
    writers = [Writer(send_nothing, on_room=int, on_close=int) for _ in range(10)]
    for writer in writers:
        writer.push("{}")  # which is being sent all the time
        await keep(TableReader(world.table), writer)
    await settle()
    if kind == "reset":
        reset(world)
    else:
        world.commit(1, Row(10**200))
    await settle()
    waiting = [parts for writer in writers for parts, _ in writer._queue]  # noqa: SLF001
    assert len(waiting) == 10
    assert len({id(max(parts, key=len)) for parts in waiting}) == 1
    # And what differs is little.
    for parts in waiting:
        assert sum(map(len, parts)) - len(max(parts, key=len)) < 200


# snapshots


class Counted(QuestionSerializer):
    made = 0

    def to_representation(self, row):
        Counted.made += 1
        return super().to_representation(row)


class CountedRows(Published):
    serializer_class = Counted


@clockless
async def test_a_snapshot_is_made_no_further_than_it_can_be_sent(database, settings):
    settings.CHANNELS_API = {"REVALIDATE": None, "MAX_REPLY_BYTES": 5000}
    in_database(
        Question.objects.bulk_create, [Question(question_text="a" * 150) for _ in range(99)]
    )
    Counted.made = 0
    with pytest.raises(SnapshotTooLarge):
        await Client(make_user("ann")).keep(CountedRows, State())
    assert Counted.made < 5000 / 150


@clockless
@pytest.mark.parametrize(("rows", "recovered"), [(3, True), (4, False)])
async def test_a_client_that_holds_nothing_is_not_told_of_too_many_rows(
    make_world, monkeypatch, rows, recovered
):
    """Who has a position and holds no row would else be told of all rows, one by one."""
    monkeypatch.setattr(subscriptions, "MAX_MISSED", 3)
    world = make_world()
    world.table.rows = {pk: Row() for pk in range(rows)}
    inbox = Inbox()
    since = Position(world.log.epoch, 0)
    reader = TableReader(world.table, "ann", restricted=True)
    _, answer = await keep(reader, inbox, since=since, have=frozenset())
    await settle()
    if recovered:
        assert answer["recovered"]
        assert inbox.told() == [("create", pk) for pk in range(rows)]
    else:
        assert (answer["recovered"], answer["reason"]) == (False, "too_many")
        assert [row["pk"] for row in answer["snapshot"]] == [*range(rows)]
        assert inbox.events == []


def parked(reads: Reads) -> tuple[asyncio.Future[Any], Any]:
    """The only read that waits, and what it has found."""
    [(future, read)] = reads.parked
    reads.parked.clear()
    return future, read()


@clockless
async def test_events_do_not_wait_for_a_reset(make_world, reads):
    world = make_world()
    world.table.rows[1] = Row(1)
    stateful, classic = Inbox(), Inbox()
    await keep(TableReader(world.table), stateful)
    _, classic = await world.subscribe(TableReader(world.table))
    reads.parking = True
    reset(world)
    await settle()
    snapshot, rows = parked(reads)
    reads.parking = False
    world.commit(1, Row(2))
    await settle()
    assert (versions(classic), versions(stateful)) == ([("update", 2)], [])
    snapshot.set_result(rows)
    await settle()
    assert versions(stateful) == [("reset", [1]), ("update", 2)]


@clockless
async def test_what_is_being_read_while_a_reset_splits_the_audience_is_told(make_world, reads):
    """Rows turn out to be personal in a snapshot, while others of them are on their way."""
    world = make_world()
    world.table.rows[1] = Row(1)
    lost, _ = await keep(TableReader(world.table, "ann", shared=True), Inbox())
    _, inbox = await world.subscribe(TableReader(world.table, "bob", shared=True))
    reads.parking = True
    world.commit(1, Row(2))
    await settle()
    changed, rows = parked(reads)
    lost.lose("gap")
    await settle()
    world.table.asks = True
    snapshot, all_rows = parked(reads)
    reads.parking = False
    snapshot.set_result(all_rows)
    await settle()
    changed.set_result(rows)
    await settle()
    assert [(event["pk"], event["data"]["shown_to"]) for event in inbox.events] == [(1, "bob")]


@clockless
async def test_a_reset_does_not_wait_for_events(make_world, reads):
    world = make_world()
    world.table.rows[1] = Row(1)
    inbox = Inbox()
    await keep(TableReader(world.table), inbox)
    reads.parking = True
    world.commit(1, Row(2))
    await settle()
    event, rows = parked(reads)
    reads.parking = False
    reset(world)
    await settle()
    assert versions(inbox) == [("reset", [2])]
    event.set_result(rows)
    await settle()
    # Told again: that it is in the snapshot is not known.
    assert versions(inbox) == [("update", 2)]


@clockless
async def test_what_comes_while_a_resets_snapshot_is_read_is_told_after_it(make_world, reads):
    """The snapshot is older; told before it, the change would be undone by it."""
    world = make_world()
    world.table.rows = {1: Row(1), 2: Row(1)}
    inbox = Inbox()
    subscription, _ = await keep(TableReader(world.table), inbox)
    reads.parking = True
    reset(world)
    await settle()
    snapshot, rows = parked(reads)
    reads.parking = False
    world.commit(1, Row(2))
    await settle()
    world.commit(2, None)
    await settle()
    snapshot.set_result(rows)
    await settle()
    assert versions(inbox) == [("reset", [1, 1]), ("update", 2), ("delete", None)]
    assert subscription.position == Position(world.log.epoch, 3)


@clockless
async def test_what_was_read_before_changes_were_lost_is_not_told_after_them(make_world, reads):
    """Nothing would ever put it right: the change that came after it is not in the log."""
    world = make_world()
    world.table.rows[1] = Row(1)
    inbox = Inbox()
    await keep(TableReader(world.table), inbox)
    reads.parking = True
    world.commit(1, Row(2))
    await settle()
    event, rows = parked(reads)
    reads.parking = False
    world.table.put(1, Row(3))
    reset(world)
    await settle()
    event.set_result(rows)
    await settle()
    assert versions(inbox) == [("reset", [3]), ("update", 3)]


@clockless
async def test_a_late_delete_is_not_told_after_changes_were_lost(make_world, reads):
    """The row is there again; the log does not say so."""
    world = make_world()
    world.table.rows = {1: Row(1), 2: Row(1)}
    inbox = Inbox()
    subscription, _ = await keep(TableReader(world.table), inbox)
    inbox.has_room = False
    world.commit(1, None)
    world.commit(2, Row(2))
    await settle()
    reads.parking = inbox.has_room = True
    subscription.resume()
    await settle()
    late, rows = parked(reads)
    reads.parking = False
    world.table.put(1, Row(3))
    reset(world)
    await settle()
    late.set_result(rows)
    await settle()
    assert versions(inbox) == [("reset", [2, 3])]


# what fails


@clockless
async def test_a_subscriber_that_can_not_be_told_does_not_cost_the_others(make_world, caplog):
    world = make_world()
    inboxes = [(await world.subscribe(TableReader(world.table)))[1] for _ in range(3)]

    def fail(*parts: str, size: int) -> None:
        raise ValueError("anything")

    inboxes[1].push = fail
    world.commit(1, Row())
    await settle()
    assert [inbox.told() for inbox in inboxes] == [[("create", 1)], [], [("create", 1)]]
    assert "A subscriber to rows can't be told" in caplog.text


@clockless
@pytest.mark.parametrize(
    "wrong", [{"changes": [["7", 1, UPDATE]]}, {"changes": [None]}, {"model": []}], ids=str
)
async def test_a_message_that_is_no_hint_does_not_end_the_hub(make_world, settings, wrong):
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "tests.live_layers.TroubledLayer"}}
    world = make_world()
    _, inbox = await world.subscribe(TableReader(world.table))
    layer = get_channel_layer()
    hint = world.append(1, world.table.put(1, Row()))
    message = to_message(hint.topic, hint.position.epoch, [hint])
    await layer.group_send(TOPIC.group, {**message, **wrong})
    await settle()
    assert inbox.told() == []
    await layer.group_send(TOPIC.group, message)
    await settle()
    assert inbox.told() == [("create", 1)]
    assert layer.calls["new_channel"] == 1  # else it was the listener that began anew


async def hang() -> None:
    await asyncio.Event().wait()


async def fail() -> None:
    raise OSError("away")


@clockless
@pytest.mark.parametrize("away", [hang, fail])
async def test_a_log_that_does_not_answer_refuses_who_comes_back(make_world, away):
    """As soon as its time is over, and for now: 503."""

    class Away(MemoryLog):
        async def since(self, topic, position):
            await away()

    world = make_world(Away())
    since = Position(world.log.epoch, 0)
    with pytest.raises(LogUnavailable):
        await asyncio.wait_for(keep(TableReader(world.table), Inbox(), since=since), 60)
    assert LogUnavailable.status_code == 503
    assert world.topics == {}


@clockless
async def test_the_heartbeat_ends_although_its_cancel_was_lost(make_world):
    """Before Python 3.12 a cancel is lost that comes just when wait_for has its result."""
    asked: list[asyncio.Future[None]] = []

    class Shared(MemoryLog):
        shared = True

        async def tops(self, topics):
            if world.topics[TOPIC].position is not None:
                asked.append(asyncio.get_running_loop().create_future())
                await asked[-1]
            return await super().tops(topics)

    world = make_world(Shared())
    before = asyncio.all_tasks()
    subscription, _ = await world.subscribe(TableReader(world.table))
    await asyncio.sleep(api_settings.HEARTBEAT)
    asked[0].set_result(None)
    await asyncio.sleep(0)  # wait_for has its result, and nobody was woken by it
    world.leave(subscription)
    await settle()
    assert asyncio.all_tasks() == before
