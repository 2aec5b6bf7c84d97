"""Rows that can't be shown: what keeps state is told so, whatever was shown of them before."""

import pytest

from channels_api.live import hub as hub_module
from channels_api.live import log as log_module
from channels_api.live.subscriptions import Subscriptions
from channels_api.live.wish import State
from tests.live_world import Inbox, Reads, Row, TableReader, World, clockless, run_reads_in, settle


@pytest.fixture
def make_world(monkeypatch, settings):
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    settings.CHANNELS_API = {"REVALIDATE": None}
    run_reads_in(monkeypatch, Reads())

    def make() -> World:
        world = World()
        monkeypatch.setattr(log_module, "_log", lambda name: world.log)
        world.hub = hub_module.get_hub()
        return world

    return make


async def keep(world: World, lookup: int | None = None, *, restricted: bool = False) -> Inbox:
    """A subscriber with state to all rows, or to one."""
    inbox = Inbox()
    reader = TableReader(world.table, restricted=restricted)
    subscription, _ = await Subscriptions(inbox).add_stateful(reader, State(), lookup, 7)
    subscription.open()
    return inbox


def shown(version: int, pk: int) -> dict:
    return {"pk": pk, "version": version, "shown_to": None}


@pytest.mark.parametrize("restricted", [False, True])
@clockless
async def test_a_row_that_fails_is_in_no_replica(make_world, restricted):
    world = make_world()
    world.table.rows = {1: Row(), 2: Row()}
    inbox = await keep(world, restricted=restricted)
    world.table.broken = {1: "fails"}
    world.commit(1, Row(1))
    await settle()
    [reset] = inbox.events
    assert (reset["action"], reset["reason"]) == ("reset", "gap")
    assert reset["snapshot"] == [shown(0, 2)]
    inbox.events.clear()
    world.table.broken = {}
    world.commit(1, Row(2))
    await settle()
    assert [event["data"] for event in inbox.events] == [shown(2, 1)]


@pytest.mark.parametrize("lookup", [None, 1])
@clockless
async def test_a_row_that_has_become_too_large_ends_what_can_not_hold_it(make_world, lookup):
    world = make_world()
    world.table.rows = {1: Row()}
    inbox = await keep(world, lookup)
    world.table.broken = {1: "large"}
    world.commit(1, Row(1))
    await settle()
    [reset] = inbox.events
    assert (reset["reason"], reset["snapshot"]) == ("too_many", None)
    world.table.broken = {}
    world.commit(1, Row(2))
    await settle()
    assert len(inbox.events) == 1


@clockless
async def test_a_row_that_fails_while_it_is_told_late(make_world):
    world = make_world()
    world.table.rows = {1: Row()}
    inbox = await keep(world)
    inbox.has_room = False
    world.commit(1, Row(1))
    await settle()
    world.table.broken = {1: "fails"}
    inbox.has_room = True
    [audience] = world.topics[next(iter(world.topics))].audiences
    for subscription in audience.members:
        subscription.resume()
    await settle()
    assert [(event["action"], event["snapshot"]) for event in inbox.events] == [("reset", [])]
