"""Watches as plain objects: who is told of a task's states, and of which."""

import asyncio

import pytest
from rest_framework.exceptions import NotFound

from channels_api.background.hub import get_hub
from channels_api.background.states import TaskState
from channels_api.protocol import RequestFrame
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
from tests.tasks_world import World, put_in_place


@pytest.fixture
def world(monkeypatch) -> World:
    """No layer; rings are given by hand."""
    world = World(0)
    world.layer = None
    put_in_place(monkeypatch, world)
    return world


@clockless
async def test_all_who_watch_are_told_of_each_state_once(world):
    task, clients = world.store.add("job"), [Client(), Client()]
    for client in clients:
        await watch(world, task, client)
    for state in (STARTED, progress(1), progress(2)):
        await put(task, state)
        get_hub().hear(task.ring)  # doubled
        await ticks()
    await put(task, DONE)
    for client in clients:
        told = [("STARTED", None), ("PROGRESS", 1), ("PROGRESS", 2), ("SUCCESS", None)]
        assert client.told() == told
    assert not world.left_behind()


@clockless
async def test_without_rings_the_heartbeat_tells(world):
    task, client = world.store.add(""), Client()
    await watch(world, task, client)
    for state in (STARTED, progress(1), DONE):
        task.put(state)
        await asyncio.sleep(HEARTBEAT * 1.2)
    assert [name for name, _ in client.told()] == ["STARTED", "PROGRESS", "SUCCESS"]
    assert not world.left_behind()


@clockless
async def test_a_state_before_the_watch_is_open_comes_after_the_reply(world):
    task, client = world.store.add("job"), Client()
    begun = await client.watches.begin(reference_of(task), world.reader(task), REPLY)
    await put(task, STARTED)
    await put(task, progress(1))
    assert client.told() == []
    begun.open(TaskState())
    assert client.told() == [("PROGRESS", 1)]
    begun.close()


@clockless
async def test_a_task_that_was_faster_than_its_watch_is_told_without_a_ring(world):
    task, client = world.store.add("job"), Client()
    task.put(DONE)
    await watch(world, task, client)
    assert client.told() == [("SUCCESS", None)]


@clockless
async def test_what_the_reply_has_shown_is_not_told_again(world):
    task, client = world.store.add("job"), Client()
    begun = await client.watches.begin(reference_of(task), world.reader(task), REPLY)
    await put(task, STARTED)
    begun.open(await get_hub().read(begun.task))
    await ticks()
    assert client.told() == []
    begun.close()


@clockless
async def test_a_reply_that_shows_the_end_is_the_last_frame(world):
    task, client = world.store.add("job"), Client()
    task.put(DONE)
    begun = await client.watches.begin(reference_of(task), world.reader(task), REPLY)
    begun.open(await get_hub().read(begun.task))
    await ticks()
    assert client.told() == []
    assert not world.left_behind()


@clockless
async def test_who_comes_to_a_task_that_is_over_is_told_so(world):
    """Also where the slow client who watched it first has not taken the end yet."""
    task, slow, late = world.store.add("job"), Client(), Client()
    await watch(world, task, slow)
    slow.has_room = False
    await put(task, DONE)
    await watch(world, task, late)
    assert late.told() == [("SUCCESS", None)]
    assert slow.told() == []
    slow.has_room = True
    slow.watches.resume()
    assert slow.told() == [("SUCCESS", None)]
    await ticks()
    assert not world.left_behind()


@clockless
async def test_a_slow_client_gets_the_newest(world):
    task, client = world.store.add("job"), Client()
    await watch(world, task, client)
    client.has_room = False
    for state in (STARTED, progress(1), progress(2)):
        await put(task, state)
    client.has_room = True
    client.watches.resume()
    client.watches.resume()
    assert client.told() == [("PROGRESS", 2)]
    client.watches.close()


@clockless
async def test_a_late_read_of_an_old_state_does_not_replace_the_end(world):
    task, slow = world.store.add("job"), Client()
    begun = await watch(world, task, slow)
    slow.has_room = False
    await put(task, STARTED)
    world.reads.parking = True
    late = asyncio.ensure_future(get_hub().read(begun.task))
    await ticks()
    world.reads.begin(0)
    world.reads.parking = False
    await put(task, DONE)
    world.reads.end(0)
    assert await late == DONE
    slow.has_room = True
    slow.watches.resume()
    assert slow.told() == [("SUCCESS", None)]


@clockless
async def test_the_next_frame_of_a_stream_takes_the_place_of_the_first(world):
    task, client = world.store.add("job"), Client()
    for stream in ("tasks", "tasks", "others"):
        reply = RequestFrame(stream, "subscribe").reply
        reader = world.reader(task)
        subscribed = await client.watches.subscribe(stream, reference_of(task), reader, reply)
        subscribed.open(TaskState())
    await put(task, STARTED)
    assert len(client.told()) == 2
    client.watches.unsubscribe("tasks", reference_of(task))
    client.watches.unsubscribe("tasks", reference_of(task))
    client.watches.unsubscribe("nobody's", reference_of(task))
    await put(task, progress(1))
    assert client.told() == [("PROGRESS", 1)]
    client.watches.close()
    await ticks()
    assert not world.left_behind()


@clockless
async def test_a_socket_that_closes_meanwhile_keeps_nothing(world):
    task, client = world.store.add("job"), Client()
    entering = asyncio.ensure_future(watch(world, task, client))
    await asyncio.sleep(0)
    client.watches.close()
    with pytest.raises(NotFound):
        await entering
    await ticks()
    assert not world.left_behind()


@clockless
async def test_one_who_gives_up_does_not_end_it_for_others(world):
    task, client = world.store.add("job"), Client()
    first, second = (asyncio.ensure_future(watch(world, task, client)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await second
    await put(task, STARTED)
    assert client.told() == [("STARTED", None)]
    client.watches.close()
    await ticks()
    assert not world.left_behind()


@clockless
async def test_who_has_gone_is_not_kept_by_those_who_stay(world):
    task, client = world.store.add("job"), Client()
    first, second = [await watch(world, task, client) for _ in range(2)]
    first.close()
    first.close()
    assert second.task.listeners == {second.tell}
    second.close()
    await ticks()
    assert not world.left_behind()


@clockless
async def test_nothing_is_read_for_those_who_have_gone(world):
    task, client = world.store.add("job"), Client()
    begun = await watch(world, task, client)
    world.reads.parking = True
    get_hub().hear(task.put(STARTED))
    begun.close()
    await ticks()
    assert not world.reads.parked
    assert not world.left_behind()
