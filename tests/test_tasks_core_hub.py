"""The hub as a plain object: what it reads, when, and whom it rings in which thread."""

import asyncio
import threading

import pytest

from channels_api.background.bell import Ring, hubs, ring
from channels_api.background.hub import BATCH, get_hub
from channels_api.background.states import TaskState
from tests.live_layers import TroubledLayer
from tests.live_world import clockless
from tests.tasks_core_helpers import (
    DONE,
    HEARTBEAT,
    REPLY,
    STARTED,
    Client,
    progress,
    put,
    reference_of,
    ticks,
    watch,
)
from tests.tasks_world import StoreReader, World, put_in_place


@pytest.fixture
def world(monkeypatch) -> World:
    """No layer; rings are given by hand."""
    world = World(0)
    world.layer = None
    put_in_place(monkeypatch, world)
    return world


# Reads


class MembersReader(StoreReader):
    """As a group's: it reads those that rang, unless everything is asked for."""

    heard = False

    def hear(self, message: Ring) -> bool:
        self.heard = True
        return True

    def read(self, everything: bool) -> TaskState:
        heard, self.heard = self.heard, False
        now = super().read(everything)
        return now if heard or everything else TaskState()


@clockless
async def test_after_a_read_that_failed_everything_is_read(world):
    """What had rung for it is forgotten."""
    task, client = world.store.add("job"), Client()
    reader = MembersReader(world.store, task)
    begun = await client.watches.begin(reference_of(task), reader, REPLY)
    begun.open(TaskState())
    await ticks()
    world.store.failures = 1
    await put(task, STARTED)
    assert client.told() == []
    get_hub().look(begun.task)
    await ticks()
    assert client.told() == [("STARTED", None)]
    begun.close()


@clockless
async def test_what_was_stored_before_the_layer_took_the_job_is_told(world):
    """Its watchers were served meanwhile; no ring could be heard."""
    task, client = world.store.add("job"), Client()
    world.layer = TroubledLayer("hangs")
    begun = await watch(world, task, client)
    task.put(STARTED)
    world.layer.mode = "works"
    await asyncio.sleep(HEARTBEAT / 2)
    assert client.told() == [("STARTED", None)]
    begun.close()


@clockless
async def test_many_tasks_are_read_in_few_hops(world):
    tasks, client = [world.store.add("job") for _ in range(2 * BATCH + 1)], Client()
    for task in tasks:
        await watch(world, task, client)
    world.reads.parking = True
    for task in tasks:
        get_hub().hear(task.put(STARTED))
    sizes = []
    await ticks()
    while world.reads.parked:
        before = len(client.frames)
        world.reads.flush()
        await ticks()
        sizes.append(len(client.frames) - before)
    assert sizes == [BATCH, BATCH, 1]
    client.watches.close()


@clockless
async def test_a_task_that_can_not_be_read_or_told_costs_the_others_nothing(world):
    """Nor their heartbeat: its state has a name that is no text."""
    odd, task, client = world.store.add(""), world.store.add(""), Client()
    for each in (odd, task):
        await watch(world, each, client)
    odd.put(TaskState("\ud800"))
    task.put(STARTED)
    world.store.failures = 1
    await asyncio.sleep(HEARTBEAT * 4)
    assert ("STARTED", None) in client.told()
    task.put(DONE)
    odd.put(DONE)
    await asyncio.sleep(HEARTBEAT * 1.2)
    assert client.told() == [("SUCCESS", None)] * 2
    assert not world.left_behind()


@clockless
async def test_who_asks_for_a_state_hears_that_it_can_not_be_read(world):
    task, client = world.store.add("job"), Client()
    begun = await watch(world, task, client)
    world.store.failures = 1
    with pytest.raises(OSError, match="away"):
        await get_hub().read(begun.task)
    begun.close()


@clockless
async def test_a_store_that_has_lost_a_task_does_not_begin_it_again(world):
    task, client = world.store.add("job"), Client()
    begun = await watch(world, task, client)
    await put(task, STARTED)
    world.store.is_empty = True
    assert await get_hub().read(begun.task) == STARTED
    await asyncio.sleep(HEARTBEAT * 1.5)
    assert client.told() == [("STARTED", None)]
    begun.close()


# Silence


@clockless
async def test_silence_is_told_once_until_there_are_news(world):
    task, client = world.store.add("job"), Client()
    begun = await watch(world, task, client)
    await put(task, progress(1))
    assert client.told() == [("PROGRESS", 1)]
    for moment in ("2026-01-01T00:00:00Z", "2026-01-01T00:00:50Z"):
        await asyncio.sleep(HEARTBEAT * 5)
        data = {"id": begun.signed, "state": "PROGRESS", "meta": 1, "since": moment}
        assert [frame["data"] for frame in client.frames] == [data]
        assert client.frames[0]["response_status"] == 202
        client.frames.clear()
        get_hub().hear(task.ring)  # the same state: the worker lives
    begun.close()


# Hubs and threads


async def test_a_ring_from_any_thread_reaches_the_loops_that_need_it(world):
    task, client = world.store.add("job"), Client()
    begun = await watch(world, task, client)
    task.put(STARTED)
    threading.Thread(target=ring, args=(task.ring,)).start()
    deadline = asyncio.get_running_loop().time() + 20
    while not client.frames:
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.01)
    begun.close()
    assert not get_hub().needs("job")


def test_each_loop_has_a_hub_and_closed_ones_are_forgotten(world):
    async def hub():
        assert get_hub() is get_hub()
        return get_hub()

    first, second = asyncio.run(hub()), asyncio.run(hub())
    assert first is not second
    assert first not in hubs.all()
    # The loop of the second is closed by now, and somebody still rings.
    second._jobs["job"] = set()  # noqa: SLF001
    ring(Ring("job", "task", "SUCCESS", 0))
