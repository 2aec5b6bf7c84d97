"""A channel layer that fails or hangs: saves and subscribers go on, and it is used again later."""

import asyncio
import time
from collections.abc import Iterator

import pytest
from channels.layers import get_channel_layer

from channels_api import logs
from channels_api.layers import sender
from channels_api.layers.listener import Listener
from channels_api.live import bell, changes, hub
from channels_api.live import log as log_module
from channels_api.live.log import Change, Hint, Position
from tests.app.models import Question
from tests.live_layers import TroubledLayer
from tests.live_world import TOPIC, Reads, Row, TableReader, World, clockless, run_reads_in, settle


@pytest.fixture
def layer(settings, monkeypatch) -> Iterator[TroubledLayer]:
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "tests.live_layers.TroubledLayer"}}
    monkeypatch.setattr(logs, "_last", {})
    # A sender of its own, which is done before the next test: what it had left would be sent there.
    monkeypatch.setattr(sender, "_current", None)
    monkeypatch.setattr(sender, "TIMEOUT", 0.5)
    layer = get_channel_layer()
    assert isinstance(layer, TroubledLayer)
    yield layer
    layer.mode = "works"
    if sender._current is not None:  # noqa: SLF001
        sender._current.finish()  # noqa: SLF001


@pytest.fixture
def make_world(monkeypatch):
    run_reads_in(monkeypatch, Reads())

    def make() -> World:
        world = World()
        monkeypatch.setattr(log_module, "_log", lambda name: world.log)
        return world

    return make


def until(condition, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


def complaints(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "channels_api"]


def message(pk: int, seq: int = 1) -> dict:
    hint = Hint(TOPIC, Position("elsewhere", seq), Change(pk, "create"))
    return bell.to_message(TOPIC, "elsewhere", [hint])


# ringing


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("mode", ["fails", "hangs"])
def test_a_layer_in_trouble_neither_fails_nor_blocks_a_save(layer, mode, monkeypatch, caplog):
    monkeypatch.setattr(sender, "PAUSE", 0.01)
    changes.watch(Question)
    layer.mode = mode
    pks = {Question.objects.create(question_text=text).pk for text in "abc"}
    assert Question.objects.count() == 3
    until(layer.called.is_set)
    if mode == "hangs":
        # All three were saved, and the layer has not taken a single one of their rings. (Those of
        # other tests may still be on their way, by threads of their own.)
        told = {hint.change.pk for _, sent in layer.sent for hint in bell.from_message(sent)}
        assert not pks & told
        layer.mode = "works"


def test_a_layer_in_trouble_is_complained_of_once_a_minute(layer, monkeypatch, caplog):
    monkeypatch.setattr(sender, "PAUSE", 0)
    layer.mode = "fails"
    for number in range(5):  # of as many topics, since those of one would go together
        topic = TOPIC._replace(model=f"app.model{number}")
        bell.ring_others([Hint(topic, Position("here", 1), Change(1, "create"))])
    until(lambda: layer.calls["group_send"] >= 5)
    assert complaints(caplog) == ["The channel layer takes no messages; other processes hear later"]


def test_rings_go_on_after_a_layer_that_hung(layer, monkeypatch):
    monkeypatch.setattr(sender, "PAUSE", 0)
    monkeypatch.setattr(sender, "TIMEOUT", 0.05)
    layer.mode = "hangs"
    hint = Hint(TOPIC, Position("here", 1), Change(1, "create"))
    bell.ring_others([hint])
    until(layer.called.is_set)
    layer.mode = "works"
    bell.ring_others([hint._replace(position=Position("here", 2))])
    until(lambda: layer.sent)
    assert layer.sent == [(TOPIC.group, {**message(1, 2), "epoch": "here"})]


def flat(value) -> list:
    """What a value holds that holds nothing itself."""
    parts = value.values() if isinstance(value, dict) else value
    return [each for part in parts for each in (flat(part) if isinstance(part, list) else [part])]


def test_a_message_holds_text_and_numbers_only_and_becomes_the_hints_again():
    hints = [
        Hint(TOPIC, Position("here", seq), Change(pk, "create"))
        for seq, pk in enumerate(["550e8400", 7], 1)
    ]
    sent = bell.to_message(TOPIC, "here", hints)
    assert {type(value) for value in flat(sent)} == {str, int}
    assert bell.from_message(sent) == hints


def test_the_rows_of_a_transaction_share_messages(layer):
    """A layer that holds 100 messages for a process would drop most of them."""
    hints = [Hint(TOPIC, Position("here", seq), Change(seq, "create")) for seq in range(120)]
    bell.ring(hints)
    until(lambda: sum(len(message["changes"]) for _, message in layer.sent) == 120)
    assert [len(message["changes"]) for _, message in layer.sent] == [50, 50, 20]
    assert [hint for _, message in layer.sent for hint in bell.from_message(message)] == hints


# hearing


@clockless
async def test_one_membership_for_all_subscribers_and_none_after_the_last(layer, make_world):
    world = make_world()
    subscriptions = [(await world.subscribe(TableReader(world.table)))[0] for _ in range(5)]
    assert layer.calls["group_add"] == 1
    assert {group: len(members) for group, members in layer.groups.items()} == {TOPIC.group: 1}
    for subscription in subscriptions[1:]:
        world.leave(subscription)
    await settle()
    assert layer.groups[TOPIC.group]
    world.leave(subscriptions[0])
    await settle()
    assert not layer.groups[TOPIC.group]
    assert asyncio.all_tasks() == {asyncio.current_task()}


@clockless
async def test_groups_that_are_left_at_the_same_time_are_all_left(layer):
    """Python 3.12 and newer let the first one clear away while the second one waits."""
    listener = Listener(lambda message: None, lambda: None)
    for group in "abc":
        await listener.join(group)
    assert {group for group, members in layer.groups.items() if members} == set("abc")
    await asyncio.gather(*(listener.leave(group) for group in "abc"))
    await settle()
    assert not any(layer.groups.values())
    assert asyncio.all_tasks() == {asyncio.current_task()}


@clockless
async def test_a_group_that_is_left_after_an_outage_is_left(layer):
    """An outage need not be a restart: the layer may know the group very well."""
    listener = Listener(lambda message: None, lambda: None)
    await listener.join("a")
    await listener.join("b")
    layer.mode = "fails"
    layer.inbox.put_nowait({})
    await settle()
    leaving = asyncio.ensure_future(listener.leave("a"))
    await settle()
    assert layer.groups["a"]
    layer.mode = "works"
    await leaving
    await settle()
    assert not layer.groups["a"]
    assert layer.groups["b"]
    await listener.leave("b")


@clockless
async def test_a_topic_that_is_wanted_again_at_once_stays_joined(layer, make_world):
    world = make_world()
    subscription, _ = await world.subscribe(TableReader(world.table))
    world.leave(subscription)
    _, inbox = await world.subscribe(TableReader(world.table))
    await settle()
    assert layer.groups[TOPIC.group]
    world.table.rows[1] = Row()
    layer.inbox.put_nowait(message(1))
    await settle()
    assert inbox.told() == [("create", 1)]


@clockless
async def test_changes_of_other_processes_are_heard(layer, make_world):
    world = make_world()
    _, inbox = await world.subscribe(TableReader(world.table))
    world.table.rows[5] = Row()
    layer.inbox.put_nowait(message(5))
    await settle()
    assert inbox.told() == [("create", 5)]


@clockless
@pytest.mark.parametrize("mode", ["fails", "hangs"])
async def test_subscribers_are_served_while_the_layer_is_in_trouble(
    layer, make_world, mode, caplog
):
    layer.mode = mode
    world = make_world()
    _, inbox = await world.subscribe(TableReader(world.table))
    world.commit(1, Row())
    await settle()
    assert inbox.told() == [("create", 1)]
    # It was tried again all the time, and complained of once a minute at most.
    assert layer.calls["new_channel"] > 5
    assert len(complaints(caplog)) == 1


@clockless
async def test_a_layer_that_comes_back_is_joined_and_heard(layer, make_world):
    layer.mode = "fails"
    world = make_world()
    _, inbox = await world.subscribe(TableReader(world.table))
    await settle()
    layer.mode = "works"
    await settle()
    world.table.rows[1] = Row()
    layer.inbox.put_nowait(message(1))
    await settle()
    assert inbox.told() == [("create", 1)]


@clockless
@pytest.mark.parametrize("mode", ["fails", "hangs", "half"])
async def test_what_was_logged_before_the_layer_took_the_topic_is_told(layer, make_world, mode):
    """Subscribers were served meanwhile, from a position before it; no ring could be heard."""
    layer.mode = mode
    world = make_world()
    _, inbox = await world.subscribe(TableReader(world.table))
    world.table.rows[1] = Row()
    world.append(1, "create")
    layer.mode = "works"
    await settle()
    assert inbox.told() == [("create", 1)]


@clockless
async def test_a_layer_that_forgot_its_groups_is_joined_again(layer, make_world):
    world = make_world()
    await world.subscribe(TableReader(world.table))
    layer.mode = "fails"
    # Wakes the `receive` that is under way; the next one fails.
    layer.inbox.put_nowait(message(1))
    await settle()
    layer.lose_everything()
    layer.mode = "works"
    await settle()
    assert layer.groups[TOPIC.group]


@clockless
@pytest.mark.parametrize("noise", [{}, {"type": "chat.message"}, {"model": 1}, {1: 2}], ids=str)
async def test_a_message_that_is_no_hint_is_dropped(layer, make_world, noise):
    world = make_world()
    _, inbox = await world.subscribe(TableReader(world.table))
    layer.inbox.put_nowait(noise)
    world.table.rows[1] = Row()
    layer.inbox.put_nowait(message(1))
    await settle()
    assert inbox.told() == [("create", 1)]
    assert layer.calls["group_add"] == 1


@clockless
async def test_a_layer_that_hangs_does_not_keep_a_topic(layer, make_world):
    world = make_world()
    subscription, _ = await world.subscribe(TableReader(world.table))
    layer.mode = "hangs"
    world.leave(subscription)
    await settle()
    assert world.topics == {}
    assert asyncio.all_tasks() == {asyncio.current_task()}


def test_a_layer_that_can_not_be_loaded_is_as_none(settings, monkeypatch, caplog):
    monkeypatch.setattr(logs, "_last", {})
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "tests.nowhere.Layer"}}
    assert sender.layer_between_processes() is None
    assert sender.layer_between_processes() is None
    assert complaints(caplog) == ["The channel layer could not be loaded"]


def test_hubs_of_closed_loops_are_forgotten():
    async def make_hub():
        return hub.get_hub()

    first = asyncio.run(make_hub())
    second = asyncio.run(make_hub())
    assert second is not first
    assert first not in bell.hubs.all()
