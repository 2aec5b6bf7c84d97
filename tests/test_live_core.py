"""The live core as plain objects: log, operations, hub, audience, subscription."""

import asyncio
import os
import subprocess
import sys

import pytest
from rest_framework.exceptions import NotFound

from channels_api.exceptions import LimitExceeded
from channels_api.live import flusher as flusher_module
from channels_api.live import hub as hub_module
from channels_api.live import log as log_module
from channels_api.live import subscription as subscription_module
from channels_api.live import view as view_module
from channels_api.live.log import Change, Hint, Position, Topic
from channels_api.live.memory_log import MemoryLog
from channels_api.live.operations import CREATE, DELETE, LOOK, REPLACE, UPDATE, merge
from channels_api.live.reader import Rows
from channels_api.live.subscriptions import Subscriptions
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
from tests.servers import ROOT


@pytest.fixture(autouse=True)
def reads(monkeypatch, settings) -> Reads:
    """No channel layer and no threads: what would run in one runs in `Reads`."""
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    # What is looked at now and then has tests of its own.
    settings.CHANNELS_API = {"REVALIDATE": None}
    reads = Reads()
    run_reads_in(monkeypatch, reads)
    return reads


@pytest.fixture
def make_world(monkeypatch):
    def make() -> World:
        world = World()
        monkeypatch.setattr(log_module, "_log", lambda name: world.log)
        return world

    return make


# operations


@pytest.mark.parametrize(
    ("earlier", "later", "merged"),
    [
        (None, CREATE, CREATE),
        (None, UPDATE, UPDATE),
        (None, DELETE, DELETE),
        (CREATE, UPDATE, CREATE),
        (CREATE, DELETE, DELETE),
        (UPDATE, UPDATE, UPDATE),
        (UPDATE, DELETE, DELETE),
        (UPDATE, CREATE, CREATE),
        (DELETE, CREATE, REPLACE),
        (DELETE, UPDATE, LOOK),
        (LOOK, UPDATE, LOOK),
        (UPDATE, LOOK, LOOK),
        (CREATE, LOOK, REPLACE),
        (REPLACE, UPDATE, REPLACE),
        (REPLACE, DELETE, DELETE),
    ],
)
def test_two_operations_add_up(earlier, later, merged):
    assert merge(earlier, later) == merged


# the log


def changes(*pks: int) -> list[Change]:
    return [Change(pk, UPDATE) for pk in pks]


def run(coroutine):
    return asyncio.run(coroutine)


def top_of(log: MemoryLog, topic: Topic) -> Position:
    return run(log.tops([topic]))[topic]


def test_changes_are_numbered_in_order_and_from_one():
    log = MemoryLog()
    hints = log.append(TOPIC, changes(7, 8)) + log.append(TOPIC, changes(7))
    assert hints == [
        Hint(TOPIC, Position(log.epoch, seq), Change(pk, UPDATE))
        for seq, pk in [(1, 7), (2, 8), (3, 7)]
    ]
    assert top_of(log, TOPIC) == Position(log.epoch, 3)


def test_topics_are_numbered_apart():
    log = MemoryLog()
    log.append(TOPIC, changes(1, 2))
    other = TOPIC._replace(alias="other")
    assert top_of(log, other) == Position(log.epoch, 0)
    assert log.append(other, changes(1))[0].position.seq == 1


@pytest.mark.parametrize(("since", "missed"), [(0, [1, 2, 3]), (1, [2, 3]), (3, [])])
def test_what_came_after_a_position(since, missed):
    log = MemoryLog()
    log.append(TOPIC, changes(1, 2, 3))
    replay = run(log.since(TOPIC, Position(log.epoch, since)))
    assert (replay.fault, replay.changes) == (None, changes(*missed))
    assert replay.top == Position(log.epoch, 3)


def test_a_trimmed_log_says_that_it_can_not_tell(settings):
    settings.CHANNELS_API = {"HISTORY_SIZE": 2}
    log = MemoryLog()
    log.append(TOPIC, changes(1, 2, 3))
    assert run(log.since(TOPIC, Position(log.epoch, 1))).changes == changes(2, 3)
    trimmed = run(log.since(TOPIC, Position(log.epoch, 0)))
    assert (trimmed.fault, trimmed.changes, trimmed.top.seq) == ("trimmed", [], 3)


@pytest.mark.parametrize(
    ("position", "fault"), [(("another", 1), "epoch"), ((None, 3), "ahead")], ids=["epoch", "ahead"]
)
def test_a_position_of_elsewhere_can_not_be_continued(position, fault):
    log = MemoryLog()
    log.append(TOPIC, changes(1, 2))
    epoch, seq = position
    replay = run(log.since(TOPIC, Position(epoch or log.epoch, seq)))
    assert (replay.fault, replay.changes) == (fault, [])
    assert replay.top == Position(log.epoch, 2)


def test_a_new_log_is_a_new_epoch():
    assert MemoryLog().epoch != MemoryLog().epoch


def test_a_forked_process_is_a_new_epoch():
    """Workers forked after the import would else take each other's numbers for their own."""
    script = (
        "import os\n"
        "from channels_api.live.memory_log import MemoryLog\n"
        "log = MemoryLog()\n"
        "print(log.epoch, flush=True)\n"
        "pid = os.fork()\n"
        "os.waitpid(pid, 0) if pid else print(log.epoch, flush=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        capture_output=True,
        text=True,
        check=True,
    )
    epochs = done.stdout.split()
    assert len(set(epochs)) == 2


@pytest.mark.parametrize("model", ["app.question", "x" * 500, "äpp.frage"])
def test_group_names_are_short_ascii_and_different(model):
    topics = [Topic(model, "default"), Topic(model, "other"), Topic("app.other", "default")]
    groups = {topic.group for topic in topics}
    assert len(groups) == 3
    assert all(len(group) < 100 and group.isascii() for group in groups)


# the hub


@clockless
async def test_the_next_hint_is_told(make_world):
    world = make_world()
    _, inbox = await world.subscribe(TableReader(world.table))
    world.commit(1, Row())
    await settle()
    assert inbox.events == [
        {
            "action": "create",
            "pk": 1,
            "data": {"pk": 1, "version": 0, "shown_to": None},
            "model": "app.row",
        }
    ]


@clockless
async def test_an_old_hint_is_ignored(make_world):
    world = make_world()
    reader = TableReader(world.table)
    _, inbox = await world.subscribe(reader)
    hint = world.append(1, world.table.put(1, Row()))
    world.hub.hear([hint, hint])
    await settle()
    world.hub.hear([hint])
    await settle()
    assert inbox.told() == [("create", 1)]
    assert reader.reads == [{1}]


@clockless
async def test_a_gap_is_looked_up_in_the_log(make_world):
    """Three changes of which only the last rings; the first two follow late."""
    world = make_world()
    _, inbox = await world.subscribe(TableReader(world.table))
    lost = [world.append(pk, world.table.put(pk, Row())) for pk in (1, 2)]
    world.hub.hear([world.append(3, world.table.put(3, Row()))])
    world.hub.hear(lost)
    await settle()
    assert inbox.told() == [("create", 1), ("create", 2), ("create", 3)]


@clockless
async def test_what_rings_while_a_gap_is_looked_up_is_told_once(make_world):
    world = make_world()
    _, inbox = await world.subscribe(TableReader(world.table))
    world.append(1, world.table.put(1, Row()))
    world.commit(2, Row())
    world.commit(3, Row())
    await settle()
    assert sorted(inbox.told()) == [("create", 1), ("create", 2), ("create", 3)]


@clockless
async def test_a_log_that_fails_is_asked_again_at_the_next_hint(make_world, monkeypatch):
    world = make_world()
    _, inbox = await world.subscribe(TableReader(world.table))
    since = world.log.since

    async def fail(topic, position):
        monkeypatch.setattr(world.log, "since", since)
        raise OSError

    monkeypatch.setattr(world.log, "since", fail)
    world.append(1, world.table.put(1, Row()))
    world.commit(2, Row())
    await settle()
    assert inbox.told() == []
    world.commit(3, Row())
    await settle()
    assert [pk for _, pk in inbox.told()] == [1, 2, 3]


@clockless
async def test_a_hint_of_another_process_becomes_a_change_of_this_log(make_world):
    """Its log is in its memory: what the hint tells is all that is ever known of it here."""
    world = make_world()
    _, inbox = await world.subscribe(TableReader(world.table))
    world.table.rows[5] = Row()
    world.hub.hear([Hint(TOPIC, Position("elsewhere", 40), Change(5, CREATE))])
    world.commit(6, Row())
    await settle()
    assert inbox.told() == [("create", 5), ("create", 6)]
    assert (await world.log.tops([TOPIC]))[TOPIC].seq == 2


@clockless
async def test_a_hint_of_another_epoch_of_a_shared_log_is_looked_up(make_world, monkeypatch):
    world = make_world()
    _, inbox = await world.subscribe(TableReader(world.table))
    monkeypatch.setattr(world.log, "shared", True)
    world.table.rows[5] = Row()
    world.hub.hear([Hint(TOPIC, Position("elsewhere", 1), Change(5, CREATE))])
    await settle()
    assert inbox.told() == []
    assert (await world.log.tops([TOPIC]))[TOPIC].seq == 0


@clockless
async def test_other_topics_are_not_heard(make_world):
    world = make_world()
    reader = TableReader(world.table)
    _, inbox = await world.subscribe(reader)
    world.table.rows[5] = Row()
    world.hub.hear(world.log.append(TOPIC._replace(alias="other"), [Change(5, CREATE)]))
    await settle()
    assert (inbox.told(), reader.reads) == ([], [])


@clockless
async def test_a_holder_that_is_cancelled_does_not_take_the_topic_from_others(
    make_world, monkeypatch
):
    world = make_world()
    release = asyncio.Event()
    tops = world.log.tops

    async def slow_tops(topics):
        await release.wait()
        return await tops(topics)

    monkeypatch.setattr(world.log, "tops", slow_tops)
    first = asyncio.ensure_future(world.subscribe(TableReader(world.table)))
    second = asyncio.ensure_future(world.subscribe(TableReader(world.table)))
    await asyncio.sleep(1)
    first.cancel()
    await asyncio.sleep(1)
    release.set()
    _, inbox = await second
    world.commit(1, Row())
    await settle()
    assert inbox.told() == [("create", 1)]


# audiences


@clockless
async def test_marks_are_merged_into_one_read(make_world, reads):
    world = make_world()
    reader = TableReader(world.table)
    _, inbox = await world.subscribe(reader)
    for version in range(5):
        world.commit(1, Row(version))
    await settle()
    assert [(event["action"], event["data"]["version"]) for event in inbox.events] == [
        ("create", 4)
    ]
    assert reader.reads == [{1}]


@clockless
async def test_one_read_serves_all_subscribers_of_an_audience(make_world):
    world = make_world()
    readers = [TableReader(world.table) for _ in range(20)]
    inboxes = [(await world.subscribe(reader))[1] for reader in readers]
    world.commit(1, Row())
    await settle()
    assert [inbox.told() for inbox in inboxes] == [[("create", 1)]] * 20
    assert sum(len(reader.reads) for reader in readers) == 1


@clockless
async def test_a_change_during_a_read_is_read_again(make_world, reads):
    """A read may be used only for what was marked before it began."""
    world = make_world()
    reader = TableReader(world.table)
    _, inbox = await world.subscribe(reader)
    reads.parking = True
    world.commit(1, Row(1))
    await settle()
    [(future, function)] = reads.parked
    result = function()
    world.commit(1, Row(2))
    reads.parking = False
    future.set_result(result)
    await settle()
    assert [event["data"]["version"] for event in inbox.events] == [1, 2]


@clockless
@pytest.mark.parametrize("restricted", [False, True])
async def test_a_read_that_fails_is_tried_again_and_nothing_is_lost(make_world, restricted):
    world = make_world()
    world.table.rows = {1: Row(), 2: Row()}
    reader = TableReader(world.table, "ann", restricted=restricted)
    _, inbox = await world.subscribe(reader)
    reader.failures = 3
    world.commit(1, Row(1))
    world.commit(2, None)
    world.commit(3, Row())
    await settle()
    assert inbox.told() == [("update", 1), ("delete", 2), ("create", 3)]
    assert reader.reads == [{1, 2, 3}] * 4


@clockless
async def test_what_comes_while_a_read_fails_is_newer_than_what_failed(make_world):
    world = make_world()
    reader = TableReader(world.table)
    _, inbox = await world.subscribe(reader)
    reader.failures = 1
    world.commit(1, Row(1))
    await asyncio.sleep(0.1)
    assert reader.reads == [{1}]
    world.commit(1, None)
    await settle()
    assert inbox.told() == [("delete", 1)]


@clockless
async def test_a_row_that_enters_the_view_is_created_and_one_that_leaves_is_deleted(make_world):
    world = make_world()
    world.table.rows = {1: Row(owner="bob"), 2: Row(owner="ann")}
    _, ann = await world.subscribe(TableReader(world.table, "ann", restricted=True))
    _, bob = await world.subscribe(TableReader(world.table, "bob", restricted=True))
    world.commit(1, Row(owner="ann"))
    world.commit(2, Row(owner="bob"))
    await settle()
    assert ann.told() == [("create", 1), ("delete", 2)]
    assert bob.told() == [("delete", 1), ("create", 2)]


@clockless
async def test_a_deleted_row_holds_no_data(make_world):
    world = make_world()
    world.table.rows = {1: Row()}
    _, inbox = await world.subscribe(TableReader(world.table))
    world.commit(1, None)
    await settle()
    assert inbox.events == [{"action": "delete", "pk": 1, "data": None, "model": "app.row"}]


@clockless
async def test_nobody_hears_of_the_end_of_a_row_that_was_never_seen(make_world):
    world = make_world()
    world.table.rows = {1: Row(owner="bob"), 2: Row(owner="bob")}
    _, inbox = await world.subscribe(TableReader(world.table, "ann", restricted=True))
    world.commit(1, None)
    world.commit(2, Row(1, owner="bob"))
    world.commit(3, Row(owner="bob"))
    await settle()
    assert inbox.told() == []


@clockless
async def test_without_hidden_rows_every_delete_is_told(make_world):
    world = make_world()
    _, inbox = await world.subscribe(TableReader(world.table))
    world.hub.hear([world.append(99, DELETE)])
    await settle()
    assert inbox.told() == [("delete", 99)]


@clockless
async def test_a_delete_while_the_view_is_read_is_told(make_world, reads):
    """The row was visible when the view was read, and gone before the subscription was there."""
    world = make_world()
    world.table.rows = {1: Row(), 2: Row()}
    reads.parking = True
    entering = asyncio.ensure_future(
        world.subscribe(TableReader(world.table, "ann", restricted=True))
    )
    await settle()
    [(future, read_visible)] = reads.parked
    visible = read_visible()
    world.commit(1, None)
    await settle()
    reads.parking = False
    future.set_result(visible)
    _, inbox = await entering
    await settle()
    assert inbox.told() == [("delete", 1)]


@clockless
@pytest.mark.parametrize("restricted", [False, True])
async def test_a_delete_while_a_row_is_looked_up_is_told(make_world, reads, restricted):
    world = make_world()
    world.table.rows = {1: Row(), 2: Row()}
    reads.parking = True
    reader = TableReader(world.table, "ann", restricted=restricted)
    entering = asyncio.ensure_future(world.subscribe(reader, pk=1))
    await settle()
    [(future, find)] = reads.parked
    found = find()
    world.commit(1, None)
    world.commit(2, None)
    await settle()
    reads.parking = False
    future.set_result(found)
    _, inbox = await entering
    await settle()
    assert inbox.told() == [("delete", 1)]


@clockless
async def test_a_row_subscription_hears_of_its_row_only(make_world):
    world = make_world()
    world.table.rows = {1: Row(), 2: Row()}
    reader = TableReader(world.table)
    _, inbox = await world.subscribe(reader, pk=1)
    world.commit(1, Row(1))
    world.commit(2, Row(1))
    world.commit(1, None)
    await settle()
    world.commit(1, Row(2))
    await settle()
    assert inbox.told() == [("delete", 1), ("create", 1)]
    # Rows that nobody asked for are not read.
    assert set().union(*reader.reads) == {1}


@clockless
async def test_a_row_that_can_not_be_seen_can_not_be_subscribed(make_world):
    world = make_world()
    world.table.rows = {1: Row(owner="bob")}
    with pytest.raises(NotFound):
        await world.subscribe(TableReader(world.table, "ann", restricted=True), pk=1)
    assert world.topics == {}


@clockless
async def test_more_rows_than_one_query_takes(make_world, monkeypatch):
    monkeypatch.setattr(flusher_module, "CHUNK", 10)
    world = make_world()
    reader = TableReader(world.table)
    _, inbox = await world.subscribe(reader)
    for pk in range(25):
        world.commit(pk, Row())
    await settle()
    assert inbox.told() == [("create", pk) for pk in range(25)]
    assert [len(pks) for pks in reader.reads] == [10, 10, 5]


@clockless
async def test_of_more_rows_than_are_remembered_the_oldest_are_not_named(make_world, monkeypatch):
    monkeypatch.setattr(view_module, "MAX_VISIBLE", 3)
    world = make_world()
    world.table.rows = {pk: Row() for pk in range(1, 6)}
    _, inbox = await world.subscribe(TableReader(world.table, "ann", restricted=True))
    world.commit(1, None)
    world.commit(5, None)
    await settle()
    assert inbox.told() == [("delete", 5)]
    # Seen before or not: nobody can tell, and a client takes an update of a new row for a create.
    world.commit(2, Row(1))
    await settle()
    assert inbox.told() == [("update", 2)]
    world.commit(2, None)
    await settle()
    assert inbox.told() == [("delete", 2)]


@clockless
async def test_what_is_visible_is_read_anew_when_nobody_had_wanted_all_rows(make_world):
    """A subscription to one row keeps the audience, which hears of that row only."""
    world = make_world()
    world.table.rows = {1: Row(), 2: Row()}

    def reader():
        return TableReader(world.table, "ann", restricted=True)

    first, _ = await world.subscribe(reader())
    await world.subscribe(reader(), pk=1)
    world.leave(first)
    world.commit(2, Row(owner="bob"))
    world.commit(3, Row())
    await settle()
    _, inbox = await world.subscribe(reader())
    world.commit(1, None)
    world.commit(2, None)
    world.commit(3, None)
    await settle()
    assert inbox.told() == [("delete", 1), ("delete", 3)]


@clockless
async def test_the_view_is_read_once_for_all_who_enter_together(make_world, monkeypatch):
    world = make_world()
    calls = []
    visible = TableReader.visible
    monkeypatch.setattr(
        TableReader, "visible", lambda self, limit: calls.append(1) or visible(self, limit)
    )
    readers = [TableReader(world.table, "ann", restricted=True) for _ in range(5)]
    await asyncio.gather(*map(world.subscribe, readers))
    assert len(calls) == 1


@clockless
async def test_a_view_that_can_not_be_read_fails_the_subscribe_and_not_the_next(
    make_world, monkeypatch
):
    world = make_world()

    def fail(self, limit):
        raise OSError("the database is away")

    with monkeypatch.context() as patch:
        patch.setattr(TableReader, "visible", fail)
        with pytest.raises(OSError, match="away"):
            await world.subscribe(TableReader(world.table, "ann", restricted=True))
    _, inbox = await world.subscribe(TableReader(world.table, "ann", restricted=True))
    world.commit(1, Row())
    await settle()
    assert inbox.told() == [("create", 1)]


@clockless
async def test_an_audience_splits_when_the_serializer_asks_for_the_request(make_world):
    world = make_world()
    subscribers = {}
    for user in ("ann", "bob"):
        reader = TableReader(world.table, user, shared=True)
        subscribers[user] = [
            (await world.subscribe(reader))[1],
            (await world.subscribe(reader, pk=None))[1],
        ]
    world.commit(1, Row())
    await settle()
    shared = {"pk": 1, "version": 0, "shown_to": None}
    for inboxes in subscribers.values():
        for inbox in inboxes:
            assert [event["data"] for event in inbox.events] == [shared]
            inbox.events.clear()
    world.table.asks = True
    world.commit(1, Row(1))
    await settle()
    for user, inboxes in subscribers.items():
        for inbox in inboxes:
            assert [event["data"] for event in inbox.events] == [
                {"pk": 1, "version": 1, "shown_to": user}
            ]


@clockless
async def test_an_audience_splits_when_another_found_its_binding_personal(make_world):
    """The same binding under two names: what one of them shows must not be shared by the other."""
    world = make_world()
    _, ann = await world.subscribe(TableReader(world.table, "ann", shared=True))
    _, bob = await world.subscribe(TableReader(world.table, "bob", shared=True))
    world.table.asks = world.table.noticed = True
    world.commit(1, Row())
    await settle()
    assert [event["data"]["shown_to"] for event in ann.events] == ["ann"]
    assert [event["data"]["shown_to"] for event in bob.events] == ["bob"]


@clockless
async def test_a_newcomer_is_not_told_what_was_read_before_it_came(make_world, reads):
    """What has happened to the row since, nobody marked: for a while nobody wanted it."""
    world = make_world()
    world.table.rows = {1: Row(), 2: Row()}

    def reader():
        return TableReader(world.table, "ann", restricted=True)

    first, _ = await world.subscribe(reader())
    await world.subscribe(reader(), pk=2)
    reads.parking = True
    world.commit(1, Row(1))
    await settle()
    [(future, read)] = reads.parked
    seen = read()
    reads.parking = False
    world.leave(first)
    world.commit(1, Row(2, owner="bob"))
    _, inbox = await world.subscribe(reader())
    future.set_result(seen)
    await settle()
    assert inbox.told() == []


@clockless
async def test_a_split_takes_no_view_along_with_one_row(make_world):
    """Who then subscribes to all rows has the view read."""
    world = make_world()
    world.table.rows = {1: Row(), 2: Row()}

    def reader(user):
        return TableReader(world.table, user, restricted=True, shared=True)

    await world.subscribe(reader("ann"))
    await world.subscribe(reader("bob"), pk=1)
    world.table.asks = True
    world.commit(1, Row(1))
    await settle()
    _, inbox = await world.subscribe(reader("bob"))
    world.commit(2, None)
    await settle()
    assert inbox.told() == [("delete", 2)]


@clockless
async def test_the_last_to_leave_ends_everything(make_world):
    world = make_world()
    world.table.rows = {1: Row()}
    before = asyncio.all_tasks()
    everything, _ = await world.subscribe(TableReader(world.table, "ann", restricted=True))
    row, _ = await world.subscribe(TableReader(world.table, "ann", restricted=True), pk=1)
    world.commit(1, Row(1))  # a read is under way when they leave
    world.leave(everything)
    world.leave(row)
    await settle()
    assert asyncio.all_tasks() == before
    assert world.topics == {}


# subscriptions


@clockless
async def test_events_are_held_until_the_reply_is_on_its_way(make_world):
    world = make_world()
    subscription, inbox = await world.subscribe(TableReader(world.table), opened=False)
    world.commit(1, Row(1))
    world.commit(1, Row(2))
    await settle()
    world.table.rows[1] = Row(3)
    assert inbox.events == []
    subscription.open()
    await settle()
    # Read when it was opened: what is held is the pk and not the row.
    assert [(event["action"], event["data"]["version"]) for event in inbox.events] == [
        ("create", 3)
    ]


@clockless
async def test_a_slow_client_is_told_the_latest_state_when_it_has_room(make_world):
    world = make_world()
    subscription, slow = await world.subscribe(TableReader(world.table))
    _, quick = await world.subscribe(TableReader(world.table))
    slow.has_room = False
    for version in range(3):
        world.commit(1, Row(version))
        await settle()
    world.commit(2, Row())
    await settle()
    world.commit(2, None)
    await settle()
    assert slow.events == []
    assert len(quick.events) == 5
    slow.has_room = True
    subscription.resume()
    await settle()
    assert [(event["action"], event["data"]) for event in slow.events] == [
        ("create", {"pk": 1, "version": 2, "shown_to": None}),
        ("delete", None),
    ]


@clockless
async def test_a_client_that_fills_up_again_loses_nothing(make_world, monkeypatch):
    monkeypatch.setattr(flusher_module, "CHUNK", 4)
    world = make_world()
    subscription, inbox = await world.subscribe(TableReader(world.table))
    inbox.has_room = False
    for pk in range(10):
        world.commit(pk, Row())
    await settle()
    push = inbox.push

    def push_three(text: str, size: int) -> None:
        push(text)
        inbox.has_room = len(inbox.events) % 3 != 0

    inbox.push = push_three
    for _ in range(4):
        inbox.has_room = True
        subscription.resume()
        await settle()
    assert sorted(inbox.told()) == [("create", pk) for pk in range(10)]


@clockless
async def test_a_client_that_takes_nothing_for_too_many_rows_is_given_up(make_world, monkeypatch):
    monkeypatch.setattr(subscription_module, "MAX_DIRTY", 3)
    world = make_world()
    _, inbox = await world.subscribe(TableReader(world.table))
    inbox.has_room = False
    for pk in (1, 2, 3, 3, 3):
        world.commit(pk, Row())
    await settle()
    assert not inbox.given_up
    world.commit(4, Row())
    await settle()
    assert inbox.given_up


@clockless
@pytest.mark.parametrize(
    ("action", "told"),
    [
        ("create", [("create", 1)]),
        ("update", [("update", 1)]),
        ("delete", [("delete", 1)]),
        ("*", [("create", 1), ("update", 1), ("delete", 1)]),
    ],
)
async def test_a_subscription_is_told_its_action_only(make_world, action, told):
    world = make_world()
    _, inbox = await world.subscribe(TableReader(world.table), action)
    for row in (Row(1), Row(2), None):
        world.commit(1, row)
        await settle()
    assert inbox.told() == told


@clockless
@pytest.mark.parametrize("restricted", [False, True])
@pytest.mark.parametrize("action", ["delete", "*"])
async def test_a_delete_that_is_told_late_is_one_although_the_row_is_back(
    make_world, action, restricted
):
    """Its create is told when it rings. Shown before that, nobody would know that it was seen."""
    world = make_world()
    world.table.rows = {1: Row()}
    reader = TableReader(world.table, restricted=restricted)
    subscription, inbox = await world.subscribe(reader, action)
    inbox.has_room = False
    world.commit(1, None)
    await settle()
    create = world.append(1, world.table.put(1, Row(2)))
    inbox.has_room = True
    subscription.resume()
    await settle()
    assert inbox.told() == [("delete", 1)]
    world.hub.hear([create])
    await settle()
    assert inbox.told() == ([("create", 1)] if action == "*" else [])


@clockless
async def test_what_a_user_read_who_was_logged_out_meanwhile_is_told_to_nobody(make_world, reads):
    """It was read with the eyes of nobody, and speaks for others who may see it."""
    world = make_world()
    world.table.rows = {1: Row()}
    readers = [TableReader(world.table, "ann", restricted=True) for _ in range(2)]
    entered = [await world.subscribe(each) for each in readers]
    speaker = entered[0][0].audience.reader
    (subscription, inbox), (_, other) = sorted(entered, key=lambda each: each[0].reader != speaker)
    reads.parking = True
    world.commit(1, Row(1))
    await settle()
    [(future, _)] = reads.parked
    reads.parking = False
    speaker.is_over = True
    future.set_result(Rows({}))
    await asyncio.sleep(0)
    world.leave(subscription)
    await settle()
    assert (inbox.told(), other.told()) == ([], [("update", 1)])


@clockless
async def test_a_snapshot_of_a_user_who_was_logged_out_meanwhile_is_for_nobody(make_world, reads):
    world = make_world()
    reader = TableReader(world.table, "ann", restricted=True)
    subscription, _ = await world.subscribe(reader)
    reads.parking = True
    reading = asyncio.ensure_future(subscription.audience.snapshot(reader.owner))
    await settle()
    [(future, read)] = reads.parked
    reader.is_over = True
    future.set_result(read())
    assert await reading is None


@clockless
async def test_nothing_is_told_after_the_end(make_world, reads):
    """Not even what is being read for a client that was slow."""
    world = make_world()
    subscription, inbox = await world.subscribe(TableReader(world.table))
    _, other = await world.subscribe(TableReader(world.table))
    inbox.has_room = False
    world.commit(1, Row())
    await settle()
    reads.parking = True
    inbox.has_room = True
    subscription.resume()
    await settle()
    [(future, read)] = reads.parked
    world.leave(subscription)
    future.set_result(read())
    await settle()
    assert (inbox.told(), other.told()) == ([], [("create", 1)])


# all subscriptions of a socket


@clockless
async def test_a_socket_has_a_limited_number_of_subscriptions(make_world, settings):
    settings.CHANNELS_API = {"MAX_SUBSCRIPTIONS": 2}
    world = make_world()
    world.table.rows = {1: Row(), 2: Row(), 3: Row()}
    subscriptions = Subscriptions(Inbox())
    reader = TableReader(world.table)
    for lookup in (1, 2, 1, 2):
        await subscriptions.add(reader, "*", lookup)
    with pytest.raises(LimitExceeded, match="2 subscriptions"):
        await subscriptions.add(reader, "*", 3)
    subscriptions.discard(("rows", 1, "*"))
    await subscriptions.add(reader, "*", 3)


@clockless
async def test_the_same_subscription_twice_is_one(make_world):
    subscriptions = Subscriptions(Inbox())
    world = make_world()
    reader = TableReader(world.table)
    first = await subscriptions.add(reader, "*", None)
    assert await subscriptions.add(TableReader(world.table), "*", None) is first


@clockless
async def test_closing_ends_all_subscriptions_and_a_failed_one_leaves_nothing(make_world):
    world = make_world()
    world.table.rows = {1: Row()}
    subscriptions = Subscriptions(Inbox())
    reader = TableReader(world.table)
    await subscriptions.add(reader, "*", None)
    await subscriptions.add(reader, "update", 1)
    with pytest.raises(NotFound):
        await subscriptions.add(reader, "update", 2)
    subscriptions.discard(("rows", None, "create"))  # there is none
    topics = hub_module.get_hub()._topics  # noqa: SLF001
    assert topics[TOPIC].holders == 2
    subscriptions.close()
    subscriptions.close()
    await settle()
    assert topics == {}
