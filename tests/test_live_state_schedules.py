# ruff: noqa: SLF001 - the mutants are written against the insides of the live core
"""Whatever is lost, and in whatever order: each replica ends equal to what its user may see.

Each rule of page and code is taken away once, and the same schedules have to notice it.
"""

import os

import pytest

from channels_api.live import log as log_module
from tests.live_schedules import BrokenPromiseError
from tests.live_world import ClocklessLoop, run_reads_in
from tests.state_schedules import StateSchedule

#: Schedules of one run (TEST_SEEDS=20000 for many more).
SEEDS = int(os.environ.get("TEST_SEEDS", "1000"))


@pytest.fixture(autouse=True)
def alone(settings):
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    settings.CHANNELS_API = {"REVALIDATE": None, "HISTORY_SIZE": 6}


def play(seed: int, monkeypatch) -> None:
    async def schedule() -> None:
        with monkeypatch.context() as patch:
            played = StateSchedule(seed, patch)
            patch.setattr(log_module, "_log", lambda name: played.log)
            run_reads_in(patch, played.reads)
            await played.run()

    loop = ClocklessLoop()
    try:
        loop.run_until_complete(schedule())
    finally:
        loop.close()


@pytest.mark.parametrize("start", range(0, SEEDS, 250))
def test_every_replica_ends_equal(start, monkeypatch):
    for seed in range(start, start + 250):
        try:
            play(seed, monkeypatch)
        except BrokenPromiseError as broken:
            pytest.fail(f"seed {seed}: {broken}")
