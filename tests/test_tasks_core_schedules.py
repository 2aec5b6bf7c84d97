"""Whatever the order of things: each watch begins with its reply and ends with the task's end."""

import os

import pytest

from tests.live_world import ClocklessLoop
from tests.tasks_schedules import Schedule
from tests.tasks_world import BrokenPromiseError, World, put_in_place

#: Schedules of one run; TEST_SEEDS=20000 for many more.
SEEDS = int(os.environ.get("TEST_SEEDS", "250"))


def play(seed: int, monkeypatch) -> None:
    async def schedule() -> None:
        world = World(seed)
        with monkeypatch.context() as patch:
            put_in_place(patch, world)
            await Schedule(world).run()

    loop = ClocklessLoop()
    try:
        loop.run_until_complete(schedule())
    finally:
        loop.close()


@pytest.mark.parametrize("start", range(0, SEEDS, 125))
def test_every_watch_tells_its_task_to_the_end(start, monkeypatch):
    for seed in range(start, start + 125):
        try:
            play(seed, monkeypatch)
        except BrokenPromiseError as broken:
            pytest.fail(f"seed {seed}: {broken}")
