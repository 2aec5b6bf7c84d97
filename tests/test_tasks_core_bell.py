"""Rings: what is sent to other processes of a task's states, and how often."""

import asyncio
import itertools
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels_api.background import bell
from channels_api.background.bell import PACE, Pacer, Ring, from_message, group_of, to_message
from tests.live_world import clockless


class Sender:
    """Takes what is put into it, and says when."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.sent: list[tuple[float, str, int]] = []

    def put(self, messages) -> None:
        for message in messages:
            ring = from_message(message.body)
            assert message == to_message(ring)
            self.sent.append((round(self.loop.time(), 3), ring.state, ring.retries))


@pytest.fixture
def make_pacer(monkeypatch):
    def make() -> tuple[Pacer, list]:
        sender = Sender()
        monkeypatch.setattr(bell, "get_sender", lambda: sender)
        return Pacer(), sender.sent

    return make


def ring(state: str, number: int = 0, task: str = "task") -> Ring:
    """`retries` is a number here, to tell rings apart."""
    return Ring("job", task, state, number)


@given(st.text(), st.text(), st.text(), st.integers())
def test_a_ring_goes_through_a_message(job, task_id, state, retries):
    message = to_message(Ring(job, task_id, state, retries))
    assert message.group == group_of(job)
    assert from_message(message.body) == Ring(job, task_id, state, retries)


@clockless
async def test_new_states_are_rung_at_once_and_in_order(make_pacer):
    pacer, sent = make_pacer()
    states = ["STARTED", "PROGRESS", "RETRY", "STARTED", "PROGRESS", "SUCCESS"]
    for state in states:
        pacer.offer(ring(state))
    assert [state for _, state, _ in sent] == states


@clockless
async def test_progress_is_rung_at_a_pace_and_the_last_one_always(make_pacer):
    pacer, sent = make_pacer()
    for number in range(100):
        pacer.offer(ring("PROGRESS", number))
        await asyncio.sleep(PACE / 20)
    await asyncio.sleep(PACE)
    times = [moment for moment, _, _ in sent]
    assert (sent[0], sent[-1][2]) == ((0.0, "PROGRESS", 0), 99)
    assert all(after - before >= PACE - 0.001 for before, after in itertools.pairwise(times))
    assert 5 <= len(sent) <= 7


@clockless
async def test_what_waits_is_dropped_for_a_newer_state(make_pacer):
    pacer, sent = make_pacer()
    for number in range(3):
        pacer.offer(ring("PROGRESS", number))
    pacer.offer(ring("SUCCESS", 3))
    await asyncio.sleep(1)
    assert sent == [(0.0, "PROGRESS", 0), (0.0, "SUCCESS", 3)]


@clockless
async def test_a_state_that_comes_again_after_another_is_new(make_pacer):
    pacer, sent = make_pacer()
    for number, state in enumerate(["PROGRESS", "RETRY", "PROGRESS", "PROGRESS"]):
        pacer.offer(ring(state, number))
    await asyncio.sleep(1)
    assert [number for _, _, number in sent] == [0, 1, 2, 3]
    assert [moment for moment, _, _ in sent] == [0, 0, 0, PACE]


@clockless
async def test_tasks_have_a_pace_each(make_pacer):
    pacer, sent = make_pacer()
    for task in range(5):
        pacer.offer(ring("PROGRESS", task, f"task-{task}"))
    assert [number for _, _, number in sent] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("last", ["SUCCESS", "FAILURE", "REVOKED", "IGNORED", "RETRY", "PROGRESS"])
@clockless
async def test_nothing_is_kept_of_a_task_that_rings_no_more(make_pacer, last):
    """Its next attempt may be in another process, which rings for the end."""
    pacer, sent = make_pacer()
    for task in range(3):
        for number, state in enumerate(["STARTED", "PROGRESS", "PROGRESS", last]):
            pacer.offer(ring(state, number, f"task-{task}"))
    await asyncio.sleep(1)
    assert not pacer._slots  # noqa: SLF001
    assert sent[-1][1:] == (last, 3)


def test_rings_for_other_processes_are_none_where_there_are_none(settings):
    """No thread is started for a layer that leads nowhere, or for a task that nobody rings for."""
    before = {thread.name for thread in threading.enumerate()}
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    bell.ring_others(ring("SUCCESS"))
    settings.CHANNEL_LAYERS = {}
    bell.ring_others(ring("SUCCESS"))
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "tests.live_layers.TroubledLayer"}}
    bell.ring_others(ring("SUCCESS")._replace(job=""))
    after = {thread.name for thread in threading.enumerate()}
    assert "channels_api-sender" not in after - before
