"""More rings than a channel layer holds: those that it dropped are made up for soon."""

import asyncio
import random

import pytest

from channels_api.background import hub as hub_module
from channels_api.background.bell import Ring, to_message
from channels_api.background.hub import FLOOD, FLOOD_SECONDS, TaskHub
from channels_api.background.references import TaskReference
from channels_api.background.states import SUCCESS, TaskState
from channels_api.layers import listener as listener_module
from tests.live_world import clockless
from tests.tasks_world import Layer, Reads, Store, StoreReader


@pytest.fixture
def layer(monkeypatch):
    layer = Layer(random.Random(1))  # noqa: S311
    layer.works = True
    monkeypatch.setattr(listener_module, "layer_between_processes", lambda: layer)
    monkeypatch.setattr(hub_module, "run_in_thread", Reads().run)
    return layer


async def watch(hub, store, job):
    task = store.add(job)
    return task, await hub.hold(TaskReference(task.task_id, job), StoreReader(store, task))


@pytest.mark.parametrize(("rings", "is_told"), [(FLOOD, True), (FLOOD - 1, False)])
def test_after_a_flood_of_rings_all_tasks_are_read_again(layer, rings, is_told):
    @clockless
    async def flood() -> None:
        hub, store = TaskHub(asyncio.get_running_loop()), Store()
        loud, _ = await watch(hub, store, "loud")
        quiet, watched = await watch(hub, store, "quiet")
        told = []
        watched.listeners.add(lambda state: told.append((state.name, hub.loop.time())))
        quiet.put(TaskState(SUCCESS))  # and its ring is lost
        for _ in range(rings):
            message = to_message(Ring("loud", loud.task_id, "PROGRESS", 0))
            layer.send(message.group, message.body)
        await asyncio.sleep(2 * FLOOD_SECONDS)
        assert told == ([(SUCCESS, FLOOD_SECONDS)] if is_told else [])

    flood()
